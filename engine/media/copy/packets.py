"""The packets of a file, without decoding them: when each picture is shown, and where decoding may begin."""

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
"""Seconds past a range at which no picture within it can still follow: far more than any reordering."""


class Unsafe(Exception):
    """Why a file's packets cannot be copied, or not be cut, with certainty. Never leaves a render."""


@dataclass(frozen=True, slots=True)
class Access:
    """A coded picture. Times in ticks of its stream.

    Attributes
    ----------
    join
        Decoding may begin here, and nothing that follows needs what came before (an IDR picture).
    used
        Other pictures refer to it.
    hidden
        The container says that it is decoded but not shown.
    repeats
        Its packet holds parameter sets too, the same as the stream's configuration.
    """

    pts: int
    duration: int
    join: bool
    used: bool
    hidden: bool
    repeats: bool = False


def alone(container: InputContainer, index: int) -> Any:
    """A stream of a container, the others of which are not read."""
    from av.stream import Discard

    for stream in container.streams:
        if stream.index != index:
            stream.discard = Discard.all
    return container.streams[index]


_CHANGES = ("new_extradata", "param_change")


def packets_from(container: InputContainer, stream: Any) -> Iterator[Any]:
    """The packets of a stream from where the container stands.

    Raises
    ------
    Unsafe
        One has no time, is damaged, or changes what the decoder is set up with.
    """
    for packet in container.demux(stream):
        if packet.size == 0:
            continue
        if packet.pts is None or packet.is_corrupt:
            raise Unsafe("a packet has no time or is damaged")
        if next(packet.iter_sidedata(), None) is not None and any(map(packet.has_sidedata, _CHANGES)):
            raise Unsafe("its parameters change on the way")
        yield packet


def beginning_at(time: int, packets: Iterator[Any]) -> Iterator[Any]:
    """Packets from the one of this presentation time on, in ticks of their stream."""
    return dropwhile(lambda packet: packet.pts != time, packets)


def read_pictures(
    container: InputContainer, stream: Any, setup: Configuration, low: int, high: int
) -> list[Access]:
    """The pictures from the last join at or before `low` up to all that are shown before `high`, as coded.

    Raises
    ------
    Unsafe
        There is no such join, or what was found leaves a doubt.
    """
    look = _looker(setup)
    seek_to_join(container, stream, low, lambda packet: look(packet).join)
    found: list[Access] = []
    beyond = high + int(_BEYOND_S / stream.time_base)
    for packet in packets_from(container, stream):
        access = look(packet)
        if (access.join and access.pts >= high) or (packet.dts is not None and packet.dts >= beyond):
            break
        found.append(access)
    return found


def seek_to_join(container: InputContainer, stream: Any, low: int, is_join: Callable[[Any], bool]) -> None:
    """Stand before the packet of the last join that is shown at or before `low`, as far as an index tells.

    Raises
    ------
    Unsafe
        There is none.
    """
    step = max(int(1 / stream.time_base), 1)
    target = low
    for _ in range(_STEPS_BACK):
        container.seek(target, stream=stream, backward=True)
        packet = next((one for one in container.demux(stream) if one.size), None)
        if packet is not None and packet.pts is not None and packet.pts <= low and is_join(packet):
            container.seek(target, stream=stream, backward=True)
            return
        target -= step
        step *= 2
    raise Unsafe("no picture before the cut is one that decoding can begin at")


def _looker(setup: Configuration) -> Callable[[Any], Access]:
    """Reads what a packet and its units say of a picture."""

    def look(packet: Any) -> Access:
        join = used = repeats = False
        try:
            for unit in first_units(memoryview(packet), setup.length_size):
                if unit.is_parameters:
                    repeats = True
                    if not setup.holds(unit):
                        raise Unsafe("its parameter sets change on the way")
                if unit.is_slice:
                    join, used = unit.is_idr, unit.used
        except ValueError as error:
            raise Unsafe(str(error)) from None
        return Access(packet.pts, packet.duration or 0, join, used, packet.is_discard, repeats)

    return look
