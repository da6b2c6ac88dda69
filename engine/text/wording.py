"""Names, ids and values as a person reads them: on one line, without what a terminal would obey."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

__all__ = [
    "bytes_of",
    "clean",
    "count",
    "file_names",
    "has_half",
    "json_object",
    "one_line",
    "part_in_words",
    "seconds_of",
    "short_ids",
    "shown",
    "slug",
    "span_of",
    "whole",
]

_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
"""Control characters but tab and newline, and those that turn the direction of writing."""
_UNWRITABLE = "[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
"""What no XML document may hold; half characters, which UTF-8 cannot, among it."""
_HALF = re.compile("[\ud800-\udfff]")
_SHORTEST = 8


def json_object(text: str | bytes) -> dict[str, Any]:
    """A JSON object from its text.

    Raises
    ------
    ValueError
        It is none.
    """
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError(f"{shown(found)} is no object")
    return found


def clean(text: str) -> str:
    """Text for a terminal: without the control characters that a file's name or a message may hold."""
    return re.sub(_CONTROL, "�", text)


def has_half(text: str) -> bool:
    """Whether a text holds a surrogate that is no part of a pair, which no encoding can say."""
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def whole(text: str) -> str:
    """Text without half characters, which UTF-8 cannot hold; a file's name may bring them.

    >>> whole("a\\udcff")
    'a�'
    """
    return _HALF.sub("�", text)


def one_line(text: str) -> str:
    """Text on one line, of characters that every document can hold.

    >>> one_line("a \\n b\\0")
    'a b�'
    """
    return re.sub(_UNWRITABLE, "�", clean(" ".join(text.split())))


def shown(value: Any, limit: int = 40) -> str:
    """A parameter's value on one line, cut at `limit` characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def slug(name: str, otherwise: str) -> str:
    """A name as a part of a file's; `otherwise` where nothing of it can stand there.

    >>> slug("Audio Enhance (2)", "output"), slug("字幕", "output")
    ('audio-enhance-2', 'output')
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or otherwise


def file_names(tiles: Iterable[tuple[str, str]]) -> dict[str, str]:
    """How the names of files of tiles begin, by id, each another: given are their ids and names, in order."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for node, name in tiles:
        short = slug(name, "output")
        names = (short, f"{short}-{node[:8]}", f"{short}-{node}")
        found[node] = next(one for one in names if one not in taken)
        taken.add(found[node])
    return found


def count(number: int, what: str) -> str:
    """A number of things.

    >>> count(1, "tile"), count(1200, "tile")
    ('1 tile', '1,200 tiles')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def part_in_words(part: Mapping[str, Any]) -> str:
    """Which part of an agent ran.

    >>> part_in_words({"part": "from", "agent_node_id": "a", "of": "r"})
    'only from a on, the rest as in run r'
    """
    node, of = part["agent_node_id"], f", the rest as in run {part['of']}" if part["of"] else ""
    words = {"until": f"only up to {node}", "from": f"only from {node} on", "only": f"only {node}"}
    return words[part["part"]] + of


def seconds_of(milliseconds: float) -> str:
    """Milliseconds as seconds.

    >>> seconds_of(4004)
    '4.004 s'
    """
    return f"{milliseconds / 1000:.3f}".rstrip("0").rstrip(".") + " s"


def bytes_of(size: float) -> str:
    """A number of bytes.

    >>> bytes_of(999), bytes_of(12_345_678)
    ('999 bytes', '12.3 MB')
    """
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{int(size)} bytes"


def span_of(start_ms: float | None, end_ms: float | None) -> str:
    """A range in seconds, either end of which may be open.

    >>> span_of(1500, None)
    '1.5 s to the end'
    """
    return f"{seconds_of(start_ms or 0)} to {'the end' if end_ms is None else seconds_of(end_ms)}"


def short_ids(ids: Iterable[str]) -> dict[str, str]:
    """The shortest beginning of each id, of eight characters at least, that no other id shares.

    >>> short_ids(["11111111-aaaa", "11111111-abbb", "22222222-cccc"])
    {'11111111-aaaa': '11111111-aa', '11111111-abbb': '11111111-ab', '22222222-cccc': '22222222'}
    """
    known = list(dict.fromkeys(ids))
    ranked = sorted(known, key=str.lower)
    need = dict.fromkeys(known, _SHORTEST)
    for before, after in pairwise(ranked):
        common = _common(before.lower(), after.lower()) + 1
        need[before], need[after] = max(need[before], common), max(need[after], common)
    return {node: node[: need[node]] for node in known}


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    for index, (mine, theirs) in enumerate(zip(one, other, strict=False)):
        if mine != theirs:
            return index
    return min(len(one), len(other))
