"""ffmpeg as a process: it never outlives its parent process, and its failures give clear messages."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tessera import RunRecord, resume
from tessera.errors import RenderError
from tessera.media.process.process import ffmpeg_path, run_ffmpeg
from tessera.store.run_store import RunStore
from tessera.testing import agent, node_id
from tests.support.media import MEDIA

ROOT = Path(__file__).parents[2]
TESSERA = [sys.executable, "-m", "tessera.cli"]
AGENT = agent('input > reframe(aspect_ratio="9:16")').to_json()
ENDLESS = ["-f", "lavfi", "-i", "testsrc2=s=640x360:r=30", "-f", "null", "-"]


def tessera(cwd: Path, *args: str, ffmpeg: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)} | ({"TESSERA_FFMPEG": ffmpeg} if ffmpeg else {})
    line = [*TESSERA, *args]
    return subprocess.run(
        line, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def long_video(folder: Path, times: int = 60) -> str:
    """Make a video that takes some seconds to encode."""
    made = folder / f"{times}.mp4"
    loop = ["-stream_loop", str(times), "-i", str(MEDIA / "talk.mp4"), "-c", "copy", str(made)]
    subprocess.run([ffmpeg_path(), "-nostdin", "-v", "error", *loop], check=True)
    return str(made)


def script(folder: Path, does: str) -> str:
    """Write a program that prints the version of ffmpeg, and else executes `does`."""
    made = folder / "ffmpeg.sh"
    real = ffmpeg_path()
    made.write_text(f'#!/bin/sh\nif [ "$1" = -version ]; then exec "{real}" "$@"; fi\n{does}\n')
    made.chmod(made.stat().st_mode | stat.S_IXUSR)
    return str(made)


def living(group: int) -> list[int]:
    """Return the living processes of a group; zombies count as dead."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] not in "ZX":
            found.append(int(path.parent.name))
    return found


