"""The display of a plan and of a run in a notebook: tables and the drawn graph."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.drawing.model import Drawing, DrawnEdge, DrawnTile, Flow, draw, flows_of
from tessera.drawing.svg import svg_of
from tessera.reports.html import bullets, code, heading, page, picture, table, text
from tessera.text.wording import count, seconds_of, short_ids, short_json, span_of

if TYPE_CHECKING:
    # A plan displays itself with this module, so only its type is imported from there.
    from tessera.graph.plan import Plan

__all__ = ["plan_html", "run_html"]

_GRAPH = (150, 300)
"""The most tiles and connections that are drawn: beyond, nobody can read the picture."""

_OUTPUT_COLUMNS = ("", "output", "kind", "duration", "size", "fps", "sound", "fidelity", "file")
_TILE_COLUMNS = ("tile", "id", "status", "makes", "message", "seconds")
_THUMBNAIL = 64_000
_THUMBNAILS = 12
"""The largest size of a thumbnail in bytes, and the largest number of them."""


def plan_html(plan: Plan) -> str:
    """Return a plan as HTML: its changes, warnings, inputs and tiles, and the graph."""
    return page(_plan(plan))


def _plan(plan: Plan) -> Iterator[str]:
    names = _Names({node.id: node.name for node in plan.template or ()} | _running(plan))
    changes = plan.changes.to_dict()
    inputs = [(binding.node, ref) for binding in plan.inputs for ref in binding.sources]
    counts = (
        count(len(plan.order), "tile"),
        count(plan.graph.number_of_edges(), "connection"),
        count(len(inputs), "input"),
    )
    yield heading(f"Plan of {text(plan.agent_name or 'an agent', 100)}", ", ".join(counts))
    yield _picture(_plan_drawing(plan))
    yield _changes(changes, names)
    yield _warnings([notice.to_dict() for notice in plan.warnings])
    sources = (
        (names(node), ref.form, code(ref.masked_key), text(_range(ref.start_ms, ref.end_ms)))
        for node, ref in inputs
    )
    yield table("Inputs", ("tile", "form", "source", "range"), sources, len(inputs))
    columns = ("", "tile", "id", "parameters that are not defaults")
    yield table("Tiles in the order of the run", columns, _plan_tiles(plan, names), len(plan.order))


def _running(plan: Plan) -> dict[str, str]:
    return {node: plan.tile(node).name for node in plan.order}


def run_html(record: Mapping[str, Any], plan: Plan | None = None) -> str:
    """Return the record of a run or a simulation as HTML: errors, outputs, tiles, and the graph.

    Parameters
    ----------
    record
        The result of `RunRecord.to_dict`.
    plan
        The plan of the run, if it is known. Without it, the graph shows the tiles and the way of the items.
    """
    return page(_run(record, plan))


def _run(record: Mapping[str, Any], plan: Plan | None) -> Iterator[str]:
    called = {node["original_node_id"]: node["node_type_name"] for node in record["nodes"]}
    names = _Names({node.id: node.name for node in (plan and plan.template) or ()} | called)
    outputs, nodes = record["outputs"], record["nodes"]
    flows = flows_of(record)
    yield _run_heading(record)
    if plan is not None and plan.template is not None:
        yield _picture(draw(plan.template, plan, flows))
    else:
        yield _picture(_lineage(record, flows))
    errors = [(entry["original_node_id"], line) for entry in record["errors"] for line in entry["messages"]]
    yield bullets("Errors", (f"{names(node)}: {text(line)}" for node, line in errors), len(errors))
    yield table("Outputs", _OUTPUT_COLUMNS, _outputs(outputs, names), len(outputs))
    yield _changes(record["changes"], names)
    yield _warnings(record["warnings"])
    yield table("Tiles", _TILE_COLUMNS, _run_tiles(record, names, flows), len(nodes))


def _run_heading(record: Mapping[str, Any]) -> str:
    simulated = record["mode"] == "simulate"
    title = f"{'Simulation' if simulated else 'Run'} of {text(record['agent_name'] or 'an agent', 100)}"
    details = [
        text(record["status"].replace("_", " ")),
        f"{count(len(record['outputs']), 'output')} of {count(len(record['nodes']), 'tile')}",
    ]
    forecast = record.get("forecast")
    if forecast:
        details.append(f"about {seconds_of(round(forecast['schedule']['makespan'], 1) * 1000)}")
        details.append(f"{text(forecast['bill']['total'])} credits")
    if record.get("status_message"):
        details.append(text(record["status_message"]))
    details.append("nothing is rendered" if simulated else f"run {code(record['run_id'])}")
    return heading(title, ", ".join(details))


class _Names:
    """Formats tiles as their name and the beginning of their id, as HTML."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names, self.short = names, short_ids(names)

    def __call__(self, node: str) -> str:
        name = self.names.get(node)
        return f"{text(name, 80)} {self.id(node)}" if name else self.id(node)

    def id(self, node: str) -> str:
        return code(self.short.get(node, node[:8]), 40)


# lists and tables


def _changes(changes: Mapping[str, Sequence[Any]], names: _Names) -> str:
    total = sum(map(len, changes.values()))
    return bullets("Changes to the agent", _change_entries(changes, names), total)


def _change_entries(changes: Mapping[str, Sequence[Any]], names: _Names) -> Iterator[str]:
    yield from (f"removed: {names(node)}" for node in changes.get("removed", ()))
    for edge in changes.get("rewired", ()):
        more = f" and {len(edge['via']) - 8:,} more" if len(edge["via"]) > 8 else ""
        past = ", ".join(map(names, edge["via"][:8]))
        yield f"rewired: {names(edge['source'])} → {names(edge['target'])}, past {past}{more}"
    for one in changes.get("overridden", ()):
        old, new = code(short_json(one["old"], 100)), code(short_json(one["new"], 100))
        yield f"overridden: {names(one['agent_node_id'])} {code(one['parameter'])}: {old} → {new}"
    yield from (f"skipped: {names(node)}, which does not run" for node in changes.get("skipped", ()))


