"""Pictures at the edges of cuts, coded anew ahead of their being written, on a thread of their own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, Protocol

from tessera.errors import Cancelled
from tessera.media.copy.edge_x264 import EdgeX264, EncodedPicture
from tessera.media.copy.packets import Access, Unsafe, alone, beginning_at, packets_from, seek_to_join
from tessera.media.copy.splice import Group
from tessera.media.probe.info import PictureInfo
from tessera.media.probe.probe import open_media

__all__ = ["EdgeEncoder", "EncodedEdge", "Sample", "is_other", "sample_of"]

_SAMPLED_EVERY = 16
_SAMPLED_BEFORE = 2
"""Copied pictures before a join of which a sample is taken."""

_WORST_MSE = 650.0
"""The most that a picture coded anew may be off (a PSNR of 20 dB): even noise is less, a broken one more."""

_MOST_PUSHED = 24
"""Pictures after those wanted that are decoded to have these come out: more than any decoder holds back."""

_PROVED = 3
"""Pictures coded anew that a decoder goes on with."""

_APART = 1 << 40
"""Added to times of the file, so that they are none of the source's."""

Sample = bytes
"""A thin sample of a decoded picture's luma."""


def sample_of(frame: Any) -> Sample:
    """Every sixteenth pixel of every sixteenth line of a frame's luma."""
    import numpy as np

    plane = frame.planes[0]
    lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return lines[: frame.height : _SAMPLED_EVERY, : frame.width : _SAMPLED_EVERY].tobytes()


def is_other(sample: Sample, known: Sample) -> bool:
    """Whether two samples are of different pictures, though one may have been coded anew."""
    import numpy as np

    apart = np.frombuffer(sample, np.uint8).astype(float) - np.frombuffer(known, np.uint8)
    return bool(np.mean(apart**2) > _WORST_MSE)


@dataclass(slots=True)
class EncodedEdge:
    """A run of pictures that were coded anew.

    Attributes
    ----------
    samples
        Of them and of those near them: time → sample. Times in ticks of the file.
    proven
        Whether the decoder that had decoded the copied pictures before them went on with them, and gave
        every picture, as it will where they stand in the file.
    """

    coded: list[EncodedPicture] = field(default_factory=list)
    samples: dict[int, Sample] = field(default_factory=dict)
    proven: bool = False


_Run = list[tuple[Group, int]]
"""Groups, with the shifts of their parts, whose coded pictures follow one another without a copied one."""


class EdgePart(Protocol):
    """One kept range of a picture: its groups, and what is taken from a source's time to get the file's."""

    @property
    def groups(self) -> tuple[Group, ...]: ...

    @property
    def shift(self) -> int: ...


class EdgeSource(Protocol):
    """A picture whose edges are to be coded: where it is read from, and what its packets must match."""

    path: Path
    info: PictureInfo
    scale: int
    configuration: bytes | None

    @property
    def parts(self) -> Sequence[EdgePart]: ...

    def coder(self, stream: Any) -> EdgeX264: ...


