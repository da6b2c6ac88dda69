"""`tessera estimate`: the duration and the cost of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tessera.cli.expansion import Fields, expand
from tessera.cli.options import Json, RequestOptions
from tessera.runner.config import SimulateConfig
from tessera.text.wording import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tessera.forecast.forecast import Forecast
    from tessera.forecast.schedule import Schedule
    from tessera.graph.plan import Plan
    from tessera.record.record import RunRecord

__all__ = ["estimate", "forecast_summary"]

_OFFERED = ("facts", "stubs", "assume", "prices", "costs", "balance", "unknown_tiles", "workspace")


@expand
def estimate(
    request: RequestOptions,
    config: Annotated[SimulateConfig, Fields(_OFFERED)],
    workers: Annotated[
        int, typer.Option("--workers", min=1, max=10_000, help="Parallel tiles and renders.")
    ] = 2,
    as_json: Json = False,
) -> int:
    """Estimate the duration and the cost of a run.

    Simulates the run on a virtual clock, calibrated with the finished runs in the workspace.
    """
    from tessera.cli.display.output import FAILED, OK, put_json
    from tessera.cli.request_args import prepare
    from tessera.cli.simulate_args import run_simulation

    record = run_simulation(prepare(request), request, replace(config, workers=workers))
    found = _forecast(record)
    _warn_unknown_names(found.plan, "costs", found.model.tiles)
    _warn_unknown_names(found.plan, "prices", found.table.tiles)
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


def _warn_unknown_names(plan: Plan, table: str, names: Iterable[str]) -> None:
    """Warn about names in a table that no tile has: they are probably misspelt."""
    from tessera.cli.display.output import warn
    from tessera.node import name_key
    from tessera.settings import default_catalogue
    from tessera.text.nearest import suggestion

    catalogue = default_catalogue()
    here = {name_key(plan.tile(node).name) for node in plan.order}
    for name in names:
        if name_key(name) not in here and catalogue.find(name) is None:
            warn(f"{table}: no tile is called {name!r}{suggestion(name, catalogue.names())}")


# display


def forecast_summary(record: RunRecord) -> Iterator[RenderableType]:
    """Yield a short summary of the time and the credits of a simulation."""
    from rich.text import Text

    from tessera.cli.display.tables import lines_of, section
    from tessera.forecast.schedule import gantt

    found = _forecast(record)
    yield from section("time", Text(gantt(found.schedule, _width(), rows=_FEW)))
    yield lines_of((_times(found.schedule), f"{found.bill.total} credits"))
    if found.credits is not None:
        yield lines_of([_credit_line(found.credits)])


_FEW = 8
"""The maximum number of chart rows next to other tables."""


def _width() -> int:
    from tessera.cli.display.tables import display_width

    return display_width(100)


def _tables(record: RunRecord, found: Forecast) -> Iterator[RenderableType]:
    from rich.text import Text

    from tessera.cli.display.tables import lines_of, section
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
    from tessera.text.wording import count, short_ids

    path = timed.critical_path
    short = short_ids(task.node for task in path)
    longest = {id(task) for task in sorted(path, key=lambda task: -task.duration)[:12]}
    shown = [task for task in path if id(task) in longest]
    for task in shown:
        yield f"{clock(task.duration):>9}  {task.label}  {short[task.node]}"
    if len(shown) < len(path):
        yield f"           and {count(len(path) - len(shown), 'shorter step')}"
    total = sum(task.duration for task in path)
    yield f"{clock(total):>9}  in all: no number of workers is faster" if total >= MICRO / 1000 else "no time"


def _origins(timed: Schedule, plan: Plan) -> Iterator[str]:
    """Yield the origins of the costs, each with its tiles."""
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
    """Return the bill, one row per tile and meter. The outputs of a tile share a row."""
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


def _balance(record: RunRecord, balance: Mapping[str, Any]) -> Iterator[str]:
    yield _credit_line(balance)
    for node in record.nodes.values():
        if node.status.value != "completed":
            yield f"{node.name} {node.id} {node.status.value.replace('_', ' ')}: {node.message}"


def _credit_line(balance: Mapping[str, Any]) -> str:
    return f"{balance['spent']} of {balance['balance']} credits spent, {balance['left']} left"
