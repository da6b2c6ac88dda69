"""Pictures at the edges of cuts, coded anew ahead of their being written, on a thread of their own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import dropwhile
from threading import Event
from typing import TYPE_CHECKING, Any

from engine.errors import Cancelled
from engine.media.anew import Coded, Coder
from engine.media.packets import Unsafe, alone, packets_from, seek_to_join
from engine.media.probe import open_media
from engine.media.splice import Group

if TYPE_CHECKING:
    from engine.media.cutting import CopiedPicture

__all__ = ["Recoded", "Recoder", "Sample", "sample_of"]

_SAMPLED_EVERY = 16
_SAMPLED_BEFORE = 2
"""Copied pictures before a join of which a sample is taken."""

Sample = bytes
"""A thin sample of a decoded picture's luma."""


def sample_of(frame: Any) -> Sample:
    """Every sixteenth pixel of every sixteenth line of a frame's luma."""
    import numpy as np

    plane = frame.planes[0]
    lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return lines[: frame.height : _SAMPLED_EVERY, : frame.width : _SAMPLED_EVERY].tobytes()


@dataclass(slots=True)
class Recoded:
    """A run of pictures that were coded anew, and samples of them and of those near them: time → sample.
    Times in ticks of the file.
    """

    coded: list[Coded] = field(default_factory=list)
    samples: dict[int, Sample] = field(default_factory=dict)


_Run = list[tuple[Group, int]]
"""Groups, with the shifts of their parts, whose coded pictures follow one another without a copied one."""


class Recoder:
    """Codes the edges of a picture in their order, one while another is being written."""

    def __init__(self, picture: CopiedPicture, cancelled: Callable[[], bool]) -> None:
        self._picture, self._cancelled = picture, cancelled
        self._left = _runs(picture)
        self._stopped = Event()
        self._files = ExitStack()
        self._opened: tuple[Any, Any] | None = None
        self._pool = ThreadPoolExecutor(1, "tessera-edge")
        self._ahead: deque[Future[Recoded]] = deque()
        self._begin()
        self._begin()

    def __enter__(self) -> Recoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)
        self._files.close()

    def take(self) -> Recoded:
        """The next run.

        Raises
        ------
        Unsafe
            It cannot be coded, or not with certainty.
        Cancelled
            It was asked for.
        """
        recoded = self._ahead.popleft().result()
        self._begin()
        return recoded

    def _begin(self) -> None:
        run = next(self._left, None)
        if run is not None:
            self._ahead.append(self._pool.submit(self._recode, run))

    def _recode(self, run: _Run) -> Recoded:
        """On the other thread: it alone uses the decoder."""
        if self._opened is None:
            container = self._files.enter_context(open_media(self._picture.path))
            self._opened = container, alone(container, self._picture.info.index)
            self._opened[1].thread_type = "AUTO"
        return self._coded(run, *self._opened)

    def _coded(self, run: _Run, container: Any, stream: Any) -> Recoded:
        made, coder = Recoded(), self._picture.coder(stream)
        for group, shift in run:
            edge = _Edge(group, shift, self._picture.scale, coder, made)
            first = group.pictures[0].pts
            seek_to_join(container, stream, first, lambda _packet: True)
            source = _packets_at(first, container, stream)
            needed = {one.pts for one in group.run_up()}
            for access, packet in zip(group.pictures, source, strict=False):
                if self._stopped.is_set() or self._cancelled():
                    raise Cancelled("the run was cancelled")
                if packet.pts != access.pts:
                    raise Unsafe("it reads otherwise the second time")
                if access.pts in needed:
                    needed.remove(access.pts)
                    edge.take(stream.decode(packet))
                if not needed:
                    break
            edge.take(stream.decode(None))
            stream.codec_context.flush_buffers()
            if edge.left:
                raise Unsafe("a picture at the edge of a cut cannot be decoded")
        made.coded += coder.finish()
        return made


@dataclass(slots=True)
class _Edge:
    """What becomes of the decoded pictures of one group. `left`: those to be coded that have not come yet."""

    group: Group
    shift: int
    scale: int
    coder: Coder
    made: Recoded
    left: set[int] = field(init=False)
    near: set[int] = field(init=False)

    def __post_init__(self) -> None:
        self.left = set(self.group.encoded)
        self.near = {*self.group.copied[:1], *sorted(self.group.copied)[-_SAMPLED_BEFORE:]}

    def take(self, frames: list[Any]) -> None:
        for frame in frames:
            time = frame.pts * self.scale - self.shift
            if frame.pts in self.near or frame.pts in self.left:
                self.made.samples[time] = sample_of(frame)
            if frame.pts not in self.left:
                continue
            if frame.is_corrupt:
                raise Unsafe("a picture at the edge of a cut is damaged")
            self.left.remove(frame.pts)
            self.made.coded += self.coder.code(frame, time)


def _packets_at(first: int, container: Any, stream: Any) -> Iterator[Any]:
    """The packets of a stream from the one of the time `first` on."""
    return dropwhile(lambda packet: packet.pts != first, packets_from(container, stream))


def _runs(picture: CopiedPicture) -> Iterator[_Run]:
    run: _Run = []
    for part in picture.parts:
        for group in part.groups:
            if group.copied and run:
                yield run
                run = []
            if group.encoded:
                run.append((group, part.shift))
    if run:
        yield run
