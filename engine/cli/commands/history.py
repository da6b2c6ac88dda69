"""`tessera logs`, `trace` and `preview`: what happened in a run, and what went through it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tessera.cli.options import Json, RunName, Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tessera.record.logs import Entry

__all__ = ["add_seeing"]


def add_seeing(app: typer.Typer) -> None:
    """Add the commands to an app."""
    app.command()(logs)
    app.command()(trace)
    app.command()(preview)


def logs(
    wanted: RunName,
    node: Annotated[
        str | None, typer.Argument(metavar="NODE", help="Only what is about this tile (id or name).")
    ] = None,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Tell what happened in a run, in order, with the ffmpeg commands of its renders to paste into a shell.

    What of a command is gone, so that it differs from what ran or cannot run again, stands beside it.
    """
    from tessera.cli.commands.runs import found_run
    from tessera.cli.output import OK, printable, put, put_json
    from tessera.database.statements import decoding
    from tessera.record.logs import log_of
    from tessera.record.node_lookup import node_of
    from tessera.record.record import fold

    store, run_id = found_run(wanted, workspace)
    events = list(store.events(run_id))
    with decoding(f"run {run_id}"):
        record = fold(events)
    entries = log_of(events, None if node is None else node_of(record, node).id)
    if as_json:
        put_json({"run_id": run_id, "entries": [entry.to_dict() for entry in entries]})
    else:
        put(printable("\n".join(_lines(list(entries), list(record.nodes)))))
    return OK


def trace(
    wanted: RunName,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The trace.")] = Path("trace.json"),
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Write a run as a trace, to be opened at ui.perfetto.dev or chrome://tracing.

    It shows tiles, items, outputs and ffmpeg processes, and what waited, in Chrome's trace event format.
    """
    import json

    from tessera.cli.commands.runs import found_run
    from tessera.cli.output import OK, put, put_json
    from tessera.files import write_atomically
    from tessera.record.trace import trace_of
    from tessera.text.wording import count

    store, run_id = found_run(wanted, workspace)
    made = trace_of(store.events(run_id))
    write_atomically(out, json.dumps(made, ensure_ascii=False) + "\n")
    spans = sum(one["ph"] == "X" for one in made["traceEvents"])
    told = {"run_id": run_id, "trace": str(out), "spans": spans}
    put_json(told) if as_json else put(f"{out}: {count(spans, 'span')}; ui.perfetto.dev opens it")
    return OK


def preview(
    wanted: RunName,
    node: Annotated[
        str, typer.Argument(metavar="NODE[:INDEX]", help="A tile: all its items, or the INDEX-th, from 1.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="A folder for the drafts.")] = Path(
        "preview"
    ),
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Render what a tile of a run made as small drafts, although the run did not render it.

    The run is left as it is.
    """
    from tessera.cli.commands.runs import found_run
    from tessera.cli.interrupt import cancel_on_interrupt
    from tessera.cli.output import OK, log, put_json
    from tessera.cli.request_args import home_of
    from tessera.explain.preview import preview as render

    _store, run_id = found_run(wanted, workspace)
    with cancel_on_interrupt(log) as cancelled:
        made = render(home_of(workspace), run_id, node, out, cancelled)
    if as_json:
        put_json({"run_id": run_id, "previews": [one.to_dict() for one in made]})
        return OK
    from tessera.cli.display.tables import preview_table, show

    show([preview_table([one.to_dict() for one in made])])
    return OK


def _lines(entries: list[Entry], nodes: list[str]) -> Iterator[str]:
    """Each entry on a line; commands each on a line of its own, so that they can be copied."""
    from tessera.text.wording import short_ids

    short = short_ids(nodes)
    for entry in entries:
        who = f"{entry.name} {short[entry.node]}: " if entry.node in short else ""
        took = f" ({entry.seconds:.3f} s)" if entry.seconds is not None else ""
        text = "\n    ".join(entry.text.rstrip().splitlines())
        yield f"{entry.elapsed:10.3f}  {who}{text}{took}"
        for command in entry.commands:
            yield from (f"# {note}" for note in command.notes)
            yield ("" if command.runs else "# cannot be run again: ") + command.line
