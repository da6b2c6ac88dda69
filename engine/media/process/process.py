"""The ffmpeg binary: find it and run it."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from tessera.errors import Cancelled, RenderError, TesseraError
from tessera.media.process.child_guard import ChildGuard
from tessera.media.process.process_group import kill_group, start_group

__all__ = [
    "NO_FRAME",
    "UNWATCHED",
    "Finished",
    "Process",
    "Watch",
    "ffmpeg_path",
    "ffmpeg_version",
    "run_ffmpeg",
]

_STDERR_LINES = 400
_POLL_S = 0.05


@cache
def ffmpeg_path() -> str:
    """Return the path of ffmpeg: `TESSERA_FFMPEG`, else the binary in the imageio-ffmpeg wheel.

    Raises
    ------
    RenderError
        If neither exists.
    """
    named = os.environ.get("TESSERA_FFMPEG")
    if named:
        found = shutil.which(named)
        if found is None:
            raise RenderError(f"TESSERA_FFMPEG is {named!r}, which is not an executable program")
        return found
    shipped = _shipped()
    if shipped is not None:
        return shipped
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise RenderError(f"no ffmpeg: {error}; set TESSERA_FFMPEG to one") from None


def _shipped() -> str | None:
    """Return the binary in the wheel, or None if it cannot be found by its name.

    The wheel's own function starts the binary to test it, which takes a twentieth of a run without renders.
    """
    spec = find_spec("imageio_ffmpeg") if not os.environ.get("IMAGEIO_FFMPEG_EXE") else None
    folders = spec.submodule_search_locations if spec is not None else None
    found = [one for folder in folders or () for one in Path(folder, "binaries").glob("ffmpeg-*")]
    return str(found[0]) if len(found) == 1 and os.access(found[0], os.X_OK) else None


@cache
def ffmpeg_version() -> str:
    """Return the version that the binary reports; it is part of a render's cache key."""
    try:
        out = subprocess.run([ffmpeg_path(), "-version"], capture_output=True, text=True, check=False).stdout
    except OSError as error:
        raise RenderError(f"ffmpeg could not be started: {error.strerror or error}") from None
    return out.split(" ", 3)[2] if out.count(" ") > 2 else "unknown"


@dataclass(frozen=True, slots=True)
class Finished:
    """The result of a finished ffmpeg process: its command, the last lines of its stderr, and the commands
    whose output it was fed.
    """

    command: tuple[str, ...]
    stderr: str
    fed: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Process:
    """A finished ffmpeg process: its command, the scripts that the command names (name → text), its start
    (Unix time in seconds), its duration in seconds, and its error, if any.
    """

    command: tuple[str, ...]
    began: float
    seconds: float
    error: str | None = None
    scripts: Mapping[str, str] = field(default_factory=dict)


class Watch:
    """An observer of ffmpeg processes, called from any thread. This one does nothing."""

    def begun(self, pid: int) -> None:
        """Handle the start of a process; `pid` is also its process group."""

    def ended(self, process: Process) -> None:
        """Handle the end of a process, successful or not."""


UNWATCHED = Watch()

NO_FRAME = "the kept range contains no frame: it is shorter than one frame"
_NO_FRAME = "Could not open encoder before EOF"
"""The message of ffmpeg if one stream of an output is empty and another is not."""


def run_ffmpeg(
    args: Sequence[str],
    *,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    timeout_s: float | None = None,
    cwd: Path | None = None,
    pipes: tuple[int, ...] = (),
    watch: Watch = UNWATCHED,
    scripts: Mapping[str, str] | None = None,
) -> Finished:
    """Run ffmpeg to its end, in its own process group, which does not outlive this process.

    Parameters
    ----------
    args
        The arguments, without the program's name.
    progress
        Called with the seconds of output written so far.
    cancelled
        Called about 20 times a second; the process group is killed once it returns true.
    pipes
        File descriptors that the process inherits. They are closed here once it has started or failed to.
    watch, scripts
        The observer of the process, and the texts of the scripts in `cwd`, which the observer receives.

    Raises
    ------
    RenderError
        If ffmpeg cannot be started, fails, or takes longer than `timeout_s`.
    Cancelled
        If `cancelled()` returns true.
    """
    lifeline = ChildGuard()
    try:
        process = _started(args, lifeline, cwd, pipes)
        with _watched(process, watch, scripts or {}):
            return _finished(process, progress, cancelled, timeout_s)
    finally:
        lifeline.cut()


