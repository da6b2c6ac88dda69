"""The members of an exported node that name its type: ids and names, and where they contradict each other."""

from __future__ import annotations

from collections.abc import Iterator

from tessera.agent import WireNode
from tessera.node import Catalogue, NodeType, name_key

__all__ = ["contradicting_member", "empty_id_member", "type_member"]

Member = tuple[str, ...]
"""The path of a member in its node."""


def type_member(wire: WireNode) -> Member:
    """Return the path of the member that holds a node's type, or `()` if it has none."""
    if wire.get("node_type"):
        return ("node_type",)
    for name in ("node_type_id", "node_type_name", "node_id", "node"):
        if wire.get(name):
            return (name,)
    return ()


def _ids(wire: WireNode) -> Iterator[tuple[Member, str | None]]:
    yield ("node_type", "node_type_id"), (wire.get("node_type") or {}).get("node_type_id")
    yield ("node_type_id",), wire.get("node_type_id")
    yield ("node_id",), wire.get("node_id")
    yield ("node", "id"), (wire.get("node") or {}).get("id")


def _names(wire: WireNode) -> Iterator[tuple[Member, str | None]]:
    yield ("node_type", "node_type_name"), (wire.get("node_type") or {}).get("node_type_name")
    yield ("node_type_name",), wire.get("node_type_name")
    yield ("node", "name"), (wire.get("node") or {}).get("name")


def empty_id_member(wire: WireNode) -> Member | None:
    """Return the path of an id of the type that is there but empty; None if there is none."""
    return next((path for path, text in _ids(wire) if text is not None and not text.strip()), None)


def contradicting_member(
    wire: WireNode, found: type[NodeType], catalogue: Catalogue
) -> tuple[Member, str] | None:
    """Return the first id or name that does not mean the type `found`, with its path; None if all agree.

    An id that the catalogue does not know contradicts nothing: real exports carry ids that were never
    published. A name that it does not know contradicts an id.
    """
    known = {name_key(name) for name in (found.name, *found.aliases)}
    by_id = any(text and text.lower() == found.type_id.lower() for _path, text in _ids(wire))
    for path, text in _ids(wire):
        other = catalogue.find(text) if text else None
        if text and other is not None and other is not found:
            return path, text
    for path, text in _names(wire):
        if not text or not text.strip() or name_key(text) in known:
            continue
        other = catalogue.find(text)
        if other is not found and (other is not None or by_id):
            return path, text
    return None
