"""The plan of a request that has no inputs yet: what its rewrites do can be seen all the same."""

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
"""The key of the source that stands in for each one that is not given."""


def preview(template: AgentTemplate, request: Any = None) -> Plan:
    """The plan of `request`, with a stand-in for every source where it names none at all.

    Raises
    ------
    RequestError
        Something else is wrong with the request.
    """
    model, outline, _faults = read_request(request)
    if model is None or outline is None or outline.fields or outline.entries:
        return plan(template, request)
    gone = {
        template.by_id[node.lower()].id for _at, node in outline.ignored if node.lower() in template.by_id
    }
    try:
        whole = ignore_nodes(build_graph(template), gone)
    except TooManyEdges:
        return plan(template, request)  # which says so
    wanted = input_nodes(copy_graph(whole, runnable_nodes(whole)))
    raw = model.to_dict()
    if wanted:
        raw["video_inputs"] = [{"agent_node_id": node, "video_ids": [STAND_IN]} for node in wanted]
    return plan(template, raw)


def has_inputs(decided: Plan) -> bool:
    """Whether every source of a plan was given."""
    return not any(source.key == STAND_IN for binding in decided.inputs for source in binding.sources)