def _started(
    args: Sequence[str], lifeline: ChildGuard, cwd: Path | None, pipes: tuple[int, ...]
) -> subprocess.Popen[str]:
    command = (ffmpeg_path(), "-hide_banner", "-nostdin", "-nostats", "-progress", "pipe:1", *args)
    try:
        process = start_group(
            lifeline.waiting(command), stdin=lifeline.stdin, cwd=cwd, pipes=(*pipes, *lifeline.pipes)
        )
    except OSError as error:
        raise RenderError(f"ffmpeg could not be started: {error.strerror or error}") from None
    finally:
        for pipe in pipes:
            os.close(pipe)
    lifeline.tie(-process.pid)
    lifeline.release()
    process.args = command  # what it has become
    return process


@contextlib.contextmanager
def _watched(process: subprocess.Popen[str], watch: Watch, scripts: Mapping[str, str]) -> Iterator[None]:
    """Report the start and the end of a process to an observer, and kill the process on exit."""
    assert isinstance(process.args, tuple)
    began, clock, error = time.time(), time.monotonic(), None
    try:
        watch.begun(process.pid)
        yield
    except Cancelled:
        error = "it was stopped"
        raise
    except TesseraError as wrong:
        error = str(wrong)
        raise
    finally:
        _kill(process)
        watch.ended(Process(process.args, began, time.monotonic() - clock, error, scripts))


def _finished(
    process: subprocess.Popen[str],
    progress: Callable[[float], None] | None,
    cancelled: Callable[[], bool],
    timeout_s: float | None,
) -> Finished:
    """Wait for a process to end while reading its output."""
    stderr: deque[str] = deque(maxlen=_STDERR_LINES)
    readers = [
        threading.Thread(target=_read_stderr, args=(process, stderr), daemon=True),
        threading.Thread(target=_read_progress, args=(process, progress), daemon=True),
    ]
    for reader in readers:
        reader.start()
    try:
        _wait(process, readers[1], cancelled, timeout_s)
    finally:
        _kill(process)
        for reader in readers:
            reader.join(timeout=5)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
    text = "".join(stderr)
    if process.returncode != 0:
        if _NO_FRAME in text:
            raise RenderError(NO_FRAME)
        raise RenderError(f"ffmpeg failed ({_status(process.returncode)}): {_last_useful(text)}")
    assert isinstance(process.args, tuple)
    return Finished(process.args, text)


def _wait(
    process: subprocess.Popen[str],
    ended: threading.Thread,
    cancelled: Callable[[], bool],
    timeout_s: float | None,
) -> None:
    """Wait for a process until it ends, is cancelled or reaches its time limit.

    `ended` is a thread that ends once the process closes its output. `Popen.wait` with a timeout would poll
    the process hundreds of times a second.
    """
    waited = 0.0
    while True:
        ended.join(_POLL_S)
        waited += _POLL_S
        if not ended.is_alive():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=_POLL_S)
                return
        if cancelled():
            raise Cancelled("the run was cancelled")
        if timeout_s is not None and waited >= timeout_s:
            raise RenderError(f"ffmpeg took longer than {timeout_s:g} s and was stopped")


def _kill(process: subprocess.Popen[str]) -> None:
    if process.poll() is not None:
        return
    kill_group(process.pid)
    process.wait()


def _read_stderr(process: subprocess.Popen[str], into: deque[str]) -> None:
    with contextlib.suppress(ValueError):
        for line in process.stderr or ():
            into.append(line)


def _read_progress(process: subprocess.Popen[str], progress: Callable[[float], None] | None) -> None:
    with contextlib.suppress(ValueError):
        for line in process.stdout or ():
            name, _, value = line.strip().partition("=")
            if progress is not None and name == "out_time_us" and value.lstrip("-").isdecimal():
                progress(max(int(value), 0) / 1_000_000)


def _status(code: int) -> str:
    """Return the cause of an exit code. A shell returns 128 + n for signal n; ffmpeg, 256 - n for errno n."""
    number = -code if code < 0 else code - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        known = 256 - code in errno.errorcode
        return f"exit code {code}, {os.strerror(256 - code)}" if known else f"exit code {code}"
    if name == "SIGKILL":
        return f"killed by {name}: the system does so when memory runs out"
    return f"killed by {name}"


_NOISE = (
    "Conversion failed!",
    "Error opening output file",
    "Terminating thread",
    "Task finished with error",
    "frame=",
)


def _last_useful(stderr: str) -> str:
    """Return the last line of stderr that names a cause."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    useful = [line for line in lines if not any(noise in line for noise in _NOISE)]
    return (useful or lines or ["it wrote nothing"])[-1]
