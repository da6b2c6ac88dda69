"""What differs between two agents, plans, requests or records of runs. Pure functions of the documents.

What a run would do, or did, is compared, not how it is written down: neither the order of members counts,
nor the form of a source, the case of an id, or whether a value is set or is the default. Ids of runs and
renders, times, URLs and paths that a run made do not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
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
    """One thing that differs.

    Attributes
    ----------
    node, target
        The tile that it is about; of an edge, both its ends.
    index
        Of an output: its place among those of its tile, from 1.
    name
        Of a parameter, an output or a request: which member differs.
    old, new
        What stands in the first document and in the second; None where nothing does.
    old_origin, new_origin
        Of a parameter: where each value came from.
    note
        The cause, where the documents tell one.
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
        told = {name: value for name, value in members.items() if value is not None}
        return {"section": self.section, "change": self.change, **told, "old": self.old, "new": self.new}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences of two documents; `names` holds the name of each tile by its id.

    Attributes
    ----------
    notes
        What else was seen; it does not make the documents differ.
    """

    kinds: tuple[Kind, Kind]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether the documents differ."""
        return bool(self.differences)

    def summary(self) -> str:
        """How many differences of each section there are."""
        sections: dict[str, int] = {}
        for one in self.differences:
            sections[one.section] = sections.get(one.section, 0) + 1
        plurals = {
            "status": "statuses",
            "items": "counts of items",
            "order": "orders",
            "ignored": "ignored tiles",
        }
        told = (
            f"{number:,} {plurals[name]}" if name in plurals and number > 1 else _counted(name, number)
            for name, number in sections.items()
        )
        return ", ".join(told) or "no differences"

    def to_dict(self) -> dict[str, Any]:
        return {
            "equal": not self.differences,
            "kinds": list(self.kinds),
            "differences": [one.to_dict() for one in self.differences],
            "notes": list(self.notes),
            "names": dict(self.names),
        }


def _counted(name: str, number: int) -> str:
    return count(number, {"items": "count of items", "ignored": "ignored tile"}.get(name, name))


def diff(old: Any, new: Any, *, unknown_tiles: UnknownTiles = "error") -> Comparison:
    """What differs between two documents of one kind; an agent and a plan can be compared too.

    Parameters
    ----------
    old, new
        Each a path, JSON text, a dict, or a loaded agent, plan, request or record.
    unknown_tiles
        As in `load_agent`.

    Raises
    ------
    RequestError
        One of them is no such document, or the two are of kinds that cannot be compared.

    Examples
    --------
    >>> diff({"video_ids": ["a"]}, {"video_id_inputs": [{"id": "a"}]}).summary()
    'no differences'
    """
    before, after = _read(old, "first", unknown_tiles), _read(new, "second", unknown_tiles)
    kinds = (before.kind, after.kind)
    if before.kind != after.kind and set(kinds) != {"agent", "plan"}:
        what = f"the first is {_a(before.kind)} and the second {_a(after.kind)}: they cannot be compared"
        raise RequestError([Fault("", "request", what)])
    notes = list(_notes(before, after))
    if (
        before.kind == "agent"
        and before.tiles
        and after.tiles
        and not before.tiles.keys() & after.tiles.keys()
    ):
        before = _renamed(before, after)
        notes.append("the two share no id of a tile: tiles of one type are paired in their order")
    tiles = [tile for view in (before, after) for tile in (*view.gone.values(), *view.tiles.values())]
    names = {tile.id: tile.name for tile in tiles if tile.name}
    return Comparison(kinds, tuple(_differences(before, after)), tuple(notes), names)


def _read(document: Any, which: str, unknown_tiles: UnknownTiles) -> View:
    try:
        return read_view(document, unknown_tiles)
    except RequestError as error:
        faults = [
            Fault(one.loc, one.document, f"the {which} document: {one.message}") for one in error.errors
        ]
        raise RequestError(faults) from None


def _a(kind: str) -> str:
    return f"an {kind}" if kind == "agent" else f"a {kind}"


def _notes(before: View, after: View) -> Iterator[str]:
    if before.name != after.name and before.kind != "request":
        yield f"the agents are called {before.name!r} and {after.name!r}"
    if before.mode != after.mode:
        yield f"the first is a {before.mode}, the second a {after.mode}"


