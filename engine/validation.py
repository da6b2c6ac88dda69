"""Pydantic's validation errors as faults: one JSON pointer and one sentence for each."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain
from math import isfinite
from typing import TYPE_CHECKING, Any

from tessera.errors import Document, Fault, pointer
from tessera.node import ID_PATTERN
from tessera.text.nearest import comma_list, suggestion
from tessera.text.wording import has_lone_surrogate

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = ["MAX_DEPTH", "Known", "Path", "faults_of", "not_json", "shown", "too_deep"]

Path = tuple[str | int, ...]
Known = Callable[[Path], Collection[str]]
"""The names that are allowed where a path (to a member that is not) leads."""

MAX_DEPTH = 100
"""The greatest number of levels that a document may be nested."""

_CONTAINERS = frozenset({dict, list})
_MANY = 100_000

_MOST_BITS = 14_000
"""Python writes and reads whole numbers of at most 4,300 decimal digits."""


def too_deep(document: Any) -> bool:
    """Whether a document is nested more than `MAX_DEPTH` levels deep; so is one that contains itself."""
    level = [document]
    for _ in range(MAX_DEPTH):
        children = chain.from_iterable(
            one.values() if type(one) is dict else one for one in level if type(one) in _CONTAINERS
        )
        below = [child for child in children if type(child) in _CONTAINERS]
        if not below:
            return False
        level = below if len(below) < _MANY else list({id(value): value for value in below}.values())
    return True


def not_json(value: Any) -> tuple[Path, str] | None:
    """Where a value (not too deep) holds something that JSON cannot say, and what is wrong; or None."""
    stack: list[tuple[Path, Any]] = [((), value)]
    while stack:
        path, one = stack.pop()
        if isinstance(one, dict):
            for name in one:
                if not isinstance(name, str):
                    return path, f"must be JSON, but has a name that is not a string: {_cut(ascii(name))}"
                if has_lone_surrogate(name):
                    return path, f"must be JSON, but has a name with half a character: {_cut(ascii(name))}"
            stack += [((*path, name), child) for name, child in reversed(one.items())]
        elif isinstance(one, list):
            stack += [((*path, index), child) for index, child in reversed(list(enumerate(one)))]
        elif isinstance(one, float):
            if not isfinite(one):
                return path, "must be a finite number, as all are in JSON"
        elif isinstance(one, str):
            if has_lone_surrogate(one):
                return path, f"must be JSON text, but has half a character: {_cut(ascii(one))}"
        elif isinstance(one, int):
            if one.bit_length() > _MOST_BITS:
                return path, "must be a number that JSON can hold: it has too many digits"
        elif one is not None:
            return path, f"must be JSON, not a {type(one).__name__}"
    return None


def shown(value: Any, limit: int = 60) -> str:
    """A JSON value as a message shows it: on one line, cut at `limit` characters."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "an array"
    text = json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "replace").decode()
    return _cut(text, limit)


def _cut(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _present(path: Path, document: Any) -> Path:
    """The part of `path` that is there in `document`; pydantic adds the names of union branches to it."""
    at: list[str | int] = []
    for step in path:
        if isinstance(document, Mapping) and step in document:
            document = document[step]
        elif isinstance(document, Sequence) and not isinstance(document, str) and isinstance(step, int):
            if step >= len(document):
                break
            document = document[step]
        else:
            break
        at.append(step)
    return tuple(at)


_WANTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "an object",
    "mapping_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "list_type": "an array",
    "tuple_type": "an array",
    "none_required": "null",
    "finite_number": "a finite number",
}


def _wanted(error: Mapping[str, Any]) -> str | None:
    """What the place may hold, as words that follow "must be", or None where the message says it all."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in _WANTED:
        return _WANTED[kind]
    if kind == "literal_error":
        return f"one of {context['expected']}"
    for name, words in (("ge", "at least"), ("le", "at most"), ("gt", "more than"), ("lt", "less than")):
        if name in context:
            return f"{words} {context[name]:.15g}"
    if kind in ("string_too_short", "too_short"):
        return f"at least {context['min_length']} long"
    if kind in ("string_too_long", "too_long"):
        return f"at most {context['max_length']} long"
    if kind == "string_pattern_mismatch" and ID_PATTERN.pattern in context["pattern"]:
        return "an id: hex digits in groups of 8-4-4-4-12"
    if kind == "string_pattern_mismatch":
        return f"a string that matches {context['pattern']}"
    return None


def _allowed(known: Collection[str]) -> str:
    return f"; allowed: {comma_list(sorted(known), 12)}" if known else ""


def _message(errors: Sequence[Mapping[str, Any]], name: str, known: Collection[str], value: Any) -> str:
    first = errors[0]
    if first["type"] == "extra_forbidden":
        return f"unknown field {_cut(repr(name))}{suggestion(name, known) or _allowed(known)}"
    if first["type"] == "missing":
        return f"{first['loc'][-1]!r} is required"
    wanted = list(dict.fromkeys(words for error in errors if (words := _wanted(error))))
    if wanted:
        return f"must be {' or '.join(wanted)}, not {shown(value)}"
    text: str = first["msg"]
    return text.removeprefix("Value error, ")


def faults_of(
    error: ValidationError,
    document: Any,
    kind: Document,
    *,
    base: Path = (),
    known: Collection[str] | Known = (),
) -> list[tuple[Path, Fault]]:
    """Every fault in a pydantic error, with the path (below `base`) that it lies at.

    Parameters
    ----------
    document
        The value that was validated; pointers name members that it has.
    kind
        Which document it belongs to.
    base
        Where the value lies in that document.
    known
        The names that are allowed in the place of an unknown one, for suggestions: of members of the
        document's top, or a function from the path of any member.

    Branches of a union that all fail at one place give one fault.
    """
    grouped: dict[tuple[Path, bool], list[Mapping[str, Any]]] = {}
    for one in error.errors(include_url=False):
        path = _present(one["loc"], document)
        grouped.setdefault((path, one["type"] == "missing"), []).append(one)
    found = []
    names = known if callable(known) else lambda path: known if len(path) == 1 else ()
    for (path, _missing), errors in grouped.items():
        value = document
        for step in path:
            value = value[step]
        name = str(path[-1]) if path else ""
        message = _message(errors, name, names(path), value)
        found.append((path, Fault(pointer(*base, *path), kind, message)))
    return found
