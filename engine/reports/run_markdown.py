"""A simulation as a comment on a pull request: its outputs, their durations, sizes and credits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tessera.drawing.model import Flow
from tessera.reports.markdown import Comment, TileLabels, code, plain
from tessera.reports.plan_markdown import add_changes, add_graph, add_warnings, changes_text
from tessera.text.wording import count, partial_run_text, seconds_of

if TYPE_CHECKING:
    from tessera.agent import AgentTemplate
    from tessera.graph.plan import Plan

__all__ = ["run_markdown"]


def run_markdown(
    record: Mapping[str, Any], template: AgentTemplate, plan: Plan, flows: Mapping[str, Flow]
) -> str:
    """Return the record of a simulation as Markdown.

    It holds a summary with time and credits, errors, changes to the agent, warnings, outputs, tiles, and the
    graph with the media on its connections.

    Parameters
    ----------
    record
        The result of `RunRecord.to_dict`.
    template, plan
        The agent and the plan of the simulation.
    flows
        The output of each tile, by its id.
    """
    labels = TileLabels({node.id: node.name for node in template})
    comment = Comment()
    comment.add(f"### Simulation of {plain(record['agent_name'] or 'an agent', 100)}")
    comment.add(_summary(record))
    errors = [(entry["original_node_id"], text) for entry in record["errors"] for text in entry["messages"]]
    comment.bullets("Errors", (f"{labels(node)}: {plain(text)}" for node, text in errors), len(errors))
    add_changes(comment, record["changes"], labels)
    add_warnings(comment, record["warnings"])
    columns = ("output", "kind", "duration", "size", "fps", "sound", "fidelity", "credits")
    comment.table("Outputs", columns, _outputs(record, labels), len(record["outputs"]))
    comment.table(
        "Tiles", ("tile", "id", "status", "makes"), _tiles(record, labels, flows), len(record["nodes"])
    )
    add_graph(comment, template, plan, flows)
    return comment.text()


def _summary(record: Mapping[str, Any]) -> str:
    parts = [
        f"**{record['status'].replace('_', ' ')}**: {count(len(record['outputs']), 'output')} of "
        f"{count(len(record['nodes']), 'tile')}",
        changes_text(record["changes"]),
    ]
    forecast = record.get("forecast")
    if forecast:
        timed, account = forecast["schedule"], forecast["credits"]
        workers = count(timed["workers"], "worker")
        parts.append(f"about {seconds_of(round(timed['makespan'], 1) * 1000)} with {workers}")
        parts.append(f"{forecast['bill']['total']} credits")
        if account is not None:
            parts.append(f"{account['spent']} of {account['balance']} credits spent, {account['left']} left")
    if record.get("part"):
        parts.append(plain(partial_run_text(record["part"])))
    parts += [f"injected failure {code(one)}" for one in record.get("faults", ())[:5]]
    return "; ".join(parts) + ". Nothing is rendered."


def _outputs(record: Mapping[str, Any], labels: TileLabels) -> Iterator[Sequence[str]]:
    credits: dict[tuple[str, int], Decimal] = {}
    for line in record.get("forecast", {}).get("bill", {}).get("lines", ()):
        if line["output"] is not None:
            key = (line["output"]["agent_node_id"], line["output"]["index"])
            credits[key] = credits.get(key, Decimal(0)) + Decimal(line["credits"])
    for output in record["outputs"]:
        node, index = output["original_node_id"], output["index"]
        price = credits.get((node, index))
        duration, fidelity = output.get("duration_ms"), output.get("fidelity", "real")
        yield (
            f"{labels(node)}, item {index + 1}",
            plain(output["kind"]),
            "" if duration is None else seconds_of(duration),
            f"{output['width']}×{output['height']}" if output.get("width") else "",
            plain(output.get("fps") or ""),
            {True: "yes", False: "no"}.get(output.get("has_audio"), ""),
            "" if fidelity == "real" else fidelity,
            "" if price is None else str(price),
        )


def _tiles(
    record: Mapping[str, Any], labels: TileLabels, flows: Mapping[str, Flow]
) -> Iterator[Sequence[str]]:
    for node in record["nodes"]:
        key, flow = node["original_node_id"], flows.get(node["original_node_id"])
        makes = str(flow) if flow is not None and flow.items else ""
        yield plain(node["node_type_name"], 80), labels.id(key), node["status"].replace("_", " "), makes
