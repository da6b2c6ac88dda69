"""Partial runs on real media: until a tile, or from a tile on with the items of an earlier run."""

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
from tessera.testing import agent, node_id
from tessera.text.wording import short_ids
from tests.support.media import MEDIA, take_apart

CLIPS = [str(MEDIA / "silent.mp4"), str(MEDIA / "portrait.mp4")]
AGENT = agent(
    'input > mirror(horizontal_flip=true) > reframe(aspect_ratio="9:16") > destination;'
    " mirror > upside_down:Mirror(vertical_flip=true)"
)


def run_agent(workspace: Path, **options: Any) -> RunRecord:
    return run(AGENT, inputs=CLIPS, workspace=workspace, quality="draft", **options)


def partial_run(workspace: Path, request: Any = None, **options: Any) -> RunRecord:
    return run(AGENT, request or latest_request(workspace), workspace=workspace, quality="draft", **options)


def latest_request(workspace: Path) -> dict[str, Any]:
    """Return the request of the latest run."""
    store = RunStore(workspace)
    request: dict[str, Any] = store.record(store.resolve_run_id("latest"))["request"]
    return request


def frames(record: RunRecord, tile: str) -> list[Any]:
    paths = [output.path for output in record.outputs if output.node == node_id(tile) and output.path]
    return [take_apart(path).frames for path in paths]


def test_a_run_until_a_tile_ends_there_and_outputs_its_items(tmp_path: Path) -> None:
    record = run_agent(tmp_path, until="Reframe")
    assert [*record.nodes] == [node_id("input"), node_id("mirror"), node_id("reframe")]
    assert [output.node for output in record.outputs] == [node_id("reframe")] * 2
    pictures = [probe(output.path).picture for output in record.outputs if output.path]
    assert len(pictures) == 2
    assert all(picture is not None and picture.height > picture.width for picture in pictures)
    assert record.to_dict()["part"] == {"part": "until", "agent_node_id": node_id("reframe"), "of": None}


def test_a_run_from_a_tile_on_gives_the_outputs_of_the_full_run(tmp_path: Path) -> None:
    whole = run_agent(tmp_path)
    record = partial_run(tmp_path, since="Reframe", of="latest", cache=False)
    assert [*record.nodes] == [node_id("mirror"), node_id("reframe"), node_id("destination")]
    assert frames(record, "reframe") == frames(whole, "reframe")
    assert [output.raw["digest"] for output in record.outputs] == [
        output.raw["digest"] for output in whole.outputs if output.node == node_id("reframe")
    ]
    assert record.node(node_id("mirror")).work is None
    assert record.to_dict()["part"] == {
        "part": "from",
        "agent_node_id": node_id("reframe"),
        "of": whole.run_id,
    }


def test_a_partial_run_with_a_changed_parameter_uses_the_same_items(tmp_path: Path) -> None:
    whole = run_agent(tmp_path)
    request = {**latest_request(tmp_path), "update_params": {node_id("reframe"): {"aspect_ratio": "1:1"}}}
    record = partial_run(tmp_path, request, only=node_id("reframe"), of=whole)
    assert [*record.nodes] == [node_id("mirror"), node_id("reframe")]
    assert [(output.width == output.height, output.node) for output in record.outputs] == [
        (True, node_id("reframe"))
    ] * 2
    assert record.items[0]["sources"] == whole.items[0]["sources"]


def test_a_failed_partial_run_is_resumed_with_the_same_items(tmp_path: Path) -> None:
    whole = run_agent(tmp_path)
    failed = partial_run(tmp_path, since="Reframe", of=whole.run_id, faults=["Reframe"])
    assert failed.status == "failed"
    record = resume(failed.run_id, workspace=tmp_path)
    assert record.status == "completed"
    assert len(record.outputs) == 2


def test_a_partial_run_that_ended_before_it_took_its_items_takes_them_when_resumed(tmp_path: Path) -> None:
    whole = run_agent(tmp_path)
    failed = partial_run(tmp_path, since="Reframe", of=whole.run_id, cancelled=lambda: True)
    assert failed.status == "cancelled"
    assert not RunStore(tmp_path).items(failed.run_id)
    record = resume(failed.run_id, workspace=tmp_path)
    assert record.status == "completed"
    assert [output.raw["digest"] for output in record.outputs] == [
        output.raw["digest"] for output in whole.outputs if output.node == node_id("reframe")
    ]


