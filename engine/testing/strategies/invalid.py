"""Strategies for documents with exactly one fault at a known place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tessera.agent import AgentTemplate
from tessera.errors import pointer
from tessera.request import SOURCE_FIELDS
from tessera.testing.notation.names import node_id
from tessera.testing.notation.parser import agent
from tessera.testing.request_builder import running_tiles
from tessera.testing.strategies.parameters import WRONG, wrong_parameters
from tessera.testing.strategies.valid import agents, requests

__all__ = ["Planted", "nearly_valid_agents", "nearly_valid_requests"]

_UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


class Planted(NamedTuple):
    """A document with one fault.

    Attributes
    ----------
    document
        The agent or request with the fault.
    loc
        The JSON pointer of the fault.
    what
        A description of the fault.
    """

    document: dict[str, Any]
    loc: str
    what: str


@st.composite
def nearly_valid_agents(draw: st.DrawFn, *, max_tiles: int = 6) -> Planted:
    """Generate exported agents with exactly one fault.

    Parameters
    ----------
    max_tiles
        The largest number of tiles before the fault is planted.

    Examples
    --------
    >>> import pytest
    >>> from hypothesis import given, settings
    >>> from tessera import RequestError, load_agent
    >>> from tessera.testing import strategies
    >>> @settings(max_examples=5)
    ... @given(strategies.nearly_valid_agents(max_tiles=3))
    ... def test_faults_are_reported_at_their_place(planted):
    ...     with pytest.raises(RequestError) as caught:
    ...         load_agent(planted.document)
    ...     assert [fault.loc for fault in caught.value.errors] == [planted.loc]
    >>> test_faults_are_reported_at_their_place()
    """
    template = draw(agents(max_tiles=max_tiles))
    document = template.to_dict()
    planter: _Planter = draw(st.sampled_from(_AGENT_FAULTS))
    return planter(draw, document, template)


def _add_tiles(document: dict[str, Any], *types: str) -> list[str]:
    """Add tiles without connections and return their ids."""
    found = [node_id(f"planted {number}") for number in range(len(types))]
    for node, name in zip(found, types, strict=True):
        document["agent_nodes"].append(
            {"agent_node_id": node, "node_type": {"node_type_name": name}, "params_used": {}}
        )
    return found


def _add_connection(document: dict[str, Any], source: str, target: str, *member: str) -> str:
    """Add a connection and return the pointer to it, or to a member of it."""
    document["connections"].append({"source_agent_node_id": source, "target_agent_node_id": target})
    return pointer("connections", len(document["connections"]) - 1, *member)


def _draw_index(draw: st.DrawFn, document: Mapping[str, Any]) -> int:
    return draw(st.integers(0, len(document["agent_nodes"]) - 1))


def _unknown_target(draw: st.DrawFn, document: dict[str, Any], _template: AgentTemplate) -> Planted:
    source = _add_tiles(document, "Mirror")[0]
    loc = _add_connection(document, source, _UNKNOWN_ID, "target_agent_node_id")
    return Planted(document, loc, "a connection to an unknown node")


def _self_loop(draw: st.DrawFn, document: dict[str, Any], _template: AgentTemplate) -> Planted:
    node = _add_tiles(document, "Mirror")[0]
    return Planted(document, _add_connection(document, node, node), "a node connected to itself")


def _cycle(draw: st.DrawFn, document: dict[str, Any], template: AgentTemplate) -> Planted:
    length = draw(st.integers(2, 4))
    nodes = _add_tiles(document, *["Mirror"] * length)
    for source, target in pairwise(nodes):
        _add_connection(document, source, target)
    return Planted(document, _add_connection(document, nodes[-1], nodes[0]), "a cycle")


def _into_input(draw: st.DrawFn, document: dict[str, Any], _template: AgentTemplate) -> Planted:
    source, target = _add_tiles(document, "Mirror", "Video Input")
    return Planted(document, _add_connection(document, source, target), "a connection into a Video Input")


def _out_of_output(draw: st.DrawFn, document: dict[str, Any], _template: AgentTemplate) -> Planted:
    source, target = _add_tiles(document, "Destination", "Mirror")
    return Planted(document, _add_connection(document, source, target), "a connection out of a Destination")


def _wrong_media_kind(draw: st.DrawFn, document: dict[str, Any], _template: AgentTemplate) -> Planted:
    source, target = _add_tiles(document, "Image Generation", "Mirror")
    return Planted(
        document, _add_connection(document, source, target), "an image into a tile that accepts videos"
    )


def _unknown_type(draw: st.DrawFn, document: dict[str, Any], _template: AgentTemplate) -> Planted:
    at = _draw_index(draw, document)
    document["agent_nodes"][at]["node_type"] = {"node_type_name": "Nonesuch"}
    return Planted(document, pointer("agent_nodes", at, "node_type"), "an unknown type")


def _no_type(draw: st.DrawFn, document: dict[str, Any], _template: AgentTemplate) -> Planted:
    at = _draw_index(draw, document)
    del document["agent_nodes"][at]["node_type"]
    return Planted(document, pointer("agent_nodes", at), "a node without a type")


def _duplicate_id(draw: st.DrawFn, document: dict[str, Any], _template: AgentTemplate) -> Planted:
    document["agent_nodes"].append(deepcopy(document["agent_nodes"][_draw_index(draw, document)]))
    loc = pointer("agent_nodes", len(document["agent_nodes"]) - 1, "agent_node_id")
    return Planted(document, loc, "two nodes with the same id")


def _malformed_id(draw: st.DrawFn, document: dict[str, Any], _template: AgentTemplate) -> Planted:
    _add_tiles(document, "Mirror")
    document["agent_nodes"][-1]["agent_node_id"] = "nonesuch"
    loc = pointer("agent_nodes", len(document["agent_nodes"]) - 1, "agent_node_id")
    return Planted(document, loc, "a malformed id")


def _params_shape(draw: st.DrawFn, document: dict[str, Any], _template: AgentTemplate) -> Planted:
    at = _draw_index(draw, document)
    document["agent_nodes"][at]["params_used"] = ["planted"]
    return Planted(document, pointer("agent_nodes", at, "params_used"), "parameters that are not an object")


def _wrong_value(draw: st.DrawFn, document: dict[str, Any], template: AgentTemplate) -> Planted:
    places = [(at, name) for at, tile in enumerate(template) for name in wrong_parameters(tile.type)]
    if not places:
        _add_tiles(document, "Mirror")
        places = [(len(document["agent_nodes"]) - 1, "horizontal_flip")]
    at, name = draw(st.sampled_from(places))
    document["agent_nodes"][at]["params_used"] = {name: dict(WRONG)}
    return Planted(document, pointer("agent_nodes", at, "params_used", name), "a parameter of a wrong kind")


def _unknown_parameter(draw: st.DrawFn, document: dict[str, Any], template: AgentTemplate) -> Planted:
    places = [at for at, tile in enumerate(template) if not tile.type.lenient()]
    if not places:
        _add_tiles(document, "Captions")
        places = [len(document["agent_nodes"]) - 1]
    at = draw(st.sampled_from(places))
    document["agent_nodes"][at]["params_used"]["nonesuch"] = 1
    return Planted(document, pointer("agent_nodes", at, "params_used", "nonesuch"), "an unknown parameter")


_Planter = Callable[[Any, dict[str, Any], AgentTemplate], Planted]
_AGENT_FAULTS: Sequence[_Planter] = (
    _self_loop,
    _cycle,
    _unknown_target,
    _into_input,
    _out_of_output,
    _wrong_media_kind,
    _unknown_type,
    _no_type,
    _duplicate_id,
    _malformed_id,
    _params_shape,
    _wrong_value,
    _unknown_parameter,
)


@st.composite
def nearly_valid_requests(draw: st.DrawFn, of_agent: Any) -> Planted:
    """Generate requests to an agent with exactly one fault.

    Parameters
    ----------
    of_agent
        The notation, or any other source that `tessera.testing.agent` accepts.

    Examples
    --------
    >>> import pytest
    >>> from hypothesis import given, settings
    >>> from tessera import RequestError, plan
    >>> from tessera.testing import agent, strategies
    >>> a = agent("input > clips > destination")
    >>> @settings(max_examples=5)
    ... @given(strategies.nearly_valid_requests(a))
    ... def test_faults_are_reported_at_their_place(planted):
    ...     with pytest.raises(RequestError) as caught:
    ...         plan(a, planted.document)
    ...     assert [fault.loc for fault in caught.value.errors] == [planted.loc]
    >>> test_faults_are_reported_at_their_place()
    """
    template = agent(of_agent)
    request = draw(requests(template))
    planter = draw(st.sampled_from(_REQUEST_FAULTS))
    return planter(draw, request, template) or _unknown_member(draw, request, template)


def _unknown_member(draw: st.DrawFn, request: dict[str, Any], _template: AgentTemplate) -> Planted:
    request["nonesuch"] = 1
    return Planted(request, "/nonesuch", "an unknown member")


def _malformed_callback(draw: st.DrawFn, request: dict[str, Any], _template: AgentTemplate) -> Planted:
    request["callback_url"] = "nonesuch"
    return Planted(request, "/callback_url", "a callback that is not a URL")


def _unknown_ignored_node(draw: st.DrawFn, request: dict[str, Any], _template: AgentTemplate) -> Planted:
    ignored = request.setdefault("ignore_nodes", [])
    at = draw(st.integers(0, len(ignored)))
    ignored.insert(at, _UNKNOWN_ID)
    return Planted(request, pointer("ignore_nodes", at), "an unknown ignored node")


def _add_override(request: dict[str, Any], node: str, values: dict[str, Any]) -> str:
    request.setdefault("update_params", {})[node] = values
    return pointer("update_params", node)


def _override_unknown_node(draw: st.DrawFn, request: dict[str, Any], _template: AgentTemplate) -> Planted:
    loc = _add_override(request, _UNKNOWN_ID, {})
    return Planted(request, loc, "parameters of an unknown node")


def _override_protected_tile(
    draw: st.DrawFn, request: dict[str, Any], template: AgentTemplate
) -> Planted | None:
    protected = [tile.id for tile in template if tile.type.protected()]
    if not protected:
        return None
    loc = _add_override(request, draw(st.sampled_from(protected)), {})
    return Planted(request, loc, "parameters of a protected tile")


def _override_ignored_tile(
    draw: st.DrawFn, request: dict[str, Any], template: AgentTemplate
) -> Planted | None:
    ignored = request.get("ignore_nodes")
    if not ignored:
        return None
    loc = _add_override(request, draw(st.sampled_from(ignored)), {})
    return Planted(request, loc, "parameters of an ignored tile")


def _override_wrong_value(
    draw: st.DrawFn, request: dict[str, Any], template: AgentTemplate
) -> Planted | None:
    runs = set(running_tiles(template, request.get("ignore_nodes", ())))
    places = [
        (tile.id, name)
        for tile in template
        if tile.id in runs and not tile.type.protected()
        for name in wrong_parameters(tile.type)
    ]
    if not places:
        return None
    node, name = draw(st.sampled_from(places))
    loc = _add_override(request, node, {name: dict(WRONG)})
    return Planted(request, loc + pointer(name), "a parameter of a wrong kind")


def _source_holder(request: dict[str, Any]) -> tuple[dict[str, Any], str] | None:
    """Return the object that holds the first sources, and the pointer to it; None if there is none."""
    if request.get("video_inputs"):
        return request["video_inputs"][0], "/video_inputs/0"
    return (request, "") if any(request.get(field) for field in SOURCE_FIELDS) else None


def _empty_range(draw: st.DrawFn, request: dict[str, Any], _template: AgentTemplate) -> Planted | None:
    found = _source_holder(request)
    if found is None:
        return None
    start = draw(st.integers(0, 1000))
    found[0].update(input_clip_start_ms=start, input_clip_end_ms=draw(st.integers(0, start)))
    return Planted(request, f"{found[1]}/input_clip_end_ms", "a clip whose end is not after its start")


def _negative_start(draw: st.DrawFn, request: dict[str, Any], _template: AgentTemplate) -> Planted | None:
    found = _source_holder(request)
    if found is None:
        return None
    found[0]["input_clip_start_ms"] = -1 - draw(st.integers(0, 1000))
    found[0].pop("input_clip_end_ms", None)
    return Planted(request, f"{found[1]}/input_clip_start_ms", "a clip that starts before its source")


def _no_inputs(draw: st.DrawFn, request: dict[str, Any], _template: AgentTemplate) -> Planted | None:
    if _source_holder(request) is None:
        return None
    for name in (*SOURCE_FIELDS, "video_inputs", "input_clip_start_ms", "input_clip_end_ms"):
        request.pop(name, None)
    return Planted(request, "", "an agent without its inputs")


_REQUEST_FAULTS: Sequence[Callable[[Any, dict[str, Any], AgentTemplate], Planted | None]] = (
    _unknown_member,
    _malformed_callback,
    _unknown_ignored_node,
    _override_unknown_node,
    _override_protected_tile,
    _override_ignored_tile,
    _override_wrong_value,
    _empty_range,
    _negative_start,
    _no_inputs,
)
