"""`tessera estimate`: how long a run would take, and what it would cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tessera.cli.options import (
    Agent,
    Assume,
    Balance,
    Clip,
    Costs,
    Facts,
    Ignore,
    Inputs,
    Json,
    Prices,
    Request,
    RequestOptions,
    Set,
    Stubs,
    Unknown,
    UnknownTiles,
    Workspace,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tessera.forecast.forecast import Forecast
    from tessera.forecast.schedule import Schedule
    from tessera.graph.plan import Plan
    from tessera.record.record import RunRecord

__all__ = ["brief", "estimate"]


def estimate(
    agent: Agent,
    request: Request = None,
    inputs: Inputs = None,
    clip: Clip = None,
    overrides: Set = None,
    ignored: Ignore = None,
    facts: Facts = None,
    stubs: Stubs = None,
    assume: Assume = False,
    workers: Annotated[
        int, typer.Option("--workers", min=1, max=10_000, help="How many tiles and renders work at a time.")
    ] = 2,
    prices: Prices = None,
    costs: Costs = None,
    balance: Balance = None,
    unknown: UnknownTiles = Unknown.ERROR,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Simulate an agent on a virtual clock, and show in full how long it takes and what it costs.

    The seconds are calibrated from the workspace's finished runs, where it has some.
    """
    from tessera.cli.output import FAILED, OK, put_json
    from tessera.cli.request_args import prepare
    from tessera.cli.simulate_args import SimulateOptions, Virtual, simulated

    given = RequestOptions.of(agent, request, inputs, clip, overrides, ignored, workspace, unknown)
    standing = SimulateOptions(facts, tuple(stubs or ()), assume)
    record = simulated(prepare(given, facts), given, standing, Virtual(workers, costs, prices, balance))
    found = _forecast(record)
    _name_strangers(found.plan, "costs", found.model.tiles)
    _name_strangers(found.plan, "prices", found.table.tiles)
    if as_json:
        run = record.to_dict(items=False)
        put_json({"run": run, **run.pop("forecast")})
    else:
        from tessera.cli.display.tables import show

        show(_tables(record, found))
    return OK if record.status.value == "completed" else FAILED


def _forecast(record: RunRecord) -> Forecast:
    assert record.forecast is not None
    return record.forecast


def _name_strangers(plan: Plan, what: str, names: Iterable[str]) -> None:
    """Warn of names in a table that no tile has: they are probably misspelt."""
    from tessera.cli.output import warn
    from tessera.node import name_key
    from tessera.settings import default_catalogue
    from tessera.text.nearest import suggestion

    catalogue = default_catalogue()
    here = {name_key(plan.tile(node).name) for node in plan.order}
    for name in names:
        if name_key(name) not in here and catalogue.find(name) is None:
            warn(f"{what}: no tile is called {name!r}{suggestion(name, catalogue.names())}")


# what is shown


def brief(record: RunRecord) -> Iterator[RenderableType]:
    """A few lines on the time and the credits that a simulation comes to."""
    from rich.text import Text

    from tessera.cli.display.tables import lines_of, section
    from tessera.forecast.schedule import gantt

    found = _forecast(record)
    yield from section("time", Text(gantt(found.schedule, _width(), rows=_FEW)))
    yield lines_of((_times(found.schedule), f"{found.bill.total} credits"))
    if found.credits is not None:
        yield lines_of([_purse(found.credits)])


_FEW = 8
"""Lines of a drawing that stands beside other tables."""


def _width() -> int:
    import shutil
    import sys

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 100


def _tables(record: RunRecord, found: Forecast) -> Iterator[RenderableType]:
    from rich.text import Text

    from tessera.cli.display.tables import lines_of, section
    from tessera.cli.output import printable
    from tessera.forecast.schedule import gantt

    name = f"{record.start.agent['name']}: " if record.start.agent["name"] else ""
    status = record.status.value.replace("_", " ")
    yield Text.assemble(printable(name), ("ESTIMATE", "bold"), f", nothing is rendered: {status}")
    yield Text("")
    yield Text(gantt(found.schedule, _width()))
    yield Text(_times(found.schedule))
    yield from section("critical path (*)", lines_of(_path(found.schedule)))
    yield from section("where the seconds come from", lines_of(_origins(found.schedule, found.plan)))
    yield from section(f"bill: {found.bill.total} credits", _bill(found))
    if found.credits is not None:
        yield from section("balance", lines_of(_balance(record, found.credits)))


def _times(timed: Schedule) -> str:
    from tessera.forecast.schedule import clock
    from tessera.text.wording import count

    shares = ", ".join(f"{busy / timed.makespan:.0%}" for busy in timed.busy[:8]) if timed.makespan else ""
    each = f" ({shares}{', …' if timed.workers > 8 else ''})" if shares and timed.workers > 1 else ""
    return (
        f"{clock(timed.makespan)} with {count(timed.workers, 'worker')}, busy {timed.utilisation:.0%}{each}; "
        f"{clock(timed.work)} of work"
    )


def _path(timed: Schedule) -> Iterator[str]:
    from tessera.forecast.schedule import MICRO, clock
    from tessera.text.wording import count

    path = timed.critical_path
    longest = {id(task) for task in sorted(path, key=lambda task: -task.duration)[:12]}
    shown = [task for task in path if id(task) in longest]
    for task in shown:
        yield f"{clock(task.duration):>9}  {task.label}  {task.node}"
    if len(shown) < len(path):
        yield f"           and {count(len(path) - len(shown), 'shorter step')}"
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


def _bill(found: Forecast) -> RenderableType:
    """One line for each tile and meter: the lines of a tile's outputs together."""
    from tessera.cli.display.tables import table
    from tessera.text.wording import short_ids

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


def _balance(record: RunRecord, purse: Mapping[str, Any]) -> Iterator[str]:
    yield _purse(purse)
    for node in record.nodes.values():
        if node.status.value != "completed":
            yield f"{node.name} {node.id} {node.status.value.replace('_', ' ')}: {node.message}"


def _purse(purse: Mapping[str, Any]) -> str:
    return f"of {purse['balance']} credits {purse['spent']} spent, {purse['left']} left"
