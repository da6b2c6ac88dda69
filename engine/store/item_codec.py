"""The items of a run, written down and read back as the values that they are.

Expressions are written node by node, each once in a run, so that a chain of any length costs what it is long.
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
    """Where the expressions of one run stand, in the order in which they were written."""

    places: dict[Expr, int] = field(default_factory=dict)
    items: set[tuple[str, int]] = field(default_factory=set)

    def holds(self, item: Item) -> bool:
        """Whether an item has been written already."""
        return item.ref in self.items

    def add(self, item: Item) -> tuple[list[tuple[int, str]], str]:
        """What is to be written for an item: expressions that are new, by place, and the item itself."""
        new: list[tuple[int, str]] = []
        self.items.add(item.ref)
        places = [self._put(one, new) for one in exprs_of(item.value)]
        body = {
            "kind": kind_of(item.value).value,
            "expressions": places,
            "parts": _parts(item.value),
            "parents": item.parents,
            "why": item.why,
            "fidelity": item.fidelity,
        }
        return new, json.dumps(body)

    def _put(self, root: Expr, new: list[tuple[int, str]]) -> int:
        for node, written in _written(root, self.places):
            place = len(self.places)
            self.places[node] = place
            new.append((place, written))
        return self.places[root]


def _written(root: Expr, places: Mapping[Expr, int]) -> Iterator[tuple[Expr, str]]:
    """The nodes below `root` that have no place yet, each as JSON, inputs before what uses them."""
    for node in walk(root, prune=places.__contains__):
        if node not in places:
            body = {**dump_node(node), "in": [places[one] for one in node.inputs]}
            yield node, json.dumps(body)


def _parts(value: Value) -> list[int]:
    """How many expressions each part of the value has: one or two of a video."""
    return [len(exprs_of(video)) for video in value.sequences] if isinstance(value, Project) else []


def read_items(
    written: Iterable[str], items: Iterable[tuple[Any, ...]]
) -> tuple[dict[str, tuple[Item, ...]], ItemWriter]:
    """The items of a run by node, and its shelf, from its expressions and its items (node, index, body), both
    in order.
    """
    nodes = [json.loads(one) for one in written]
    found: dict[str, list[Item]] = {}
    bodies = [(node, index, json.loads(body)) for node, index, body in items]
    at = load([*nodes, {"roots": [*range(len(nodes)), 0]}])[:-1] if nodes else ()
    shelf = ItemWriter({node: place for place, node in enumerate(at)})
    for node, index, body in bodies:
        parents = tuple((str(parent), int(place)) for parent, place in body["parents"])
        value = _value(body, [at[place] for place in body["expressions"]])
        shelf.items.add((node, index))
        found.setdefault(node, []).append(Item(node, index, value, parents, body["why"], body["fidelity"]))
    return {node: tuple(made) for node, made in found.items()}, shelf


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
