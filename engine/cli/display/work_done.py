"""The part of a run that is done, by the seconds that each tile and render is expected to take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tessera.forecast.schedule import Task
    from tessera.record.events import Event

__all__ = ["WorkDone"]

_LEAST_S = 0.001
"""The least seconds of a tile, so that a run of tiles that cost nothing still proceeds."""


@dataclass(slots=True)
class _Tile:
    """The expected seconds of a tile's own work and of each of its renders, and how much of both is done."""

    own: float = _LEAST_S
    renders: dict[tuple[str, int], float] = field(default_factory=dict)
    own_done: bool = False
    ended: bool = False
    made: set[tuple[str, int]] = field(default_factory=set)
    fraction: float = 0.0

    @property
    def seconds(self) -> float:
        return self.own + sum(self.renders.values())

    @property
    def done(self) -> float:
        if self.ended:
            return self.seconds
        renders = sum(self.renders.values())
        whole = sum(self.renders.get(ref, 0.0) for ref in self.made)
        return (self.own if self.own_done else 0.0) + max(whole, self.fraction * renders)


class WorkDone:
    """Follows the events of a run.

    Parameters
    ----------
    tasks
        The tasks of its expected schedule. Tiles without a task count for hardly anything; if there are no
        tasks, all tiles count the same.
    """

    def __init__(self, tasks: Iterable[Task] = ()) -> None:
        self._tiles: dict[str, _Tile] = {}
        for task in tasks:
            tile = self._tiles.setdefault(task.node, _Tile())
            seconds = task.duration / 1e6
            if task.output is None:
                tile.own += seconds
            else:
                tile.renders[task.output] = seconds

    @property
    def fraction(self) -> float:
        """The part of the work that is done, 0–1."""
        whole = sum(tile.seconds for tile in self._tiles.values())
        return sum(tile.done for tile in self._tiles.values()) / whole if whole else 0.0

    def __call__(self, event: Event) -> None:
        """Handle an event."""
        from tessera.record import events
        from tessera.record.status import FINAL

        match event:
            case events.RunStarted(nodes=nodes):
                started = [str(node["original_node_id"]) for node in nodes]
                self._tiles = {node: self._tiles.get(node, _Tile()) for node in started}
            case events.ItemMade(node=node) if node in self._tiles:
                self._tiles[node].own_done = True
            case events.Progress(node=node, fraction=fraction) if node in self._tiles:
                self._tiles[node].fraction = max(self._tiles[node].fraction, fraction)
            case events.OutputMade(by=by, output=output) if by in self._tiles:
                self._tiles[by].own_done = True
                self._tiles[by].made.add((output["original_node_id"], output["index"]))
            case events.NodeChanged(node=node, status=status) if node in self._tiles and status in FINAL:
                self._tiles[node].ended = True
