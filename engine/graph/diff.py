"""Compares two agents, plans, requests or records of runs. Pure functions of the documents.

The comparison is about the effect of a document, not about its spelling. It ignores the order of members,
the case of ids, and whether a value is explicit or a default. It also ignores the ids of runs and renders,
times, and the URLs and paths that a run created.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any, Literal

from tessera.errors import Fault, RequestError
from tessera.graph.load import UnknownTiles
from tessera.graph.views import Kind, View, read_view
from tessera.text.wording import count

__all__ = ["Comparison", "Difference", "Section", "diff"]

Section = Literal[
    "tile", "edge", "order", "parameter", "ignored", "input", "status", "items", "output", "member"
]
Key = str
"""A tile's id in lower case."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between two documents.

    Attributes
    ----------
    node, target
        The tile concerned; for an edge, its two ends.
    index
        For an output: its position among the outputs of its tile, from 1.
    name
        For a parameter, an output or a request: the member that differs.
    old, new
        The values in the first and in the second document; None if absent.
    old_origin, new_origin
        For a parameter: the origin of each value.
    note
        The cause, if the documents contain one.
    """

    section: Section
    change: Literal["added", "removed", "changed"]
    node: str | None = None
    target: str | None = None
    index: int | None = None
    name: str | None = None
    old: Any = None
    new: Any = None
    old_origin: str | None = None
    new_origin: str | None = None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        members = {
            "agent_node_id": self.node,
            "target_agent_node_id": self.target,
            "index": self.index,
            "name": self.name,
            "old_origin": self.old_origin,
            "new_origin": self.new_origin,
            "note": self.note or None,
        }
        present = {name: value for name, value in members.items() if value is not None}
        return {"section": self.section, "change": self.change, **present, "old": self.old, "new": self.new}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences between two documents.

    Attributes
    ----------
    kinds
        The kinds of the two documents.
    notes
        Observations that do not count as differences.
    names
        Tile id → tile name.
    views
        The comparable content of both documents, with the same ids for tiles that are compared.
    """

    kinds: tuple[Kind, Kind]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    views: tuple[View, View] | None = field(default=None, repr=False, compare=False)

    def __bool__(self) -> bool:
        """Return True if the documents differ."""
        return bool(self.differences)

    def summary(self) -> str:
        """Return the number of differences in each section, as text."""
        sections: dict[str, int] = {}
        for difference in self.differences:
            sections[difference.section] = sections.get(difference.section, 0) + 1
        plurals = {
            "status": "statuses",
            "items": "counts of items",
            "order": "orders",
            "ignored": "ignored tiles",
        }
        counts = (
            f"{number:,} {plurals[name]}" if name in plurals and number > 1 else _counted(name, number)
            for name, number in sections.items()
        )
        return ", ".join(counts) or "no differences"

    def to_dict(self) -> dict[str, Any]:
        return {
            "equal": not self.differences,
            "kinds": list(self.kinds),
            "differences": [difference.to_dict() for difference in self.differences],
            "notes": list(self.notes),
            "names": dict(self.names),
        }


def _counted(name: str, number: int) -> str:
    return count(number, {"items": "count of items", "ignored": "ignored tile"}.get(name, name))


def diff(old: Any, new: Any, *, unknown_tiles: UnknownTiles = "error") -> Comparison:
    """Compare two documents of one kind, or an agent and a plan.

    Parameters
    ----------
    old, new
        A path, JSON text, a dict, or a loaded agent, plan, request or record.
    unknown_tiles
        As in `load_agent`.

    Raises
    ------
    RequestError
        If a document is of no known kind or has faults, or if the two kinds cannot be compared.

    Examples
    --------
    >>> diff({"video_ids": ["a"]}, {"video_id_inputs": [{"id": "a"}]}).summary()
    'no differences'
    """
    before, after = _read(old, "first", unknown_tiles), _read(new, "second", unknown_tiles)
    kinds = (before.kind, after.kind)
    if before.kind != after.kind and set(kinds) != {"agent", "plan"}:
        kinds_text = f"{_with_article(before.kind)} (first) with {_with_article(after.kind)} (second)"
        raise RequestError([Fault("", "request", f"cannot compare {kinds_text}")])
    notes = list(_notes(before, after))
    if (
        before.kind == "agent"
        and before.tiles
        and after.tiles
        and not before.tiles.keys() & after.tiles.keys()
    ):
        before = _with_paired_ids(before, after)
        notes.append("the two agents share no tile id: tiles of the same type are paired in order")
    tiles = [tile for view in (before, after) for tile in (*view.absent.values(), *view.tiles.values())]
    names = {tile.id: tile.name for tile in tiles if tile.name}
    return Comparison(kinds, tuple(_differences(before, after)), tuple(notes), names, (before, after))


