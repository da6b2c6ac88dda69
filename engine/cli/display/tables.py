"""Plans and records as tables. The functions return rich renderables; `show` prints them."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from tessera.cli.display.output import put
from tessera.text.masking import masked_prose
from tessera.text.wording import count as plural
from tessera.text.wording import partial_run_text, printable, seconds_of, short_ids, short_json, span_of

if TYPE_CHECKING:
    from tessera.graph.plan import Plan

__all__ = ["display_width", "plan_tables", "preview_table", "record_tables", "runs_table", "show", "table"]

_PIPE_WIDTH = 4096
"""The width in columns without a terminal: wide enough to cut nothing."""
_LONG_WORD = 24
"""The characters from which a word, such as an id or a path, may be broken to fit a table into its width."""
_COLOURS = {
    "completed": "green",
    "partial_complete": "yellow",
    "failed": "red",
    "blocked": "yellow",
    "cancelled": "yellow",
}


def display_width(otherwise: int = _PIPE_WIDTH) -> int:
    """Return the width of the display in columns: `COLUMNS` if it is set, else that of the terminal, and
    without one `otherwise`.
    """
    with suppress(ValueError):
        if (columns := int(os.environ.get("COLUMNS", ""))) > 0:
            return columns
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else otherwise


def show(parts: Iterable[RenderableType]) -> None:
    """Print tables on stdout, at the width of the display or, without one, at their full width."""
    tty = sys.stdout.isatty()
    text = io.StringIO()
    console = Console(
        file=text,
        width=display_width(),
        force_terminal=tty,
        no_color=not tty or None,
        markup=False,
        highlight=False,
        emoji=False,
    )
    for part in parts:
        for piece in _wrapped(part, console) if isinstance(part, Text) else (part,):
            console.print(piece, soft_wrap=isinstance(part, Text))
    put("\n".join(line.rstrip() for line in text.getvalue().split("\n")), styled=tty)


def _wrapped(text: Text, console: Console) -> Iterator[Text]:
    """Yield the lines of a text, those that are too long wrapped at words under their own indent."""
    for line in text.split("\n", allow_blank=True):
        if line.cell_len <= console.width:
            yield line
            continue
        indent = len(line.plain) - len(line.plain.lstrip())
        rest = line[indent:].wrap(console, max(console.width - indent - 2, 20))
        for number, piece in enumerate(rest):
            yield Text(" " * (indent + (2 if number else 0))) + piece


def table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    """Return a plain table without the columns that are empty in every row."""
    lines = [
        [cell if isinstance(cell, Text) else Text(masked_prose(printable(cell))) for cell in row]
        for row in rows
    ]
    used = [index for index in range(len(columns)) if any(line[index].plain for line in lines)]
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for index in used:
        words = (
            word for text in (columns[index], *(line[index].plain for line in lines)) for word in text.split()
        )
        least = max((cell_len(word) for word in words if len(word) <= _LONG_WORD), default=1)
        made.add_column(columns[index], overflow="fold", min_width=least)
    for line in lines:
        made.add_row(*(line[index] for index in used))
    return made


def section(title: str, part: RenderableType) -> Iterator[RenderableType]:
    yield Text("")
    yield Text(title, style="bold")
    yield part


def lines_of(lines: Iterable[str]) -> Text:
    """Return indented lines of text."""
    return Text("\n".join(f"  {printable(line)}" for line in lines))


def notices(warnings: Iterable[Mapping[str, str]]) -> Iterator[RenderableType]:
    """Yield the section of warnings, if there are any."""
    lines = [f"{' '.join((one['document'], one['loc'])).rstrip()}: {one['message']}" for one in warnings]
    if lines:
        yield from section("warnings", lines_of(lines))


# a run, simulated or real


def record_tables(record: Mapping[str, Any], *, items: bool = False) -> Iterator[RenderableType]:
    """Yield the tiles, outputs and warnings of a record, and with `items` every item.

    On a terminal, outputs in one folder are listed by name, because long paths would wrap.
    """
    simulated = record["mode"] == "simulate"
    short = short_ids([*(node["original_node_id"] for node in record["nodes"]), *_absent(record["changes"])])
    names = {
        node["original_node_id"]: f"{node['node_type_name']} {short[node['original_node_id']]}"
        for node in record["nodes"]
    }
    if part := record.get("part"):
        node = part["agent_node_id"]
        record = {**record, "part": {**part, "agent_node_id": names.get(node, node)}}
    yield _headline(record, simulated)
    yield Text("")
    yield _tiles(record, short, simulated)
    if record["outputs"]:
        folder = _folder(record["outputs"]) if sys.stdout.isatty() else None
        title = f"outputs in {folder}" if folder is not None else "outputs"
        yield from section(title, _outputs(record["outputs"], names, simulated, folder))
    if items:
        yield from section("items", _items(record.get("items", ()), names))
    yield from notices(record["warnings"])
    more = list(_more_errors(record, names))
    if more:
        yield from section("more errors", lines_of(more))


def _more_errors(record: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[str]:
    """Yield the errors that the table of tiles does not show."""
    for node in record["nodes"]:
        for message in node["errors"]:
            if message != node["status_message"]:
                yield f"{names[node['original_node_id']]}: {message}"


def _absent(changes: Mapping[str, Any]) -> list[str]:
    return [*changes.get("removed", ()), *changes.get("skipped", ())]


def _headline(record: Mapping[str, Any], simulated: bool) -> Text:
    name = f"{record['agent_name']}: " if record["agent_name"] else ""
    status = Text(record["status"].replace("_", " "), style=_COLOURS.get(record["status"], ""))
    details = "".join(f"; --fail {one}" for one in record.get("faults", ()))
    if record.get("part"):
        details = f"; {partial_run_text(record['part'])}{details}"
    if simulated:
        return Text.assemble(
            printable(name), ("SIMULATION", "bold"), ", nothing is rendered: ", status, details
        )
    return Text.assemble(printable(name), "run ", record["run_id"], " ", status, details)


def _tiles(record: Mapping[str, Any], short: Mapping[str, str], simulated: bool) -> Table:
    whys: dict[str, list[str]] = {}
    for item in record.get("items", ()):
        whys.setdefault(item["agent_node_id"], []).append(item["why"])
    delivered = Counter(output.get("delivered_by") for output in record["outputs"])
    rendered = {output.get("delivered_by") for output in record["outputs"] if not output.get("reused")}
    rows = []
    for node in record["nodes"]:
        key, seconds = node["original_node_id"], node["seconds"]
        rows.append(
            (
                node["node_type_name"],
                short[key],
                Text(node["status"].replace("_", " "), style=_COLOURS.get(node["status"], "")),
                str(node["items"]),
                node["status_message"] or _first(whys.get(key, [])) or _delivered(delivered[key]),
                _worked(node.get("work"), rendered=key in rendered),
                "" if simulated or seconds is None else f"{seconds:.1f}",
            )
        )
    return table(("tile", "id", "status", "items", "what it did", "work", "seconds"), rows)


def _worked(work: Mapping[str, str] | None, *, rendered: bool) -> str:
    """Return how a tile got its result and, if it ran again, the reason. Its seconds include its renders."""
    if work is None:
        return ""
    if work["how"] == "cached" and rendered:
        return "cached, then rendered"
    again = work["how"] == "ran" and work["why"] != "the first time"
    return f"ran, {work['why']}" if again else work["how"]


def _delivered(count: int) -> str:
    return f"delivered {count} output{'s' if count > 1 else ''}" if count else ""


def _first(whys: Sequence[str]) -> str:
    """Return the reasons of the first items."""
    details = [why for why in dict.fromkeys(whys) if why]
    more = f"; and {len(details) - 2} more" if len(details) > 2 else ""
    return "; ".join(details[:2]) + more


def _folder(outputs: Iterable[Mapping[str, Any]]) -> Path | None:
    """Return the common folder of all outputs, or None."""
    folders = {Path(output["path"]).parent if output["path"] else None for output in outputs}
    return folders.pop() if len(folders) == 1 else None


def _outputs(
    outputs: Iterable[Mapping[str, Any]], names: Mapping[str, str], simulated: bool, folder: Path | None
) -> Table:
    columns = (
        "output" if simulated else "file",
        "kind",
        "size",
        "fps",
        "duration",
        "sound",
        "fidelity",
        "thumbnail",
    )
    rows = []
    for output in outputs:
        called = f"{names.get(output['original_node_id'], output['original_node_id'])} #{output['index'] + 1}"
        fidelity = output.get("fidelity", "real")
        rows.append(
            (
                called if simulated else _place(output["path"], folder) or called,
                *_described(output),
                "" if fidelity == "real" else fidelity,
                _place(output["thumbnail_path"], folder),
            )
        )
    return table(columns, rows)


def _place(path: str | None, folder: Path | None) -> str:
    """Return a path relative to `folder` if it is directly in it."""
    if not path:
        return ""
    return Path(path).name if folder is not None and Path(path).parent == folder else path


def _items(items: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> Table:
    rows = []
    for item in items:
        parents = ", ".join(_ref(parent, names) for parent in item["parents"])
        rows.append((_ref(item, names), *_described(item), item["why"], parents))
    return table(("item", "kind", "size", "fps", "duration", "sound", "why", "made from"), rows)


def preview_table(previews: Iterable[Mapping[str, Any]]) -> Table:
    """Return a table of drafts with the facts of their items."""
    rows = [
        (str(one["path"]), f"{one['node_type_name']} #{one['index'] + 1}", *_described(one), one["why"])
        for one in previews
    ]
    return table(("draft", "of", "kind", "size", "fps", "duration", "sound", "why"), rows)


def _ref(item: Mapping[str, Any], names: Mapping[str, str]) -> str:
    return f"{names.get(item['agent_node_id'], item['agent_node_id'])} #{item['index'] + 1}"


def _described(value: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    """Return kind, size, frame rate, duration and sound of an item or output."""
    size = f"{value['width']}×{value['height']}" if value.get("width") else ""
    length = value.get("duration_ms")
    sound = {True: "yes", False: "no"}.get(value.get("has_audio"), "")  # type: ignore[arg-type]
    return (
        value["kind"],
        size,
        frame_rate(value.get("fps")),
        "" if length is None else seconds_of(length),
        sound,
    )


def frame_rate(fps: str | None) -> str:
    """Format frames per second in decimals: `30000/1001` → `29.97`."""
    return "" if fps is None else f"{float(Fraction(fps)):.3f}".rstrip("0").rstrip(".")


def runs_table(runs: Iterable[Mapping[str, Any]]) -> Table:
    """Return a table with one row per run."""
    rows = []
    for run in runs:
        counts = run["node_status_counts"]
        tiles = f"{counts['completed']} completed, {counts['failed']} failed"
        rows.append(
            (
                run["run_id"],
                Text(run["status"].replace("_", " "), style=_COLOURS.get(run["status"], "")),
                run["started_at"][:19].replace("T", " "),
                run.get("agent_name") or run["agent_id"] or "",
                tiles,
                str(len(run["outputs"])),
            )
        )
    return table(("run", "status", "started (UTC)", "agent", "tiles", "outputs"), rows)


# a plan


def plan_tables(plan: Plan, called: Mapping[str, str]) -> Iterator[RenderableType]:
    """Yield a plan: tiles in order with non-default parameters, connections, inputs, changes and warnings.

    `called` maps the id of every tile of the template to its name.
    """
    short = short_ids(called)
    names = {node: f"{name} {short[node]}" for node, name in called.items()}
    counts = f"{plural(len(plan.order), 'tile')}, {plural(plan.graph.number_of_edges(), 'connection')}"
    yield Text(printable(f"{plan.agent_name or 'agent'}: {counts}"), style="bold")
    yield Text("")
    yield table(("", "tile", "id", "non-default parameters"), _plan_tiles(plan, short))
    place = {node: index for index, node in enumerate(plan.order)}
    edges = sorted(plan.graph.edges(data="via"), key=lambda edge: (place[edge[0]], place[edge[1]]))
    rows = [
        (f"{names[source]} ─▶ {names[target]}", f"via {_listed(via, names)}" if via else "")
        for source, target, via in edges
    ]
    if rows:
        yield from section("connections", table(("from ─▶ to", "rewired"), rows))
    inputs = [(names[binding.node], *_source(ref)) for binding in plan.inputs for ref in binding.sources]
    if inputs:
        yield from section("inputs", table(("tile", "form", "source", "range"), inputs))
    changes = list(_changes(plan, names))
    if changes:
        yield from section("changes to the template", lines_of(changes))
    yield from notices(notice.to_dict() for notice in plan.warnings)


def _plan_tiles(plan: Plan, short: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    for number, node in enumerate(plan.order, start=1):
        tile = plan.tile(node)
        details = [
            f"{name} = {short_json(one['value'])} ({one['origin']})"
            for name, one in tile.parameters().items()
            if one["origin"] != "default"
        ]
        yield str(number), tile.name, short[node], "\n".join(details)


def _listed(nodes: Iterable[str], names: Mapping[str, str]) -> str:
    return ", ".join(names[node] for node in nodes)


def _source(ref: Any) -> tuple[str, str, str]:
    start, end = ref.start_ms, ref.end_ms
    whole = start is None and end is None
    return ref.form, ref.masked_key, "whole" if whole else span_of(start, end)


def _changes(plan: Plan, names: Mapping[str, str]) -> Iterator[str]:
    if plan.changes.removed:
        yield f"removed: {_listed(plan.changes.removed, names)}"
    for edge in plan.changes.rewired:
        yield f"rewired: {names[edge.source]} ─▶ {names[edge.target]} via {_listed(edge.via, names)}"
    for change in plan.changes.overridden:
        values = f"{short_json(change.old)} → {short_json(change.new)}"
        yield f"set: {names[change.node]} {change.parameter}: {values}"
    if plan.changes.skipped:
        yield f"skipped: {_listed(plan.changes.skipped, names)}"
