"""Seeded mutations of bytes, of JSON values and of archives."""

from __future__ import annotations

import io
import json
import re
import warnings
import zipfile
from copy import deepcopy
from random import Random
from typing import Any

__all__ = ["HOSTILE", "json_text", "mutated_archive", "mutated_bytes", "mutated_value"]

HOSTILE: tuple[Any, ...] = (
    None, True, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63), 10**400, 0.1, -0.0, 1e308, 5e-324, "", " ",
    "0", "-1",
    "0/0", "1/0", "-1/1", "1/99999999999999999999", "NaN", "inf", "1e999", "9" * 5000, "\0", "\x1b[2J",
    "\u202e",
    "\ud800", "é" * 300, "../../etc/passwd", "/dev/zero", "http://", "http://[::1", "https://h:99999/",
    "C:\\a",
    "file:///etc/passwd", "x" * 100_000, [], {}, [[]], [None], {"": None}, [{}], ["0/0"], {"a": {"b": []}},
    "00000000-0000-0000-0000-000000000000", "%s%n", "{}", "{0.__class__}", "<svg/>", "2026-13-45T99:99:99Z",
)  # fmt: skip
"""Values that readers are known to stumble over."""
_NEST = "nested, in levels: "
"""Stands for a value nested so many levels deep, which cannot be encoded as others are."""
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)


def mutated_bytes(data: bytes, random: Random) -> bytes:
    """Return some bytes with one to eight changes, most of them small."""
    made = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 4, 8))):
        # The beginning holds the headers: half of all changes are there.
        end = len(made) if random.random() < 0.5 else min(len(made), 4096)
        at = random.randrange(end + 1)
        size = random.choice((1, 1, 2, 4, 16, 256, 4096))
        match random.randrange(7):
            case 0 if at < len(made):
                made[at] ^= 1 << random.randrange(8)
            case 1:
                made[at : at + size] = random.randbytes(size)
            case 2:
                del made[at : at + size]
            case 3:
                made[at:at] = made[at : at + size]
            case 4:
                del made[at:]
            case 5:
                made[at : at + 4] = random.choice(_NUMBERS).to_bytes(4, random.choice(("big", "little")))
            case _:
                other = random.randrange(len(made) + 1)
                made[at : at + size] = made[other : other + size]
    return bytes(made)


def mutated_value(value: Any, random: Random) -> Any:
    """Return a JSON value with one to four members replaced, removed, renamed, repeated or nested."""
    whole = [deepcopy(value)]
    for _ in range(random.choice((1, 1, 1, 3))):
        holder, key = random.choice([*_places(whole)])
        match random.randrange(8):
            case 0 | 1 | 2:
                holder[key] = deepcopy(random.choice(HOSTILE))
            case 3 if isinstance(holder, dict):
                del holder[key]
            case 4 if isinstance(holder, dict):
                holder[str(random.choice(HOSTILE))[:200]] = holder.pop(key)
            case 5 if isinstance(holder, list) and holder is not whole:
                holder.extend([holder[key]] * random.choice((1, 2, 100)))
            case 6:
                holder[key] = f"{_NEST}{random.choice((1, 10, 101, 1_500, 100_000))}"
            case _:
                other, name = random.choice([*_places(whole)])
                holder[key] = deepcopy(other[name])
    return whole[0]


def _places(whole: list[Any]) -> list[tuple[Any, Any]]:
    """Return every member and element of a value, as its holder and its key."""
    found: list[tuple[Any, Any]] = []
    todo: list[Any] = [whole]
    while todo and len(found) < 5_000:
        holder = todo.pop()
        for key in holder if isinstance(holder, dict) else range(len(holder)):
            found.append((holder, key))
            if isinstance(holder[key], dict | list):
                todo.append(holder[key])
    return found


def mutated_archive(data: bytes, random: Random) -> bytes:
    """Return an archive with one of its members, or its own structure, changed."""
    if random.random() < 0.3:
        return mutated_bytes(data, random)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        members = {name: old.read(name) for name in old.namelist()}
        chosen = random.choice([*members])
        match random.randrange(6):
            case 0:
                del members[chosen]
            case 1:
                members[random.choice(("../x", "/x", "a" * 300, "\x1b", " ", "CON"))] = members.pop(chosen)
            case 2:
                members[chosen] = mutated_bytes(members[chosen], random)
            case _ if chosen.endswith(".json"):
                members[chosen] = json_text(mutated_value(json.loads(members[chosen]), random))
            case _ if chosen.endswith(".jsonl"):
                lines = members[chosen].splitlines()
                at = random.randrange(len(lines))
                lines[at] = json_text(mutated_value(json.loads(lines[at]), random))
                members[chosen] = b"\n".join(lines)
            case _:
                members[chosen] = random.randbytes(random.choice((0, 10, 100_000)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that occur twice
            for name, content in members.items():
                new.writestr(name, content, random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))
                if random.random() < 0.02:
                    new.writestr(name, content)
    return out.getvalue()


def json_text(value: Any) -> bytes:
    """Return a mutated value as JSON."""
    return re.sub(f'"{_NEST}([0-9]+)"', _nested, json.dumps(value)).encode()


def _nested(found: re.Match[str]) -> str:
    levels = int(found[1])
    return '[{"a":' * (levels // 2) + "1" + "}]" * (levels // 2)
