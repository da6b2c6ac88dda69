"""Strategies for the parameters of a node type, from its JSON schema."""

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
"""The size of the range of a number that has only one bound, or none."""

WRONG: Mapping[str, Any] = {"planted": "fault"}
"""A value that every parameter of a simple type rejects."""

Values = dict[str, Any]


def parameters(node_type: type[NodeType], *, minimum: int = 0) -> st.SearchStrategy[Values]:
    """Generate `minimum` to two parameters of a type, each valid alone. See `fitting` for combinations."""
    cached_type: Any = node_type
    return _parameters(cached_type, minimum)


@cache
def _parameters(node_type: type[NodeType], minimum: int) -> st.SearchStrategy[Values]:
    schema = node_type.Params.model_json_schema()
    fields = {
        name: found
        for name, member in schema.get("properties", {}).items()
        if (found := _values(member, schema.get("$defs", {}))) is not None
    }
    if not fields:
        # The same number of draws as with fields: otherwise shrinking prefers types without parameters.
        return st.lists(st.none(), max_size=2).map(lambda _: {})
    names = st.lists(
        st.sampled_from(list(fields)), min_size=min(minimum, len(fields)), max_size=2, unique=True
    )

    @st.composite
    def subset(draw: st.DrawFn) -> Values:
        return {name: draw(fields[name]) for name in draw(names)}

    return subset()


def fitting(node_type: type[NodeType], values: Values, beside: Mapping[str, Any] = {}) -> Values:
    """Return the values that the type accepts together with the parameters `beside`, without the others."""
    # Each round removes at least one value, so there are at most as many rounds as values.
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
    """Return the parameters of a type that reject `WRONG`."""
    cached_type: Any = node_type
    return _wrong_parameters(cached_type)


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
    """Return a strategy for the values of a schema, simplest first; None if the schema is not supported."""
    if "$ref" in schema:
        return _values(defs.get(schema["$ref"].rpartition("/")[2], {}), defs)
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        # Null first: Hypothesis shrinks towards the first alternative.
        members = sorted(schema["anyOf"], key=lambda member: member.get("type") != "null")
        supported = [found for member in members if (found := _values(member, defs)) is not None]
        return st.one_of(supported) if supported else None
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
    """Return a strategy for the integers within the bounds, or for floats if there is no such integer."""
    minimum = schema.get("minimum", schema.get("exclusiveMinimum"))
    maximum = schema.get("maximum", schema.get("exclusiveMaximum"))
    low = minimum if minimum is not None else min(0, maximum - _REACH if maximum is not None else 0)
    high = maximum if maximum is not None else low + _REACH
    first = ceil(low) + ("exclusiveMinimum" in schema and ceil(low) == low)
    last = floor(high) - ("exclusiveMaximum" in schema and floor(high) == high)
    return (
        st.integers(first, last)
        if first <= last
        else st.floats(low, high, exclude_min=True, exclude_max=True)
    )
