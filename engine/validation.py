"""Convert pydantic validation errors to faults: one JSON pointer and one sentence each."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain
from math import isfinite
from typing import TYPE_CHECKING, Any

from tessera.errors import Document, Fault, pointer
from tessera.node import ID_PATTERN
from tessera.text.masking import mask_urls
from tessera.text.nearest import comma_list, suggestion
from tessera.text.wording import has_lone_surrogate

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = [
    "MAX_DEPTH",
    "UNKNOWN_FIELD",
    "Known",
    "Path",
    "faults_of",
    "not_json",
    "problem_of",
    "shown",
    "too_deep",
]

Path = tuple[str | int, ...]
Known = Callable[[Path], Collection[str]]
"""A function from the path of an unknown member to the names that are allowed there."""

MAX_DEPTH = 100
"""The maximum nesting depth of a document, in levels."""

UNKNOWN_FIELD = "unknown field "
"""The beginning of the message about a member with an unknown name; the quoted name follows."""

_CONTAINERS = frozenset({dict, list})
_MANY = 100_000
"""The level size, in containers, from which shared containers are deduplicated."""

_MOST_BITS = 14_000
"""The largest whole number, in bits: Python converts at most 4,300 decimal digits."""


def too_deep(document: Any) -> bool:
    """Return True if a document is nested more than `MAX_DEPTH` levels deep or contains itself."""
    # Breadth first, without recursion: a hostile document must not exhaust the stack.
    level = [document]
    for _ in range(MAX_DEPTH):
        children = chain.from_iterable(
            value.values() if type(value) is dict else value for value in level if type(value) in _CONTAINERS
        )
        below = [child for child in children if type(child) in _CONTAINERS]
        if not below:
            return False
        level = below if len(below) < _MANY else list({id(value): value for value in below}.values())
    return True


def not_json(value: Any) -> tuple[Path, str] | None:
    """Return the path and the problem of the first part that JSON cannot represent, or None.

    The value must not be too deep (see `too_deep`).
    """
    stack: list[tuple[Path, Any]] = [((), value)]
    while stack:
        path, part = stack.pop()
        if isinstance(part, dict):
            for name in part:
                if not isinstance(name, str):
                    return path, f"must be JSON, but has a name that is not a string: {_cut(ascii(name))}"
                if has_lone_surrogate(name):
                    return path, f"must be JSON, but has a name with half a character: {_cut(ascii(name))}"
            stack += [((*path, name), child) for name, child in reversed(part.items())]
        elif isinstance(part, list):
            stack += [((*path, index), child) for index, child in reversed(list(enumerate(part)))]
        elif isinstance(part, float):
            if not isfinite(part):
                return path, "must be a finite number, as all are in JSON"
        elif isinstance(part, str):
            if has_lone_surrogate(part):
                return path, f"must be JSON text, but has half a character: {_cut(ascii(part))}"
        elif isinstance(part, int):
            if part.bit_length() > _MOST_BITS:
                return path, "must be a number that JSON can hold: it has too many digits"
        elif part is not None:
            return path, f"must be JSON, not a {type(part).__name__}"
    return None


def shown(value: Any, limit: int = 60) -> str:
    """Format a JSON value for a message: on one line, without secrets of URLs, cut at `limit` characters."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "an array"
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return "a number of more than 4,300 digits"
    text = json.dumps(mask_urls(value), ensure_ascii=False, default=str).encode("utf-8", "replace").decode()
    return _cut(text, limit)


def _cut(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _present(path: Path, document: Any) -> Path:
    """Return the longest beginning of `path` that exists in `document`.

    Pydantic appends the names of union branches to a path; they are no members of the document.
    """
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
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "path_type": "a path",
    "dataclass_type": "an object",
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
    """Return the allowed values as words to follow "must be", or None to use pydantic's message."""
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


_CODES = {"extra_forbidden": "unknown_field", "missing": "missing_field"}
"""The code of a fault, by the type of pydantic's error."""


def _allowed(known: Collection[str]) -> str:
    return f"; allowed: {comma_list(sorted(known), 12)}" if known else ""


def _message(errors: Sequence[Mapping[str, Any]], name: str, known: Collection[str], value: Any) -> str:
    first = errors[0]
    if first["type"] == "extra_forbidden":
        return f"{UNKNOWN_FIELD}{_cut(repr(mask_urls(name)))}{suggestion(name, known) or _allowed(known)}"
    if first["type"] == "missing":
        return f"{first['loc'][-1]!r} is required"
    wanted = list(dict.fromkeys(words for error in errors if (words := _wanted(error))))
    if wanted:
        return f"must be {' or '.join(wanted)}, not {shown(value)}"
    if first["type"] == "json_invalid":
        return f"it is not JSON: {first['ctx']['error']}"
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
    """Return every fault in a pydantic error with its path below `base`.

    If all branches of a union fail at one place, they give one fault.

    Parameters
    ----------
    document
        The validated value. Pointers only name members that it has.
    kind
        The document that the value belongs to.
    base
        The path of the value in that document.
    known
        The allowed names, for suggestions: those of the top-level members, or a function from the path of
        an unknown member to the names allowed there.
    """
    grouped: dict[tuple[Path, bool], list[Mapping[str, Any]]] = {}
    # A missing member and a wrong value at one path stay two faults.
    for detail in error.errors(include_url=False):
        path = _present(detail["loc"], document)
        grouped.setdefault((path, detail["type"] == "missing"), []).append(detail)
    found = []
    names = known if callable(known) else lambda path: known if len(path) == 1 else ()
    for (path, _missing), errors in grouped.items():
        value = document
        for step in path:
            value = value[step]
        name = str(path[-1]) if path else ""
        message = _message(errors, name, names(path), value)
        code = _CODES.get(errors[0]["type"], "wrong_value")
        found.append((path, Fault(pointer(*base, *path), kind, message, code)))
    return found


def problem_of(error: ValidationError, document: Any = None) -> str:
    """Return the first problem in a pydantic error: a JSON pointer and one sentence.

    Parameters
    ----------
    document
        The validated value, or None if pydantic read it from text: pointers then name the branches of unions.
    """
    if document is not None:
        _path, fault = faults_of(error, document, "request")[0]
        where, message = fault.loc, fault.message
    else:
        first = error.errors(include_url=False)[0]
        where = pointer(*first["loc"])
        message = _message([first], str(first["loc"][-1]) if first["loc"] else "", (), first.get("input"))
    return f"{where}: {message}" if where else message
