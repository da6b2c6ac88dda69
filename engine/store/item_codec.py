"""Write the items of a run as JSON and read them back as values.

Each expression node is written once per run, so that a chain of any length takes linear space.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tessera.media.algebra.expression import Expr, Image, dump_node, load, walk
from tessera.media.algebra.item import Audio, Item, Project, Value, Video, exprs_of, kind_of

__all__ = ["ItemWriter", "read_items"]


@dataclass
class ItemWriter:
    """Encodes the items of one run.

    Attributes
    ----------
    places
        The place of each written expression node, numbered in the order of writing.
    items
        The ids of the written items.
    """

    places: dict[Expr, int] = field(default_factory=dict)
    items: set[tuple[str, int]] = field(default_factory=set)

    def contains(self, item: Item) -> bool:
        """Return True if the item has been written."""
        return item.ref in self.items

    def add(self, item: Item) -> tuple[list[tuple[int, str]], str]:
        """Encode an item. Return its new expression nodes with their places, and the item's own JSON."""
        new: list[tuple[int, str]] = []
        self.items.add(item.ref)
        places = [self._add_expression(root, new) for root in exprs_of(item.value)]
        body = {
            "kind": kind_of(item.value).value,
            "expressions": places,
            "parts": _parts(item.value),
            "parents": item.parents,
            "why": item.why,
            "fidelity": item.fidelity,
        }
        return new, json.dumps(body)

    def _add_expression(self, root: Expr, new: list[tuple[int, str]]) -> int:
        for node, text in _unwritten_nodes(root, self.places):
            place = len(self.places)
            self.places[node] = place
            new.append((place, text))
        return self.places[root]


def _unwritten_nodes(root: Expr, places: Mapping[Expr, int]) -> Iterator[tuple[Expr, str]]:
    """Yield the nodes below `root` that have no place, with their JSON.

    Inputs come before the nodes that use them. The caller must assign each node a place before it takes the
    next one, since the JSON of a node contains the places of its inputs.
    """
    for node in walk(root, prune=places.__contains__):
        if node not in places:
            body = {**dump_node(node), "in": [places[source] for source in node.inputs]}
            yield node, json.dumps(body)


def _parts(value: Value) -> list[int]:
    """Return the number of expressions in each sequence of a project: 1 or 2. Empty for other values."""
    return [len(exprs_of(video)) for video in value.sequences] if isinstance(value, Project) else []


def read_items(
    expressions: Iterable[str], items: Iterable[tuple[Any, ...]]
) -> tuple[dict[str, tuple[Item, ...]], ItemWriter]:
    """Decode the items of a run. Return them by node, with a writer that continues the encoding.

    Parameters
    ----------
    expressions
        The JSON of the expression nodes, in the order of their places.
    items
        The rows (node, index, JSON) of the items, in order.
    """
    nodes = [json.loads(text) for text in expressions]
    by_node: dict[str, list[Item]] = {}
    bodies = [(node, index, json.loads(body)) for node, index, body in items]
    # `load` returns a tuple only for several roots, so a second root is added and dropped again.
    at = load([*nodes, {"roots": [*range(len(nodes)), 0]}])[:-1] if nodes else ()
    writer = ItemWriter({node: place for place, node in enumerate(at)})
    for node, index, body in bodies:
        parents = tuple((str(parent), int(place)) for parent, place in body["parents"])
        value = _value(body, [at[place] for place in body["expressions"]])
        writer.items.add((node, index))
        by_node.setdefault(node, []).append(Item(node, index, value, parents, body["why"], body["fidelity"]))
    return {node: tuple(made) for node, made in by_node.items()}, writer


def _value(body: Mapping[str, Any], parts: Sequence[Any]) -> Value:
    match body["kind"]:
        case "video":
            return Video(*parts)
        case "audio":
            return Audio(*parts)
        case "image":
            image = parts[0]
            assert isinstance(image, Image)
            return image
        case _:
            ends = [sum(body["parts"][: at + 1]) for at in range(len(body["parts"]))]
            starts = [0, *ends[:-1]]
            return Project(tuple(Video(*parts[start:end]) for start, end in zip(starts, ends, strict=True)))