def _read(document: Any, which: str, unknown_tiles: UnknownTiles) -> View:
    try:
        return read_view(document, unknown_tiles)
    except RequestError as error:
        faults = [
            Fault(fault.loc, fault.document, f"the {which} document: {fault.message}")
            for fault in error.errors
        ]
        raise RequestError(faults) from None


def _with_article(kind: str) -> str:
    return f"an {kind}" if kind == "agent" else f"a {kind}"


def _notes(before: View, after: View) -> Iterator[str]:
    if before.name != after.name and before.kind != "request":
        yield f"the names of the agents are {before.name!r} and {after.name!r}"
    if before.mode != after.mode:
        yield f"the first is a {before.mode}, the second a {after.mode}"


def _with_paired_ids(before: View, after: View) -> View:
    """Return the first agent with the ids of the second; tiles of one type pair up in topological order."""
    unpaired: dict[str, list[Key]] = {}
    # Reversed, so that `pop` takes the first tile of a type first.
    for key in reversed(after.order):
        unpaired.setdefault(after.tiles[key].type_id, []).append(key)
    pairs = {
        key: keys.pop() if (keys := unpaired.get(before.tiles[key].type_id)) else key for key in before.order
    }
    tiles = {
        pairs[key]: replace(tile, id=after.tiles[pairs[key]].id if pairs[key] in after.tiles else tile.id)
        for key, tile in before.tiles.items()
    }
    edges = {(pairs[source], pairs[target]): via for (source, target), via in before.edges.items()}
    parameters = {pairs[key]: values for key, values in before.parameters.items()}
    feeders = {pairs[key]: tuple(pairs[source] for source in keys) for key, keys in before.feeders.items()}
    order = tuple(pairs[key] for key in before.order)
    return replace(before, tiles=tiles, edges=edges, parameters=parameters, feeders=feeders, order=order)


def _differences(before: View, after: View) -> Iterator[Difference]:
    yield from _statuses(before, after)
    yield from _tiles(before, after)
    yield from _edges(before, after)
    yield from _orders(before, after)
    yield from _parameters(before, after)
    yield from _ignored(before, after)
    if before.kind == after.kind:
        yield from _inputs(before, after)
    yield from _members(before, after)
    yield from _items(before, after)
    yield from _outputs(before, after)


def _union(first: Iterable[Any], second: Iterable[Any]) -> list[Any]:
    """Return the distinct elements of both, in the order of the first, then of the second."""
    return list(dict.fromkeys([*first, *second]))


def _change(old: Any, new: Any) -> Literal["added", "removed", "changed"]:
    return "added" if old is None else "removed" if new is None else "changed"


def _tiles(before: View, after: View) -> Iterator[Difference]:
    for key in _union(before.tiles, after.tiles):
        old, new = before.tiles.get(key), after.tiles.get(key)
        tile = new or old
        assert tile is not None
        if old is None or new is None:
            other, which = (before, "first") if old is None else (after, "second")
            state = other.absent[key].state if key in other.absent else ""
            note = f"{state} in the {which}" if state else ""
            old_name, new_name = old and old.name, new and new.name
            yield Difference("tile", _change(old, new), tile.id, old=old_name, new=new_name, note=note)
        elif old.type_id != new.type_id:
            yield Difference("tile", "changed", tile.id, name="type", old=old.name, new=new.name)


def _edges(before: View, after: View) -> Iterator[Difference]:
    for pair in _union(before.edges, after.edges):
        old, new = before.edges.get(pair), after.edges.get(pair)
        if old == new:
            continue
        view = after if new is not None else before
        ends = (view.id_of(pair[0]), view.id_of(pair[1]))
        yield Difference(
            "edge", _change(old, new), *ends, name="via", old=_ids(before, old), new=_ids(after, new)
        )


def _ids(view: View, keys: tuple[Key, ...] | None) -> list[str] | None:
    return None if keys is None else [view.id_of(key) for key in keys]


def _orders(before: View, after: View) -> Iterator[Difference]:
    """Yield the tiles whose items arrive in another order, since the shared feeders are in another order."""
    for key in (key for key in before.feeders if key in after.feeders):
        shared = set(before.feeders[key]) & set(after.feeders[key])
        old = tuple(feeder for feeder in before.feeders[key] if feeder in shared)
        new = tuple(feeder for feeder in after.feeders[key] if feeder in shared)
        if old != new:
            yield Difference(
                *("order", "changed", after.id_of(key)),
                name="fed by",
                old=_ids(before, old),
                new=_ids(after, new),
            )


