"""What a changed request changes: both requests simulated, and their difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from tessera.agent import AgentTemplate
from tessera.forecast.schedule import MICRO
from tessera.graph.diff import Comparison, diff
from tessera.record.record import RunRecord
from tessera.runner.config import SimulateConfig
from tessera.runner.entry import simulate

__all__ = ["Totals", "WhatIf", "what_if"]

_OF_RECORDS = ("status", "items", "output")
"""The sections of a comparison that a simulation decides, and not the plan."""


@dataclass(frozen=True, slots=True)
class Totals:
    """The counts of a simulated run, its time in seconds with all workers, and its price."""

    tiles: int
    connections: int
    items: int
    outputs: int
    seconds: float
    credits: Decimal

    def to_dict(self) -> dict[str, Any]:
        return {
            "tiles": self.tiles,
            "connections": self.connections,
            "items": self.items,
            "outputs": self.outputs,
            "seconds": self.seconds,
            "credits": str(self.credits),
        }


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The difference that a changed request makes.

    Attributes
    ----------
    before, after
        The totals of both simulations.
    found
        The tiles, connections, parameters and inputs of the plans that differ, and the statuses, counts of
        items and outputs of the simulations that differ. Its notes name the warnings that only one has.
    """

    before: Totals
    after: Totals
    found: Comparison

    def __bool__(self) -> bool:
        """Return True if anything differs."""
        return bool(self.found) or self.before != self.after

    def to_dict(self) -> dict[str, Any]:
        totals = {"before": self.before.to_dict(), "after": self.after.to_dict()}
        return {**self.found.to_dict(), "equal": not self, "totals": totals}


def what_if(template: AgentTemplate, before: Any, after: Any, config: SimulateConfig) -> WhatIf:
    """Simulate an agent with two requests and compare the plans, the items, the outputs, time and credits.

    Parameters
    ----------
    before, after
        Requests as `tessera.plan` accepts them.
    config
        The options of both simulations. `workers` must be given: the time depends on it.

    Raises
    ------
    RequestError, ConfigError, QuestionError
        As `tessera.simulate` does, for either request.
    """
    old, new = simulate(template, before, config), simulate(template, after, config)
    assert old.forecast is not None
    assert new.forecast is not None
    plans = diff(old.forecast.plan, new.forecast.plan)
    records = diff(old.to_dict(), new.to_dict())
    made = (one for one in records.differences if one.section in _OF_RECORDS)
    notes = (*plans.notes, *_warnings(old, new))
    found = replace(plans, differences=(*plans.differences, *made), notes=notes)
    return WhatIf(_totals(old), _totals(new), found)


def _totals(record: RunRecord) -> Totals:
    assert record.forecast is not None
    graph = record.forecast.plan.graph
    return Totals(
        tiles=graph.number_of_nodes(),
        connections=graph.number_of_edges(),
        items=len(record.made_items),
        outputs=len(record.outputs),
        seconds=record.forecast.schedule.makespan / MICRO,
        credits=record.forecast.bill.total,
    )


def _warnings(old: RunRecord, new: RunRecord) -> list[str]:
    before, after = _messages(old), _messages(new)
    return [
        *(f"no longer warned: {message}" for message in before if message not in after),
        *(f"new warning: {message}" for message in after if message not in before),
    ]


def _messages(record: RunRecord) -> Mapping[str, None]:
    """Return the distinct warnings of a record, in order."""
    return dict.fromkeys(warning["message"] for warning in record.warnings)
