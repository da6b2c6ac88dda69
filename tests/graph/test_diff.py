"""Differences between agents, plans, requests and runs; the command `diff` and its exit codes."""

from __future__ import annotations

import json
import sys
from copy import deepcopy
from io import BytesIO, TextIOWrapper
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from tessera import RequestError, load_agent, plan, simulate
from tessera.cli import main
from tessera.graph.diff import Comparison, Difference, diff
from tessera.store.run_store import RunStore
from tessera.testing import agent, node_id
from tests.support.media import FIXTURES, MEDIA
from tests.support.planning import runs

FACTS = {"*": {"duration_ms": 60000, "width": 640, "height": 360, "fps": 30, "speech": [[0, 50000]]}}
CLIPS = agent("input > clips(num_clips=2, target_duration=5) > mirror > destination")
UNKNOWN = agent("input > nobody:Nobody", unknown_tiles="opaque").to_dict()
V = {"video_ids": ["v"]}
LEFT, RIGHT = node_id("left"), node_id("right")


NAMES = {
    node_id(name): name
    for name in ("input", "clips", "mirror", "captions", "destination", "montage", "left", "right")
}


def rows(found: Comparison) -> list[tuple[Any, ...]]:
    """Return each difference as (section, change, name of the tile, name of the value, old, new)."""
    return [
        (one.section, one.change, one.node and NAMES[one.node], one.name, one.old, one.new)
        for one in found.differences
    ]


def record(template: Any, **request: Any) -> dict[str, Any]:
    return simulate(template, {**V, **request}, facts=FACTS).to_dict()


def single(found: Comparison) -> Difference:
    (one,) = found.differences
    return one


# agents


def test_an_agent_equals_itself_in_every_generation_of_the_export() -> None:
    other = CLIPS.to_dict()
    other["agent_nodes"] = [
        {"id": node["agent_node_id"].upper(), "node": {"name": node["node_type"]["node_type_name"]}}
        | {"params_used": node["params_used"]}
        for node in reversed(other["agent_nodes"])
    ]
    other["connections"].reverse()
    other["agent"] = {"id": node_id("agent"), "updated_at": "2026-01-01T00:00:00Z"}
    assert not diff(CLIPS, other)
    assert not diff(CLIPS, CLIPS.to_json())


def test_a_value_that_is_set_to_its_default_does_not_differ() -> None:
    assert not diff(agent("input > watermark"), agent("input > watermark(logo_size=30)"))


def test_agents_differ_in_tiles_edges_and_parameters() -> None:
    other = agent(
        """
        input; clips(num_clips=3, target_duration=5); mirror:Reframe; destination
        input > clips > mirror > captions > destination
        """
    )
    assert rows(diff(CLIPS, other)) == [
        ("tile", "changed", "mirror", "type", "Mirror", "Reframe"),
        ("tile", "added", "captions", None, None, "Captions"),
        ("edge", "removed", "mirror", "via", [], None),
        ("edge", "added", "mirror", "via", None, []),
        ("edge", "added", "captions", "via", None, []),
        ("parameter", "changed", "clips", "num_clips", 2, 3),
    ]
    assert [one.target for one in diff(CLIPS, other).differences[2:5]] == [
        node_id("destination"),
        node_id("captions"),
        node_id("destination"),
    ]


def test_a_difference_names_the_origin_of_each_value() -> None:
    one = single(diff(agent("input > clips"), agent("input > clips(num_clips=3)")))
    assert (one.old, one.old_origin, one.new, one.new_origin) == (None, "default", 3, "template")


def test_the_order_of_tiles_counts_if_it_orders_items() -> None:
    template = agent("input > {left:Mirror, right:Reframe} > montage")
    swapped = template.to_dict()
    swapped["agent_nodes"][1:3] = reversed(swapped["agent_nodes"][1:3])
    assert rows(diff(template, swapped)) == [
        ("order", "changed", "montage", "fed by", [LEFT, RIGHT], [RIGHT, LEFT])
    ]


def test_a_copy_of_an_agent_is_paired_by_type_and_order() -> None:
    text = CLIPS.to_json()
    for tile in CLIPS:
        text = text.replace(tile.id, node_id(f"copy of {tile.name}"))
    copy = json.loads(text)
    assert not diff(CLIPS, copy)
    assert "share no tile id" in diff(CLIPS, copy).notes[0]
    copy["agent_nodes"][2]["params_used"] = {"vertical_flip": True}
    one = single(diff(CLIPS, copy))
    assert (one.section, one.change, one.node) == ("parameter", "changed", node_id("copy of Mirror"))
    assert (one.name, one.old, one.new) == ("vertical_flip", False, True)


