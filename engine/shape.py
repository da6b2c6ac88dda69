"""Pydantic's validation errors as faults: one JSON pointer and one sentence for each."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from engine.errors import Document, Fault, pointer
from engine.nearest import suggestion

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = ["Fault", "Path", "faults_of", "shown"]

Path = tuple[str | int, ...]


def shown(value: Any, limit: int = 60) -> str:
    """A JSON value as a message shows it: on one line, cut at `limit` characters."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "an array"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _present(path: Path, document: Any) -> Path:
    """The part of `path` that is there in `document`; pydantic adds the names of union branches to its own."""
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
            return f"{words} {context[name]}"
    if kind in ("string_too_short", "too_short"):
        return f"at least {context['min_length']} long"
    if kind in ("string_too_long", "too_long"):
        return f"at most {context['max_length']} long"
    if kind == "string_pattern_mismatch":
        return f"a string that matches {context['pattern']}"
    return None


def _message(errors: Sequence[Mapping[str, Any]], name: str, known: Collection[str], value: Any) -> str:
    first = errors[0]
    if first["type"] == "extra_forbidden":
        allowed = f"; allowed: {', '.join(sorted(known))}" if known and len(known) <= 12 else ""
        return f"unknown field {name!r}{suggestion(name, known) or allowed}"
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
    known: Collection[str] = (),
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
        The names allowed at its top, for suggestions.

    Branches of a union that all fail at one place give one fault.
    """
    grouped: dict[tuple[Path, bool], list[Mapping[str, Any]]] = {}
    for one in error.errors(include_url=False):
        path = _present(one["loc"], document)
        grouped.setdefault((path, one["type"] == "missing"), []).append(one)
    found = []
    for (path, _missing), errors in grouped.items():
        value = document
        for step in path:
            value = value[step]
        name = str(path[-1]) if path else ""
        message = _message(errors, name, known if len(path) == 1 else (), value)
        found.append((path, Fault(pointer(*base, *path), kind, message)))
    return found
