"""H.264 as stored in MP4 and Matroska: the decoder configuration (`avcC`) and NAL units.

Follows ISO/IEC 14496-15 (5.3.3, the configuration record) and ITU-T H.264 (7.3.1, 7.3.2.1.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

__all__ = ["Configuration", "Unit", "first_units", "from_start_codes", "to_lengths"]

_SLICE, _IDR, _SPS, _PPS = 1, 5, 7, 8
_HIGH = (100, 110, 122, 244, 44, 83, 86, 118, 128)
"""The profiles whose parameter sets hold a chroma format and bit depths."""

_START_CODE = re.compile(b"\x00\x00\x01")


@dataclass(frozen=True, slots=True)
class Unit:
    """A NAL unit: its bytes, its type (`kind`), and `used`, which is True if other pictures refer to it."""

    data: bytes
    kind: int
    used: bool

    @property
    def is_slice(self) -> bool:
        return _SLICE <= self.kind <= _IDR

    @property
    def is_idr(self) -> bool:
        return self.kind == _IDR

    @property
    def is_parameters(self) -> bool:
        return self.kind in (_SPS, _PPS)


@dataclass(frozen=True, slots=True)
class Configuration:
    """A decoder configuration record: the size of the units' length fields, and the parameter sets."""

    head: bytes
    sequences: tuple[bytes, ...]
    pictures: tuple[bytes, ...]
    tail: bytes

    @classmethod
    def parse(cls, data: bytes) -> Configuration:
        """Read a record.

        Raises
        ------
        ValueError
            If the data is not such a record, or is truncated.
        """
        if len(data) < 7 or data[0] != 1:
            raise ValueError("its parameter sets are not in a configuration record")
        at = 5
        lists: list[tuple[bytes, ...]] = []
        for mask in (0x1F, 0xFF):
            count, found = data[at] & mask, []
            at += 1
            for _ in range(count):
                size = int.from_bytes(data[at : at + 2])
                found.append(data[at + 2 : at + 2 + size])
                at += 2 + size
            if at > len(data) or not all(found):
                raise ValueError("its configuration record is truncated")
            lists.append(tuple(found))
        return cls(data[:5], lists[0], lists[1], data[at:])

    @property
    def length_size(self) -> int:
        return (self.head[4] & 3) + 1

    @property
    def level(self) -> int:
        """Ten times the level: 40 for level 4."""
        return self.head[3]

    def holds(self, unit: Unit) -> bool:
        """Return True if the record holds this parameter set."""
        return unit.data in self.sequences or unit.data in self.pictures

    def sequence_ids(self) -> frozenset[int]:
        """Return the ids of all sequence and picture parameter sets."""
        return frozenset(
            [_sequence(unit)[0] for unit in self.sequences] + [_Bits(unit[1:]).ue() for unit in self.pictures]
        )

    def is_progressive(self) -> bool:
        """Return True if every picture is a frame, not a field."""
        return all(_sequence(unit)[1] for unit in self.sequences)

    def joined(self, units: Iterable[Unit]) -> Configuration:
        """Return a copy with more parameter sets. Its level is at least theirs."""
        sequences, pictures, head = list(self.sequences), list(self.pictures), self.head
        for unit in units:
            known = sequences if unit.kind == _SPS else pictures
            if unit.is_parameters and unit.data not in known:
                known.append(unit.data)
                if unit.kind == _SPS:
                    head = head[:3] + bytes([max(head[3], unit.data[3])]) + head[4:]
        return replace(self, head=head, sequences=tuple(sequences), pictures=tuple(pictures))

    def to_bytes(self) -> bytes:
        """Return the record in the form that `parse` reads."""
        parts = [self.head]
        for units, flags in ((self.sequences, 0xE0), (self.pictures, 0)):
            parts.append(bytes([flags | len(units)]))
            parts.extend(len(unit).to_bytes(2) + unit for unit in units)
        return b"".join((*parts, self.tail))


def first_units(packet: memoryview, length_size: int) -> Iterator[Unit]:
    """Yield the units of a packet up to its first slice.

    Raises
    ------
    ValueError
        If the lengths do not fit the packet.
    """
    at, end = 0, len(packet)
    while at + length_size < end:
        size = int.from_bytes(packet[at : at + length_size])
        at += length_size
        if not 0 < size <= end - at:
            raise ValueError("a picture's units do not fit their packet")
        first = packet[at]
        kind = first & 0x1F
        body = bytes(packet[at : at + size]) if kind in (_SPS, _PPS) else b""
        unit = Unit(body, kind, bool(first & 0x60))
        yield unit
        if unit.is_slice:
            return
        at += size


def from_start_codes(stream: bytes) -> Iterator[Unit]:
    """Yield the units of a byte stream with start codes (H.264, annex B)."""
    marks = [found.end() for found in _START_CODE.finditer(stream)]
    for begin, after in zip(marks, [*(mark - 3 for mark in marks[1:]), len(stream)], strict=True):
        data = stream[begin:after].rstrip(b"\0")
        if data:
            yield Unit(data, data[0] & 0x1F, bool(data[0] & 0x60))


def to_lengths(units: Iterable[Unit], length_size: int) -> bytes:
    """Join units, each after its length."""
    return b"".join(len(unit.data).to_bytes(length_size) + unit.data for unit in units)


class _Bits:
    """A reader of the bits of a unit's payload, without its emulation prevention bytes."""

    def __init__(self, data: bytes) -> None:
        clean = data.replace(b"\0\0\3", b"\0\0")
        self.value, self.left = int.from_bytes(clean), len(clean) * 8

    def u(self, count: int) -> int:
        self.left -= count
        if self.left < 0:
            raise ValueError("a parameter set is truncated")
        return (self.value >> self.left) & ((1 << count) - 1)

    def ue(self) -> int:
        """Read an unsigned Exp-Golomb code (H.264, 9.1)."""
        zeros = 0
        while not self.u(1):
            zeros += 1
        return (1 << zeros) - 1 + self.u(zeros)


def _sequence(unit: bytes) -> tuple[int, bool]:
    """Return the id of a sequence parameter set, and True if all its pictures are frames."""
    bits = _Bits(unit[1:])
    profile = bits.u(8)
    bits.u(16)
    number = bits.ue()
    if profile in _HIGH:
        if bits.ue() == 3:
            bits.u(1)
        bits.ue(), bits.ue(), bits.u(1)
        if bits.u(1):
            raise ValueError("its parameter sets hold scaling lists")
    bits.ue()
    order = bits.ue()
    if order == 0:
        bits.ue()
    elif order == 1:
        bits.u(1), bits.ue(), bits.ue()
        for _ in range(bits.ue()):
            bits.ue()
    bits.ue(), bits.u(1), bits.ue(), bits.ue()
    return number, bool(bits.u(1))
