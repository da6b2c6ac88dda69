"""A part of an agent can be run on real media: up to a tile, or from one on with what an earlier run made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tessera import RequestError, RunRecord, resume, run, simulate
from tessera.bundle.bundle import write_bundle
from tessera.bundle.simulation import replay
from tessera.cli import main
from tessera.media.probe.probe import probe
from tessera.store.run_store import RunStore
from tessera.text.wording import short_ids
from tests.support.media import MEDIA, take_apart
from tests.support.planning import agent, chain, uid

CLIPS = [str(MEDIA / "silent.mp4"), str(MEDIA / "portrait.mp4")]
AGENT = agent(
    "Video Input",
    ("Mirror", {"horizontal_flip": True}),
    ("Reframe", {"aspect_ratio": "9:16"}),
    "Destination",
    ("Mirror", {"vertical_flip": True}),
    edges=[(0, 1), (1, 2), (2, 3), (1, 4)],
)


def made(workspace: Path, **options: Any) -> RunRecord:
    return run(AGENT, inputs=CLIPS, workspace=workspace, quality="draft", **options)


def part(workspace: Path, request: Any = None, **options: Any) -> RunRecord:
    return run(AGENT, request or asked(workspace), workspace=workspace, quality="draft", **options)


def asked(workspace: Path) -> dict[str, Any]:
    """The request of the newest run."""
    store = RunStore(workspace)
    request: dict[str, Any] = store.record(store.resolve_run_id("latest"))["request"]
    return request


def frames(record: RunRecord, node: int) -> list[Any]:
    paths = [output.path for output in record.outputs if output.node == uid(node) and output.path]
    return [take_apart(path).frames for path in paths]


def test_up_to_a_tile_nothing_after_it_runs_and_its_items_are_the_outputs(tmp_path: Path) -> None:
    record = made(tmp_path, until="Reframe")
    assert [*record.nodes] == [uid(0), uid(1), uid(2)]
    assert [output.node for output in record.outputs] == [uid(2)] * 2
    pictures = [probe(output.path).picture for output in record.outputs if output.path]
    assert len(pictures) == 2
    assert all(picture is not None and picture.height > picture.width for picture in pictures)
    assert record.to_dict()["part"] == {"part": "until", "agent_node_id": uid(2), "of": None}


def test_from_a_tile_on_gives_what_the_whole_run_gave(tmp_path: Path) -> None:
    whole = made(tmp_path)
    record = part(tmp_path, since="Reframe", of="latest", cache=False)
    assert [*record.nodes] == [uid(1), uid(2), uid(3)]
    assert frames(record, 2) == frames(whole, 2)
    assert [output.raw["digest"] for output in record.outputs] == [
        output.raw["digest"] for output in whole.outputs if output.node == uid(2)
    ]
    assert record.node(uid(1)).work is None
    assert record.to_dict()["part"] == {"part": "from", "agent_node_id": uid(2), "of": whole.run_id}


def test_a_part_with_a_changed_parameter_redoes_it_on_the_same_items(tmp_path: Path) -> None:
    whole = made(tmp_path)
    request = {**asked(tmp_path), "update_params": {uid(2): {"aspect_ratio": "1:1"}}}
    record = part(tmp_path, request, only=uid(2), of=whole)
    assert [*record.nodes] == [uid(1), uid(2)]
    assert [(output.width == output.height, output.node) for output in record.outputs] == [(True, uid(2))] * 2
    assert record.items[0]["sources"] == whole.items[0]["sources"]


def test_a_part_that_failed_is_resumed_with_what_it_was_given(tmp_path: Path) -> None:
    whole = made(tmp_path)
    failed = part(tmp_path, since="Reframe", of=whole.run_id, faults=["Reframe"])
    assert failed.status == "failed"
    record = resume(failed.run_id, workspace=tmp_path)
    assert record.status == "completed"
    assert len(record.outputs) == 2


def test_a_part_that_died_before_it_took_what_it_was_given_takes_it_when_resumed(tmp_path: Path) -> None:
    whole = made(tmp_path)
    failed = part(tmp_path, since="Reframe", of=whole.run_id, cancelled=lambda: True)
    assert failed.status == "cancelled"
    assert not RunStore(tmp_path).items(failed.run_id)
    record = resume(failed.run_id, workspace=tmp_path)
    assert record.status == "completed"
    assert [output.raw["digest"] for output in record.outputs] == [
        output.raw["digest"] for output in whole.outputs if output.node == uid(2)
    ]


def test_a_bundle_of_a_part_simulates_that_part(tmp_path: Path) -> None:
    made(tmp_path)
    record = part(tmp_path, since="Reframe", of="latest")
    write_bundle(RunStore(tmp_path), record.run_id, tmp_path / "part.zip")
    again = replay(tmp_path / "part.zip")
    assert [*again.nodes] == [*record.nodes]
    assert [output.duration_ms for output in again.outputs] == [
        output.duration_ms for output in record.outputs
    ]


def test_a_part_without_what_reaches_it_is_refused(tmp_path: Path) -> None:
    early = made(tmp_path, until=uid(1))
    with pytest.raises(RequestError, match=f"run {early.run_id} holds no items of Reframe"):
        part(tmp_path, since="Destination", of="latest")
    with pytest.raises(RequestError, match="of which run"):
        part(tmp_path, only="Reframe")
    with pytest.raises(RequestError, match="give one of until, from and only"):
        part(tmp_path, only="Reframe", until="Reframe")
    with pytest.raises(RequestError) as caught:
        part(tmp_path, until="Refrane")
    [fault] = caught.value.errors
    assert (fault.loc, fault.message) == ("", "the plan has no tile 'Refrane'; did you mean 'Reframe'?")
    assert len(RunStore(tmp_path).ids()) == 1


def test_the_command_takes_agent_and_request_from_the_earlier_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path)
    place = ["--workspace", str(tmp_path)]
    line = ["run", "--from", "Reframe", "--of", "latest", "--set", "Reframe.aspect_ratio=4:5", *place]
    assert main([*line, "--quality", "draft", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert len(record["outputs"]) == 2
    assert all(one["width"] / one["height"] == pytest.approx(0.8, abs=0.02) for one in record["outputs"])
    assert record["part"]["part"] == "from"
    assert main(["show", "latest", *place]) == 0
    short = short_ids(map(uid, range(5)))[uid(2)]
    assert f"only from Reframe {short} on, the rest as in run" in capsys.readouterr().out.splitlines()[0]
    for wrong, told in {
        ("run", "--from", "Reframe"): "no agent given: pass AGENT, --plan FILE, --replay FILE or --of RUN",
        ("run", json.dumps(AGENT), "--only", "Reframe"): "--only NODE needs --of RUN",
        ("run", "--of", "latest"): "--of RUN goes with --from NODE or --only NODE",
        ("run", "--only", "Reframe", "--of", "nothing"): "no run 'nothing'",
        ("run", "--only", "Reframer", "--of", "latest"): "did you mean 'Reframe'",
    }.items():
        assert main([*wrong, *place]) == 2
        assert told in capsys.readouterr().err


def test_an_override_of_what_is_not_run_again_is_warned_of(tmp_path: Path) -> None:
    clips = chain("Video Input", ("Clips", {"num_clips": 2, "target_duration": 2}), "Mirror", "Destination")
    given: dict[str, Any] = {"inputs": [str(MEDIA / "talk.mp4")], "workspace": tmp_path}
    made_with = {"update_params": {uid(1): {"num_clips": 1}}}
    first = run(clips, made_with, **given)
    again = run(clips, made_with, since="Mirror", of=first.run_id, **given)
    assert again.warnings == (), "its items were made with it"
    changed = {"num_clips": 2, "target_duration": 3}
    other = {"update_params": {uid(1): changed, uid(2): {"horizontal_flip": False, "vertical_flip": True}}}
    for record in (
        run(clips, other, since="Mirror", of=first.run_id, **given),
        run(clips, other, only="Mirror", of=first.run_id, **given),
        simulate(clips, other, since="Mirror", of=first, **given),
        simulate(clips, other, only="Mirror", of=first, **given),
    ):
        unheeded = [one["loc"] for one in record.warnings if one["code"] == "unheeded_override"]
        assert unheeded == [f"/update_params/{uid(1)}/{name}" for name in changed]


def test_a_simulation_from_a_tile_on_takes_the_request_of_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent, workspace = tmp_path / "agent.json", str(tmp_path / "ws")
    agent.write_text(json.dumps(chain("Video Input", "Mirror", ("Reframe", {"aspect_ratio": "1:1"}))))
    talk = str(MEDIA / "talk.mp4")
    assert main(["run", str(agent), "--input", talk, "--workspace", workspace]) == 0
    for part in ("--from", "--only"):
        line = ["simulate", str(agent), part, "Mirror", "--of", "latest", "--workspace", workspace]
        assert main(line) == 0, capsys.readouterr().err
