"""`tessera diff AGENT [REQUEST] --ignore NODE --set NODE.PARAM=VALUE`: what the options change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from tessera.cli.commands.planning.diff import difference_lines
from tessera.cli.display.output import FAILED, OK, put, put_json
from tessera.cli.formats import ReportFormat
from tessera.cli.options import RequestOptions
from tessera.cli.request_args import prepare, quoting_advice
from tessera.cli.simulate_args import with_forecast
from tessera.text.wording import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tessera.explain.what_if import Totals, WhatIf
    from tessera.runner.config import SimulateConfig

__all__ = ["what_if"]


def what_if(options: RequestOptions, config: SimulateConfig, form: ReportFormat) -> int:
    """Simulate the request with and without `--set` and `--ignore`; return 1 if anything differs, else 0."""
    from tessera.explain.what_if import what_if as compare

    prepared = prepare(options)
    config = replace(with_forecast(config), inputs=prepared.inputs)
    with quoting_advice(options, prepared.places):
        found = compare(prepared.template, prepared.places.given, prepared.request, config)
    changes = [f"--set {text}" for text in options.overrides]
    changes += [f"--ignore {name}" for name in options.ignored]
    if form is ReportFormat.JSON:
        put_json({"options": changes, **found.to_dict()})
    elif form is ReportFormat.MARKDOWN:
        put(_markdown(found, " ".join(changes)))
    else:
        from tessera.cli.display.tables import show

        show(_lines(found, " ".join(changes)))
    return FAILED if found else OK


def _lines(found: WhatIf, changes: str) -> Iterator[RenderableType]:
    from rich.text import Text

    from tessera.cli.display.tables import table

    yield Text(printable(f"what if {changes}"), style="bold")
    yield Text(found.found.summary())
    yield Text("")
    yield table(("", "without", "with", ""), _rows(found.before, found.after))
    if found.found:
        yield Text("")
    yield from difference_lines(found.found)


def _rows(before: Totals, after: Totals) -> Iterator[tuple[str, str, str, str]]:
    """Yield each total: its name, both values, and the change."""
    for name, old in before.to_dict().items():
        new = after.to_dict()[name]
        change = getattr(after, name) - getattr(before, name)
        if name == "seconds":
            old, new, change = (round(value, 2) for value in (old, new, change))
        yield name, f"{old:,}" if name != "credits" else old, str(new), f"{change:+}" if change else "same"


def _markdown(found: WhatIf, changes: str) -> str:
    from tessera.reports.diff_markdown import diff_markdown

    rows = "\n".join(f"| {' | '.join(row)} |" for row in _rows(found.before, found.after))
    head = "| | without | with | change |\n|---|--:|--:|--:|"
    return f"{diff_markdown(found.found, 'without', changes)}\n\n{head}\n{rows}\n"
