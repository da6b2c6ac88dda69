"""Re-encoding the pictures at the edges of cuts, on a second thread and ahead of the writer."""

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

__all__ = ["EdgeEncoder", "EncodedEdge", "Sample", "is_different", "sample_of"]

_SAMPLED_EVERY = 16
_SAMPLED_BEFORE = 2
"""The number of copied pictures before a join to sample."""

_WORST_MSE = 650.0
"""The largest mean squared error of a re-encoded picture (PSNR 20 dB): noise is below it, damage above."""

_MOST_PUSHED = 24
"""The most pictures decoded past the wanted ones to flush these out: more than any decoder delays."""

_PICTURES_VERIFIED = 3
"""The number of re-encoded pictures with which the decoder continues across a join."""

_TIME_OFFSET = 1 << 40
"""An offset added to times of the file, so that they differ from all times of the source."""

Sample = bytes
"""A sparse sample of the luma of a decoded picture."""


def sample_of(frame: Any) -> Sample:
    """Return every sixteenth pixel of every sixteenth line of a frame's luma."""
    import numpy as np

    plane = frame.planes[0]
    lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return lines[: frame.height : _SAMPLED_EVERY, : frame.width : _SAMPLED_EVERY].tobytes()


def is_different(sample: Sample, known: Sample) -> bool:
    """Return True if two samples show different pictures, even allowing for re-encoding."""
    import numpy as np

    difference = np.frombuffer(sample, np.uint8).astype(float) - np.frombuffer(known, np.uint8)
    return bool(np.mean(difference**2) > _WORST_MSE)


@dataclass(slots=True)
class EncodedEdge:
    """A run of re-encoded pictures.

    Attributes
    ----------
    samples
        Samples of the run and of pictures near it: time → sample. Times in ticks of the file.
    verified
        True if the decoder of the preceding copied pictures continued with the run and returned every
        picture, as a player of the file will.
    """

    coded: list[EncodedPicture] = field(default_factory=list)
    samples: dict[int, Sample] = field(default_factory=dict)
    verified: bool = False


class EdgePart(Protocol):
    """One kept range of a picture: its groups, and the time in the file of each picture of the source."""

    @property
    def groups(self) -> tuple[Group, ...]: ...

    def time_of(self, time: int) -> int: ...


_Run = list[tuple[Group, EdgePart]]
"""Groups with their parts. Their re-encoded pictures have no copied one in between."""


class EdgeSource(Protocol):
    """A picture with edges to re-encode: its source, and the configuration that the packets must match."""

    path: Path
    info: PictureInfo
    configuration: bytes | None

    @property
    def parts(self) -> Sequence[EdgePart]: ...

    def make_encoder(self, stream: Any) -> EdgeX264: ...


class EdgeEncoder:
    """Encodes the edges of a picture in order, one while another is being written."""

    def __init__(self, picture: EdgeSource, cancelled: Callable[[], bool]) -> None:
        self._picture, self._cancelled = picture, cancelled
        self._runs = _runs_of(picture)
        self._stop = Event()
        self._files = ExitStack()
        self._decoding: tuple[Any, Any, Any] | None = None
        self._pool = ThreadPoolExecutor(1, "tessera-edge")
        self._ahead: deque[Future[EncodedEdge]] = deque()
        self._submit_next()
        self._submit_next()

    def __enter__(self) -> EdgeEncoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown(cancel_futures=True)
        self._files.close()

    def take(self) -> EncodedEdge:
        """Return the next run.

        Raises
        ------
        Unsafe
            If the run cannot be encoded, or cannot be verified.
        Cancelled
            If the run is cancelled.
        """
        edge = self._ahead.popleft().result()
        self._submit_next()
        return edge

    def _submit_next(self) -> None:
        run = next(self._runs, None)
        if run is not None:
            self._ahead.append(self._pool.submit(self._encode, run))

    def _encode(self, run: _Run) -> EncodedEdge:
        """Encode a run of edges. Only the pool's one thread calls this, so nothing needs a lock."""
        if self._decoding is None:
            container = self._files.enter_context(open_media(self._picture.path))
            stream = alone(container, self._picture.info.index)
            self._decoding = container, stream, _make_decoder(self._picture.configuration)
        container, stream, decoder = self._decoding
        result, encoder = EncodedEdge(), self._picture.make_encoder(stream)
        pending: set[int] | None = None
        for group, part in run:
            joins = bool(group.copied) and len(run) == 1
            edge = _Edge(group, part, decoder, encoder, result)
            first = group.pictures[0].pts
            seek_to_join(container, stream, first, lambda _packet: True)
            source = beginning_at(first, packets_from(container, stream))
            self._decode(edge, zip(group.pictures, source, strict=False), push=joins)
            if joins and not edge.missing:
                pending = edge.pending
            else:
                edge.end()
        result.coded += encoder.finish()
        if pending is not None:
            _verify_join(decoder, pending, result)
        return result

    def _decode(self, edge: _Edge, pictures: Iterator[tuple[Access, Any]], *, push: bool) -> None:
        """Decode the pictures that an edge needs.

        With `push`, decode further until all wanted pictures are returned, without flushing the decoder, so
        that it can continue with the re-encoded pictures.
        """
        needed = {access.pts for access in edge.group.run_up()}
        pushed = 0
        for access, packet in pictures:
            if self._stop.is_set() or self._cancelled():
                raise Cancelled("the run was cancelled")
            if packet.pts != access.pts:
                raise Unsafe("it changed between two reads")
            if access.pts in needed:
                needed.remove(access.pts)
                edge.decode(packet)
            elif not needed:
                edge.decode(packet)
                pushed += 1
            if not needed and (not push or not edge.missing or pushed == _MOST_PUSHED):
                return


