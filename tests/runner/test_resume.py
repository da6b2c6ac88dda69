"""A run that was interrupted at any time can be resumed and then gives the result of an uninterrupted run."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tessera import RequestError, RunRecord, WorkspaceError, resume, run
from tessera.record.events import Event, NodeChanged, OutputMade
from tessera.record.record import fold
from tessera.store.prune import prune
from tessera.store.run_store import RunStore
from tessera.store.store_check import check
from tessera.testing import agent, node_id
from tests.support.killed import AGENT
from tests.support.media import MEDIA, folder

ROOT = Path(__file__).parents[2]


def run_killed_at(workspace: Path, point: int) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "tests.support.killed", str(workspace), str(point)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


@cache
def uninterrupted() -> tuple[int, list[str]]:
    """Return the number of points that an uninterrupted run passes, and its outputs."""
    made = run_killed_at(folder() / "undisturbed", 0)
    assert made.returncode == 0, made.stderr
    points, run_id = made.stdout.split()
    return int(points), files(RunStore(folder() / "undisturbed").record(run_id))


def files(record: dict[str, Any]) -> list[str]:
    """Return each output: the delivering tile, the original tile, the index and the asset."""
    return sorted(
        f"{output['delivered_by']} {output['original_node_id']} {output['index']} {output['asset_id']}"
        for output in record["outputs"]
    )


def leftovers(workspace: Path) -> list[Path]:
    return [path for path in workspace.rglob(".part-*") if path.exists()]


def record_after_kill(store: RunStore, run_id: str) -> dict[str, Any]:
    """Return the record of a run whose process was killed.

    A child process that was just starting may hold the lock of the run for a moment longer.
    """
    until = time.monotonic() + 5
    while (stored := store.record(run_id))["status"] == "running" and time.monotonic() < until:
        time.sleep(0.05)
    return stored


def check_point(point: int, tmp_path: Path) -> bool:
    """Check that a run killed at this point resumes to the same outputs and leaves nothing behind.

    Return True if the run reached the point. Events close in time share a write, so the number of points of
    a run varies a little.
    """
    workspace = tmp_path / "ws"
    code = run_killed_at(workspace, point).returncode
    assert code in (0, -9)
    check_resumes(workspace)
    return code == -9


def check_time(after_s: float, tmp_path: Path) -> None:
    """Do the same with a run that is killed from outside after some time."""
    workspace = tmp_path / "ws"
    line = [sys.executable, "-m", "tests.support.killed", str(workspace), "0"]
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        with suppress(subprocess.TimeoutExpired):
            process.wait(after_s)
        process.kill()
    assert process.returncode in (0, -9)
    check_resumes(workspace)


def check_resumes(workspace: Path) -> None:
    store = RunStore(workspace)
    assert check(workspace).problems == []
    if not store.run_ids():
        return  # killed before the run existed: there is nothing to resume
    [run_id] = store.run_ids()
    stored = record_after_kill(store, run_id)
    if stored["status"] != "completed":
        assert stored["status"] == "failed"
        assert "interrupted" in stored["status_message"]
        assert not {"running", "queued"} & {node["status"] for node in stored["nodes"]}
        assert stored["node_status_counts"]["in_progress"] == 0
        done = {node["original_node_id"] for node in stored["nodes"] if node["status"] == "completed"}
        seen: list[Event] = []
        record = resume(run_id, workspace=workspace, on_event=seen.append)
        assert record.status == "completed"
        assert not done & {event.node for event in seen if isinstance(event, NodeChanged)}
        assert fold(store.events(run_id)).to_dict() == record.to_dict()
    assert files(store.record(run_id)) == uninterrupted()[1]
    assert not leftovers(workspace)
    assert check(workspace).problems == []
    shutil.rmtree(workspace)


def random_times(number: int) -> list[float]:
    """Return random times within an uninterrupted run, in seconds; few of them fall into its imports."""
    uninterrupted()
    began = time.monotonic()
    assert run_killed_at(folder() / "timed", 0).returncode == 0
    whole = time.monotonic() - began
    return [random.uniform(0.25, 1) * whole for _instant in range(number)]


def test_a_run_killed_at_random_times_can_be_resumed(tmp_path: Path) -> None:
    for instant in random_times(5):
        check_time(instant, tmp_path)


@pytest.mark.slow
def test_a_run_killed_at_many_random_times_can_be_resumed(tmp_path: Path) -> None:
    for instant in random_times(100):
        check_time(instant, tmp_path)


def test_a_run_killed_at_some_write_points_can_be_resumed(tmp_path: Path) -> None:
    points, made = uninterrupted()
    assert len(made) == 4
    for point in random.Random(time.time_ns()).sample(range(1, points + 1), 3):
        check_point(point, tmp_path)


@pytest.mark.slow
def test_a_run_killed_before_and_after_every_write_can_be_resumed(tmp_path: Path) -> None:
    point = 1
    while check_point(point, tmp_path):
        point += 1
    assert point > uninterrupted()[0] / 2


FORK = agent('input > {mirror, reframe(aspect_ratio="1:1")}')


def changes(seen: Sequence[Event]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for event in seen:
        if isinstance(event, NodeChanged):
            found.setdefault(event.node, []).append(event.status.value)
    return found


def failed_once(tmp_path: Path) -> RunRecord:
    """Return the record of a run in which a stub made one of two tiles fail."""
    return run(
        FORK,
        inputs=[str(MEDIA / "silent.mp4")],
        workspace=tmp_path,
        stubs={node_id("reframe"): {"fault": "error"}},
    )


def test_only_what_failed_is_run_again(tmp_path: Path) -> None:
    before = failed_once(tmp_path)
    assert before.status == "partial_complete"
    seen: list[Event] = []
    after = resume(before.run_id, workspace=tmp_path, stubs={node_id("reframe"): {}}, on_event=seen.append)
    assert after.status == "completed"
    assert changes(seen) == {node_id("reframe"): ["queued", "running", "completed"]}
    assert [event.output["original_node_id"] for event in seen if isinstance(event, OutputMade)] == [
        node_id("reframe")
    ]
    assert [output.node for output in after.outputs] == [node_id("mirror"), node_id("reframe")]
    assert after.outputs[0].raw == before.outputs[0].raw
    assert after.errors == []
    kept = RunStore(tmp_path).record(before.run_id)
    assert kept == json.loads(after.to_json())


def test_a_run_that_cannot_be_resumed_says_why(tmp_path: Path) -> None:
    before = failed_once(tmp_path)
    with pytest.raises(
        RequestError, match=f"started with stubs for Reframe {node_id('reframe')}: give them again"
    ):
        resume(before.run_id, workspace=tmp_path)
    done = run(agent("input > mirror"), inputs=[str(MEDIA / "silent.mp4")], workspace=tmp_path)
    with pytest.raises(RequestError, match="is completed: there is nothing to resume"):
        resume(done.run_id, workspace=tmp_path)
    with pytest.raises(WorkspaceError, match="no run"):
        resume("ffff", workspace=tmp_path)


def test_a_running_run_can_be_cancelled_by_another_process_but_not_resumed(
    tmp_path: Path,
) -> None:
    (tmp_path / "agent.json").write_text(FORK.to_json())
    (tmp_path / "hang.json").write_text(json.dumps({"fault": "hang"}))
    tessera = [sys.executable, "-m", "tessera.cli"]
    line = [*tessera, "run", "agent.json", "--input", str(MEDIA / "silent.mp4"), "--json"]
    process = subprocess.Popen(
        [*line, "--stub", "Reframe=hang.json"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    store = RunStore(tmp_path / ".tessera")
    while not store.run_ids() or not any(
        "output_made" in one for one in store.event_lines(store.run_ids()[0])
    ):
        assert process.poll() is None
        time.sleep(0.1)
    [run_id] = store.run_ids()
    assert store.record(run_id)["status"] == "running"
    with pytest.raises(WorkspaceError, match="is being run by another process"):
        resume(run_id, workspace=tmp_path / ".tessera")
    said = subprocess.run([*tessera, "cancel", run_id[:8]], cwd=tmp_path, capture_output=True, text=True)
    assert (said.returncode, said.stdout) == (0, f"cancelling {run_id}\n")
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    stored = json.loads(out)
    assert stored["status"] == "cancelled"
    again = subprocess.run([*tessera, "cancel", "latest"], cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 2
    assert f"run {run_id} has already ended (cancelled)" in again.stderr
    (tmp_path / "hang.json").write_text("{}")
    line = [*tessera, "resume", "latest", "--stub", "Reframe=hang.json", "--json"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [output["reused"] for output in json.loads(done.stdout)["outputs"]] == [False, False]


def test_resuming_a_cancelled_run_repeats_no_finished_work(tmp_path: Path) -> None:
    stop = threading.Event()

    def watch(event: Event) -> None:
        if isinstance(event, OutputMade):
            stop.set()

    before = run(
        AGENT,
        inputs=[str(MEDIA / "talk.mp4")],
        workspace=tmp_path,
        on_event=watch,
        cancelled=stop.is_set,
    )
    assert before.status == "cancelled"
    kept = {output.id for output in before.outputs}
    assert kept
    seen: list[Event] = []
    after = resume("latest", workspace=tmp_path, on_event=seen.append)
    assert after.status == "completed"
    assert files(after.to_dict()) == uninterrupted()[1]
    made = {event.output["id"] for event in seen if isinstance(event, OutputMade)}
    assert not made & kept
    assert made | kept == {output.id for output in after.outputs}
    learned = RunStore(tmp_path).document(after.run_id, "facts.json")
    assert learned is not None
    assert "speech" in learned


def test_a_resumed_run_that_dies_is_interrupted_and_not_pruned_until_it_is_resumed_again(
    tmp_path: Path,
) -> None:
    before = failed_once(tmp_path)
    line = (
        "import os, signal, sys; from tessera import resume; from tessera.testing import node_id\n"
        "def dies(event):\n"
        "    if type(event).__name__ == 'NodeChanged': os.kill(os.getpid(), signal.SIGKILL)\n"
        "resume('latest', workspace=sys.argv[1], stubs={node_id('reframe'): {}}, on_event=dies)"
    )
    done = subprocess.run([sys.executable, "-c", line, str(tmp_path)], cwd=ROOT, check=False)
    assert done.returncode == -9
    store = RunStore(tmp_path)
    stored = record_after_kill(store, before.run_id)
    assert stored["status"] == "failed"
    assert "interrupted" in stored["status_message"]
    assert prune(tmp_path, 0, keep_runs=0, dry=True).runs == []
    assert resume("latest", workspace=tmp_path, stubs={node_id("reframe"): {}}).status == "completed"
    assert prune(tmp_path, 0, keep_runs=0, dry=True).runs == [before.run_id]
