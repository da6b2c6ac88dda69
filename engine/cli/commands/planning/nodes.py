"""`tessera nodes`: the installed node types and their parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tessera.cli.display.output import OK, put_json, refuse
from tessera.text.wording import short_json

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tessera.node import Kind, NodeType

__all__ = ["nodes"]


def nodes(wanted: str | None, *, as_json: bool) -> int:
    """Print the catalogue, or one type with its parameters."""
    from tessera.settings import default_catalogue

    catalogue = default_catalogue()
    if wanted is None:
        if as_json:
            put_json({"node_types": [_wire(kind) for kind in catalogue]})
        else:
            _show([_catalogue(catalogue)])
        return OK
    kind = catalogue.find(wanted)
    if kind is None:
        from tessera.text.nearest import suggestion

        near = suggestion(wanted, catalogue.names())
        raise refuse(f"unknown node type {wanted!r}{near or '; `tessera nodes` lists them'}")
    if as_json:
        put_json({"node_types": [{**_wire(kind), "param_schema": kind.Params.model_json_schema()}]})
    else:
        _show(_one(kind))
    return OK


def _show(parts: Iterable[RenderableType]) -> None:
    from tessera.cli.display.tables import show

    show(parts)


def _wire(kind: type[NodeType]) -> dict[str, Any]:
    """Return a node type as in the contract, with additional members."""
    return {
        "node_type_id": kind.type_id,
        "node_type_name": kind.name,
        "docs_url": None,
        "params_docs_url": None,
        "category": kind.category,
        "summary": kind.summary,
        "accepts": sorted(kind.accepts),
        "optional_input": kind.optional_input,
        "produces": kind.produces,
        "combines": kind.combines,
        "executable": kind.executable(),
        "source": kind.source,
    }


def _flow(kind: type[NodeType]) -> str:
    return f"{_into(kind)} → {kind.produces or '–'}"


def _into(kind: type[NodeType]) -> str:
    taken = _kinds(kind.accepts)
    if kind.combines and taken != "–":
        taken += " (all)"
    return f"[{taken}]" if kind.optional_input else taken


def _kinds(kinds: Iterable[Kind]) -> str:
    return " | ".join(sorted(kinds)) or "–"


def _catalogue(kinds: Iterable[type[NodeType]]) -> RenderableType:
    from tessera.cli.display.tables import table

    rows = [
        (kind.name, kind.category, _flow(kind), "yes" if kind.executable() else "not yet", kind.summary)
        for kind in kinds
    ]
    return table(("name", "category", "in → out", "runs", "what it does"), rows)


def _one(kind: type[NodeType]) -> Iterator[RenderableType]:
    from rich.text import Text

    from tessera.cli.display.tables import section, table

    yield Text(kind.name, style="bold")
    yield Text(kind.summary)
    runs = "runs here" if kind.executable() else "cannot be run yet, only planned and simulated"
    yield Text(f"{kind.category}, {_flow(kind)}, {runs}")
    yield Text(f"id {kind.type_id} ({kind.source})")
    rows = list(_parameters(kind.Params.model_json_schema()))
    if kind.protected():
        yield Text("protected: a request cannot override its parameters")
    if not rows:
        yield Text("no parameters")
        return
    columns = ("name", "type", "default", "allowed", "named by", "description")
    yield from section("parameters", table(columns, rows))


def _parameters(schema: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    required, defs = schema.get("required", ()), schema.get("$defs", {})
    for name, one in schema.get("properties", {}).items():
        branches = [_resolved(branch, defs) for branch in (one.get("anyOf") or [one])]
        types = dict.fromkeys(_type(branch) for branch in branches)
        allowed = dict.fromkeys(text for branch in branches if (text := _allowed(branch)))
        default = "(required)" if name in required else short_json(one.get("default"))
        named = "ours" if one.get("source") == "ours" else "documented"
        yield name, " | ".join(types), default, "; ".join(allowed), named, one.get("description", "")


def _resolved(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> Mapping[str, Any]:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return defs.get(name, schema) if name else schema


def _type(schema: Mapping[str, Any]) -> str:
    if "type" not in schema and ("enum" in schema or "const" in schema):
        return "any"
    if schema.get("type") == "array":
        return f"array of {schema.get('items', {}).get('type', 'any')}"
    return str(schema.get("type", "any"))


def _allowed(schema: Mapping[str, Any]) -> str:
    """Summarise the values that a schema allows."""
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    bounds = (
        ("minimum", "≥"),
        ("exclusiveMinimum", ">"),
        ("maximum", "≤"),
        ("exclusiveMaximum", "<"),
        ("multipleOf", "a multiple of"),
        ("minLength", "length ≥"),
        ("maxLength", "length ≤"),
        ("pattern", "matches"),
    )
    return ", ".join(f"{sign} {schema[key]}" for key, sign in bounds if key in schema)
