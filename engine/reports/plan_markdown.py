"""A plan as a comment on a pull request: the effect of a request on an agent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tessera.drawing.mermaid import mermaid_of
from tessera.drawing.model import Flow, draw
from tessera.reports.markdown import Comment, TileLabels, code, mermaid_fits, plain
from tessera.text.wording import count, short_json, span_of

if TYPE_CHECKING:
    from tessera.agent import AgentTemplate
    from tessera.graph.plan import Plan

__all__ = ["add_changes", "add_graph", "add_warnings", "changes_text", "plan_markdown"]


def plan_markdown(plan: Plan, template: AgentTemplate) -> str:
    """Return a plan as Markdown: a summary, the changes, warnings, the tiles and the inputs, and the graph.

    Parameters
    ----------
    template
        The agent of the plan.
    """
    labels = TileLabels({node.id: node.name for node in template})
    changes, tiles = plan.changes.to_dict(), len(plan.order)
    inputs = [(binding.node, ref) for binding in plan.inputs for ref in binding.sources]
    counts = (
        count(tiles, "tile"),
        count(plan.graph.number_of_edges(), "connection"),
        count(len(inputs), "input"),
    )
    comment = Comment()
    comment.add(f"### Plan of {plain(plan.agent_name or 'an agent', 100)}")
    comment.add(f"**{', '.join(counts)}**; {changes_text(changes)}.")
    add_changes(comment, changes, labels)
    add_warnings(comment, [notice.to_dict() for notice in plan.warnings])
    columns = ("", "tile", "id", "parameters that are not defaults")
    comment.table("Tiles in the order of the run", columns, _tiles(plan, labels), tiles)
    rows = (
        (labels(node), ref.form, code(ref.masked_key, 200), _range(ref.start_ms, ref.end_ms))
        for node, ref in inputs
    )
    comment.table("Inputs", ("tile", "form", "source", "range"), rows, len(inputs))
    add_graph(comment, template, plan)
    return comment.text()


def changes_text(changes: Mapping[str, Sequence[Any]]) -> str:
    """Return the number of changes of each kind, as text."""
    parts = [
        f"{count(len(changes['removed']), 'tile')} removed" if changes["removed"] else "",
        f"{count(len(changes['rewired']), 'connection')} rewired" if changes["rewired"] else "",
        f"{count(len(changes['overridden']), 'parameter')} overridden" if changes["overridden"] else "",
        f"{count(len(changes['skipped']), 'tile')} skipped" if changes["skipped"] else "",
    ]
    return ", ".join(filter(None, parts)) or "no changes to the agent"


def add_changes(comment: Comment, changes: Mapping[str, Sequence[Any]], labels: TileLabels) -> None:
    """Add the changes of a plan or a record to its agent, as in `Changes.to_dict`."""
    total = sum(map(len, changes.values()))
    comment.bullets("Changes to the agent", _changes(changes, labels), total)


def _changes(changes: Mapping[str, Sequence[Any]], labels: TileLabels) -> Iterator[str]:
    for node in changes["removed"]:
        yield f"removed: {labels(node)}"
    for edge in changes["rewired"]:
        via = labels.listed(edge["via"])
        yield f"rewired: {labels(edge['source'])} → {labels(edge['target'])}, past {via}"
    for change in changes["overridden"]:
        name = code(change["parameter"])
        old, new = code(short_json(change["old"], 100)), code(short_json(change["new"], 100))
        yield f"overridden: {labels(change['agent_node_id'])} {name}: {old} → {new}"
    for node in changes["skipped"]:
        yield f"skipped: {labels(node)}, which does not run"


def add_warnings(comment: Comment, warnings: Sequence[Mapping[str, str]]) -> None:
    """Add warnings in the form of `Notice.to_dict`."""
    entries = (f"{code(one['code'])} {plain(one['message'])}" for one in warnings)
    comment.bullets("Warnings", entries, len(warnings))


def add_graph(
    comment: Comment, template: AgentTemplate, plan: Plan, flows: Mapping[str, Flow] | None = None
) -> None:
    """Add the graph of an agent with the changes of a plan, or the reason why it is left out."""
    connections = len(template.connections) + len(plan.changes.rewired)
    drawn = mermaid_of(draw(template, plan, flows)) if mermaid_fits(connections) else ""
    comment.graph(drawn, len(template), connections)


def _tiles(plan: Plan, labels: TileLabels) -> Iterator[tuple[str, str, str, str]]:
    for number, node in enumerate(plan.order, start=1):
        tile = plan.tile(node)
        values = [
            f"{code(name)} = {code(short_json(one['value'], 100))} ({one['origin']})"
            for name, one in tile.parameters().items()
            if one["origin"] != "default"
        ]
        more = [f"and {len(values) - 12:,} more"] if len(values) > 12 else []
        yield str(number), plain(tile.name, 80), labels.id(node), "<br>".join([*values[:12], *more])


def _range(start_ms: int | None, end_ms: int | None) -> str:
    return "whole" if start_ms is None and end_ms is None else span_of(start_ms, end_ms)