def _renamed(before: View, after: View) -> View:
    """The first agent with the ids of the second: tiles of one type are paired in topological order."""
    free: dict[str, list[Key]] = {}
    for key in reversed(after.order):
        free.setdefault(after.tiles[key].type_id, []).append(key)
    pairs = {
        key: waiting.pop() if (waiting := free.get(before.tiles[key].type_id)) else key
        for key in before.order
    }
    tiles = {
        pairs[key]: replace(tile, id=after.tiles[pairs[key]].id if pairs[key] in after.tiles else tile.id)
        for key, tile in before.tiles.items()
    }
    edges = {(pairs[one], pairs[other]): via for (one, other), via in before.edges.items()}
    parameters = {pairs[key]: values for key, values in before.parameters.items()}
    fed = {pairs[key]: tuple(pairs[one] for one in feeders) for key, feeders in before.fed_by.items()}
    order = tuple(pairs[key] for key in before.order)
    return replace(before, tiles=tiles, edges=edges, parameters=parameters, fed_by=fed, order=order)


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


def _union(one: Iterable[Any], other: Iterable[Any]) -> list[Any]:
    """What is in either, in the order of the first, then of the second."""
    return list(dict.fromkeys([*one, *other]))


def _change(old: Any, new: Any) -> Literal["added", "removed", "changed"]:
    return "added" if old is None else "removed" if new is None else "changed"


def _tiles(before: View, after: View) -> Iterator[Difference]:
    for key in _union(before.tiles, after.tiles):
        old, new = before.tiles.get(key), after.tiles.get(key)
        tile = new or old
        assert tile is not None
        if old is None or new is None:
            other, which = (before, "first") if old is None else (after, "second")
            state = other.gone[key].state if key in other.gone else ""
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
    """Tiles whose items come in another order: they are fed by the same tiles, listed in another order."""
    for key in (key for key in before.fed_by if key in after.fed_by):
        shared = set(before.fed_by[key]) & set(after.fed_by[key])
        old = tuple(one for one in before.fed_by[key] if one in shared)
        new = tuple(one for one in after.fed_by[key] if one in shared)
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
            mine, theirs = old.get(name), new.get(name)
            mine, theirs = mine or after.known.get((key, name)), theirs or before.known.get((key, name))
            if mine and theirs and same(mine[0], theirs[0]):
                continue
            yield Difference(
                *("parameter", _change(mine, theirs), node),
                name=name,
                old=mine and mine[0],
                new=theirs and theirs[0],
                old_origin=mine and mine[1],
                new_origin=theirs and theirs[1],
            )


def _ignored(before: View, after: View) -> Iterator[Difference]:
    for key in _union(before.ignored, after.ignored):
        old, new = before.ignored.get(key), after.ignored.get(key)
        if old is None or new is None:
            yield Difference("ignored", _change(old, new), new or old, old=old, new=new)


def _inputs(before: View, after: View) -> Iterator[Difference]:
    old, new = before.inputs, after.inputs
    if len(old) == len(new) == 1 and None in (*old, *new):
        old = {next(iter(new)): next(iter(old.values()))}  # a source at top level is for the only Video Input
    for key in _union(old, new):
        node = None if key is None else (after if key in new else before).id_of(key)
        mine, theirs = old.get(key, ()), new.get(key, ())
        matcher = SequenceMatcher(None, mine, theirs, autojunk=False)
        for what, start, end, begin, stop in matcher.get_opcodes():
            if what == "equal":
                continue
            gone, come = list(mine[start:end]), list(theirs[begin:stop])
            for at in range(max(len(gone), len(come))):
                one = dict(gone[at]) if at < len(gone) else None
                other = dict(come[at]) if at < len(come) else None
                yield Difference("input", _change(one, other), node, old=one, new=other)


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
    for key in (key for key in before.made if key in after.made):
        old, new = before.made[key], after.made[key]
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
            mine, theirs = old.get(name), new.get(name)
            if not same(mine, theirs):
                yield Difference("output", "changed", node, index=index, name=name, old=mine, new=theirs)


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: `1` and `1.0` are, `1` and `true` are not.

    >>> same({"a": [1]}, {"a": [1.0]}), same(1, True)
    (True, False)
    """
    stack = [(one, other)]
    while stack:
        mine, theirs = stack.pop()
        if isinstance(mine, bool) or isinstance(theirs, bool):
            if mine is not theirs:
                return False
        elif isinstance(mine, dict) and isinstance(theirs, dict):
            if mine.keys() != theirs.keys():
                return False
            stack += [(mine[name], theirs[name]) for name in mine]
        elif isinstance(mine, list | tuple) and isinstance(theirs, list | tuple):
            if len(mine) != len(theirs):
                return False
            stack += zip(mine, theirs, strict=True)
        elif mine != theirs:
            return False
    return True
