"""Colour look-up tables in the `.cube` format (Adobe's Cube LUT Specification 1.0)."""

from __future__ import annotations

import math
import re
from pathlib import Path

from tessera.errors import MediaError
from tessera.text.wording import count

__all__ = ["MAX_CUBE_BYTES", "check_cube", "is_cube"]

_SIZE = re.compile(rb"^[ \t]*LUT_([13])D_SIZE[ \t]+([0-9]{1,9})[ \t\r]*$", re.M)
_MAX_LINE = 4_096
"""The bytes of a line that are read: a row of three numbers is much shorter."""
_WORDS = re.compile("TITLE|DOMAIN_MIN|DOMAIN_MAX|LUT_[13]D_SIZE|LUT_[13]D_INPUT_RANGE")
_HEAD = 64 * 1024
MAX_CUBE_BYTES = 50 * 10**6
"""The size of the largest table that is read."""
_MOST = {1: 65_536, 3: 256}


def is_cube(path: Path) -> bool:
    """Return True if the beginning of a file declares a `.cube` table."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return b"\0" not in head and _SIZE.search(head) is not None


def check_cube(path: Path) -> tuple[int, int]:
    """Return the dimensions of a table (1 or 3) and its size along each.

    Raises
    ------
    MediaError
        If the table is incomplete or contains invalid lines.
    """
    held = path.stat().st_size
    if held > MAX_CUBE_BYTES:
        limit = f"a colour table may have at most {MAX_CUBE_BYTES:,}"
        raise MediaError(f"{path.name} has {held:,} bytes; {limit}")
    lines = path.read_bytes().splitlines()
    found = next(match for line in lines if (match := _SIZE.match(line)))
    dimensions, size = int(found[1]), int(found[2])
    if not 2 <= size <= _MOST[dimensions]:
        raise MediaError(
            f"{path.name}: a {dimensions}D table has a size from 2 to {_MOST[dimensions]}, not {size}"
        )
    rows = 0
    for number, line in enumerate(lines, 1):
        words = line[:_MAX_LINE].decode("utf-8", "replace").split()
        if not words or words[0].startswith("#") or _WORDS.fullmatch(words[0]):
            continue
        if not _is_row(words):
            raise MediaError(f"{path.name}: line {number} is not three numbers: {' '.join(words)[:60]!r}")
        rows += 1
    if rows != size**dimensions:
        raise MediaError(
            f"{path.name} holds {count(rows, 'colour')}; a table of its size has {size**dimensions:,}"
        )
    return dimensions, size


def _is_row(words: list[str]) -> bool:
    try:
        return len(words) == 3 and all(math.isfinite(float(word)) for word in words)
    except ValueError:
        return False
