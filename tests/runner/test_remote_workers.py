"""Workers in other processes give the same record, and the death of one costs only its task."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tessera import RunRecord, run, simulate
from tessera.media.algebra.item import Item
from tessera.media.probe.probe import probe
from tessera.record.events import Event, NodeChanged, OutputMade, Progress
from tessera.record.record import fold
from tessera.runner.workers.remote_workers import RemoteExecutor, pack, unpack
from tessera.store.run_store import RunStore
from tessera.testing import agent, node_id
from tests.media.test_ffmpeg_process import encoding, living, long_video, tessera, until
from tests.support.media import MEDIA

AGENT = agent(
    'input > clips(num_clips=2, target_duration=4) > {mirror, reframe(aspect_ratio="9:16")} > destination'
)
VIDEO = str(MEDIA / "talk.mp4")
TALL = agent('input > reframe(aspect_ratio="9:16")')


def outputs_of(record: RunRecord) -> list[tuple[Any, ...]]:
    return [
        (output.node, output.raw["index"], output.raw["asset_id"], output.path and output.path.name)
        for output in record.outputs
    ]


def test_items_survive_the_transfer_between_processes() -> None:
    seen: list[Item] = []
    facts = {"duration_ms": 60_000, "width": 1920, "height": 1080, "fps": "30", "has_audio": True}
    simulate(
        AGENT,
        {"video_ids": ["v"]},
        facts={"*": facts | {"speech": [[0, 9000], [20_000, 50_000]]}},
        on_output=lambda item, _library: seen.append(item),
    )
    assert len(seen) == 4
    back = unpack(json.loads(json.dumps(pack(seen))))
    assert list(back) == seen
    assert all(one.value == other.value for one, other in zip(back, seen, strict=True))
    assert unpack(pack([])) == ()


def test_a_run_on_other_processes_gives_the_same_result_as_a_local_run(tmp_path: Path) -> None:
    here = run(AGENT, inputs=[VIDEO], workspace=tmp_path / "here", quality="draft")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        there = run(
            AGENT,
            inputs=[VIDEO],
            workspace=tmp_path / "there",
            quality="draft",
            executor=RemoteExecutor(pool),
        )
        assert there.status == "completed", there.errors
        assert outputs_of(there) == outputs_of(here)
        assert there.items == here.items
        store = RunStore(tmp_path / "there")
        assert fold(store.events(there.run_id)).to_dict() == there.to_dict()
        assert store.document(there.run_id, "facts.json") == RunStore(tmp_path / "here").document(
            here.run_id, "facts.json"
        )
        again = run(
            AGENT,
            inputs=[VIDEO],
            workspace=tmp_path / "there",
            quality="draft",
            executor=RemoteExecutor(pool),
        )
    assert [output.raw["reused"] for output in again.outputs] == [True] * 4
    assert not list((tmp_path / "there").rglob(".part-*"))


def test_an_injected_fault_takes_effect_with_other_processes_too(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        record = run(
            AGENT,
            inputs=[VIDEO],
            workspace=tmp_path,
            quality="draft",
            faults=["Mirror=error", "Reframe:1=error"],
            executor=RemoteExecutor(pool),
        )
    statuses = {node.name: node.status for node in record.nodes.values()}
    assert (statuses["Mirror"], statuses["Destination"]) == ("failed", "blocked")


def test_wrong_cluster_options_are_refused_before_the_run_starts(tmp_path: Path) -> None:
    line = ["run", TALL.to_json(), "--input", VIDEO]
    done = tessera(tmp_path, *line, "--executor", "dask")
    assert (done.returncode, done.stderr) == (2, "error: --executor dask requires --scheduler ADDRESS\n")
    done = tessera(tmp_path, *line, "--scheduler", "tcp://127.0.0.1:1")
    assert (done.returncode, done.stderr) == (2, "error: --scheduler requires --executor dask\n")
    assert RunStore(tmp_path / ".tessera").run_ids() == []


@contextmanager
def cluster() -> Iterator[Any]:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs="CRITICAL"
    ) as made:
        yield made


def pids(local: Any) -> list[int]:
    return [worker.pid for worker in local.workers.values() if worker.pid]


dask = pytest.mark.filterwarnings("ignore")


@dask
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the encode in /proc")
def test_killing_a_cluster_worker_repeats_only_its_task(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    from tessera.runner.workers.dask_cluster import dask_cluster

    long = long_video(tmp_path)
    killed: list[int] = []
    seen: list[Event] = []
    with cluster() as local, dask_cluster(local.scheduler_address) as remote:

        def kill() -> None:
            def found() -> tuple[int, int] | None:
                return next(((pid, one) for pid in pids(local) for one in encoding(pid)), None)

            pid, ffmpeg = until(found, 60)
            time.sleep(0.5)
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
            until(lambda: not living(ffmpeg), 2)

        killer = threading.Thread(target=kill)
        killer.start()
        record = run(TALL, inputs=[long], workspace=tmp_path / "ws", executor=remote, on_event=seen.append)
        killer.join()
    assert killed
    assert record.status == "completed", record.errors
    assert len(record.outputs) == 1
    changes = [
        event.status for event in seen if isinstance(event, NodeChanged) and event.node == node_id("reframe")
    ]
    assert changes == ["queued", "running", "completed"]
    assert sum(isinstance(event, OutputMade) for event in seen) == 1
    assert any(isinstance(event, Progress) for event in seen)
    [output] = record.outputs
    assert output.path is not None
    info = probe(output.path).picture
    assert info is not None
    whole = probe(Path(long)).picture
    assert whole is not None
    assert info.frames == whole.frames


@dask
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the encode in /proc")
def test_cancelling_a_run_on_a_cluster_ends_its_encodes(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with cluster() as local:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tessera.cli", "run", TALL.to_json(), "--json"),
                *("--input", long_video(tmp_path)),
                *("--executor", "dask", "--scheduler", local.scheduler_address),
            ],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=subprocess.PIPE,
            text=True,
        )
        ffmpeg = until(lambda: [one for pid in pids(local) for one in encoding(pid)], 60)[0]
        process.send_signal(signal.SIGINT)
        cancelled_at = time.monotonic()
        until(lambda: not living(ffmpeg), 2)
        out, _ = process.communicate(timeout=20)
        assert time.monotonic() - cancelled_at < 10
    assert process.returncode == 130
    assert json.loads(out)["status"] == "cancelled"