def test_unknown_tiles_can_be_compared_and_a_new_name_is_a_note() -> None:
    first, second = (UNKNOWN | {"agent": {"name": name}} for name in "ab")
    with pytest.raises(RequestError, match="the first document"):
        diff(first, second)
    found = diff(first, second, unknown_tiles="opaque")
    assert not found
    assert found.notes == ("the names of the agents are 'a' and 'b'",)


# plans


def test_plans_differ_in_what_they_do() -> None:
    request = {
        "video_ids": ["v", "w"],
        "ignore_nodes": [node_id("mirror")],
        "update_params": {node_id("clips"): {"num_clips": 4}},
        "input_clip_end_ms": 500,
    }
    found = diff(plan(CLIPS, V), plan(CLIPS, request).to_dict())
    assert rows(found) == [
        ("tile", "removed", "mirror", None, "Mirror", None),
        ("edge", "removed", "clips", "via", [], None),
        ("edge", "removed", "mirror", "via", [], None),
        ("edge", "added", "clips", "via", None, [node_id("mirror")]),
        ("parameter", "changed", "clips", "num_clips", 2, 4),
        ("input", "changed", "input", None, {"video_id": "v"}, {"video_id": "v", "input_clip_end_ms": 500}),
        ("input", "added", "input", None, None, {"video_id": "w", "input_clip_end_ms": 500}),
    ]
    assert found.differences[0].note == "ignored in the second"
    assert found.differences[4].new_origin == "override"
    assert found.summary() == "1 tile, 3 edges, 1 parameter, 2 inputs"


def test_an_agent_and_its_plan_differ_only_in_the_rewrites() -> None:
    assert not diff(CLIPS, plan(CLIPS, V))
    back = diff(plan(CLIPS, {**V, "ignore_nodes": [node_id("mirror")]}), CLIPS)
    assert sorted(one.section for one in back.differences) == ["edge", "edge", "edge", "tile"]


def test_a_longer_way_round_changes_an_edge() -> None:
    template = agent("input > clips > mirror > captions; input > mirror")
    longer = agent("input > clips > mirror > captions")
    clips, mirror = node_id("clips"), node_id("mirror")
    request = {**V, "ignore_nodes": [clips, mirror]}
    one = single(diff(plan(template, request), plan(longer, request)))
    assert (one.section, one.old, one.new) == ("edge", [mirror], [clips, mirror])


def test_reordered_inputs_differ_equally_in_both_directions() -> None:
    template = agent("input > mirror")
    first, second = (
        plan(template, {"video_ids": ["a", "aa"]}),
        plan(template, {"video_ids": ["aa", "a", "a"]}),
    )
    there, back = diff(first, second).differences, diff(second, first).differences
    assert [(one.old, one.new) for one in there] == [(one.new, one.old) for one in back]


@settings(max_examples=60)
@given(runs(), runs())
def test_plans_without_differences_are_equal(one: tuple[Any, Any], other: tuple[Any, Any]) -> None:
    try:
        first, second = plan(*one), plan(*other)
    except RequestError:
        return
    assert not diff(first, first.to_dict())
    found = diff(first, second)
    back = diff(second, first)
    assert bool(found) == bool(back)
    assert len(found.differences) == len(back.differences)
    if not found:
        assert set(first.graph.edges) == set(second.graph.edges)
        assert [first.tile(node).values() for node in first.graph] == [
            second.tile(node).values() for node in first.graph
        ]
    json.dumps(found.to_dict())


# requests


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"video_ids": []}),
        ({"video_ids": ["a"]}, {"video_id_inputs": [{"id": "a", "input_clip_start_ms": 0}]}),
        ({"video_ids": ["a"]}, {"video_inputs": [{"agent_node_id": node_id("input"), "video_ids": ["a"]}]}),
        ({"ignore_nodes": [LEFT, RIGHT]}, {"ignore_nodes": [RIGHT, LEFT.upper(), LEFT]}),
        ({"update_params": {LEFT: {"x": 1}}}, {"update_params": {LEFT.upper(): {"x": 1.0}}}),
        ({"signed_urls": ["https://x.org/a.mp4?sig=1"]}, {"signed_urls": ["https://x.org/a.mp4?sig=2"]}),
    ],
)
def test_requests_with_the_same_meaning_are_equal(first: Any, second: Any) -> None:
    assert not diff(first, second), rows(diff(first, second))


