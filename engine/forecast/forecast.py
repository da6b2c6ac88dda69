"""The forecast of a simulated run: its duration on a virtual clock, and the use of its credits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tessera.errors import Fault, RequestError, WorkspaceError
from tessera.forecast.bill import Bill, PriceTable, bill_of
from tessera.forecast.cost import DECLARED, CostModel, calibrate
from tessera.forecast.credits import apply_patch, credit_patch, refused_work
from tessera.forecast.schedule import Schedule, gantt, schedule
from tessera.graph.plan import Plan
from tessera.record.events import EPOCH
from tessera.record.output import Output
from tessera.record.record import RunRecord
from tessera.store.run_store import RunStore

__all__ = ["WORKERS", "Forecast", "cost_model", "forecast"]

WORKERS = 2
"""The default number of pieces of work that a simulation runs at the same time."""

_LATEST = 50
"""The number of a workspace's latest runs from which costs are calibrated."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The time and the credits that a simulated run takes.

    Attributes
    ----------
    schedule
        The start and end of each tile and each render.
    bill
        The price of the whole run, even if the balance does not cover it.
    model, table
        The costs in seconds and the prices in credits that the forecast uses.
    credits
        For a run with a balance: ``balance``, ``spent``, ``left``, ``refused`` and ``first``, as in
        `credit_patch`; otherwise None.
    """

    plan: Plan
    schedule: Schedule
    bill: Bill
    model: CostModel
    table: PriceTable
    credits: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the forecast as JSON data, with times in seconds and credits as text."""
        return {
            "schedule": self.schedule.to_dict(),
            "gantt": gantt(self.schedule).splitlines(),
            "bill": self.bill.to_dict(),
            "credits": self.credits,
            "costs": self.model.to_dict(),
            "prices": self.table.to_dict(),
        }


def cost_model(costs: Any = None, store: RunStore | None = None) -> CostModel:
    """Return the declared costs, calibrated from a workspace's finished runs and then overridden by `costs`.

    Parameters
    ----------
    costs
        A dict, JSON text or a path (see `CostModel.override`), or a complete `CostModel`, which is returned
        unchanged.

    Raises
    ------
    RequestError
        If `costs` is invalid; the error lists every fault.
    """
    if isinstance(costs, CostModel):
        return costs
    records = list(_records(store)) if store is not None else []
    model = calibrate(records, DECLARED) if records else DECLARED
    return model if costs is None else model.override(costs)


def _records(store: RunStore) -> Iterator[Mapping[str, Any]]:
    """Yield the records of the latest runs; skip unreadable ones, which a forecast can do without."""
    for run_id in store.run_ids()[:_LATEST]:
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
    """Add a forecast to the record of a simulation, and apply its balance of credits.

    Parameters
    ----------
    plan
        The simulated plan.
    workers, costs, prices, balance
        As in `tessera.simulate`.
    store
        The runs from which costs are calibrated.

    Returns
    -------
    RunRecord
        The record with `forecast`, the seconds of tiles and the times of outputs. If the balance does not
        suffice, also with `needs_credits` and the statuses of the contract.

    Raises
    ------
    RequestError
        If `costs` or `prices` is invalid; the error lists every fault.
    """
    model = cost_model(costs, store)
    table = prices if isinstance(prices, PriceTable) else PriceTable.read(prices)
    bill = bill_of(plan, record, table)
    account, excluded = None, frozenset[Any]()
    # The balance comes before the schedule, since refused work takes no time.
    if balance is not None:
        patch = credit_patch(plan, record, bill, balance)
        record, excluded, account = apply_patch(record, patch), refused_work(patch), patch["credits"]
    timetable = schedule(plan, record, workers=workers, model=model, excluded=excluded)
    details = Forecast(plan, timetable, bill, model, table, account)
    return replace(_with_times(record, timetable), forecast=details)


def _with_times(record: RunRecord, timetable: Schedule) -> RunRecord:
    """Return the record with the virtual times of its tiles and outputs."""
    starts: dict[str, int] = {}
    ends: dict[str, int] = {}
    finished: dict[tuple[str, int], int] = {}
    for task in timetable.tasks:
        starts[task.node] = min(task.start, starts.get(task.node, task.start))
        ends[task.node] = max(task.end, ends.get(task.node, 0))
        if task.output is not None:
            finished[task.output] = task.end
    nodes = {
        node: replace(entry, seconds=(ends[node] - starts[node]) / 1e6) if node in starts else entry
        for node, entry in record.nodes.items()
    }
    outputs = [
        Output({**output.raw, "completed_at": _instant(finished.get((output.node, output.index), 0))})
        for output in record.outputs
    ]
    return replace(record, nodes=nodes, outputs=outputs, updated_at=_instant(timetable.makespan))


def _instant(micro: int) -> str:
    """Return the time that is `micro` microseconds after the epoch.

    Raises
    ------
    RequestError
        If a calendar has no such time: only stated facts can make a run so long.
    """
    try:
        at = datetime.fromisoformat(EPOCH) + timedelta(microseconds=micro)
    except OverflowError:
        what = "the simulated run ends after the year 9999: state a shorter duration in the facts"
        raise RequestError([Fault("", "request", what, "wrong_value")]) from None
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")
