"""`--out`: one run at a time, nothing lost without a word, nothing half-written."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tessera import RunRecord, WorkspaceError, resume, run
from tessera.errors import RequestError, TakenError
from tessera.inputs.local import LocalInput
from tessera.record.events import Event, OutputMade, RunStarted
from tessera.runner.output_folder import LOCK, holding
from tessera.store.run_store import RunStore
from tests.support.media import FIXTURES, MEDIA

TRIMMER = FIXTURES / "agents" / "trimmer.json"
FIRST, SECOND = "video-input-1.mp4", "video-input-2.mp4"


def trimmed(folder: Path, *ends_ms: int, **options: Any) -> RunRecord:
    """Run one output for each end of a clip into `folder/out`."""
    inputs = [LocalInput(str(MEDIA / "talk.mp4"), None, 0, end) for end in ends_ms]
    return run(TRIMMER, inputs=inputs, workspace=folder / "ws", out=folder / "out", **options)


def warned(record: RunRecord) -> dict[str, str]:
    return {warning["code"]: warning["message"] for warning in record.warnings}


def names_in(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_a_run_leaves_its_outputs_and_nothing_else(tmp_path: Path) -> None:
    record = trimmed(tmp_path, 500)
    assert names_in(tmp_path / "out") == ["video-input-1.jpg", FIRST]
    assert warned(record) == {}


def test_a_second_run_into_the_folder_of_a_running_one_is_refused_and_names_it(tmp_path: Path) -> None:
    refusals, started = [], []

    def on_event(event: Event) -> None:
        if isinstance(event, RunStarted):
            started.append(event.run_id)
        if isinstance(event, OutputMade):
            link = tmp_path / "link"
            link.symlink_to(tmp_path / "out")
            for out in (tmp_path / "out", link):
                with pytest.raises(TakenError) as refused:
                    run(TRIMMER, inputs=[str(MEDIA / "talk.mp4")], workspace=tmp_path / "other", out=out)
                refusals.append(str(refused.value))

    record = trimmed(tmp_path, 500, on_event=on_event)
    assert record.status == "completed"
    assert len(refusals) == 2
    for refusal in refusals:
        assert f"is the output folder of run {started[0]} (process {os.getpid()}), which has not" in refusal
    assert not list((tmp_path / "other").glob("runs/*"))
    assert trimmed(tmp_path, 500).status == "completed"


def test_the_command_refuses_a_folder_in_use_by_another_process(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    command = [sys.executable, "-m", "tessera.cli", "run", str(TRIMMER), "--input", str(MEDIA / "talk.mp4")]
    command += ["--clip", "0:1", "--out", str(out), "--workspace", str(tmp_path / "ws")]
    with holding(out, "the-first"):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "run the-first (process" in done.stderr
    assert "Traceback" not in done.stderr
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def killed_holder(tmp_path: Path) -> Path:
    out = tmp_path / "out"
    out.mkdir()
    code = (
        "import sys, time; from pathlib import Path; from tessera.runner.output_folder import holding\n"
        "with holding(Path(sys.argv[1]), 'killed'):\n    print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(out)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(TakenError, match="run killed"), holding(out, "second"):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    return out


def test_a_killed_run_lets_go_of_its_folder(killed_holder: Path, tmp_path: Path) -> None:
    assert names_in(killed_holder) == [LOCK]
    assert trimmed(tmp_path, 500).status == "completed"
    assert LOCK not in names_in(killed_holder)


def test_of_many_that_want_a_folder_at_once_one_has_it_at_a_time(tmp_path: Path) -> None:
    inside, most, refused = [0], [0], [0]

    def work() -> None:
        for _round in range(100):
            try:
                with holding(tmp_path, "one"):
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    inside[0] -= 1
            except TakenError:
                refused[0] += 1

    threads = [threading.Thread(target=work) for _thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 1
    assert names_in(tmp_path) == []


def test_a_replaced_file_is_named_in_a_warning_that_is_stored(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / FIRST).write_bytes(b"the user's own")
    (tmp_path / "out" / "notes.txt").write_text("stay")
    record = trimmed(tmp_path, 500)
    assert FIRST in warned(record)["replaced_files"]
    assert "notes.txt" not in record.to_json()
    assert (tmp_path / "out" / "notes.txt").read_text() == "stay"
    assert RunStore(tmp_path / "ws").fold_events(record.run_id).warnings == record.warnings
    assert warned(trimmed(tmp_path, 500)) == {}
    assert "replaced_files" in warned(trimmed(tmp_path, 700))


def test_outputs_of_an_earlier_run_that_stay_are_named_in_a_warning(tmp_path: Path) -> None:
    assert warned(trimmed(tmp_path, 500, 600)) == {}
    (tmp_path / "out" / "video-input-7.mp4").write_bytes(b"the user's own")
    (tmp_path / "out" / "video-inputs-1.mp4").write_bytes(b"of another tile")
    record = trimmed(tmp_path, 500)
    assert set(warned(record)) == {"other_files"}
    assert warned(record)["other_files"].endswith(f"not of it: {SECOND}, video-input-7.mp4")


def test_the_record_claims_no_file_that_was_removed_or_replaced_meanwhile(tmp_path: Path) -> None:
    def on_event(event: Event) -> None:
        if isinstance(event, OutputMade):
            (tmp_path / "out" / FIRST).unlink(missing_ok=True)
            if event.output["index"] == 1:
                (tmp_path / "out" / SECOND).write_bytes(b"another")

    record = trimmed(tmp_path, 500, 600, 700, on_event=on_event)
    assert [output.path and output.path.name for output in record.outputs] == [
        None,
        None,
        "video-input-3.mp4",
    ]
    assert FIRST in warned(record)["lost_files"]
    assert SECOND in warned(record)["lost_files"]
    stored = RunStore(tmp_path / "ws").fold_events(record.run_id)
    assert [output.raw["video_url"] is None for output in stored.outputs] == [True, True, False]


def test_the_record_claims_no_thumbnail_that_was_removed_meanwhile(tmp_path: Path) -> None:
    def on_event(event: Event) -> None:
        if isinstance(event, OutputMade):
            (tmp_path / "out" / "video-input-1.jpg").unlink(missing_ok=True)

    record = trimmed(tmp_path, 500, 600, on_event=on_event)
    for found in (record, RunStore(tmp_path / "ws").fold_events(record.run_id)):
        first, second = found.outputs
        assert first.path == tmp_path / "out" / FIRST
        assert first.thumbnail_path is None
        assert first.raw["thumbnail_url"] is None
        assert second.thumbnail_path is not None
    assert warned(record)["lost_files"].endswith("video-input-1.jpg")


def test_a_second_run_into_a_folder_in_use_is_refused_before_it_reads_anything(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with holding(tmp_path / "out", "the-first"), pytest.raises(TakenError, match="run the-first"):
        run("no agent", inputs=["no-file.mp4"], workspace=tmp_path / "ws", out=tmp_path / "out")
    assert names_in(tmp_path) == ["out"]


def test_a_refused_request_leaves_no_output_folder_and_no_lock(tmp_path: Path) -> None:
    for out in (tmp_path / "new", tmp_path):
        with pytest.raises(RequestError):
            run({}, workspace=tmp_path / "ws", out=out)
        assert not [name for name in names_in(tmp_path) if name != "ws"]


def test_a_resume_into_a_folder_without_locks_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancelled() -> bool:
        return bool(list((tmp_path / "out").glob("*.mp4")))

    first = trimmed(tmp_path, 500, 600, 700, 800, cancelled=cancelled)
    assert first.status == "cancelled"
    assert warned(first) == {}
    # No file system without locks can be mounted here.
    monkeypatch.setattr("tessera.runner.output_folder._lock", lambda _path: None)
    other = resume(first.run_id, workspace=tmp_path / "ws", out=tmp_path / "other", cancelled=lambda: True)
    assert [warning["code"] for warning in other.warnings] == ["output_folder_not_locked"]
    assert "other cannot be locked" in warned(other)["output_folder_not_locked"]


def test_a_resume_keeps_the_warning_of_its_first_run_about_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tessera.runner.output_folder._lock", lambda _path: None)
    first = trimmed(tmp_path, 500, cancelled=lambda: True)
    assert first.status == "cancelled"
    for status, cancelled in (("cancelled", lambda: True), ("completed", lambda: False)):
        again = resume(first.run_id, workspace=tmp_path / "ws", cancelled=cancelled)
        assert again.status == status
        assert [warning["code"] for warning in again.warnings] == ["output_folder_not_locked"]


SLOW = {
    "a disk that hangs": (
        "import os; real = os.fsync\n"
        "def fsync(file):\n"
        "    if writes(os.readlink(f'/proc/self/fd/{file}')): say(); time.sleep(20)\n"
        "    return real(file)\n"
        "os.fsync = fsync"
    ),
    "a slow copy": (
        "from tessera.runner.workers import copy_out; real = copy_out.whole_file; copy_out._CHUNK = 2_000\n"
        "class Slow(type(Path())):\n"
        "    def open(self, *args):\n"
        "        file = super().open(*args)\n"
        "        class Written:\n"
        "            def __enter__(self): return self\n"
        "            def __exit__(self, *_error): file.close()\n"
        "            def write(self, data): file.write(data); file.flush(); say(); time.sleep(0.5)\n"
        "        return Written()\n"
        "@contextlib.contextmanager\n"
        "def whole_file(target):\n"
        "    with real(target) as partial: yield Slow(partial)\n"
        "copy_out.whole_file = whole_file"
    ),
}


@pytest.mark.parametrize("what", sorted(SLOW))
def test_ctrl_c_while_an_output_is_written_leaves_nothing_of_it(what: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = (
        "import contextlib, sys, time; from pathlib import Path\n"
        "said = []\n"
        "def say():\n"
        "    if not said: said.append(1); print('writing', flush=True)\n"
        f"def writes(path): return path.startswith({str(out)!r}) and '.part-' in path\n"
        f"{SLOW[what]}\n"
        "from tessera.cli import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", code, "run", str(TRIMMER), "--input", str(MEDIA / "talk.mp4")]
    command += ["--clip", "0:1", "--out", str(out), "--workspace", str(tmp_path / "ws")]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stdout.readline() == "writing\n"
    started.send_signal(signal.SIGINT)
    _rest, errors = started.communicate(timeout=60)
    assert started.returncode == 130, errors
    assert "Traceback" not in errors
    assert names_in(out) == []
    assert resume("latest", workspace=tmp_path / "ws").status == "completed"
    assert names_in(out) == ["video-input-1.jpg", FIRST]


def limited(size: int) -> None:
    """Let this process write at most so many bytes into a file: as if the disk were full then."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def small_disk(folder: Path, size: int) -> bool:
    """Mount a file system in memory of some bytes."""
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None:
        return False
    command = [mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_full_disk_leaves_the_file_of_before_and_nothing_half_written(tmp_path: Path) -> None:
    out = tmp_path / "out"
    if not small_disk(out, 2_000_000):
        pytest.skip("this test may not mount a file system of 2 MB")
    try:
        (out / FIRST).write_bytes(b"the user's own")
        (out / "filler.bin").write_bytes(bytes(1_960_000))
        record = trimmed(tmp_path, 8000)
        assert record.status == "failed"
        assert "No space left on device" in json.dumps(record.errors)
        assert names_in(out) == ["filler.bin", FIRST]
        assert (out / FIRST).read_bytes() == b"the user's own"
        assert not record.outputs
        (out / "filler.bin").unlink()
        assert trimmed(tmp_path, 8000).status == "completed"
    finally:
        subprocess.run(["umount", str(out)], check=True)


def test_a_disk_that_fills_up_while_the_thumbnail_is_written_leaves_neither_file(tmp_path: Path) -> None:
    made = trimmed(tmp_path, 500).outputs[0]
    assert made.path is not None
    assert made.thumbnail_path is not None
    media, thumbnail = made.path.stat().st_size, made.thumbnail_path.stat().st_size
    shutil.rmtree(tmp_path / "out")
    if not small_disk(tmp_path / "out", 2_000_000):
        pytest.skip("this test may not mount a file system of 2 MB")
    try:
        page = 4096
        room = (
            media // page + 1 + thumbnail // page // 2 + 1
        ) * page  # the medium and the lock, not all else
        whole = shutil.disk_usage(tmp_path / "out").free
        (tmp_path / "out" / "filler.bin").write_bytes(bytes(whole - room))
        assert trimmed(tmp_path, 500).status == "failed"
        assert names_in(tmp_path / "out") == ["filler.bin"]
    finally:
        subprocess.run(["umount", str(tmp_path / "out")], check=True)


def test_a_limit_on_the_size_of_files_leaves_nothing_half_written(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.runner.test_output_folder import limited, trimmed\n"
        "folder = Path(sys.argv[1]); made = trimmed(folder, 23_000).outputs[0].path\n"
        "limited(made.stat().st_size - 1); made.unlink(); print(trimmed(folder, 23_000).status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout == "failed\n", done.stderr
    assert not [name for name in names_in(tmp_path / "out") if name.startswith(".") or name.endswith(".mp4")]


def test_a_run_killed_at_any_moment_leaves_whole_files_or_none(tmp_path: Path) -> None:
    whole = trimmed(tmp_path, 500, 600).outputs
    wanted = {output.path.name: output.path.read_bytes() for output in whole if output.path}
    command = [
        sys.executable,
        "-c",
        "import os, signal, sys, threading; from pathlib import Path\n"
        "from tests.runner.test_output_folder import trimmed\n"
        "left, real = [int(sys.argv[2])], os.replace\n"
        "def replace(*args, **options):\n"
        "    if 'out' in Path(args[1]).parts:\n"
        "        left[0] -= 1\n"
        "        if left[0] < 0: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return real(*args, **options)\n"
        "os.replace = replace; trimmed(Path(sys.argv[1]), 500, 600)",
    ]
    for moment in range(4):
        shutil.rmtree(tmp_path / "out")
        done = subprocess.run(
            [*command, str(tmp_path), str(moment)],
            check=False,
            cwd=Path(__file__).parents[2],
            capture_output=True,
        )
        assert done.returncode == -signal.SIGKILL
        for path in (tmp_path / "out").glob("[!.]*.mp4"):
            assert path.read_bytes() == wanted[path.name]
        again = trimmed(tmp_path, 500, 600)
        assert again.status == "completed"
        assert [name for name in names_in(tmp_path / "out") if name.startswith(".")] == []


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(WorkspaceError, match="cannot write to"):
        run(TRIMMER, inputs=[str(MEDIA / "talk.mp4")], workspace=tmp_path / "ws", out=tmp_path / "file")
