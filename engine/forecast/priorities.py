"""Which of several ready tiles is begun first: that from which the longest path of work leads to the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from tessera.context import InputMedia
from tessera.forecast.cost import DECLARED, NO_LOAD, CostModel, load_of
from tessera.graph.plan import Plan
from tessera.media.algebra.item import describe

__all__ = ["After", "longest_paths", "priorities"]

_Time = TypeVar("_Time", int, float)

After = Sequence[Sequence[int]]
"""For each piece of work, those that wait for it; all of them have greater numbers."""

_LEAST_S = 1e-4
"""What any tile costs, so that of tiles that are said to cost nothing the longest chain comes first."""


def priorities(
    plan: Plan, sources: Mapping[str, Sequence[InputMedia]], model: CostModel = DECLARED
) -> dict[str, float]:
    """By tile: the seconds of the longest path of work from it to the end of the run, about.

    How much media each tile will be given is not known yet: all are taken to work on all that was given to
    the run, and each tile that nothing follows to render it.

    Parameters
    ----------
    sources
        What each Video Input was given.
    """
    load = NO_LOAD
    for given in sources.values():
        for media in given:
            load = load.plus(load_of(describe(media.video)))
    render = model.render.seconds(NO_LOAD, load)
    place = {node: at for at, node in enumerate(plan.order)}
    after = [[place[one] for one in plan.graph.successors(node)] for node in plan.order]
    costs: dict[str, float] = {}
    durations = []
    for node, later in zip(plan.order, after, strict=True):
        kind = plan.tile(node).type
        if kind.type_id not in costs:
            cost = model.of(kind.name, kind.category)
            costs[kind.type_id] = max(cost.seconds(load, load), _LEAST_S)
        durations.append(costs[kind.type_id] + (0.0 if later else render))
    return dict(zip(plan.order, longest_paths(durations, after), strict=True))


def longest_paths(durations: Sequence[_Time], after: After) -> list[_Time]:
    """For each piece of work, how long the longest path from its start to the end takes."""
    longest = list(durations)
    for index in range(len(durations) - 1, -1, -1):
        later = after[index]
        if later:
            longest[index] += max(longest[one] for one in later)
    return longest
