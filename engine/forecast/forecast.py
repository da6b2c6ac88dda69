"""A simulated run on a virtual clock: how long it takes, and what becomes of its credits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tessera.errors import WorkspaceError
from tessera.forecast.bill import Bill, PriceTable, price
from tessera.forecast.cost import DECLARED, CostModel, calibrated
from tessera.forecast.credits import needs_credits, refused, stopped
from tessera.forecast.schedule import Schedule, gantt, schedule
from tessera.graph.plan import Plan
from tessera.record.events import EPOCH
from tessera.record.record import Output, RunRecord
from tessera.store.run_store import RunStore

__all__ = ["WORKERS", "Forecast", "cost_model", "forecast"]

WORKERS = 2
"""How many pieces of work a simulation does at a time where nothing else is said."""

_LATEST = 50
"""Costs are calibrated from this many runs of a workspace, the latest ones."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a simulated run takes and costs.

    Attributes
    ----------
    schedule
        When each tile and each render begins and ends.
    bill
        What all of it costs, were there credits enough.
    model, table
        The seconds and the prices that this stands on.
    credits
        Of a run with a balance: ``balance``, ``spent``, ``left``, ``refused`` and ``first``, as
        `needs_credits` gives them; else None.
    """

    plan: Plan
    schedule: Schedule
    bill: Bill
    model: CostModel
    table: PriceTable
    credits: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The forecast as JSON values; times in seconds, credits as text."""
        return {
            "schedule": self.schedule.to_dict(),
            "gantt": gantt(self.schedule).splitlines(),
            "bill": self.bill.to_dict(),
            "credits": self.credits,
            "costs": self.model.to_dict(),
            "prices": self.table.to_dict(),
        }


def cost_model(costs: Any = None, store: RunStore | None = None) -> CostModel:
    """The declared costs, calibrated from a workspace's finished runs, and then what `costs` states.

    Parameters
    ----------
    costs
        A dict, JSON text or a path (see `CostModel.override`), or a whole `CostModel`.

    Raises
    ------
    RequestError
        Every fault of `costs`.
    """
    if isinstance(costs, CostModel):
        return costs
    records = list(_records(store)) if store is not None else []
    model = calibrated(records, DECLARED) if records else DECLARED
    return model if costs is None else model.override(costs)


def _records(store: RunStore) -> Iterator[Mapping[str, Any]]:
    """The latest runs that can be read; one that cannot tells nothing of costs."""
    for run_id in store.ids()[:_LATEST]:
        try:
            yield store.record(run_id)
        except WorkspaceError:
            continue


def forecast(
    plan: Plan,
    record: RunRecord,
    *,
    workers: int = WORKERS,
    costs: Any = None,
    prices: Any = None,
    balance: Decimal | int | None = None,
    store: RunStore | None = None,
) -> RunRecord:
    """Put the record of a simulation on a virtual clock, and take it through its credits.

    Parameters
    ----------
    plan
        What was simulated.
    workers, costs, prices, balance
        As in `tessera.simulate`.
    store
        The runs that costs are calibrated from.

    Returns
    -------
    RunRecord
        With `forecast`, the seconds of tiles and the times of outputs; with a balance that does not suffice,
        with `needs_credits` and the statuses of the contract.

    Raises
    ------
    RequestError
        Every fault of `costs` or `prices`.
    """
    model = cost_model(costs, store)
    table = prices if isinstance(prices, PriceTable) else PriceTable.read(prices)
    bill = price(plan, record, table)
    purse, without = None, frozenset[Any]()
    if balance is not None:
        patch = needs_credits(plan, record, bill, balance)
        record, without, purse = stopped(record, patch), refused(patch), patch["credits"]
    timed = schedule(plan, record, workers=workers, model=model, without=without)
    return replace(_timed(record, timed), forecast=Forecast(plan, timed, bill, model, table, purse))


def _timed(record: RunRecord, timed: Schedule) -> RunRecord:
    """The record with the virtual times of what was done."""
    begun: dict[str, int] = {}
    ended: dict[str, int] = {}
    made: dict[tuple[str, int], int] = {}
    for task in timed.tasks:
        begun[task.node] = min(task.start, begun.get(task.node, task.start))
        ended[task.node] = max(task.end, ended.get(task.node, 0))
        if task.output is not None:
            made[task.output] = task.end
    nodes = {
        node: replace(one, seconds=(ended[node] - begun[node]) / 1e6) if node in begun else one
        for node, one in record.nodes.items()
    }
    outputs = [
        Output({**output.raw, "completed_at": _instant(made.get((output.node, output.raw["index"]), 0))})
        for output in record.outputs
    ]
    return replace(record, nodes=nodes, outputs=outputs, updated_at=_instant(timed.makespan))


def _instant(micro: int) -> str:
    """So many microseconds after the epoch."""
    at = datetime.fromisoformat(EPOCH) + timedelta(microseconds=micro)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")