def test_a_bundle_of_a_partial_run_simulates_that_part(tmp_path: Path) -> None:
    run_agent(tmp_path)
    record = partial_run(tmp_path, since="Reframe", of="latest")
    write_bundle(RunStore(tmp_path), record.run_id, tmp_path / "part.zip")
    again = replay(tmp_path / "part.zip")
    assert [*again.nodes] == [*record.nodes]
    assert [output.duration_ms for output in again.outputs] == [
        output.duration_ms for output in record.outputs
    ]


def test_a_partial_run_without_recorded_items_is_refused(tmp_path: Path) -> None:
    early = run_agent(tmp_path, until=node_id("mirror"))
    with pytest.raises(RequestError, match=f"run {early.run_id} holds no items of Reframe"):
        partial_run(tmp_path, since="Destination", of="latest")
    with pytest.raises(RequestError, match="of which run"):
        partial_run(tmp_path, only="Reframe")
    with pytest.raises(RequestError, match="give one of until, from and only"):
        partial_run(tmp_path, only="Reframe", until="Reframe")
    with pytest.raises(RequestError) as caught:
        partial_run(tmp_path, until="Refrane")
    [fault] = caught.value.errors
    assert (fault.loc, fault.message) == ("", "the plan has no tile 'Refrane'; did you mean 'Reframe'?")
    assert len(RunStore(tmp_path).run_ids()) == 1


def test_the_command_takes_agent_and_request_from_the_earlier_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_agent(tmp_path)
    place = ["--workspace", str(tmp_path)]
    line = ["run", "--from", "Reframe", "--of", "latest", "--set", "Reframe.aspect_ratio=4:5", *place]
    assert main([*line, "--quality", "draft", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert len(record["outputs"]) == 2
    assert all(one["width"] / one["height"] == pytest.approx(0.8, abs=0.02) for one in record["outputs"])
    assert record["part"]["part"] == "from"
    assert main(["show", "latest", *place]) == 0
    short = short_ids(tile.id for tile in AGENT)[node_id("reframe")]
    assert f"only from Reframe {short} on, the rest as in run" in capsys.readouterr().out.splitlines()[0]
    for wrong, message in {
        ("run", "--from", "Reframe"): "no agent given: pass AGENT, --plan FILE, --replay FILE or --of RUN",
        ("run", AGENT.to_json(), "--only", "Reframe"): "--only NODE needs --of RUN",
        ("run", "--of", "latest"): "--of RUN goes with --from NODE or --only NODE",
        ("run", "--only", "Reframe", "--of", "nothing"): "no run 'nothing'",
        ("run", "--only", "Reframer", "--of", "latest"): "did you mean 'Reframe'",
    }.items():
        assert main([*wrong, *place]) == 2
        assert message in capsys.readouterr().err


def test_overriding_a_tile_that_does_not_run_again_gives_a_warning(tmp_path: Path) -> None:
    clips = agent("input > clips(num_clips=2, target_duration=2) > mirror > destination")
    given: dict[str, Any] = {"inputs": [str(MEDIA / "talk.mp4")], "workspace": tmp_path}
    made_with = {"update_params": {node_id("clips"): {"num_clips": 1}}}
    first = run(clips, made_with, **given)
    again = run(clips, made_with, since="Mirror", of=first.run_id, **given)
    assert again.warnings == (), "its items were made with it"
    changed = {"num_clips": 2, "target_duration": 3}
    other = {
        "update_params": {
            node_id("clips"): changed,
            node_id("mirror"): {"horizontal_flip": False, "vertical_flip": True},
        }
    }
    for record in (
        run(clips, other, since="Mirror", of=first.run_id, **given),
        run(clips, other, only="Mirror", of=first.run_id, **given),
        simulate(clips, other, since="Mirror", of=first, **given),
        simulate(clips, other, only="Mirror", of=first, **given),
    ):
        unheeded = [one["loc"] for one in record.warnings if one["code"] == "unheeded_override"]
        assert unheeded == [f"/update_params/{node_id('clips')}/{name}" for name in changed]


def test_a_simulation_from_a_tile_on_takes_the_request_of_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, workspace = tmp_path / "agent.json", str(tmp_path / "ws")
    file.write_text(agent('input > mirror > reframe(aspect_ratio="1:1")').to_json())
    talk = str(MEDIA / "talk.mp4")
    assert main(["run", str(file), "--input", talk, "--workspace", workspace]) == 0
    for part in ("--from", "--only"):
        line = ["simulate", str(file), part, "Mirror", "--of", "latest", "--workspace", workspace]
        assert main(line) == 0, capsys.readouterr().err