def encoding(pid: int) -> list[int]:
    """Return the ids of the encodes that a process has started."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        # A thread or a process may end while it is read.
        with suppress(FileNotFoundError, ProcessLookupError):
            children = map(int, task.read_text().split())
            found += [pid for pid in children if b"libx264" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return found


def until(true: Callable[[], Any], seconds: float = 20) -> Any:
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "timed out"
        time.sleep(0.02)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel does this on Linux only")
@pytest.mark.parametrize("wrapped", [False, True])
def test_killing_a_run_ends_its_ffmpeg(tmp_path: Path, wrapped: bool) -> None:
    program = script(tmp_path, f'"{ffmpeg_path()}" "$@"') if wrapped else ffmpeg_path()
    process = subprocess.Popen(
        [*TESSERA, "run", AGENT, "--input", long_video(tmp_path), "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TESSERA_FFMPEG": program},
        stdout=subprocess.DEVNULL,
    )
    try:
        [ffmpeg] = until(lambda: encoding(process.pid))
        until(lambda: len(living(ffmpeg)) == (2 if wrapped else 1))
        time.sleep(0.3)
        assert living(ffmpeg)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    until(lambda: not living(ffmpeg), 2)
    record = RunStore(tmp_path / ".tessera").record(RunStore(tmp_path / ".tessera").run_ids()[0])
    assert "interrupted" in record["status_message"]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel does this on Linux only")
def test_an_ffmpeg_whose_start_is_cut_short_by_the_death_of_its_parent_ends(tmp_path: Path) -> None:
    """Processes die at each line of the start, and at times up to 15 ms after its beginning."""
    mark = str(uuid4())
    command = [sys.executable, "-m", "tests.support.killed_at_start", mark]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 100

    def left() -> list[Path]:
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                found += [path] if mark.encode() in path.read_bytes() else []
        return found

    until(lambda: not left(), 2)


@pytest.mark.skipif(sys.platform != "linux", reason="finds the encode in /proc")
def test_ctrl_c_works_while_another_process_writes_to_the_workspace(tmp_path: Path) -> None:
    (tmp_path / "tessera.toml").write_text("encodes = 2")
    tiles = agent("{first:Video Input, second:Video Input}; first > mirror; second > mirror_2")
    files = [long_video(tmp_path, 59), long_video(tmp_path, 60)]
    names = ("first", "second")
    inputs = [
        word
        for name, file in zip(names, files, strict=True)
        for word in ("--input", f"{node_id(name)}={file}")
    ]
    process = subprocess.Popen(
        [*TESSERA, "run", tiles.to_json(), *inputs],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )
    try:
        until(lambda: len(encoding(process.pid)) == 2, 60)
        with closing(sqlite3.connect(tmp_path / ".tessera" / "tessera.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            os.kill(encoding(process.pid)[0], signal.SIGKILL)
            time.sleep(0.5)  # by now the end of the encode is to be recorded
            process.send_signal(signal.SIGINT)
            until(lambda: not encoding(process.pid), 5)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
    store = RunStore(tmp_path / ".tessera")
    assert store.record(store.run_ids()[0])["status"] == "cancelled"


def test_the_end_of_a_thread_ends_no_ffmpeg_of_others() -> None:
    """Any thread may start an ffmpeg, while other threads start and end."""
    from concurrent.futures import ThreadPoolExecutor

    short = ["-f", "lavfi", "-i", "testsrc2=s=64x36:d=0.2", "-f", "null", "-"]
    with ThreadPoolExecutor(4) as pool:
        made = [pool.submit(run_ffmpeg, short) for _ in range(12)]
        assert all(one.result().command[-1] == "-" for one in made)
    with pytest.raises(RenderError, match=r"longer than 0\.2 s"):
        run_ffmpeg(ENDLESS, timeout_s=0.2)


def test_a_missing_ffmpeg_is_refused_before_the_run_starts(tmp_path: Path) -> None:
    line = ["run", AGENT, "--input", str(MEDIA / "talk.mp4")]
    done = tessera(tmp_path, *line, ffmpeg="/nonexistent/ffmpeg")
    assert done.returncode == 2
    assert "error: TESSERA_FFMPEG is '/nonexistent/ffmpeg', which is not an executable program" in done.stderr
    assert "Traceback" not in done.stderr
    assert RunStore(tmp_path / ".tessera").run_ids() == []


@pytest.mark.parametrize(
    ("does", "says"),
    [
        ("exit 139", "ffmpeg failed (killed by SIGSEGV)"),
        ("kill -SEGV $$", "ffmpeg failed (killed by SIGSEGV)"),
        ("kill -KILL $$", "ffmpeg failed (killed by SIGKILL: the system does so when memory runs out)"),
        ("echo 'no such codec' >&2; exit 1", "ffmpeg failed (exit code 1): no such codec"),
        ("exit 228", "ffmpeg failed (exit code 228, No space left on device)"),
    ],
)
def test_a_crash_of_ffmpeg_fails_the_run_with_a_clear_message_and_the_run_can_be_resumed(
    tmp_path: Path, does: str, says: str
) -> None:
    line = ["run", AGENT, "--input", str(MEDIA / "talk.mp4"), "--json"]
    done = tessera(tmp_path, *line, ffmpeg=script(tmp_path, does))
    assert done.returncode == 1
    result = json.loads(done.stdout)
    assert result["status"] == "failed"
    [error] = result["errors"]
    assert len(error["messages"]) == 1
    assert says in error["messages"][0]
    assert "Traceback" not in done.stderr
    assert RunStore(tmp_path / ".tessera").record(result["run_id"]) == result
    record: RunRecord = resume(result["run_id"], workspace=tmp_path / ".tessera")
    assert record.status == "completed"


SMALL = """
mkdir small && mount -t tmpfs -o size=$1 tmpfs small || exit 77
shift
"$@"; echo "code $?"
find small -name '.part-*' | grep . && exit 1
mount -o remount,size=100m small
python=$1; workspace=$(ls -d ws small/ws 2>/dev/null | head -1)
"$python" -m tessera.cli show latest --workspace "$workspace" --json > shown.json; echo "code $?"
"$python" -m tessera.cli resume latest --workspace "$workspace"; echo "code $?"
"""
"""Run a command with a disk `small` of some size, show its run, and resume it on a larger disk."""


def with_mounts(script: str, tmp_path: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in its own mount namespace; it exits with 77 if it may not mount."""
    line = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    try:
        done = subprocess.run(
            [*line, *args],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("no file system may be mounted here")
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    return done


def on_a_small_disk(tmp_path: Path, size: str, *args: str) -> tuple[list[str], str]:
    """Return the exit codes of the command, of `show` and of `resume`, and the text on stderr."""
    done = with_mounts(SMALL, tmp_path, size, *TESSERA, *args)
    assert done.returncode == 0, done.stdout + done.stderr
    codes = [code.split()[1] for code in done.stdout.splitlines() if code.startswith("code ")]
    return codes, done.stderr


def test_a_full_disk_fails_the_run_with_a_clear_message_and_the_run_can_be_resumed(tmp_path: Path) -> None:
    video = str(MEDIA / "talk.mp4")
    line = ["run", AGENT, "--input", video]
    codes, errors = on_a_small_disk(tmp_path, "100k", *line, "--workspace", "ws", "--out", "small/out")
    assert codes == ["1", "0", "0"], errors
    assert "small/out/reframe-1.mp4: No space left on device" in errors
    (tmp_path / "second").mkdir()
    codes, errors = on_a_small_disk(tmp_path / "second", "1200k", *line, "--workspace", "small/ws")
    assert codes == ["1", "0", "0"], errors
    assert "No space left on device" in errors


def test_a_disk_too_full_to_store_the_input_refuses_the_run(tmp_path: Path) -> None:
    line = ["run", AGENT, "--input", str(MEDIA / "talk.mp4"), "--workspace", "small/ws"]
    codes, errors = on_a_small_disk(tmp_path, "400k", *line)
    assert codes[0] == "2"
    assert "No space left on device" in errors
    assert codes[1] == "2"
    assert "no run 'latest'" in errors


def read_only(tmp_path: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run a command with the workspace `ws` mounted read-only, since root ignores permissions."""
    script = 'mount --bind ws ws && mount -o remount,bind,ro ws || exit 77; "$@"; echo "code $?"'
    return with_mounts(script, tmp_path, *TESSERA, *args, "--workspace", "ws")


def test_an_unwritable_workspace_gives_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "ws").mkdir()
    done = read_only(tmp_path, "run", AGENT, "--input", str(MEDIA / "talk.mp4"))
    assert done.stderr.startswith("error: ")
    assert "Read-only file system" in done.stderr or "readonly database" in done.stderr
    assert done.stdout.splitlines()[-1] in ("code 1", "code 2")
    assert len(done.stderr.splitlines()) == 1
    assert not list((tmp_path / "ws").iterdir())


def test_an_unwritable_workspace_can_be_read(tmp_path: Path) -> None:
    assert (
        tessera(tmp_path, "run", AGENT, "--input", str(MEDIA / "silent.mp4"), "--workspace", "ws").returncode
        == 0
    )
    held = sorted((tmp_path / "ws").rglob("*"))
    for line in (
        ["runs"],
        ["show", "latest", "--items"],
        ["logs", "latest"],
        ["trace", "latest", "--out", "trace.json"],
        ["preview", "latest", "Reframe", "--out", "drafts"],
        ["bundle", "latest", "--originals", "-o", "run.zip"],
        ["store", "check"],
    ):
        done = read_only(tmp_path, *line)
        assert done.stdout.splitlines()[-1] == "code 0", (line, done.stderr)
    for line in (["resume", "latest"], ["store", "prune", "--keep", "0MB", "--keep-runs", "0"]):
        done = read_only(tmp_path, *line)
        assert done.stdout.splitlines()[-1] in ("code 1", "code 2"), line
        assert done.stderr.splitlines()[-1].startswith("error: cannot write ws")
    assert sorted((tmp_path / "ws").rglob("*")) == held


def test_an_unwritable_workspace_with_an_unmerged_log_says_what_to_do(tmp_path: Path) -> None:
    """Its process was killed, and its last changes are only in SQLite's write-ahead log."""
    (tmp_path / "ws").mkdir()
    line = "import os, sys; from tessera.database.location import open_database; from pathlib import Path; "
    line += "held = open_database(Path('ws')); os.kill(os.getpid(), 9)"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", line], cwd=tmp_path, env=env, check=False)
    (tmp_path / "ws" / "tessera.db-shm").unlink()
    done = read_only(tmp_path, "runs")
    assert done.stdout.splitlines()[-1] in ("code 1", "code 2")
    assert "tessera.db-wal; copy the workspace to a writable folder" in done.stderr


def test_a_tile_with_some_of_its_outputs_is_partly_complete(tmp_path: Path) -> None:
    program = script(tmp_path, f'case "$*" in *hflip*) exit 3;; esac\nexec "{ffmpeg_path()}" "$@"')
    tiles = agent("input > {mirror(horizontal_flip=true), reframe} > destination")
    for line in (["run", tiles.to_json(), "--input", str(MEDIA / "silent.mp4")], ["resume", "latest"]):
        done = tessera(tmp_path, *line, "--json", ffmpeg=program)
        assert done.returncode == 1
        result = json.loads(done.stdout)
        assert result["status"] == "partial_complete"
        assert [node["status"] for node in result["nodes"]][-1] == "partial_complete"
        assert [output["original_node_id"] for output in result["outputs"]] == [node_id("reframe")]
