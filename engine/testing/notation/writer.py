"""Writes an agent in the notation: with long chains and groups, and parameters at the first mention."""

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
    """Return the notation of an agent, one chain per line.

    `agent` reads it back with the same graph, types and parameters. The ids change if the agent was not built
    from the notation, since the notation derives a tile's id from its name.

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
    full = {tile.id: _full_text(tile, names.name_of[tile.id], types) for tile in agent.nodes}
    edges = [(edge.source, edge.target) for edge in agent.connections]
    return text_of(edges, names.name_of, full)


def text_of(edges: Iterable[tuple[str, str]], plain: Mapping[str, str], full: Mapping[str, str]) -> str:
    """Return the notation of a graph.

    Parameters
    ----------
    edges
        Pairs of ids.
    plain
        Id → name, in the order of the tiles.
    full
        Id → name with type and parameters.
    """
    order = list(plain)
    chains = list(chains_of(order, edges))
    # The order of first mentions is the order of the tiles: if the chains break it, mention all tiles first.
    if list(dict.fromkeys(node for chain in chains for stage in chain for node in stage)) != order:
        chains.insert(0, [order])
    return "\n".join(_lines(chains, plain, dict(full)))


def _lines(
    chains: Iterable[Sequence[Sequence[str]]], plain: Mapping[str, str], full: dict[str, str]
) -> Iterator[str]:
    """Yield each chain as a line, with each tile in full at its first mention."""
    for chain in chains:
        stages = []
        for stage in chain:
            members = [full.pop(node, plain[node]) for node in stage]
            stages.append(members[0] if len(members) == 1 else "{" + ", ".join(members) + "}")
        yield " > ".join(stages)


def chains_of(order: Sequence[str], edges: Iterable[tuple[str, str]]) -> Iterator[list[list[str]]]:
    """Yield chains of groups that cover every edge exactly once, and every tile without edges.

    A chain starts with a tile that has uncovered edges, grouped with all tiles that have the same uncovered
    edges. The next group is the set of tiles that every member of the last group feeds by an uncovered edge.
    """
    place = {node: index for index, node in enumerate(order)}
    uncovered: dict[str, set[str]] = {node: set() for node in order}
    feeders: dict[str, list[str]] = {node: [] for node in order}
    for source, target in edges:
        uncovered[source].add(target)
        feeders[target].append(source)
    isolated = {node for node in order if not uncovered[node] and not feeders[node]}
    for start in order:
        if start in isolated:
            yield [[start]]
        while uncovered[start]:
            group = (
                node for node in feeders[next(iter(uncovered[start]))] if uncovered[node] == uncovered[start]
            )
            stage = sorted(group, key=place.__getitem__)
            chain = [stage]
            while True:
                common = set.intersection(*(uncovered[node] for node in stage))
                if not common:
                    break
                for node in stage:
                    uncovered[node] -= common
                stage = sorted(common, key=place.__getitem__)
                chain.append(stage)
            yield chain


def _full_text(tile: Tile, name: str, types: Types) -> str:
    """Return a tile in full: its name, its type unless the name implies it, and its parameters."""
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
    """Append the parameters of a tile to its text, if it has any."""
    params = (f"{_parameter(name)}={json.dumps(value, ensure_ascii=False)}" for name, value in values.items())
    return f"{text}({', '.join(params)})" if values else text


def _parameter(name: str) -> str:
    return name if re.fullmatch(r"\w+", name) else json.dumps(name, ensure_ascii=False)
