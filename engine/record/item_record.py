"""The members of a record that describe an item: its id, its lineage and its media properties."""

from __future__ import annotations

from typing import Any

from tessera.media.algebra.item import Item, Value, describe, kept_of
from tessera.media.algebra.ranges import NO_SOURCE

__all__ = ["item_record", "sources_of"]


def sources_of(value: Value) -> list[dict[str, Any]]:
    """Return the source ranges that a value shows, in order."""
    return [piece.to_dict() for piece in kept_of(value) if piece[0] != NO_SOURCE]


def item_record(item: Item) -> dict[str, Any]:
    """Return the members of a record that describe an item."""
    return {
        "agent_node_id": item.node,
        "index": item.index,
        "parents": [{"agent_node_id": node, "index": index} for node, index in item.parents],
        "sources": sources_of(item.value),
        "why": item.why,
        "fidelity": item.fidelity,
        **describe(item.value),
    }
