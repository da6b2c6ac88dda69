"""Strategies for the parameters of a type of tile, from its JSON schema."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from math import ceil, floor
from typing import Any

from hypothesis import strategies as st
from pydantic import ValidationError

from tessera.node import NodeType

__all__ = ["fitting", "parameters", "wrong_parameters"]

_REACH = 100
"""How far a number goes beyond the bound that it has."""

WRONG: Mapping[str, Any] = {"planted": "fault"}
"""A value that a parameter of any plain type refuses."""

Values = dict[str, Any]


def parameters(node_type: type[NodeType], *, least: int = 0) -> st.SearchStrategy[Values]:
    """At least so many, up to two, parameters of a type, each with a value of its kind. See `fitting`."""
    known: Any = node_type
    return _parameters(known, least)


@cache
def _parameters(node_type: type[NodeType], least: int) -> st.SearchStrategy[Values]:
    schema = node_type.Params.model_json_schema()
    fields = {
        name: found
        for name, one in schema.get("properties", {}).items()
        if (found := _values(one, schema.get("$defs", {}))) is not None
    }
    if not fields:
        # As many choices as where there are fields: no type is simpler than another for having none.
        return st.lists(st.none(), max_size=2).map(lambda _: {})
    names = st.lists(st.sampled_from(list(fields)), min_size=min(least, len(fields)), max_size=2, unique=True)

    @st.composite
    def some(draw: st.DrawFn) -> Values:
        return {name: draw(fields[name]) for name in draw(names)}

    return some()


def fitting(node_type: type[NodeType], values: Values, beside: Mapping[str, Any] = {}) -> Values:
    """Those of the values that the type takes beside other parameters: what it refuses is left out."""
    for _ in range(len(values)):
        try:
            node_type.Params.model_validate({**beside, **values})
        except ValidationError as error:
            wrong = {fault["loc"][0] for fault in error.errors() if fault["loc"]}
            values = {name: value for name, value in values.items() if wrong and name not in wrong}
        else:
            return values
    return {}


def wrong_parameters(node_type: type[NodeType]) -> tuple[str, ...]:
    """The parameters of a type that refuse `WRONG`."""
    known: Any = node_type
    return _wrong_parameters(known)


@cache
def _wrong_parameters(node_type: type[NodeType]) -> tuple[str, ...]:
    found = []
    for name in node_type.Params.model_fields:
        try:
            node_type.Params.model_validate({name: WRONG})
        except ValidationError as error:
            if any(fault["loc"][:1] == (name,) for fault in error.errors()):
                found.append(name)
    return tuple(found)


def _values(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> st.SearchStrategy[Any] | None:
    """Values of a schema, the simplest first; None where there is no knowing."""
    if "$ref" in schema:
        return _values(defs.get(schema["$ref"].rpartition("/")[2], {}), defs)
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        ways = [
            _values(one, defs) for one in sorted(schema["anyOf"], key=lambda one: one.get("type") != "null")
        ]
        known = [way for way in ways if way is not None]
        return st.one_of(known) if known else None
    match schema.get("type"):
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer" | "number":
            return _numbers(schema)
        case "string":
            if "pattern" in schema:
                return st.from_regex(schema["pattern"], fullmatch=True)
            return st.text(
                "ab ", min_size=schema.get("minLength", 0), max_size=min(schema.get("maxLength", 6), 6)
            )
        case "array":
            items = _values(schema.get("items", {}), defs)
            return (
                st.lists(items, min_size=schema.get("minItems", 0), max_size=2) if items is not None else None
            )
    return None


def _numbers(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Whole numbers within the bounds, or any where there is no whole one."""
    least = schema.get("minimum", schema.get("exclusiveMinimum"))
    most = schema.get("maximum", schema.get("exclusiveMaximum"))
    low = least if least is not None else min(0, most - _REACH if most is not None else 0)
    high = most if most is not None else low + _REACH
    first = ceil(low) + ("exclusiveMinimum" in schema and ceil(low) == low)
    last = floor(high) - ("exclusiveMaximum" in schema and floor(high) == high)
    return (
        st.integers(first, last)
        if first <= last
        else st.floats(low, high, exclude_min=True, exclude_max=True)
    )
