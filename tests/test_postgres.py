"""Machines that share a PostgreSQL database and a store, and no folder: a real server, real processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import run
from engine.run.store import RunStore
from engine.run.storekeeping import check
from tests.media import FIXTURES, MEDIA
from tests.planning import chain
from tests.postgres import postgres, why_no_postgres

pytestmark = pytest.mark.skipif(why_no_postgres() is not None, reason=why_no_postgres() or "")

AGENT = chain("Video Input", "Mirror", "Destination")


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, str]]:
    """The database and the store that machines share."""
    place = Path(tempfile.mkdtemp(prefix="pg-"))
    place.chmod(0o755)
    try:
        with postgres(place / "s") as url:
            yield url, (place / "store").as_uri()
    finally:
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def shared(server: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two machines' folders lie in here."""
    monkeypatch.setenv("TESSERA_DATABASE_URL", server[0])
    monkeypatch.setenv("TESSERA_STORE_URL", server[1])
    return tmp_path


def test_what_one_machine_made_another_takes(shared: Path) -> None:
    first = run(AGENT, inputs=[str(MEDIA / "silent.mp4")], workspace=shared / "one")
    second = run(AGENT, inputs=[str(MEDIA / "silent.mp4")], workspace=shared / "other")
    assert [node.work for node in first.nodes.values()] == ["ran"] * 3
    assert [node.work for node in second.nodes.values()] == ["cached"] * 3
    assert second.outputs[0].raw["reused"]
    assert Path(second.outputs[0].path or "").read_bytes() == Path(first.outputs[0].path or "").read_bytes()
    assert {first.run_id, second.run_id} <= set(RunStore(shared / "other").ids())
    assert check(shared / "one").problems == []


def test_what_a_machine_holds_others_see_until_it_dies(shared: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from engine.run.store import RunStore\n"
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
    with here.hold("a run"):
        assert here.is_held("a run")
    assert not here.is_held("a run")


def test_whoever_waits_for_a_name_gets_it(shared: Path) -> None:
    locks = RunStore(shared / "one").locks
    held = locks.acquire("render")
    assert held is not None
    assert locks.acquire("render", 0.1) is None
    held.release()
    again = locks.acquire("render", 5)
    assert again is not None
    again.release()
    assert not (shared / "one" / "locks").exists(), "no file stands for it"


def test_a_run_that_a_machine_died_at_goes_on_elsewhere(shared: Path) -> None:
    agent = FIXTURES / "agents" / "single.json"
    words = ("-m", "engine.cli", "run", str(agent), "--input", str(MEDIA / "talk.mp4"), "--workspace")
    before = set(RunStore(shared / "other").ids())
    with subprocess.Popen(
        (sys.executable, *words, str(shared / "one")),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as there:
        assert there.stderr is not None
        assert any("Reframe" in line for line in there.stderr), "it renders by now"
        (run_id,) = set(RunStore(shared / "other").ids()) - before
        assert RunStore(shared / "other").record(run_id)["status"] == "running"
        os.killpg(there.pid, signal.SIGKILL)
    end = time.monotonic() + 10  # the server has yet to see that the connection is gone
    while RunStore(shared / "other").record(run_id)["status_message"] is None and time.monotonic() < end:
        time.sleep(0.05)
    assert RunStore(shared / "other").record(run_id)["status_message"].startswith("interrupted: ")
    done = subprocess.run(
        (sys.executable, "-m", "engine.cli", "resume", run_id, "--workspace", str(shared / "other")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert RunStore(shared / "one").record(run_id)["status"] == "completed"
    assert check(shared / "other").problems == []
