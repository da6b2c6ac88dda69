"""The priorities of ready tiles: the one with the longest path of work to the end of the run goes first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from tessera.context import InputMedia
from tessera.forecast.cost import DECLARED, NO_LOAD, CostModel, load_of
from tessera.graph.plan import Plan
from tessera.media.algebra.item import describe

__all__ = ["Successors", "longest_paths", "priorities"]

_Time = TypeVar("_Time", int, float)

Successors = Sequence[Sequence[int]]
"""For each piece of work, the indices of those that wait for it; all of them are greater than its own."""

_LEAST_S = 1e-4
"""The least cost of a tile in seconds, so that the longest chain goes first even among free tiles."""


def priorities(
    plan: Plan, sources: Mapping[str, Sequence[InputMedia]], model: CostModel = DECLARED
) -> dict[str, float]:
    """Return the priority of each tile: the estimated seconds of the longest path from it to the end.

    The load of each tile is not known before the run. The estimate assumes that every tile works on all media
    of the run, and that every tile without successors renders all of it.

    Parameters
    ----------
    sources
        The media of each Video Input.
    """
    load = NO_LOAD
    for inputs in sources.values():
        for media in inputs:
            load = load.plus(load_of(describe(media.video)))
    render = model.render.seconds(NO_LOAD, load)
    index = {node: at for at, node in enumerate(plan.order)}
    successors = [[index[later] for later in plan.graph.successors(node)] for node in plan.order]
    costs: dict[str, float] = {}
    durations = []
    for node, later in zip(plan.order, successors, strict=True):
        kind = plan.tile(node).type
        if kind.type_id not in costs:
            cost = model.of(kind.name, kind.category)
            costs[kind.type_id] = max(cost.seconds(load, load), _LEAST_S)
        durations.append(costs[kind.type_id] + (0.0 if later else render))
    return dict(zip(plan.order, longest_paths(durations, successors), strict=True))


def longest_paths(durations: Sequence[_Time], successors: Successors) -> list[_Time]:
    """Return the duration of the longest path from the start of each piece of work to the end."""
    longest = list(durations)
    # Backwards, since the successors of a piece of work have greater indices.
    for index in range(len(durations) - 1, -1, -1):
        later = successors[index]
        if later:
            longest[index] += max(longest[successor] for successor in later)
    return longest
