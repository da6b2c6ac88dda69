"""Reading packets without decoding: when each picture is shown, and at which ones decoding can begin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import dropwhile
from typing import TYPE_CHECKING, Any

from tessera.media.copy.avc import Configuration, first_units

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = ["Access", "Unsafe", "alone", "beginning_at", "packets_from", "read_pictures", "seek_to_join"]

_STEPS_BACK = 24
_BEYOND_S = 5
"""Seconds past a range after which no picture of it can follow: far more than any reordering."""


class Unsafe(Exception):
    """Raised if a file's packets cannot be copied or cut safely. Never leaves a render."""


@dataclass(frozen=True, slots=True)
class Access:
    """A coded picture (access unit). Times in ticks of its stream.

    Attributes
    ----------
    join
        True for an IDR picture: decoding can begin here, and no later picture refers to an earlier one.
    used
        True if other pictures refer to it.
    hidden
        True if the container marks it as decoded but not shown.
    repeats
        True if its packet repeats the parameter sets of the stream's configuration.
    """

    pts: int
    duration: int
    join: bool
    used: bool
    hidden: bool
    repeats: bool = False


def alone(container: InputContainer, index: int) -> Any:
    """Return a stream of a container, and skip all other streams when reading."""
    from av.stream import Discard

    for stream in container.streams:
        if stream.index != index:
            stream.discard = Discard.all
    return container.streams[index]


_CHANGES = ("new_extradata", "param_change")


def packets_from(container: InputContainer, stream: Any) -> Iterator[Any]:
    """Yield the packets of a stream from the current position of the container.

    Raises
    ------
    Unsafe
        If a packet has no time, is damaged, or changes the decoder configuration.
    """
    for packet in container.demux(stream):
        if packet.size == 0:
            continue
        if packet.pts is None or packet.is_corrupt:
            raise Unsafe("a packet has no time or is damaged")
        if next(packet.iter_sidedata(), None) is not None and any(map(packet.has_sidedata, _CHANGES)):
            raise Unsafe("its parameters change mid-stream")
        yield packet


def beginning_at(time: int, packets: Iterator[Any]) -> Iterator[Any]:
    """Skip packets up to the one with this presentation time, in ticks of their stream."""
    return dropwhile(lambda packet: packet.pts != time, packets)


def read_pictures(
    container: InputContainer, stream: Any, setup: Configuration, low: int, high: int
) -> list[Access]:
    """Read all pictures from the last join at or before `low` to those shown before `high`, in coding order.

    Raises
    ------
    Unsafe
        If there is no such join, or a packet cannot be copied safely.
    """
    read_access = _access_reader(setup)
    seek_to_join(container, stream, low, lambda packet: read_access(packet).join)
    found: list[Access] = []
    beyond = high + int(_BEYOND_S / stream.time_base)
    for packet in packets_from(container, stream):
        access = read_access(packet)
        if (access.join and access.pts >= high) or (packet.dts is not None and packet.dts >= beyond):
            break
        found.append(access)
    return found


def seek_to_join(container: InputContainer, stream: Any, low: int, is_join: Callable[[Any], bool]) -> None:
    """Seek to the packet of the last join shown at or before `low`, according to the container's index.

    Raises
    ------
    Unsafe
        If there is none.
    """
    step = max(int(1 / stream.time_base), 1)
    target = low
    for _ in range(_STEPS_BACK):
        container.seek(target, stream=stream, backward=True)
        packet = next((found for found in container.demux(stream) if found.size), None)
        if packet is not None and packet.pts is not None and packet.pts <= low and is_join(packet):
            container.seek(target, stream=stream, backward=True)
            return
        target -= step
        step *= 2
    raise Unsafe("decoding cannot begin at any picture before the cut")


def _access_reader(setup: Configuration) -> Callable[[Any], Access]:
    """Return a function that reads a packet and its NAL units into an `Access`."""

    def read_access(packet: Any) -> Access:
        join = used = repeats = False
        try:
            for unit in first_units(memoryview(packet), setup.length_size):
                if unit.is_parameters:
                    repeats = True
                    if not setup.holds(unit):
                        raise Unsafe("its parameter sets change mid-stream")
                if unit.is_slice:
                    join, used = unit.is_idr, unit.used
        except ValueError as error:
            raise Unsafe(str(error)) from None
        return Access(packet.pts, packet.duration or 0, join, used, packet.is_discard, repeats)

    return read_access