def test_requests_differ_in_inputs_ignored_tiles_and_parameters() -> None:
    first = {
        "video_urls": ["https://x.org/a?1"],
        "ignore_nodes": [LEFT],
        "update_params": {RIGHT: {"x": True}},
    }
    second = {"video_urls": ["https://x.org/a?2"], "update_params": {RIGHT: {"x": 1, "y": None}}}
    second["callback_url"] = "https://x.org/hook"  # type: ignore[assignment]
    assert rows(diff(first, second)) == [
        ("parameter", "changed", "right", "x", True, 1),
        ("parameter", "added", "right", "y", None, None),
        ("ignored", "removed", "left", None, LEFT, None),
        (
            "input",
            "changed",
            None,
            None,
            {"video_url": "https://x.org/a?masked=6b86b273"},
            {"video_url": "https://x.org/a?masked=d4735e3a"},
        ),
        ("member", "added", None, "callback_url", None, "https://x.org/hook"),
    ]


# runs


def test_ids_times_urls_and_paths_of_runs_are_not_differences() -> None:
    one = record(CLIPS)
    other = json.loads(json.dumps(one).replace('"v"', '"w"').replace("2000-01-01", "2026-01-01"))
    other |= {"run_id": node_id("run"), "mode": "run"}
    for output in other["outputs"]:
        output |= {
            "id": node_id("output"),
            "path": "/x/y.mp4",
            "video_url": "file:///x/y.mp4",
            "commands": [["ffmpeg"]],
        }
    found = diff(one, other)
    assert not found, rows(found)
    assert found.notes == ("the first is a simulation, the second a run",)


def test_runs_differ_in_outputs_counts_and_parameters() -> None:
    shorter = {node_id("clips"): {"num_clips": 1, "target_duration": 7}}
    found = diff(record(CLIPS), record(CLIPS, update_params=shorter))
    assert rows(found)[:4] == [
        ("parameter", "changed", "clips", "num_clips", 2, 1),
        ("parameter", "changed", "clips", "target_duration", 5, 7),
        ("items", "changed", "clips", None, 2, 1),
        ("items", "changed", "mirror", None, 2, 1),
    ]
    outputs = [(one.index, one.change, one.name) for one in found.differences[4:]]
    assert outputs == [(1, "changed", "duration_ms"), (1, "changed", "sources"), (2, "removed", None)]
    assert found.differences[0].old_origin == "not overridden"
    sources = found.differences[5].new
    assert [set(piece) for piece in sources] == [{"source", "start_ms", "end_ms"}]
    assert sources[0]["source"] == "input 1"


def test_runs_differ_in_statuses_and_rewrites() -> None:
    whole = record(CLIPS)
    failed = deepcopy(whole)
    failed["nodes"][2] |= {"status": "failed", "status_message": "no luck"}
    failed |= {"status": "failed", "status_message": "Mirror failed", "outputs": []}
    found = diff(whole, failed)
    assert rows(found)[:2] == [
        ("status", "changed", None, None, "completed", "failed"),
        ("status", "changed", "mirror", None, "completed", "failed"),
    ]
    assert [one.note for one in found.differences[:2]] == ["Mirror failed", "no luck"]
    assert [one.change for one in found.differences[2:]] == ["removed", "removed"]
    ignored = diff(whole, record(CLIPS, ignore_nodes=[node_id("mirror")]))
    assert ("tile", "removed", "mirror", None, "Mirror", None) in rows(ignored)
    assert ("edge", "added", "clips", "via", None, [node_id("mirror")]) in rows(ignored)


def test_runs_differ_in_their_inputs() -> None:
    found = diff(record(CLIPS), record(CLIPS, input_clip_end_ms=30000))
    (one,) = [one for one in found.differences if one.section == "input"]
    assert (one.change, one.new["metered_ms"], one.new["clip_ms"]) == ("changed", 30000, (0.0, 30000.0))


