"""`tessera logs`, `trace` and `preview`: the log, the trace and the items of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tessera.cli.options import Json, RunName, Workspace
from tessera.text.wording import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tessera.record.logs import Entry

__all__ = ["add_history"]


def add_history(app: typer.Typer) -> None:
    """Register the commands on an app."""
    app.command()(logs)
    app.command()(trace)
    app.command()(preview)


def logs(
    run_name: RunName,
    node: Annotated[
        str | None, typer.Argument(metavar="NODE", help="Show only the entries of this tile (id or name).")
    ] = None,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Show the log of a run, with its ffmpeg commands.

    The commands can be pasted into a shell. A comment marks commands that differ from the original or cannot
    run again because files are gone.
    """
    from tessera.cli.commands.runs import find_run
    from tessera.cli.display.output import OK, put, put_json
    from tessera.database.statements import decoding
    from tessera.record.logs import log_of
    from tessera.record.node_lookup import node_of
    from tessera.record.record import fold

    store, run_id = find_run(run_name, workspace)
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
    run_name: RunName,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Trace file to write.")] = Path(
        "trace.json"
    ),
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Write a trace of a run for ui.perfetto.dev or chrome://tracing.

    Shows tiles, items, outputs, ffmpeg processes and waiting times, in the Chrome trace event format.
    """
    import json

    from tessera.cli.commands.runs import find_run
    from tessera.cli.display.output import OK, put, put_json
    from tessera.files import write_atomically
    from tessera.record.trace import trace_of
    from tessera.text.masking import mask_urls

    store, run_id = find_run(run_name, workspace)
    made = mask_urls(trace_of(store.events(run_id)))
    write_atomically(out, json.dumps(made, ensure_ascii=False) + "\n")
    spans = sum(one["ph"] == "X" for one in made["traceEvents"])
    details = {"run_id": run_id, "trace": str(out), "spans": spans}
    put_json(details) if as_json else put(f"{out}: {spans} spans; open it at ui.perfetto.dev")
    return OK


def preview(
    run_name: RunName,
    node: Annotated[
        str, typer.Argument(metavar="NODE[:INDEX]", help="Tile, or one item of it (INDEX starts at 1).")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the drafts.")] = Path(
        "preview"
    ),
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Render the items of a tile as small drafts.

    Also works for items that the run did not render. Does not change the run.
    """
    from tessera.cli.commands.runs import find_run
    from tessera.cli.display.output import OK, log, put_json
    from tessera.cli.interrupt import cancel_on_interrupt
    from tessera.cli.request_args import workspace_folder
    from tessera.explain.preview import preview as render

    _store, run_id = find_run(run_name, workspace)
    with cancel_on_interrupt(log) as cancelled:
        made = render(workspace_folder(workspace), run_id, node, out, cancelled)
    if as_json:
        put_json({"run_id": run_id, "previews": [one.to_dict() for one in made]})
        return OK
    from tessera.cli.display.tables import preview_table, show

    show([preview_table([one.to_dict() for one in made])])
    return OK


def _lines(entries: list[Entry], nodes: list[str]) -> Iterator[str]:
    """Yield one line per entry. Each command has its own line, so that it can be copied."""
    from tessera.text.wording import short_ids

    short = short_ids(nodes)
    for entry in entries:
        tile_label = f"{entry.name} {short[entry.node]}: " if entry.node in short else ""
        took = f" ({entry.seconds:.3f} s)" if entry.seconds is not None else ""
        text = "\n    ".join(entry.text.rstrip().splitlines())
        yield f"{entry.elapsed:10.3f}  {tile_label}{text}{took}"
        for command in entry.commands:
            yield from (f"# {note}" for note in command.notes)
            yield ("" if command.runs else "# cannot be run again: ") + command.line