def _parameters(before: View, after: View) -> Iterator[Difference]:
    for key in _union(before.parameters, after.parameters):
        old, new = before.parameters.get(key, {}), after.parameters.get(key, {})
        pair = before.tiles.get(key), after.tiles.get(key)
        if before.kind != "request" and (
            pair[0] is None or pair[1] is None or pair[0].type_id != pair[1].type_id
        ):
            continue
        node = after.id_of(key) if key in after.parameters else before.id_of(key)
        for name in _union(old, new):
            old_value, new_value = old.get(name), new.get(name)
            # A record holds only overrides: take the value before an override from the other record.
            old_value = old_value or after.original_values.get((key, name))
            new_value = new_value or before.original_values.get((key, name))
            if old_value and new_value and same(old_value[0], new_value[0]):
                continue
            yield Difference(
                *("parameter", _change(old_value, new_value), node),
                name=name,
                old=old_value and old_value[0],
                new=new_value and new_value[0],
                old_origin=old_value and old_value[1],
                new_origin=new_value and new_value[1],
            )


def _ignored(before: View, after: View) -> Iterator[Difference]:
    for key in _union(before.ignored, after.ignored):
        old, new = before.ignored.get(key), after.ignored.get(key)
        if old is None or new is None:
            yield Difference("ignored", _change(old, new), new or old, old=old, new=new)


def _inputs(before: View, after: View) -> Iterator[Difference]:
    old, new = before.inputs, after.inputs
    if len(old) == len(new) == 1 and None in (*old, *new):
        # Top-level sources (key None) belong to the only Video Input, whatever its id.
        old = {next(iter(new)): next(iter(old.values()))}
    for key in _union(old, new):
        node = None if key is None else (after if key in new else before).id_of(key)
        old_sources, new_sources = old.get(key, ()), new.get(key, ())
        for left, right in _unequal_pairs(old_sources, new_sources):
            old_facts = None if left is None else dict(left)
            new_facts = None if right is None else dict(right)
            yield Difference("input", _change(old_facts, new_facts), node, old=old_facts, new=new_facts)


def _unequal_pairs(old: Sequence[Any], new: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield the entries of two lists that differ, as pairs of old and new; None is a missing entry.

    The pairs of (new, old) are the same, turned round: of several alignments with equally many equal entries
    `SequenceMatcher` prefers one by its first list, so the lists are always given to it in the same order.
    """
    turned = (len(new), repr(new)) < (len(old), repr(old))
    first, second = (new, old) if turned else (old, new)
    for tag, start, end, begin, stop in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        if tag != "equal":
            for left, right in zip_longest(first[start:end], second[begin:stop]):
                yield (right, left) if turned else (left, right)


def _members(before: View, after: View) -> Iterator[Difference]:
    for name in _union(before.members, after.members):
        old, new = before.members.get(name), after.members.get(name)
        if not same(old, new):
            yield Difference("member", _change(old, new), name=name, old=old, new=new)


def _statuses(before: View, after: View) -> Iterator[Difference]:
    for key in _union(before.statuses, after.statuses):
        old, new = before.statuses.get(key), after.statuses.get(key)
        if old and new and old[0] != new[0]:
            node = after.id_of(key) if key is not None else None
            yield Difference("status", "changed", node, old=old[0], new=new[0], note=new[1] or old[1] or "")


def _items(before: View, after: View) -> Iterator[Difference]:
    for key in (key for key in before.item_counts if key in after.item_counts):
        old, new = before.item_counts[key], after.item_counts[key]
        if old != new:
            yield Difference("items", "changed", after.id_of(key), old=old, new=new)


def _outputs(before: View, after: View) -> Iterator[Difference]:
    for key in _union(before.outputs, after.outputs):
        old, new = before.outputs.get(key), after.outputs.get(key)
        node, index = (after if new is not None else before).id_of(key[0]), key[1] + 1
        if old is None or new is None:
            yield Difference("output", _change(old, new), node, index=index, old=old, new=new)
            continue
        for name in _union(old, new):
            old_value, new_value = old.get(name), new.get(name)
            if not same(old_value, new_value):
                yield Difference(
                    "output", "changed", node, index=index, name=name, old=old_value, new=new_value
                )


def same(first: Any, second: Any) -> bool:
    """Return True if two JSON values are equal: `1` equals `1.0`, but not `true`.

    >>> same({"a": [1]}, {"a": [1.0]}), same(1, True)
    (True, False)
    """
    # An explicit stack: nesting of user documents must not exhaust Python's recursion limit.
    stack = [(first, second)]
    while stack:
        old_value, new_value = stack.pop()
        if isinstance(old_value, bool) or isinstance(new_value, bool):
            if old_value is not new_value:
                return False
        elif isinstance(old_value, dict) and isinstance(new_value, dict):
            if old_value.keys() != new_value.keys():
                return False
            stack += [(old_value[name], new_value[name]) for name in old_value]
        elif isinstance(old_value, list | tuple) and isinstance(new_value, list | tuple):
            if len(old_value) != len(new_value):
                return False
            stack += zip(old_value, new_value, strict=True)
        elif old_value != new_value:
            return False
    return True