def _warnings(warnings: Sequence[Mapping[str, str]]) -> str:
    entries = (f"{code(one['code'])} {text(one['message'])}" for one in warnings)
    return bullets("Warnings", entries, len(warnings))


def _plan_tiles(plan: Plan, names: _Names) -> Iterator[Sequence[str]]:
    for number, node in enumerate(plan.order, start=1):
        tile = plan.tile(node)
        values = [
            f"{code(name)} = {code(short_json(one['value'], 100))} ({one['origin']})"
            for name, one in tile.parameters().items()
            if one["origin"] != "default"
        ]
        more = [f"and {len(values) - 12:,} more"] if len(values) > 12 else []
        yield str(number), text(tile.name, 80), names.id(node), "<br>".join([*values[:12], *more])


def _range(start_ms: int | None, end_ms: int | None) -> str:
    return "whole" if start_ms is None and end_ms is None else span_of(start_ms, end_ms)


def _outputs(outputs: Sequence[Mapping[str, Any]], names: _Names) -> Iterator[Sequence[str]]:
    for number, output in enumerate(outputs):
        duration, fidelity = output.get("duration_ms"), output.get("fidelity", "real")
        yield (
            _thumbnail(output.get("thumbnail_path")) if number < _THUMBNAILS else "",
            f"{names(output['original_node_id'])}, item {output['index'] + 1}",
            text(output["kind"]),
            "" if duration is None else seconds_of(duration),
            f"{output['width']}×{output['height']}" if output.get("width") else "",
            text(output.get("fps") or ""),
            {True: "yes", False: "no"}.get(output.get("has_audio"), ""),  # type: ignore[arg-type]
            "" if fidelity == "real" else text(fidelity),
            code(output["path"], 200) if output.get("path") else "",
        )


def _thumbnail(path: str | None) -> str:
    """Return a small JPEG file as an image within the page, or `""`."""
    try:
        data = Path(path).read_bytes() if path and Path(path).stat().st_size <= _THUMBNAIL else b""
    except (OSError, ValueError):
        return ""
    if not data.startswith(b"\xff\xd8\xff"):
        return ""
    source = f"data:image/jpeg;base64,{b64encode(data).decode()}"
    return f'<img src="{source}" alt="" style="max-width: 120px; max-height: 90px; margin: 2px 0">'


def _run_tiles(
    record: Mapping[str, Any], names: _Names, flows: Mapping[str, Flow]
) -> Iterator[Sequence[str]]:
    simulated = record["mode"] == "simulate"
    for node in record["nodes"]:
        key, seconds = node["original_node_id"], node["seconds"]
        yield (
            text(node["node_type_name"], 80),
            names.id(key),
            text(node["status"].replace("_", " ")),
            text(str(flows[key])) if flows[key].items else "",
            text(node["status_message"] or ""),
            "" if simulated or seconds is None else f"{seconds:.1f}",
        )


# drawings


def _picture(drawing: Drawing) -> str:
    if len(drawing.tiles) > _GRAPH[0] or len(drawing.edges) > _GRAPH[1]:
        size = f"{count(len(drawing.tiles), 'tile')} and {count(len(drawing.edges), 'connection')}"
        return f"<p>The graph is not drawn here: {size} are too many. Use <code>tessera graph</code>.</p>"
    return picture(svg_of(drawing))


def _plan_drawing(plan: Plan) -> Drawing:
    if plan.template is not None:
        return draw(plan.template, plan)
    # A plan that was read from JSON knows only the ids of the tiles that do not run.
    overrides: dict[str, list[tuple[str, Any, Any]]] = {}
    for change in plan.changes.overridden:
        overrides.setdefault(change.node, []).append((change.parameter, change.old, change.new))
    tiles = [
        DrawnTile(node, tile.name, tile.type.category, "runs", tuple(overrides.get(node, ())))
        for node in plan.order
        for tile in (plan.tile(node),)
    ]
    tiles += [DrawnTile(node, node[:8], "edit", "removed") for node in plan.changes.removed]
    tiles += [DrawnTile(node, node[:8], "edit", "skipped") for node in plan.changes.skipped]
    edges = [
        DrawnEdge(source, target, "rewired" if via else "kept", tuple(via))
        for source, target, via in plan.graph.edges(data="via")
    ]
    return Drawing(tuple(tiles), tuple(edges), tuple(tile.id for tile in tiles), plan.agent_name or "")


def _lineage(record: Mapping[str, Any], flows: Mapping[str, Flow]) -> Drawing:
    """Return the tiles of a run, and the connections along which items went."""
    tiles = [
        DrawnTile(
            node["original_node_id"],
            node["node_type_name"],
            "edit",
            "runs",
            (),
            flows[node["original_node_id"]],
        )
        for node in record["nodes"]
    ]
    known = {tile.id for tile in tiles}
    pairs = dict.fromkeys(
        (parent["agent_node_id"], item["agent_node_id"])
        for item in record.get("items", ())
        for parent in item["parents"]
    )
    pairs |= dict.fromkeys((one["original_node_id"], one.get("delivered_by")) for one in record["outputs"])
    edges = [
        DrawnEdge(source, target, "kept", (), flows[source])
        for source, target in pairs
        if source in known and target in known and source != target
    ]
    return Drawing(tuple(tiles), tuple(edges), tuple(tile.id for tile in tiles), record["agent_name"] or "")
