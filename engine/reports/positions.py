"""The line and the column of a JSON pointer in the text of a document.

One pass over the tokens, without recursion: the time and the memory are linear in the text, at any depth.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Position", "locate", "syntax_error"]

# Possessive quantifiers keep the search linear; `\Z` ends a string that is never closed.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\Z)|[{}\[\],:]|[^\s"{}\[\],:]++', re.DOTALL)


class Position(NamedTuple):
    """A place in a text: line and column, from 1. A column is a code point; a byte order mark is none."""

    line: int
    column: int


@dataclass(slots=True)
class _Wanted:
    """A step of the wanted pointers, and the offset of the last value seen there."""

    below: dict[str, _Wanted] = field(default_factory=dict)
    offset: int = -1


@dataclass(slots=True)
class _Container:
    """An open object or array; `name` is the member or the index of the value that comes next."""

    wanted: _Wanted
    is_object: bool
    name: str = "0"
    index: int = 0
    expects_name: bool = False

    def next_value(self) -> None:
        """Move to the next value after a comma."""
        self.index += 1
        self.name, self.expects_name = ("", True) if self.is_object else (str(self.index), False)

    def wanted_value(self) -> _Wanted | None:
        return self.wanted.below.get(self.name)


def locate(data: bytes, pointers: Iterable[str]) -> dict[str, Position]:
    """Return the position of the value of each JSON pointer in a document.

    Of two members of the same name, the last counts, as for a JSON parser. A pointer that leads out of the
    document gets the position of the deepest value on its way. A text that is not JSON gives positions as far
    as it can be read.
    """
    text, root = _text(data), _Wanted()
    wanted = dict.fromkeys(pointers)
    for pointer in wanted:
        step = root
        for part in _parts(pointer):
            step = step.below.setdefault(part, _Wanted())
    _scan(text, root)
    at = _Lines(text)
    return {pointer: at.position(_offset(root, pointer)) for pointer in wanted}


def syntax_error(data: bytes) -> Position:
    """Return the position at which a document stops being JSON in UTF-8, or its start if it is JSON."""
    try:
        text = data.decode("utf-8-sig")
        json.loads(text)
    except UnicodeDecodeError as error:
        text = data[: error.start].decode("utf-8-sig", "replace")
        return _Lines(text).position(len(text))
    except json.JSONDecodeError as error:
        return _Lines(text).position(error.pos)
    except (ValueError, RecursionError):
        pass
    return Position(1, 1)


def _text(data: bytes) -> str:
    return data.decode("utf-8-sig", "replace")


def _parts(pointer: str) -> Iterator[str]:
    return (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])


def _scan(text: str, root: _Wanted) -> None:
    """Set the offset of every wanted value."""
    outer = _Container(_Wanted({"": root}), True, "")
    stack = [outer]
    tokens = _TOKEN.finditer(text)
    for match in tokens:
        token, container = match[0], stack[-1]
        if token == ",":
            container.next_value()
        elif token == ":":
            continue
        elif token in "}]":
            if len(stack) > 1:
                stack.pop()
        elif container.expects_name:
            container.name, container.expects_name = _string(token), False
        else:
            value = container.wanted_value()
            if value is None:
                if token in "{[":
                    _skip(tokens)
                continue
            value.offset = match.start()
            if token in "{[":
                stack.append(_Container(value, token == "{", "0", 0, token == "{"))


def _skip(tokens: Iterator[re.Match[str]]) -> None:
    """Skip the rest of an object or array without a wanted value."""
    depth = 1
    for match in tokens:
        token = match[0]
        if token in "{[":
            depth += 1
        elif token in "}]":
            depth -= 1
            if not depth:
                return


def _string(token: str) -> str:
    try:
        return str(json.loads(token))
    except (ValueError, RecursionError):
        return token


def _offset(root: _Wanted, pointer: str) -> int:
    """Return the offset of the deepest value on the way of a pointer."""
    step, found = root, max(root.offset, 0)
    for part in _parts(pointer):
        step = step.below[part]
        # A smaller offset is from an earlier member of the same name, which the last one replaces.
        if step.offset <= found:
            break
        found = step.offset
    return found


class _Lines:
    """The lines of a text."""

    def __init__(self, text: str) -> None:
        self.ends = [match.start() for match in re.finditer("\n", text)]

    def position(self, offset: int) -> Position:
        line = bisect_left(self.ends, offset)
        return Position(line + 1, offset - (self.ends[line - 1] + 1 if line else 0) + 1)
