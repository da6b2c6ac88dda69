"""Machines that share a PostgreSQL database and a store, but no folder. Server and processes are real."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tessera import Catalogue, NodeType, run
from tessera.context import Context
from tessera.errors import TakenError
from tessera.media.algebra.item import Item
from tessera.node import Made, ours_id
from tessera.record.events import EPOCH, Event, NodeChanged, NodeLog
from tessera.record.status import NodeStatus
from tessera.store.run_store import RunStore
from tessera.store.store_check import check
from tessera.testing import agent, node_id
from tests.support.media import FIXTURES, MEDIA
from tests.support.postgres import postgres, why_no_postgres

pytestmark = pytest.mark.skipif(why_no_postgres() is not None, reason=why_no_postgres() or "")

AGENT = agent("input > mirror > destination")


class Pause(NodeType):
    """A tile that takes three seconds and reports progress."""

    name = "Pause"
    type_id = ours_id(name)
    category = "edit"
    source = "ours"
    cacheable = False

    def run(self, ctx: Context, inputs: Sequence[Item], params: Any) -> Iterable[Made]:
        for step in range(30):
            ctx.progress(step / 30)
            time.sleep(0.1)
        return [Made(item.value, (item,)) for item in inputs]


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, str]]:
    """Yield the URLs of the shared database and the shared store."""
    place = Path(tempfile.mkdtemp(prefix="pg-"))
    place.chmod(0o755)
    try:
        with postgres(place / "s") as url:
            yield url, (place / "store").as_uri()
    finally:
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def shared(server: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder for the workspaces of the machines."""
    monkeypatch.setenv("TESSERA_DATABASE_URL", server[0])
    monkeypatch.setenv("TESSERA_STORE_URL", server[1])
    return tmp_path


def test_a_machine_takes_the_results_of_another_from_the_shared_database(shared: Path) -> None:
    first = run(AGENT, inputs=[str(MEDIA / "silent.mp4")], workspace=shared / "one")
    second = run(AGENT, inputs=[str(MEDIA / "silent.mp4")], workspace=shared / "other")
    assert [node.work for node in first.nodes.values()] == ["ran"] * 3
    assert [node.work for node in second.nodes.values()] == ["cached"] * 3
    assert second.outputs[0].raw["reused"]
    assert Path(second.outputs[0].path or "").read_bytes() == Path(first.outputs[0].path or "").read_bytes()
    assert {first.run_id, second.run_id} <= set(RunStore(shared / "other").run_ids())
    assert check(shared / "one").problems == []


def test_other_machines_see_a_lock_until_its_holder_dies(shared: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from tessera.store.run_store import RunStore\n"
        "with RunStore(Path(sys.argv[1])).hold('a run'):\n    print('held', flush=True); time.sleep(60)"
    )
    here = RunStore(shared / "one")
    assert not here.is_held("a run")
    with subprocess.Popen(
        (sys.executable, "-c", script, str(shared / "other")), stdout=subprocess.PIPE, text=True
    ) as there:
        assert there.stdout is not None
        assert there.stdout.readline() == "held\n"
        assert here.is_held("a run")
        assert not here.is_held("another")
        assert here.locks.acquire("a run") is None
        there.kill()
    end = time.monotonic() + 10
    while here.is_held("a run") and time.monotonic() < end:
        time.sleep(0.05)
    for _ in range(20):
        with here.hold("a run"):
            assert here.is_held("a run")
        assert not here.is_held("a run")


def test_a_waiting_process_gets_the_lock(shared: Path) -> None:
    locks = RunStore(shared / "one").locks
    held = locks.acquire("render")
    assert held is not None
    assert locks.acquire("render", 0.1) is None
    held.release()
    again = locks.acquire("render", 5)
    assert again is not None
    again.release()
    assert not (shared / "one" / "locks").exists(), "locks are in the database, not in files"


def test_the_run_of_a_dead_machine_can_be_resumed_on_another(shared: Path) -> None:
    file = FIXTURES / "agents" / "single.json"
    words = ("-m", "tessera.cli", "run", str(file), "--input", str(MEDIA / "talk.mp4"), "--workspace")
    before = set(RunStore(shared / "other").run_ids())
    with subprocess.Popen(
        (sys.executable, *words, str(shared / "one")),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as there:
        assert there.stderr is not None
        assert any("Reframe" in line for line in there.stderr), "the run did not start to render"
        (run_id,) = set(RunStore(shared / "other").run_ids()) - before
        assert RunStore(shared / "other").record(run_id)["status"] == "running"
        os.killpg(there.pid, signal.SIGKILL)
    end = time.monotonic() + 10  # the server may not have noticed the closed connection yet
    while RunStore(shared / "other").record(run_id)["status_message"] is None and time.monotonic() < end:
        time.sleep(0.05)
    assert RunStore(shared / "other").record(run_id)["status_message"].startswith("interrupted: ")
    done = subprocess.run(
        (sys.executable, "-m", "tessera.cli", "resume", run_id, "--workspace", str(shared / "other")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert RunStore(shared / "one").record(run_id)["status"] == "completed"
    assert check(shared / "other").problems == []


def cut_off(server: str) -> None:
    """End every session of the server, as a restart or a broken network does."""
    import psycopg

    with psycopg.connect(server.replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND usename = 'tessera'"
        )


def test_a_run_whose_connections_break_stays_alive_and_completes(
    shared: Path, server: tuple[str, str]
) -> None:
    seen: list[bool] = []
    there = RunStore(shared / "other")

    def disturb(run_id: str) -> None:
        cut_off(server[0])
        time.sleep(1.5)
        seen.append(there.is_held(run_id))

    def begun(event: Event) -> None:
        if isinstance(event, NodeChanged) and (event.node, event.status) == (
            node_id("pause"),
            NodeStatus.RUNNING,
        ):
            Thread(target=disturb, args=(there.run_ids()[0],), daemon=True).start()

    catalogue = Catalogue([*Catalogue.installed(), Pause])
    document = agent("input > pause > destination", catalogue=catalogue)
    record = run(
        document,
        inputs=[str(MEDIA / "silent.mp4")],
        workspace=shared / "one",
        on_event=begun,
        catalogue=catalogue,
    )
    assert seen == [True]
    assert record.status == "completed"


def test_a_run_that_another_process_took_over_is_left_to_it(shared: Path, server: tuple[str, str]) -> None:
    here, there = RunStore(shared / "one"), RunStore(shared / "other")
    run_id = str(uuid.uuid4())
    with here.hold(run_id):
        log = here.begin(run_id)
        log.append(NodeLog(at=EPOCH, node="a", message="begun"))
        log.commit()
        cut_off(server[0])
        with there.hold(run_id):
            assert not here.renew_lock(run_id)
            other, _items = there.reopen(run_id)
            other.append(NodeLog(at=EPOCH, node="a", message="gone on with"))
            other.commit()
            log.append(NodeLog(at=EPOCH, node="a", message="too late"))
            with pytest.raises(TakenError, match=f"another process has continued run {run_id}"):
                log.commit()
        assert here.renew_lock(run_id)
    assert [one.message for one in here.events(run_id)] == ["begun", "gone on with"]  # type: ignore[attr-defined]
    with there.database.write() as connection:
        for table in ("runs", "events"):
            connection.execute(f"DELETE FROM {table} WHERE run_id = :run_id", run_id=run_id)
