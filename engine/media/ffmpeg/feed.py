"""Run an ffmpeg command together with the processes and threads that feed it."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from tessera.errors import Cancelled, RenderError, TesseraError
from tessera.media.ffmpeg.command import FEED_OUTPUT, Command, Reel, SoundFeed, StreamFeed, Take
from tessera.media.process.process import UNWATCHED, Finished, Watch, run_ffmpeg
from tessera.media.process.process_group import INHERITS_PIPES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

__all__ = ["run_command"]

_BLOCK = 32_768
"""The number of samples, each of all channels, that are held in memory at a time."""

_NO_PIPES = (
    "this output has too many cuts for one ffmpeg process: others must feed it through pipes, which a"
    " process cannot inherit on Windows; render it on Linux or macOS, or keep fewer ranges"
)
_PIPE_BYTES = 1 << 20
_NUT_SYNCPOINT = bytes.fromhex("4e4be4adeeca4569")


def run_command(
    command: Command,
    folder: Path,
    *,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    timeout_s: float | None = None,
    watch: Watch = UNWATCHED,
) -> Finished:
    """Run a command and its feeds in `folder`, where its scripts are written. `watch` observes all processes.

    Raises
    ------
    RenderError
        If the command or a feed cannot be started, fails, or takes longer than `timeout_s`.
    Cancelled
        If `cancelled()` returns true.
    """
    return _run(command, {}, progress, _RunContext(folder, cancelled, timeout_s, watch))


def _run(
    command: Command,
    pipes: Mapping[str, int],
    progress: Callable[[float], None] | None,
    context: _RunContext,
) -> Finished:
    """Run a command; `pipes` maps names in its arguments to file descriptors that the process inherits."""
    if command.feeds and not INHERITS_PIPES:
        raise RenderError(_NO_PIPES)
    pipes = dict(pipes)
    feeders: list[_Feeder] = []
    for feed in command.feeds:
        pipes[feed.name], into = _pipe()
        if isinstance(feed, SoundFeed):
            feeders.append(_SoundFeeder(feed, into, context))
        else:
            feeders.append(_StreamFeeder(feed, into, context))
    args = [f"pipe:{pipes[arg]}" if arg in pipes else arg for arg in command.args]
    try:
        _write_scripts(command, context.folder, pipes)
        for feeder in feeders:
            feeder.start()
        finished = run_ffmpeg(
            args,
            progress=progress,
            cancelled=context.cancelled,
            timeout_s=context.timeout_s,
            cwd=context.folder,
            pipes=tuple(pipes.values()),
            watch=context.watch,
            scripts=dict(command.scripts),
        )
    except RenderError:
        _raise_first(feeders)
        raise
    finally:
        for feeder in feeders:
            feeder.stop()
    _raise_first(feeders)
    fed = tuple(command for feeder in feeders for command in feeder.commands)
    return Finished(finished.command, finished.stderr, fed)


def _write_scripts(command: Command, folder: Path, pipes: Mapping[str, int]) -> None:
    try:
        for name, text in command.scripts:
            (folder / name).write_text(text, "utf-8", newline="\n")
    except OSError as error:
        for pipe in pipes.values():
            os.close(pipe)
        raise RenderError(f"cannot write a filter graph: {error.strerror or error}") from None


def _pipe() -> tuple[int, int]:
    """Return the read end and the write end of a pipe that holds several blocks."""
    read, write = os.pipe()
    if sys.platform == "linux":  # other systems choose the size themselves
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return read, write


def _raise_first(feeders: list[_Feeder]) -> None:
    for feeder in feeders:
        feeder.stop()
        if feeder.error is not None:
            raise feeder.error


@dataclass(frozen=True, slots=True)
class _RunContext:
    """The settings that a command shares with its feeds."""

    folder: Path
    cancelled: Callable[[], bool]
    timeout_s: float | None
    watch: Watch


class _Feeder(threading.Thread):
    """A thread that writes a feed into a pipe until the feed ends or the reader closes the pipe."""

    def __init__(self, name: str, into: int, context: _RunContext) -> None:
        super().__init__(daemon=True, name=name)
        self.into, self.context = into, context
        self.error: TesseraError | None = None
        self.commands: list[tuple[str, ...]] = []
        self._stopped = threading.Event()

    def _blocks(self) -> Iterator[bytes]:
        """Yield the bytes to write."""
        raise NotImplementedError

    def run(self) -> None:
        try:
            with open(self.into, "wb", buffering=0) as pipe:
                for block in self._blocks():
                    _write_all(pipe, memoryview(block))
        except BrokenPipeError:
            pass
        except Cancelled as error:
            self.error = error if self.context.cancelled() else None
        except TesseraError as error:
            self.error = error
        except OSError as error:
            self.error = RenderError(f"the input of ffmpeg could not be produced: {error.strerror or error}")

    def stop(self) -> None:
        """Stop the thread and the processes that it reads from; unread output is not needed."""
        self._stopped.set()
        if self.ident is not None:
            self.join()

    @contextlib.contextmanager
    def _streamed(self, command: Command) -> Iterator[BinaryIO]:
        """Give the output of a command while it runs; raise its error once all its output has been read."""
        done = threading.Event()
        failures: list[TesseraError] = []
        read, write = _pipe()

        def work() -> None:
            try:
                self._make(command, write, done.is_set)
            except TesseraError as error:
                failures.append(error)

        thread = threading.Thread(target=work, daemon=True, name=f"{self.name}-part")
        thread.start()
        try:
            with open(read, "rb", buffering=0) as pipe:
                yield pipe
                ended = not pipe.read(1)
            if not ended:
                done.set()
            thread.join()
        finally:
            done.set()
            thread.join()
        if failures and ended:
            raise failures[0]

    def _make(self, command: Command, into: int, enough: Callable[[], bool]) -> None:
        """Run a command that writes to the file descriptor `into`, and close it."""
        context = self.context

        def stopped() -> bool:
            return self._stopped.is_set() or enough() or context.cancelled()

        finished = _run(command, {FEED_OUTPUT: into}, None, replace(context, cancelled=stopped))
        self.commands += [*finished.fed, finished.command]


class _SoundFeeder(_Feeder):
    def __init__(self, feed: SoundFeed, into: int, context: _RunContext) -> None:
        super().__init__(feed.name, into, context)
        self.feed = feed

    def _blocks(self) -> Iterator[bytes]:
        last = {take.reel: index for index, take in enumerate(self.feed.takes)}
        with contextlib.ExitStack() as stack:
            open_reels: dict[int, tuple[_SampleReader, contextlib.ExitStack]] = {}
            for index, take in enumerate(self.feed.takes):
                if take.reel not in open_reels:
                    own = stack.enter_context(contextlib.ExitStack())
                    open_reels[take.reel] = (own.enter_context(self._open(self.feed.reels[take.reel])), own)
                reader, own = open_reels[take.reel]
                for block in _samples_of(reader, take, self.feed.channels):
                    yield block.tobytes()
                if last[take.reel] == index:
                    own.close()

    @contextlib.contextmanager
    def _open(self, reel: Reel) -> Iterator[_SampleReader]:
        if not reel.spooled:
            with self._streamed(reel.command) as pipe:
                yield _Stream(pipe, self.feed.channels)
            return
        with tempfile.TemporaryFile(dir=self.context.folder) as file:
            self._make(reel.command, os.dup(file.fileno()), lambda: False)
            yield _Spool(file, self.feed.channels)


class _StreamFeeder(_Feeder):
    def __init__(self, feed: StreamFeed, into: int, context: _RunContext) -> None:
        super().__init__(feed.name, into, context)
        self.feed = feed

    def _blocks(self) -> Iterator[bytes]:
        """Join the streams of the parts, without the headers of all but the first."""
        for number, command in enumerate(self.feed.parts):
            with self._streamed(command) as pipe:
                if number:
                    head = b""
                    while _NUT_SYNCPOINT not in head and (more := pipe.read(_PIPE_BYTES)):
                        head += more
                    at = head.find(_NUT_SYNCPOINT)
                    yield head[at:] if at >= 0 else b""
                while block := pipe.read(_PIPE_BYTES):
                    yield block


class _SampleReader(Protocol):
    def seek(self, sample: int) -> None: ...

    def read(self, count: int) -> Samples:
        """Return the next samples, at most `count`, as an array (samples, channels); empty at the end."""
        ...


class _Stream:
    """A reader of a pipe, which can only seek forwards."""

    def __init__(self, pipe: Any, channels: int) -> None:
        self.pipe, self.channels, self.at = pipe, channels, 0

    def seek(self, sample: int) -> None:
        while self.at < sample and len(self.read(min(sample - self.at, _BLOCK))):
            pass

    def read(self, count: int) -> Samples:
        import numpy as np

        wanted = count * self.channels * 4
        parts: list[bytes] = []
        while wanted and (part := self.pipe.read(wanted)):
            parts.append(part)
            wanted -= len(part)
        held = b"".join(parts)
        flat = np.frombuffer(held[: len(held) - len(held) % (4 * self.channels)], np.float32)
        self.at += len(flat) // self.channels
        return flat.reshape(-1, self.channels)


class _Spool:
    """A reader of a file, which can seek anywhere."""

    def __init__(self, file: Any, channels: int) -> None:
        self.file, self.channels = file, channels

    def seek(self, sample: int) -> None:
        self.file.seek(sample * self.channels * 4)

    def read(self, count: int) -> Samples:
        import numpy as np

        flat = np.frombuffer(self.file.read(count * self.channels * 4), np.float32)
        return flat[: len(flat) - len(flat) % self.channels].reshape(-1, self.channels)


def _samples_of(reader: _SampleReader, take: Take, channels: int) -> Iterator[Samples]:
    """Yield the samples of a take in blocks, with its fades; silence follows after the end of its reel."""
    import numpy as np

    reader.seek(take.first)
    at = 0
    while at < take.count:
        block = reader.read(min(take.count - at, _BLOCK))
        if not len(block):
            block = np.zeros((min(take.count - at, _BLOCK), channels), np.float32)
        gain = _gain(take, at, len(block))
        yield block if gain is None else block * gain[:, None]
        at += len(block)


def _gain(take: Take, at: int, count: int) -> Samples | None:
    """Return the gain of `count` samples of a take from sample `at` on, or None if it is 1 throughout."""
    if at >= take.fade_in and at + count <= take.count - take.fade_out:
        return None
    import numpy as np

    place = np.arange(at, at + count, dtype=np.float32)
    gain = np.ones(count, np.float32)
    if take.fade_in:
        gain = np.minimum(gain, place / take.fade_in)
    if take.fade_out:
        gain = np.minimum(gain, (take.count - place) / take.fade_out)
    return gain.astype(np.float32)


def _write_all(pipe: Any, data: memoryview) -> None:
    while len(data):
        data = data[pipe.write(data) :]
