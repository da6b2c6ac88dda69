"""The ffmpeg binary: which one it is, and how it is run."""

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
from tessera.media.ffmpeg.child_guard import ChildGuard

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
    """`TESSERA_FFMPEG`, else the binary that the imageio-ffmpeg wheel ships.

    Raises
    ------
    RenderError
        Neither is there.
    """
    named = os.environ.get("TESSERA_FFMPEG")
    if named:
        found = shutil.which(named)
        if found is None:
            raise RenderError(f"TESSERA_FFMPEG names {named!r}, which is not a program that can be run")
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
    """The binary in the wheel, where that is plain to see. The wheel's own function starts it to see whether
    it works, which is a twentieth of what a run costs that has nothing to render.
    """
    spec = find_spec("imageio_ffmpeg") if not os.environ.get("IMAGEIO_FFMPEG_EXE") else None
    folders = spec.submodule_search_locations if spec is not None else None
    found = [one for folder in folders or () for one in Path(folder, "binaries").glob("ffmpeg-*")]
    return str(found[0]) if len(found) == 1 and os.access(found[0], os.X_OK) else None


@cache
def ffmpeg_version() -> str:
    """The version that the binary says it is; part of a render's cache key."""
    try:
        out = subprocess.run([ffmpeg_path(), "-version"], capture_output=True, text=True, check=False).stdout
    except OSError as error:
        raise RenderError(f"ffmpeg could not be started: {error.strerror or error}") from None
    return out.split(" ", 3)[2] if out.count(" ") > 2 else "unknown"


@dataclass(frozen=True, slots=True)
class Finished:
    """What a finished ffmpeg process left: its command and all that it wrote to stderr (the last lines of
    it); and the commands that fed it.
    """

    command: tuple[str, ...]
    stderr: str
    fed: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Process:
    """An ffmpeg process that has ended: its whole command, the scripts that this names (name → text), when it
    began (Unix time, seconds), how long it ran (seconds), and what went wrong, if something did.
    """

    command: tuple[str, ...]
    began: float
    seconds: float
    error: str | None = None
    scripts: Mapping[str, str] = field(default_factory=dict)


class Watch:
    """Looks on at ffmpeg processes, from any thread. This one does nothing."""

    def begun(self, pid: int) -> None:
        """One has begun; its process group has this number."""

    def ended(self, process: Process) -> None:
        """One has ended, however."""


UNWATCHED = Watch()

NO_FRAME = "no frame lies within what is kept: it is shorter than a frame lasts"
_NO_FRAME = "Could not open encoder before EOF"
"""What ffmpeg says where one stream of an output has nothing, and another has."""


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
    """Run ffmpeg to its end, in a process group of its own that does not outlive this process.

    Parameters
    ----------
    args
        Without the program's name.
    progress
        Called with the seconds of output written so far.
    cancelled
        Asked about 20 times a second; once it is true the process group is killed.
    pipes
        File descriptors that go over to the process: closed here once it has started, or could not be.
    watch, scripts
        Who looks on, and the texts of the scripts in `cwd`, for whoever does.

    Raises
    ------
    RenderError
        It could not be started, failed, or took longer than `timeout_s`.
    Cancelled
        `cancelled()` became true.
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
    try:
        process = subprocess.Popen(
            (ffmpeg_path(), "-hide_banner", "-nostdin", "-nostats", "-progress", "pipe:1", *args),
            stdin=lifeline.stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=cwd,
            start_new_session=True,
            pass_fds=pipes,
        )
    except OSError as error:
        raise RenderError(f"ffmpeg could not be started: {error.strerror or error}") from None
    finally:
        for pipe in pipes:
            os.close(pipe)
    lifeline.tie(process.pid)
    return process


@contextlib.contextmanager
def _watched(process: subprocess.Popen[str], watch: Watch, scripts: Mapping[str, str]) -> Iterator[None]:
    """Have a process looked on at; it does not outlive this."""
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
    """Wait for its end, taking in what it writes."""
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
    """`ended`: a thread that is through once the process closes its output. `Popen.wait` would look for its
    end hundreds of times a second.
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
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
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
    """How it ended. A shell before it says 128 + n of a signal n; ffmpeg itself, 256 - n of an errno n."""
    number = -code if code < 0 else code - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        known = 256 - code in errno.errorcode
        return f"exit code {code}, {os.strerror(256 - code)}" if known else f"exit code {code}"
    if number == signal.SIGKILL:
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
    """The last line that says what went wrong rather than that something did."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    useful = [line for line in lines if not any(noise in line for noise in _NOISE)]
    return (useful or lines or ["it wrote nothing"])[-1]
