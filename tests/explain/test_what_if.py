"""`tessera diff AGENT [REQUEST] --set … --ignore …` shows what the options change, from two simulations."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tessera import simulate
from tessera.cli import main
from tessera.explain.what_if import what_if
from tessera.runner.config import SimulateConfig
from tessera.testing import agent, node_id
from tests.support.media import MEDIA

FACTS = {"*": {"duration_ms": 60_000, "width": 640, "height": 360, "fps": 30, "speech": [[0, 60_000]]}}
AGENT = agent("input > clips(num_clips=2, target_duration=10) > mirror > captions > destination")
REQUEST = {"video_ids": ["talk"]}


def diff(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["diff", *args])
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return code, out, err


def found(capsys: pytest.CaptureFixture[str], *args: str, code: int = 1) -> dict[str, Any]:
    typed = (AGENT.to_json(), json.dumps(REQUEST), "--facts", json.dumps(FACTS), *args, "--json")
    said, out, err = diff(capsys, *typed)
    assert (said, err) == (code, "")
    value: dict[str, Any] = json.loads(out)
    return value


def sections(value: dict[str, Any]) -> set[tuple[str, str]]:
    return {(one["section"], one["change"]) for one in value["differences"]}


def test_an_ignored_tile_changes_tiles_and_connections(capsys: pytest.CaptureFixture[str]) -> None:
    value = found(capsys, "--ignore", "Mirror")
    assert sections(value) == {("tile", "removed"), ("edge", "removed"), ("edge", "added")}
    before, after = value["totals"]["before"], value["totals"]["after"]
    assert (before["tiles"], after["tiles"]) == (5, 4)
    assert (before["connections"], after["connections"]) == (4, 3)
    assert after["items"] == before["items"] - 2
    assert after["outputs"] == before["outputs"] == 2
    assert value["options"] == ["--ignore Mirror"]


def test_a_parameter_changes_items_outputs_seconds_and_credits(capsys: pytest.CaptureFixture[str]) -> None:
    value = found(capsys, "--set", "Clips.num_clips=4")
    assert sections(value) >= {("parameter", "changed"), ("items", "changed"), ("output", "added")}
    before, after = value["totals"]["before"], value["totals"]["after"]
    assert (before["outputs"], after["outputs"]) == (2, 4)
    assert before["seconds"] < after["seconds"]
    assert Decimal(before["credits"]) < Decimal(after["credits"])


def test_both_sides_are_the_simulations_of_the_two_requests() -> None:
    changed = {**REQUEST, "update_params": {node_id("clips"): {"num_clips": 4}}}
    config = SimulateConfig(facts=FACTS, workers=2)
    compared = what_if(AGENT, REQUEST, changed, config)
    for side, request in ((compared.before, REQUEST), (compared.after, changed)):
        record = simulate(AGENT, request, facts=FACTS, workers=2)
        assert record.forecast is not None
        assert side.items == len(record.items)
        assert side.outputs == len(record.outputs)
        assert side.seconds == record.forecast.schedule.makespan / 1e6
        assert side.credits == record.forecast.bill.total


def test_the_request_file_is_on_both_sides(capsys: pytest.CaptureFixture[str]) -> None:
    request = {**REQUEST, "ignore_nodes": [node_id("mirror")]}
    typed = (AGENT.to_json(), json.dumps(request), "--facts", json.dumps(FACTS), "--json")
    code, out, _err = diff(capsys, *typed, "--ignore", "Captions")
    assert code == 1
    assert json.loads(out)["totals"]["before"]["tiles"] == 4
    assert json.loads(out)["totals"]["after"]["tiles"] == 3


def test_options_that_change_nothing_exit_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    value = found(capsys, "--set", "Clips.num_clips=2", code=0)
    assert (value["equal"], value["differences"]) == (True, [])


def test_a_warning_of_one_side_alone_is_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    (note,) = found(capsys, "--set", "Clips.num_clips=9")["notes"]
    assert note.startswith("new warning: Clips")
    assert "num_clips 9, but 6 made" in note


def test_the_table_fits_80_columns_and_names_each_total(capsys: pytest.CaptureFixture[str]) -> None:
    typed = (AGENT.to_json(), json.dumps(REQUEST), "--facts", json.dumps(FACTS))
    _code, out, _err = diff(capsys, *typed, "--ignore", "Mirror")
    lines = out.splitlines()
    assert lines[:2] == ["what if --ignore Mirror", "1 tile, 3 edges"]
    assert [line.split()[0] for line in lines[4:10]] == [
        "tiles", "connections", "items", "outputs", "seconds", "credits"
    ]  # fmt: skip
    assert lines[4].split() == ["tiles", "5", "4", "-1"]
    assert lines[7].split() == ["outputs", "2", "2", "same"]
    assert max(map(len, lines)) <= 80


def test_a_comment_for_a_pull_request_has_the_totals(capsys: pytest.CaptureFixture[str]) -> None:
    typed = (AGENT.to_json(), json.dumps(REQUEST), "--facts", json.dumps(FACTS), "--format", "markdown")
    code, out, _err = diff(capsys, *typed, "--ignore", "Mirror")
    assert code == 1
    assert "| tiles | 5 | 4 | -1 |" in out


def test_local_media_needs_no_request(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    typed = (AGENT.to_json(), "--input", str(MEDIA / "talk.mp4"), "--ignore", "Mirror", "--json")
    code, out, _err = diff(capsys, *typed)
    assert code == 1
    assert json.loads(out)["totals"]["before"]["outputs"] == 2


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "give B, the document to compare with A, or --set or --ignore"),
        ((AGENT.to_json(), "--assume"), "give --set or --ignore as well"),
        ((AGENT.to_json(), "--input", "a.mp4"), "give --set or --ignore as well"),
        (("--ignore", "Nobody"), "no node 'Nobody'"),
        (("--ignore", "Mirror"), "needs inputs"),
        (('{"video_ids": ["talk"]}', "--ignore", "Mirror"), "hint: state facts with --facts FILE"),
    ],
)
def test_a_wrong_command_line_exits_with_2(
    capsys: pytest.CaptureFixture[str], args: tuple[str, ...], words: str
) -> None:
    code, out, err = diff(capsys, AGENT.to_json(), *args)
    assert (code, out) == (2, "")
    assert words in err
