"""An agent as the notation: chains and groups as long as they go, a tile's parameters where it is first."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tessera.agent import AgentTemplate, Tile
from tessera.node import Catalogue
from tessera.testing.notation.names import Names, Types

__all__ = ["chains_of", "text_of", "to_notation", "with_params"]


def to_notation(agent: AgentTemplate, *, catalogue: Catalogue | None = None) -> str:
    """The notation of an agent, one chain a line; read again it gives the same graph, types and parameters.

    The ids of an agent that was not made from the notation are lost: a tile's id follows from its name.

    Examples
    --------
    >>> from tessera.testing import agent
    >>> to_notation(agent("input > {left:Mirror, captions}; {captions, left} > watermark(logo_size=50)"))
    'input > {left:Mirror, captions} > watermark(logo_size=50)'
    """
    if catalogue is None:
        from tessera.settings import default_catalogue

        catalogue = default_catalogue()
    names = Names(agent)
    types = Types(catalogue)
    written = {tile.id: _written(tile, names.of[tile.id], types) for tile in agent.nodes}
    edges = [(edge.source, edge.target) for edge in agent.connections]
    return text_of(edges, names.of, written)


def text_of(edges: Iterable[tuple[str, str]], plain: Mapping[str, str], full: Mapping[str, str]) -> str:
    """The notation of a graph.

    Parameters
    ----------
    edges
        Pairs of ids.
    plain, full
        Id → name, in the order that the tiles shall have; the same with types and parameters.
    """
    order = list(plain)
    chains = list(chains_of(order, edges))
    if list(dict.fromkeys(node for chain in chains for stage in chain for node in stage)) != order:
        chains.insert(0, [order])
    return "\n".join(_lines(chains, plain, dict(full)))


def _lines(
    chains: Iterable[Sequence[Sequence[str]]], plain: Mapping[str, str], full: dict[str, str]
) -> Iterator[str]:
    """Each chain as a line; a tile in full where it is first."""
    for chain in chains:
        stages = []
        for stage in chain:
            members = [full.pop(node, plain[node]) for node in stage]
            stages.append(members[0] if len(members) == 1 else "{" + ", ".join(members) + "}")
        yield " > ".join(stages)


def chains_of(order: Sequence[str], edges: Iterable[tuple[str, str]]) -> Iterator[list[list[str]]]:
    """Chains of groups that cover every edge once, and every tile that has none.

    A chain begins with a tile whose edges are not all covered, and those that have the same ones left; it
    goes on to all tiles that each member of its last group feeds by an edge that is not covered yet.
    """
    place = {node: index for index, node in enumerate(order)}
    left: dict[str, set[str]] = {node: set() for node in order}
    feeding: dict[str, list[str]] = {node: [] for node in order}
    for source, target in edges:
        left[source].add(target)
        feeding[target].append(source)
    alone = {node for node in order if not left[node] and not feeding[node]}
    for start in order:
        if start in alone:
            yield [[start]]
        while left[start]:
            beside = (node for node in feeding[next(iter(left[start]))] if left[node] == left[start])
            stage = sorted(beside, key=place.__getitem__)
            chain = [stage]
            while True:
                common = set.intersection(*(left[node] for node in stage))
                if not common:
                    break
                for node in stage:
                    left[node] -= common
                stage = sorted(common, key=place.__getitem__)
                chain.append(stage)
            yield chain


def _written(tile: Tile, name: str, types: Types) -> str:
    """A tile in full: its name, its type where the name does not say it, its parameters."""
    plain = types.plain(name)
    text = name if plain == (tile.type, name) else f"{name}:{_label(tile, types)}"
    return with_params(text, tile.explicit)


def _label(tile: Tile, types: Types) -> str:
    label = tile.type.name
    found = types.find(label)
    if found is not None and found is not tile.type:
        label = tile.type.type_id
    simple = re.fullmatch(r"\w[\w -]*(?<! )", label)
    return label if simple else json.dumps(label, ensure_ascii=False)


def with_params(text: str, values: Mapping[str, Any]) -> str:
    """A tile with its parameters behind it, where it has some."""
    said = (f"{_parameter(name)}={json.dumps(value, ensure_ascii=False)}" for name, value in values.items())
    return f"{text}({', '.join(said)})" if values else text


def _parameter(name: str) -> str:
    return name if re.fullmatch(r"\w+", name) else json.dumps(name, ensure_ascii=False)