# documents that cannot be compared


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (CLIPS, V, r"cannot compare an agent \(first\) with a request \(second\)"),
        (CLIPS, {"x": 1}, "the second document: not an agent, plan, request or record"),
        (CLIPS, [], "the second document: not an agent, plan, request or record"),
        ("nowhere.json", CLIPS, "the first document: cannot read"),
        ("{", CLIPS, "the first document: .*not JSON"),
        ({"tiles": 1, "edges": 2, "order": 3}, CLIPS, "the first document: not a plan"),
        ({"run_id": "x", "status": "x", "outputs": 3}, V, "the first document: not a record of a run"),
        ({"run_id": "x", "status": "x", "outputs": [{}], "inputs": []}, V, "is missing"),
        ({"video_ids": 3}, V, "the first document"),
        (UNKNOWN, CLIPS, "the first document: .*Nobody"),
    ],
)
def test_documents_that_cannot_be_compared_are_refused(first: Any, second: Any, words: str) -> None:
    with pytest.raises(RequestError) as caught:
        diff(first, second)
    assert caught.match(words)


# the command

AGENTS = FIXTURES / "agents"


def run_command(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["diff", *args])
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return code, out, err


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TESSERA_WORKSPACE", raising=False)


def test_the_exit_code_is_1_if_the_documents_differ(capsys: pytest.CaptureFixture[str]) -> None:
    one, other = str(AGENTS / "diamond.json"), str(AGENTS / "ignored_middle.json")
    assert run_command(capsys, one, one) == (0, "no differences\n", "")
    code, out, err = run_command(capsys, one, other)
    assert (code, err) == (1, "")
    assert "\x1b" not in out
    assert out.startswith("agents differ: ")
    assert json.loads(run_command(capsys, one, one, "--json")[1])["equal"] is True
    code, out, _err = run_command(capsys, one, other, "--json")
    found = json.loads(out)
    assert (code, found["equal"], found["kinds"]) == (1, False, ["agent", "agent"])
    assert {"section", "change", "old", "new"} <= set(found["differences"][0])
    for args in ((one, "nowhere.json"), (one, "{}"), ("nobody", one), ("-", "-"), (one,), ("\0", one)):
        code, out, err = run_command(capsys, *args)
        assert (code, out) == (2, ""), args
        assert err.startswith("error: ")


def test_a_plan_is_read_from_stdin(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = plan(CLIPS, {**V, "ignore_nodes": [node_id("mirror")]}).to_json().encode()
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(text)))
    code, out, _err = run_command(capsys, plan(CLIPS, V).to_json(), "-")
    assert code == 1
    clips, mirror, destination = (node_id(name)[:8] for name in ("clips", "mirror", "destination"))
    assert f"- tile      Mirror {mirror}  (ignored in the second)" in out
    assert f"+ edge      Clips {clips} ─▶ Destination {destination}  past Mirror {mirror}" in out


def test_runs_are_found_by_id_and_by_latest(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    template = agent("input > mirror").to_json()
    ids = []
    for clip in (":0.2", ":0.2", ":0.4"):
        capsys.readouterr()
        assert main(["run", template, "--input", str(MEDIA / "talk.mp4"), "--clip", clip, "--json"]) == 0
        ids.append(json.loads(capsys.readouterr().out)["run_id"])
    assert run_command(capsys, ids[0], ids[1][:12]) == (0, "no differences\n", "")
    code, out, _err = run_command(capsys, ids[0], "latest")
    assert code == 1
    assert f"Mirror {node_id('mirror')[:8]} #1 duration_ms" in out
    RunStore(Path(".tessera")).save_document(ids[2], "record.json", "{")
    assert run_command(capsys, ids[0], "latest")[0] == 2
    simulated = tmp_path / "simulated.json"
    assert main(["simulate", template, "--input", str(MEDIA / "talk.mp4"), "--clip", ":0.2", "--json"]) == 0
    simulated.write_text(capsys.readouterr().out)
    code, out, _err = run_command(capsys, ids[0], str(simulated))
    assert (code, "note: the first is a run, the second a simulation" in out) == (0, True)


def test_every_fixture_agent_equals_itself_and_compares_with_the_next(
    capsys: pytest.CaptureFixture[str],
) -> None:
    paths = sorted(AGENTS.glob("*.json"))
    for path in paths:
        assert not diff(path, path)
        assert not diff(load_agent(path).to_dict(), path)
    for one, other in pairwise(paths):
        assert isinstance(diff(one, other).to_dict()["differences"], list)
