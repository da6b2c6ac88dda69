"""All that is decided about a run before its first tile starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tessera.context import InputMedia
from tessera.graph.plan import Plan
from tessera.media.algebra.item import Item
from tessera.notice import Notice
from tessera.runner.answers.fault_injection import InjectedFault
from tessera.runner.answers.stubs import StubbedTile

__all__ = ["Closing", "ResumePoint", "RunSpec"]


@dataclass(frozen=True, slots=True)
class Closing:
    """The facts that are known only when a run ends.

    Attributes
    ----------
    lost, lost_thumbnails
        The ids of the outputs whose files are gone, and of those whose thumbnail alone is gone.
    notices
        Further warnings.
    """

    lost: tuple[str, ...] = ()
    lost_thumbnails: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """The work that a resumed run completed before.

    Attributes
    ----------
    done
        The completed tiles.
    items
        The items by tile. A tile with items does not run again, even if its renders are not done.
    outputs
        The existing outputs: (tile, index) → the tile that delivered it.
    """

    done: frozenset[str] = frozenset()
    items: Mapping[str, tuple[Item, ...]] = field(default_factory=dict)
    outputs: Mapping[tuple[str, int], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunSpec:
    """A plan, and what its tiles get besides their items.

    Attributes
    ----------
    sources
        The media of each Video Input, by node.
    stubs
        Stubs by node.
    known_items
        The items of tiles whose work counts as done.
    faults
        The faults to inject into tiles and renders.
    resume_point
        The work that is done already.
    priorities
        Priority by tile: of several ready tiles, the one with the greatest priority starts first. Without
        any, tiles start in the template's order.
    time_limits
        By tile: the seconds that its own work, and each of its renders, may take.
    """

    plan: Plan
    sources: Mapping[str, Sequence[InputMedia]]
    stubs: Mapping[str, StubbedTile] = field(default_factory=dict)
    known_items: Mapping[str, tuple[Item, ...]] = field(default_factory=dict)
    faults: Sequence[InjectedFault] = ()
    resume_point: ResumePoint = ResumePoint()
    priorities: Mapping[str, float] = field(default_factory=dict)
    time_limits: Mapping[str, float] = field(default_factory=dict)
