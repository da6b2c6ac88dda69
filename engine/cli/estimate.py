"""`tessera estimate`: how long a run would take, and what it would cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.options import (
    Agent,
    Clip,
    Facts,
    Given,
    Ignore,
    Inputs,
    Json,
    Request,
    Set,
    Unknown,
    UnknownTiles,
    Workspace,
)

if TYPE_CHECKING:
    from decimal import Decimal

    from rich.console import RenderableType

    from engine.graph.plan import Plan
    from engine.run.cost import CostModel
    from engine.run.credits import Bill, PriceTable
    from engine.run.record import RunRecord
    from engine.run.schedule import Schedule

__all__ = ["estimate"]

_LATEST = 50
"""The costs are calibrated from this many runs of the workspace, the latest ones."""


def estimate(
    agent: Agent,
    request: Request = None,
    inputs: Inputs = None,
    clip: Clip = None,
    overrides: Set = None,
    ignored: Ignore = None,
    facts: Facts = None,
    workers: Annotated[
        int, typer.Option("--workers", min=1, max=10_000, help="How many tiles and renders work at a time.")
    ] = 2,
    prices: Annotated[
        str | None, typer.Option("--prices", metavar="FILE", help="Prices in credits, in place of ours.")
    ] = None,
    costs: Annotated[
        str | None,
        typer.Option(
            "--costs", metavar="FILE", help="Seconds that tiles and renders take, in place of ours."
        ),
    ] = None,
    balance: Annotated[
        str | None, typer.Option("--balance", metavar="N", help="The credits that there are for the run.")
    ] = None,
    unknown: UnknownTiles = Unknown.ERROR,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Simulate an agent on a virtual clock: how long it takes, and what it costs.

    The seconds are calibrated from the workspace's finished runs, where it has some.
    """
    given = Given(
        agent,
        request,
        tuple(inputs or ()),
        clip,
        tuple(overrides or ()),
        tuple(ignored or ()),
        workspace,
        unknown,
    )
    return _estimate(given, facts, workers, prices, costs, balance, as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Estimate:
    plan: Plan
    record: RunRecord
    schedule: Schedule
    bill: Bill
    model: CostModel
    table: PriceTable
    patch: Mapping[str, Any] | None


def _estimate(
    given: Given,
    facts: str | None,
    workers: int,
    prices: str | None,
    costs: str | None,
    balance: str | None,
    *,
    as_json: bool,
) -> int:
    from engine.cli.output import FAILED, OK, put_json
    from engine.run.credits import PriceTable, needs_credits, price, refused, stopped
    from engine.run.schedule import schedule

    purse = _credits(balance)
    table = PriceTable.read(prices)
    model = _model(given, costs)
    plan, record = _simulated(given, facts)
    _name_strangers(plan, "costs", model.tiles)
    _name_strangers(plan, "prices", table.tiles)
    bill = price(plan, record, table)
    patch = None
    if purse is not None:
        patch = needs_credits(plan, record, bill, purse)
        record = stopped(record, patch)
    timed = schedule(plan, record, workers=workers, model=model, without=refused(patch) if patch else ())
    found = _Estimate(plan, record, timed, bill, model, table, patch)
    if as_json:
        put_json(_document(found))
    else:
        from engine.cli.tables import show

        show(_tables(found))
    return OK if record.status.value == "completed" else FAILED


def _credits(text: str | None) -> Decimal | None:
    from decimal import Decimal, InvalidOperation

    from engine.cli.output import refuse

    try:
        number = None if text is None else Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if number is not None and not (number.is_finite() and abs(number) < 10**20 and number.as_tuple().digits):
        raise refuse(f"--balance {text}: give a number of credits, as in 12.5")
    return number


def _model(given: Given, costs: str | None) -> CostModel:
    """The declared costs, fitted to the workspace's runs, and then what `--costs` says."""
    from engine.cli.given import home_of
    from engine.cli.output import warn
    from engine.errors import WorkspaceError
    from engine.run.cost import DECLARED, calibrated
    from engine.run.store import RunStore

    store, records = RunStore(home_of(given.workspace)), []
    for run_id in store.ids()[:_LATEST]:
        try:
            records.append(store.record(run_id))
        except WorkspaceError as error:
            warn(str(error))
    model = calibrated(records, DECLARED) if records else DECLARED
    return model if costs is None else model.override(costs)


def _simulated(given: Given, facts: str | None) -> tuple[Plan, RunRecord]:
    """The record of a simulation, and its plan."""
    from engine import plan, simulate
    from engine.cli.given import document, explained, home_of, prepare
    from engine.cli.output import refuse

    if facts == "-" and "-" in (given.agent, given.request):
        raise refuse("only one of AGENT, REQUEST and --facts can be '-': there is one stdin")
    prepared = prepare(given)
    with explained(given):
        record = simulate(
            prepared.template,
            prepared.request,
            facts=document(facts),
            inputs=prepared.inputs,
            workspace=home_of(given.workspace),
            unknown_tiles=given.unknown.value,
        )
    decided = plan(prepared.template, record.start.request, unknown_tiles=given.unknown.value)
    return decided, record


def _name_strangers(plan: Plan, what: str, names: Iterable[str]) -> None:
    """Warn of names in a table that no tile has: they are probably misspelt."""
    from engine.cli.output import warn
    from engine.nearest import suggestion
    from engine.node import name_key
    from engine.settings import default_catalogue

    catalogue = default_catalogue()
    here = {name_key(plan.tile(node).name) for node in plan.order}
    for name in names:
        if name_key(name) not in here and catalogue.find(name) is None:
            warn(f"{what}: no tile is called {name!r}{suggestion(name, catalogue.names())}")


# what is shown


def _document(found: _Estimate) -> dict[str, Any]:
    from engine.run.credits import patched
    from engine.run.schedule import gantt

    nothing: dict[str, Any] = {"needs_credits": False, "run": {}, "nodes": {}}
    run = patched(found.record, found.patch or nothing)
    return {
        "run": {name: value for name, value in run.items() if name != "items"},
        "schedule": found.schedule.to_dict(),
        "gantt": gantt(found.schedule).splitlines(),
        "bill": found.bill.to_dict(),
        "credits": found.patch and found.patch["credits"],
        "costs": found.model.to_dict(),
        "prices": found.table.to_dict(),
    }


def _tables(found: _Estimate) -> Iterator[RenderableType]:
    import shutil
    import sys

    from rich.text import Text

    from engine.cli.output import clean
    from engine.cli.tables import lines_of, section
    from engine.run.schedule import gantt

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 100
    name = f"{found.record.start.agent['name']}: " if found.record.start.agent["name"] else ""
    status = found.record.status.value.replace("_", " ")
    yield Text.assemble(clean(name), ("ESTIMATE", "bold"), f", nothing is rendered: {status}")
    yield Text("")
    yield Text(gantt(found.schedule, width))
    yield Text(_times(found.schedule))
    yield from section("critical path (*)", lines_of(_path(found.schedule)))
    yield from section("where the seconds come from", lines_of(_origins(found.schedule, found.plan)))
    yield from section(f"bill: {found.bill.total} credits", _bill(found))
    if found.patch is not None:
        yield from section("balance", lines_of(_balance(found.patch, found.plan)))


def _times(timed: Schedule) -> str:
    from engine.run.schedule import clock
    from engine.text import count

    shares = ", ".join(f"{busy / timed.makespan:.0%}" for busy in timed.busy[:8]) if timed.makespan else ""
    each = f" ({shares}{', …' if timed.workers > 8 else ''})" if shares and timed.workers > 1 else ""
    return (
        f"{clock(timed.makespan)} with {count(timed.workers, 'worker')}, busy {timed.utilisation:.0%}{each}; "
        f"{clock(timed.work)} of work"
    )


def _path(timed: Schedule) -> Iterator[str]:
    from engine.run.schedule import MICRO, clock

    path = timed.critical_path
    longest = {id(task) for task in sorted(path, key=lambda task: -task.duration)[:12]}
    shown = [task for task in path if id(task) in longest]
    for task in shown:
        yield f"{clock(task.duration):>9}  {task.label}  {task.node}"
    if len(shown) < len(path):
        yield f"           and {len(path) - len(shown):,} shorter steps"
    total = sum(task.duration for task in path)
    yield f"{clock(total):>9}  in all: no number of workers is faster" if total >= MICRO / 1000 else "no time"


def _origins(timed: Schedule, plan: Plan) -> Iterator[str]:
    """The kinds of work by the origin of their costs."""
    kinds: dict[str, dict[str, None]] = {}
    for task in timed.tasks:
        kind = plan.tile(task.node).name if task.output is None else "renders"
        kinds.setdefault(task.origin, {})[kind] = None
    for origin, names in sorted(kinds.items()):
        yield f"{origin}: {', '.join(names)}"


_METERS = {
    "input_minute": "minutes in",
    "made_second": "seconds made",
    "made_image": "images made",
    "output_minute": "minutes of output",
}
_MS_OF = {"input_minute": 60_000, "made_second": 1_000, "made_image": 1, "output_minute": 60_000}


def _bill(found: _Estimate) -> RenderableType:
    """One line for each tile and meter: the lines of a tile's outputs together."""
    from engine.cli.tables import table
    from engine.text import short_ids

    short = short_ids(found.plan.order)
    rows: dict[tuple[str, str], list[Any]] = {}
    for line in found.bill.lines:
        row = rows.setdefault((line.node, line.meter), [line.name, 0, line.price, 0])
        row[1] += line.quantity
        row[3] += line.amount
    lines = [
        (
            name,
            short[node],
            f"{quantity / _MS_OF[meter]:.3f}".rstrip("0").rstrip("."),
            _METERS[meter],
            str(unit),
            str(amount),
        )
        for (node, meter), (name, quantity, unit, amount) in rows.items()
    ]
    return table(("tile", "id", "quantity", "of", "price", "credits"), lines)


def _balance(patch: Mapping[str, Any], plan: Plan) -> Iterator[str]:
    purse = patch["credits"]
    yield f"{purse['balance']} credits: {purse['spent']} spent, {purse['left']} left"
    for node, members in patch["nodes"].items():
        status = members["status"].replace("_", " ")
        yield f"{plan.tile(node).name} {node} {status}: {members['status_message']}"