class EdgeEncoder:
    """Codes the edges of a picture in their order, one while another is being written."""

    def __init__(self, picture: EdgeSource, cancelled: Callable[[], bool]) -> None:
        self._picture, self._cancelled = picture, cancelled
        self._left = _runs(picture)
        self._stopped = Event()
        self._files = ExitStack()
        self._opened: tuple[Any, Any, Any] | None = None
        self._pool = ThreadPoolExecutor(1, "tessera-edge")
        self._ahead: deque[Future[EncodedEdge]] = deque()
        self._begin()
        self._begin()

    def __enter__(self) -> EdgeEncoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)
        self._files.close()

    def take(self) -> EncodedEdge:
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

    def _recode(self, run: _Run) -> EncodedEdge:
        """On the other thread: it alone uses the source, and a decoder that is set up as the file's is."""
        if self._opened is None:
            container = self._files.enter_context(open_media(self._picture.path))
            stream = alone(container, self._picture.info.index)
            self._opened = container, stream, _decoder(self._picture.configuration)
        container, stream, decoder = self._opened
        made, coder = EncodedEdge(), self._picture.coder(stream)
        held_back: set[int] | None = None
        for group, shift in run:
            joins = bool(group.copied) and len(run) == 1
            edge = _Edge(group, shift, self._picture.scale, decoder, coder, made)
            first = group.pictures[0].pts
            seek_to_join(container, stream, first, lambda _packet: True)
            source = beginning_at(first, packets_from(container, stream))
            self._decode(edge, zip(group.pictures, source, strict=False), push=joins)
            if joins and not edge.left:
                held_back = edge.pending
            else:
                edge.end()
        made.coded += coder.finish()
        if held_back is not None:
            _go_on(decoder, held_back, made)
        return made

    def _decode(self, edge: _Edge, pictures: Iterator[tuple[Access, Any]], *, push: bool) -> None:
        """Decode what an edge needs. With `push` it goes on until all that are wanted have come out, so that
        the decoder can go on with those coded anew.
        """
        needed = {one.pts for one in edge.group.run_up()}
        pushed = 0
        for access, packet in pictures:
            if self._stopped.is_set() or self._cancelled():
                raise Cancelled("the run was cancelled")
            if packet.pts != access.pts:
                raise Unsafe("it reads otherwise the second time")
            if access.pts in needed:
                needed.remove(access.pts)
                edge.decode(packet)
            elif not needed:
                edge.decode(packet)
                pushed += 1
            if not needed and (not push or not edge.left or pushed == _MOST_PUSHED):
                return


def _decoder(setup: bytes | None) -> Any:
    import av

    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata = setup
    decoder.thread_type = "AUTO"
    return decoder


def _go_on(decoder: Any, held_back: set[int], made: EncodedEdge) -> None:
    """Have a decoder that was given the pictures before a join go on with those coded anew after it.

    `held_back` are those that it has not given back yet.

    Raises
    ------
    Unsafe
        It does not give them all, or other ones.
    """
    import av

    times = {one.pts + _APART: one.pts for one in made.coded[:_PROVED]}
    found: list[Any] = []
    for coded in made.coded[:_PROVED]:
        packet = av.Packet(coded.data)
        packet.pts = coded.pts + _APART
        found += decoder.decode(packet)
    found += decoder.decode(None)
    decoder.flush_buffers()
    if {frame.pts for frame in found if not frame.is_corrupt} != {*held_back, *times}:
        raise Unsafe("a check could not decode every picture at a join")
    for frame in found:
        if frame.pts in times and is_other(sample_of(frame), made.samples[times[frame.pts]]):
            raise Unsafe("a check found a picture at a join that is not the source's")
    made.proven = True


@dataclass(slots=True)
class _Edge:
    """The decoding of one group, and what becomes of its pictures.

    Attributes
    ----------
    left
        Those to be coded that have not come yet.
    pending
        Those that the decoder was given and has not given back.
    """

    group: Group
    shift: int
    scale: int
    decoder: Any
    coder: EdgeX264
    made: EncodedEdge
    left: set[int] = field(init=False)
    near: set[int] = field(init=False)
    pending: set[int] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        self.left = set(self.group.encoded)
        self.near = {*self.group.copied[:1], *sorted(self.group.copied)[-_SAMPLED_BEFORE:]}

    def decode(self, packet: Any) -> None:
        self.pending.add(packet.pts)
        self._take(self.decoder.decode(packet))

    def end(self) -> None:
        """Have the decoder give all that it holds back.

        Raises
        ------
        Unsafe
            A picture that is to be coded was not among them.
        """
        self._take(self.decoder.decode(None))
        self.decoder.flush_buffers()
        if self.left:
            raise Unsafe("a picture at the edge of a cut cannot be decoded")

    def _take(self, frames: list[Any]) -> None:
        for frame in frames:
            self.pending.discard(frame.pts)
            time = frame.pts * self.scale - self.shift
            if frame.pts in self.near or frame.pts in self.left:
                self.made.samples[time] = sample_of(frame)
            if frame.pts not in self.left:
                continue
            if frame.is_corrupt:
                raise Unsafe("a picture at the edge of a cut is damaged")
            self.left.remove(frame.pts)
            self.made.coded += self.coder.code(frame, time)


def _runs(picture: EdgeSource) -> Iterator[_Run]:
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
