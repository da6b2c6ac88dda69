"""The plan of a request without inputs, which shows the effect of its rewrites."""

from __future__ import annotations

from typing import Any

from tessera.agent import AgentTemplate
from tessera.graph.input_binding import input_nodes
from tessera.graph.model import build_graph, copy_graph
from tessera.graph.plan import Plan, plan
from tessera.graph.rewrite import TooManyEdges, ignore_nodes, runnable_nodes
from tessera.request import read_request

__all__ = ["STAND_IN", "has_inputs", "preview"]

STAND_IN = "to be given"
"""The key of the placeholder source of a Video Input without sources."""


def preview(template: AgentTemplate, request: Any = None) -> Plan:
    """Return the plan of `request`, with a placeholder for each Video Input if it names no source at all.

    Raises
    ------
    RequestError
        If the request has any other fault.
    """
    model, outline, _faults = read_request(request)
    if model is None or outline is None or outline.fields or outline.entries:
        return plan(template, request)
    ignored = {
        template.by_id[node.lower()].id for _at, node in outline.ignored if node.lower() in template.by_id
    }
    try:
        rewritten = ignore_nodes(build_graph(template), ignored)
    except TooManyEdges:
        # `plan` repeats the rewrite and reports its failure as a fault of the request.
        return plan(template, request)
    input_ids = input_nodes(copy_graph(rewritten, runnable_nodes(rewritten)))
    raw = model.to_dict()
    if input_ids:
        raw["video_inputs"] = [{"agent_node_id": node, "video_ids": [STAND_IN]} for node in input_ids]
    return plan(template, raw)


def has_inputs(plan: Plan) -> bool:
    """Return True if no source of a plan is a placeholder."""
    return not any(source.key == STAND_IN for binding in plan.inputs for source in binding.sources)
