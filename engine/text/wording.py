"""Numbers, names, ids and values as short readable text, without control characters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from tessera.text.masking import mask_urls

__all__ = [
    "bytes_of",
    "count",
    "file_names",
    "has_lone_surrogate",
    "one_line",
    "partial_run_text",
    "printable",
    "printable_json",
    "replace_lone_surrogates",
    "seconds_of",
    "short_ids",
    "short_json",
    "slug",
    "span_of",
]

_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
"""Control characters except tab and newline, and the characters that change the writing direction."""
_UNWRITABLE = "[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
"""Characters that XML 1.0 forbids, lone surrogates (not encodable in UTF-8) among them."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_MIN_ID_LENGTH = 8


def printable(text: str) -> str:
    """Replace control characters, so that a file name or message cannot send commands to a terminal."""
    return re.sub(_CONTROL, "�", text)


def printable_json(text: str) -> str:
    r"""Escape the control characters of JSON text, which JSON allows in strings from U+007F on.

    >>> printable_json('["a\u202eb"]')
    '["a\\u202eb"]'
    """
    return re.sub(_CONTROL, lambda found: f"\\u{ord(found[0]):04x}", text)


def has_lone_surrogate(text: str) -> bool:
    """Return True if a text holds a surrogate without its pair, which no encoding can represent."""
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def replace_lone_surrogates(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot represent; file names that are not UTF-8 contain them.

    >>> replace_lone_surrogates("a\\udcff")
    'a�'
    """
    return text if text.isascii() else _SURROGATE.sub("�", text)


def one_line(text: str) -> str:
    """Return a text on one line, with only the characters that every document can hold.

    >>> one_line("a \\n b\\0")
    'a b�'
    """
    return re.sub(_UNWRITABLE, "�", printable(" ".join(text.split())))


def short_json(value: Any, limit: int = 40) -> str:
    """Return a value as JSON on one line, without the secrets of URLs, cut at `limit` characters."""
    # Masked before it is cut: half a URL may end within its password.
    text = json.dumps(mask_urls(value), ensure_ascii=False, default=str)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def slug(name: str, fallback: str) -> str:
    """Return a name in the form used in file names, or `fallback` if no character of it is allowed there.

    >>> slug("Audio Enhance (2)", "output"), slug("字幕", "output")
    ('audio-enhance-2', 'output')
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or fallback


def file_names(tiles: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return a distinct file name prefix for each tile, by its id. `tiles` are (id, name) pairs in order."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for node, tile_name in tiles:
        short = slug(tile_name, "output")
        names = (short, f"{short}-{node[:8]}", f"{short}-{node}")
        found[node] = next(name for name in names if name not in taken)
        taken.add(found[node])
    return found


def count(number: int, noun: str) -> str:
    """Return a number with its noun, in the singular or the plural.

    >>> count(1, "tile"), count(1200, "tile")
    ('1 tile', '1,200 tiles')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def partial_run_text(part: Mapping[str, Any]) -> str:
    """Describe the part of an agent that a partial run executes.

    >>> partial_run_text({"part": "from", "agent_node_id": "a", "of": "r"})
    'only from a on, the rest as in run r'
    """
    node, of = part["agent_node_id"], f", the rest as in run {part['of']}" if part["of"] else ""
    words = {"until": f"only up to {node}", "from": f"only from {node} on", "only": f"only {node}"}
    return words[part["part"]] + of


def seconds_of(milliseconds: float) -> str:
    """Return milliseconds as text in seconds.

    >>> seconds_of(4004)
    '4.004 s'
    """
    return f"{milliseconds / 1000:.3f}".rstrip("0").rstrip(".") + " s"


def bytes_of(size: float) -> str:
    """Return a number of bytes as text, in decimal units.

    >>> bytes_of(999), bytes_of(12_345_678)
    ('999 bytes', '12.3 MB')
    """
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{int(size)} bytes"


def span_of(start_ms: float | None, end_ms: float | None) -> str:
    """Return a range as text in seconds; None means an open end.

    >>> span_of(1500, None)
    '1.5 s to the end'
    """
    return f"{seconds_of(start_ms or 0)} to {'the end' if end_ms is None else seconds_of(end_ms)}"


def short_ids(ids: Iterable[str]) -> dict[str, str]:
    """Return the shortest prefix of each id that is unique, at least eight characters long.

    >>> short_ids(["11111111-aaaa", "11111111-abbb", "22222222-cccc"])
    {'11111111-aaaa': '11111111-aa', '11111111-abbb': '11111111-ab', '22222222-cccc': '22222222'}
    """
    known = list(dict.fromkeys(ids))
    ranked = sorted(known, key=str.lower)
    # In sorted order, the id that shares the longest prefix is a neighbour.
    need = dict.fromkeys(known, _MIN_ID_LENGTH)
    for before, after in pairwise(ranked):
        common = _common_prefix(before.lower(), after.lower()) + 1
        need[before], need[after] = max(need[before], common), max(need[after], common)
    return {node: node[: need[node]] for node in known}


def _common_prefix(first: str, second: str) -> int:
    """Return the length of the common prefix of two texts."""
    for index, (left, right) in enumerate(zip(first, second, strict=False)):
        if left != right:
            return index
    return min(len(first), len(second))