def _make_decoder(configuration: bytes | None) -> Any:
    import av

    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata = configuration
    decoder.thread_type = "AUTO"
    return decoder


def _verify_join(decoder: Any, pending: set[int], result: EncodedEdge) -> None:
    """Decode re-encoded pictures with the decoder that has decoded the copied pictures before the join.

    `pending` holds the times of the pictures that the decoder has not returned yet.

    Raises
    ------
    Unsafe
        If the decoder does not return all of them, or returns other pictures.
    """
    import av

    times = {one.pts + _TIME_OFFSET: one.pts for one in result.coded[:_PICTURES_VERIFIED]}
    found: list[Any] = []
    for coded in result.coded[:_PICTURES_VERIFIED]:
        packet = av.Packet(coded.data)
        packet.pts = coded.pts + _TIME_OFFSET
        found += decoder.decode(packet)
    found += decoder.decode(None)
    decoder.flush_buffers()
    if {frame.pts for frame in found if not frame.is_corrupt} != {*pending, *times}:
        raise Unsafe("a check could not decode every picture at a join")
    for frame in found:
        if frame.pts in times and is_different(sample_of(frame), result.samples[times[frame.pts]]):
            raise Unsafe("a check found a picture at a join that is not the source's")
    result.verified = True


@dataclass(slots=True)
class _Edge:
    """The decoding of one group, and the re-encoding of its edge pictures.

    Attributes
    ----------
    missing
        The times of the pictures to re-encode that the decoder has not returned yet.
    pending
        The times of all pictures sent to the decoder that it has not returned yet.
    """

    group: Group
    part: EdgePart
    decoder: Any
    encoder: EdgeX264
    result: EncodedEdge
    missing: set[int] = field(init=False)
    near: set[int] = field(init=False)
    pending: set[int] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        self.missing = set(self.group.encoded)
        self.near = {*self.group.copied[:1], *sorted(self.group.copied)[-_SAMPLED_BEFORE:]}

    def decode(self, packet: Any) -> None:
        self.pending.add(packet.pts)
        self._receive(self.decoder.decode(packet))

    def end(self) -> None:
        """Flush the decoder.

        Raises
        ------
        Unsafe
            If a picture to re-encode is missing.
        """
        self._receive(self.decoder.decode(None))
        self.decoder.flush_buffers()
        if self.missing:
            raise Unsafe("a picture at the edge of a cut cannot be decoded")

    def _receive(self, frames: list[Any]) -> None:
        for frame in frames:
            self.pending.discard(frame.pts)
            time = self.part.time_of(frame.pts)
            if frame.pts in self.near or frame.pts in self.missing:
                self.result.samples[time] = sample_of(frame)
            if frame.pts not in self.missing:
                continue
            if frame.is_corrupt:
                raise Unsafe("a picture at the edge of a cut is damaged")
            self.missing.remove(frame.pts)
            self.result.coded += self.encoder.encode(frame, time)


def _runs_of(picture: EdgeSource) -> Iterator[_Run]:
    run: _Run = []
    for part in picture.parts:
        for group in part.groups:
            if group.copied and run:
                yield run
                run = []
            if group.encoded:
                run.append((group, part))
    if run:
        yield run
