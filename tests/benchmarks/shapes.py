"""Graphs of one Video Input and many Mirrors, as plain edges and as the JSON text of an agent."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from tessera.nodes.mirror import Mirror
from tessera.nodes.video_input import VideoInput

__all__ = ["Draw", "Shape", "chains", "layers", "merging_tree", "spreading_tree"]


@dataclass(frozen=True)
class Shape:
    """A graph: the ids of its tiles, the Video Input first, and its (source, target) pairs."""

    ids: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]

    def __len__(self) -> int:
        return len(self.ids)

    def parents(self) -> dict[str, list[str]]:
        """Each tile's id → the ids of those that feed it."""
        found: dict[str, list[str]] = {node: [] for node in self.ids}
        for source, target in self.edges:
            found[target].append(source)
        return found

    def leaves(self) -> list[str]:
        """The tiles that feed no other."""
        feeding = {source for source, _target in self.edges}
        return [node for node in self.ids if node not in feeding]

    def half(self, random: Random) -> list[str]:
        """The ids of a random half of the Mirrors."""
        return random.sample(self.ids[1:], len(self.ids) // 2)

    def to_json(self) -> str:
        """An agent in today's export form; every Mirror states its parameters, as exports do."""
        head, *rest = self.ids
        return json.dumps(
            {
                "agent_nodes": [
                    _node(head, VideoInput, {}),
                    *(
                        _node(
                            node, Mirror, {"horizontal_flip": place % 2 == 0, "vertical_flip": place % 2 == 1}
                        )
                        for place, node in enumerate(rest)
                    ),
                ],
                "connections": [
                    {"source_agent_node_id": source, "target_agent_node_id": target}
                    for source, target in self.edges
                ],
            }
        )


Draw = Callable[[Random, int], Shape]
"""Makes a graph of so many Mirrors; its ids are drawn anew each time."""


def _node(node: str, kind: Any, params: dict[str, Any]) -> dict[str, Any]:
    return {
        "agent_node_id": node,
        "node_type": {"node_type_id": kind.type_id, "node_type_name": kind.name},
        "params_used": params,
    }


def _shape(random: Random, mirrors: int, pairs: Iterator[tuple[int, int]]) -> Shape:
    """The graph of pairs of numbers; 0 is the Video Input."""
    ids = tuple(str(uuid.UUID(int=random.getrandbits(128), version=4)) for _ in range(mirrors + 1))
    return Shape(ids, tuple((ids[source], ids[target]) for source, target in pairs))


def chains(count: int) -> Draw:
    """So many chains of equal length behind the input."""

    def pairs(mirrors: int) -> Iterator[tuple[int, int]]:
        length = mirrors // count
        for number in range(1, mirrors + 1):
            yield (0 if (number - 1) % length == 0 else number - 1), number

    return lambda random, mirrors: _shape(random, mirrors, pairs(mirrors))


def layers(width: int, parents: int) -> Draw:
    """Layers of so many tiles, each tile with so many parents in the layer above."""

    def pairs(random: Random, mirrors: int) -> Iterator[tuple[int, int]]:
        for number in range(1, mirrors + 1):
            first = number - 1 - (number - 1) % width - width + 1
            above = random.sample(range(first, first + width), parents) if first > 0 else [0]
            for source in sorted(above):
                yield source, number

    return lambda random, mirrors: _shape(random, mirrors, pairs(random, mirrors))


def spreading_tree(random: Random, mirrors: int) -> Shape:
    """A binary tree whose root is the input: each tile feeds two."""
    return _shape(random, mirrors, (((number - 1) // 2, number) for number in range(1, mirrors + 1)))


def merging_tree(random: Random, mirrors: int) -> Shape:
    """A binary tree whose leaves the input feeds, down to one tile: two tiles feed each."""

    def pairs() -> Iterator[tuple[int, int]]:
        for number in range(1, mirrors + 1):
            before = [one for one in (2 * number, 2 * number + 1) if one <= mirrors]
            for source in before or [0]:
                yield source, number

    return _shape(random, mirrors, pairs())
