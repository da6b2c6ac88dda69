"""Checks of a file made of copied packets: count every picture, decode every join.

If a join was already decoded before it was written, by a decoder with the file's configuration, it is enough
to compare the packets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from zlib import crc32

from tessera.errors import Cancelled
from tessera.media.copy.edge_encoder import Sample, is_different, sample_of
from tessera.media.copy.packets import Unsafe, alone, beginning_at
from tessera.media.copy.picture_copy import CopiedPicture
from tessera.media.probe.probe import open_media
from tessera.text.wording import count

__all__ = ["check_copy"]

_DECODED_AFTER = 3
"""The number of pictures after a join, in coding order, to decode with it."""

_DECODED_BEFORE = 4

_Window = tuple[int, int, set[int]]
"""A range of packets around one join, from a picture at which decoding can begin, and the times of the
pictures to compare.
"""


def check_copy(picture: CopiedPicture, output: Path, cancelled: Callable[[], bool]) -> None:
    """Check that a file shows the expected pictures at their times, and that it decodes across every join.

    Raises
    ------
    Unsafe
        If it does not.
    Cancelled
        If `cancelled()` returns True.
    """
    windows = _windows(picture)
    with ThreadPoolExecutor(1, "tessera-check") as other:
        counted = other.submit(_count, picture, output, cancelled)
        if windows:
            _check_joins(picture, output, windows, cancelled)
        counted.result()


def _check_joins(
    picture: CopiedPicture, output: Path, windows: list[_Window], cancelled: Callable[[], bool]
) -> None:
    """Check that the file decodes across every join that was not decoded before it was written."""
    with open_media(output) as container:
        stream = alone(container, container.streams.video[0].index)
        per_tick = int(stream.time_base * picture.ticks)
        stream.thread_type = "AUTO"
        for first, last, wanted in windows:
            times = [time // per_tick for time in picture.line.pts[first:last]]
            found = _decoded(container, stream, times, {time // per_tick for time in wanted}, cancelled)
            _compare(picture, {time * per_tick: sample for time, sample in found.items()}, wanted)


def _count(picture: CopiedPicture, output: Path, cancelled: Callable[[], bool]) -> None:
    """Check the number and the presentation times of the pictures."""
    with open_media(output) as container:
        stream = alone(container, container.streams.video[0].index)
        per_tick = int(stream.time_base * picture.ticks)
        if picture.verified and bytes(stream.codec_context.extradata or b"") != picture.configuration:
            raise Unsafe("a check found a decoder configuration other than the one written")
        shown = []
        for packet in _packets(container, stream, cancelled):
            time = packet.pts * per_tick
            if picture.sums.get(time) not in (None, crc32(memoryview(packet))):
                raise Unsafe("a check found a copied picture that is not the source's")
            if not packet.is_discard:
                shown.append(time)
    shown.sort()
    if shown != list(picture.times):
        raise Unsafe(f"a check found {count(len(shown), 'picture')} for {len(picture.times)}, or other times")


def _packets(container: Any, stream: Any, cancelled: Callable[[], bool]) -> Iterator[Any]:
    for packet in container.demux(stream):
        if cancelled():
            raise Cancelled("the run was cancelled")
        if packet.size:
            yield packet


def _windows(picture: CopiedPicture) -> list[_Window]:
    """Return a window for each join to decode."""
    times = picture.line.pts
    return [
        (first, last, {*times[max(first, join - _DECODED_BEFORE) : last], *_sampled(picture, first, last)})
        for first, join in picture.joins()
        if times[join] not in picture.verified
        for last in [min(join + _DECODED_AFTER, len(times))]
    ]


def _sampled(picture: CopiedPicture, first: int, last: int) -> Iterator[int]:
    return (time for time in picture.line.pts[first:last] if time in picture.samples)


def _decoded(
    container: Any, stream: Any, times: list[int], wanted: set[int], cancelled: Callable[[], bool]
) -> dict[int, Sample]:
    """Return samples of the wanted pictures among those with these times, in coding order."""
    context = stream.codec_context
    found: dict[int, Sample] = {}

    def take(frames: list[Any]) -> None:
        for frame in frames:
            if frame.pts in wanted and not frame.is_corrupt:
                found[frame.pts] = sample_of(frame)

    container.seek(times[0], stream=stream, backward=True)
    source = beginning_at(times[0], _packets(container, stream, cancelled))
    for time, packet in zip(times, source, strict=False):
        if packet.pts != time:
            break
        context.skip_frame = "DEFAULT" if time in wanted else "NONREF"
        take(stream.decode(packet))
    take(stream.decode(None))
    context.flush_buffers()
    return found


def _compare(picture: CopiedPicture, found: dict[int, Sample], wanted: set[int]) -> None:
    if found.keys() != wanted:
        raise Unsafe("a check could not decode every picture at a join")
    encoded = picture.encoded_times()
    for time, sample in found.items():
        known = picture.samples.get(time)
        if known is None or sample == known:
            continue
        if time not in encoded or is_different(sample, known):
            raise Unsafe("a check found a picture at a join that is not the source's")
