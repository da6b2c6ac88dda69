"""Fault injection (`--fail`): tiles and renders fail on purpose, and the record shows it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tessera import RequestError, RunRecord, resume, run, simulate
from tessera.cli import main
from tessera.record.events import ProcessRan
from tessera.store.run_store import RunStore
from tessera.testing import agent, node_id
from tests.support.media import MEDIA

AGENT = agent("input > mirror(horizontal_flip=true) > destination")
CLIP = str(MEDIA / "silent.mp4")
TWO = [CLIP, str(MEDIA / "portrait.mp4")]
FACTS = {"*": {"duration_ms": 4000, "width": 640, "height": 360, "fps": "25", "has_audio": False}}


def run_with_faults(
    workspace: Path, *faults: str, inputs: Sequence[str] = (CLIP,), **options: Any
) -> RunRecord:
    return run(AGENT, inputs=inputs, workspace=workspace, quality="draft", faults=faults, **options)


def statuses(record: RunRecord) -> list[str]:
    return [node.status.value for node in record.nodes.values()]


def test_a_fault_fails_a_cached_tile_and_does_not_apply_to_a_resume(tmp_path: Path) -> None:
    assert run_with_faults(tmp_path).status == "completed"
    failed = run_with_faults(tmp_path, "mirror")
    assert statuses(failed) == ["completed", "failed", "blocked"]
    assert failed.node(node_id("mirror")).message == "error, injected by --fail mirror"
    assert failed.node(node_id("mirror")).work_why == "by --fail mirror"
    assert failed.to_dict()["faults"] == ["mirror"]
    resumed = resume(failed.run_id, workspace=tmp_path)
    assert statuses(resumed) == ["completed"] * 3
    assert len(resumed.outputs) == 1


def test_a_fault_fails_the_cached_render_of_one_item_and_the_others_are_delivered(tmp_path: Path) -> None:
    run_with_faults(tmp_path, inputs=TWO)
    record = run_with_faults(tmp_path, "Mirror:2", inputs=TWO)
    assert record.status == "partial_complete"
    assert [output.raw["index"] for output in record.outputs] == [0]
    assert [(one.index, one.message) for one in record.failures] == [
        (1, "error, injected by --fail Mirror:2")
    ]
    missed = run_with_faults(tmp_path, "Mirror:3", inputs=TWO)
    assert missed.status == "completed"
    assert missed.node(node_id("mirror")).logs == ("--fail Mirror:3 has no effect: 2 items made",)


def test_a_fault_in_one_attempt_is_retried(tmp_path: Path) -> None:
    record = run_with_faults(tmp_path, "Mirror=transient@1", "Mirror:1=transient@1", "Mirror=error@3")
    assert record.status == "completed"
    assert (
        "attempt 1 of 3 failed: transient fault, injected by --fail Mirror=transient@1"
        in record.node(node_id("mirror")).logs
    )
    assert "--fail Mirror=error@3 had no effect: attempt 2 succeeded" in record.node(node_id("mirror")).logs
    assert (
        "attempt 1 of 3 failed: transient fault, injected by --fail Mirror:1=transient@1"
        in record.node(node_id("destination")).logs
    )


def test_a_hanging_tile_ends_at_its_timeout_or_when_cancelled(tmp_path: Path) -> None:
    late = run_with_faults(tmp_path, "Mirror=hang", tile_timeout_s=0.3)
    assert late.node(node_id("mirror")).message == "took longer than 0.3 s and was stopped"
    assert late.node(node_id("mirror")).logs == ("--fail Mirror=hang injected in attempt 1",)
    begun = time.monotonic()
    cancelled = run_with_faults(tmp_path, "Mirror:1=hang", cancelled=lambda: time.monotonic() > begun + 1)
    assert cancelled.status == "cancelled"
    assert cancelled.node(node_id("destination")).logs == ("--fail Mirror:1=hang injected in attempt 1",)


def test_a_crash_raises_an_unexpected_error_in_a_tile_and_kills_the_ffmpeg_of_a_render(
    tmp_path: Path,
) -> None:
    tile = run_with_faults(tmp_path, "Mirror=crash")
    assert tile.node(node_id("mirror")).message == "RuntimeError: crash, injected by --fail Mirror=crash"
    run_with_faults(tmp_path)
    render = run_with_faults(tmp_path, "Mirror:1=crash")
    assert render.status == "failed"
    [failure] = render.failures
    assert failure.message.endswith("ffmpeg was killed, by --fail Mirror:1=crash")
    events = RunStore(tmp_path).events(render.run_id)
    [process] = [event for event in events if isinstance(event, ProcessRan)]
    assert "killed by SIGKILL" in str(process.error)
    assert not [path for path in (tmp_path / "scratch").rglob("*") if path.is_file()]
    assert resume(render.run_id, workspace=tmp_path).status == "completed"


def test_a_simulation_has_the_same_faults_without_waiting() -> None:
    for fault, message in {
        "error": "error",
        "hang": "hang",
        "crash": "RuntimeError: crash",
        "transient": "transient fault",
    }.items():
        for name in (f"Mirror={fault}", f"Mirror:1={fault}"):
            record = simulate(AGENT, {"video_ids": ["x"]}, facts=FACTS, faults=[name])
            assert record.status == "failed"
            [error] = record.errors
            assert f"{message}, injected by --fail {name}" in error["messages"][0]
            assert record.to_dict()["faults"] == [name]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Mirorr", "did you mean 'Mirror'"),
        ("Mirror=boom", "'boom' is not one of error, hang, crash, transient"),
        ("Mirror=eror", "did you mean 'error'"),
        ("Mirror@0", "counted from 1"),
        ("Mirror:0=error", "counted from 1"),
        ("Mirror:x", "counted from 1"),
        ("=error", "write NODE"),
        ("Destination:1", "delivers those of Mirror"),
        ("Video Input:1", "no item of Video Input is an output"),
    ],
)
def test_an_invalid_fault_is_refused_before_the_run_starts(
    text: str,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(RequestError, match="--fail"):
        simulate(AGENT, {"video_ids": ["x"]}, facts=FACTS, faults=[text])
    monkeypatch.chdir(tmp_path)
    assert main(["run", AGENT.to_json(), "--input", CLIP, "--fail", text, "--workspace", "w"]) == 2
    err = capsys.readouterr().err
    assert f"--fail {text}" in err
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert RunStore(tmp_path / "w").run_ids() == []


def test_the_command_line_shows_the_injected_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(
        ["run", AGENT.to_json(), "--input", CLIP, "--fail", "Mirror=crash", "--workspace", str(tmp_path)]
    )
    assert code == 1
    assert "; --fail Mirror=crash" in capsys.readouterr().out.splitlines()[0]
