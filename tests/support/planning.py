"""Plans and faults in tests: helpers to plan, to assert on faults, and Hypothesis strategies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, NamedTuple

import networkx as nx
import pytest
from hypothesis import strategies as st

from tessera import Plan, RequestError, load_agent, plan, testing
from tessera.errors import Fault
from tessera.graph.model import build_graph

ONE_VIDEO: Mapping[str, Any] = {"video_ids": ["v"]}


def planned(template: Any, request: Any = ONE_VIDEO, **options: Any) -> Plan:
    return plan(template, request, **options)


def refused(template: Any, request: Any = ONE_VIDEO, **options: Any) -> list[Fault]:
    """Return the faults of a request that is refused."""
    with pytest.raises(RequestError) as caught:
        plan(template, request, **options)
    return list(caught.value.errors)


@contextmanager
def expect_faults(*faults: tuple[str, str]) -> Iterator[None]:
    """Expect a `RequestError` with exactly these faults (pointer, part of the message), in any order."""
    with pytest.raises(RequestError) as caught:
        yield
    found = caught.value.errors
    listing = "\n".join(f"{fault.document} {fault.loc!r}: {fault.message}" for fault in found)
    assert sorted(fault.loc for fault in found) == sorted(loc for loc, _part in faults), listing
    for loc, part in faults:
        assert any(fault.loc == loc and part in fault.message for fault in found), listing


def places(faults: Sequence[Fault]) -> list[str]:
    return [fault.loc for fault in faults]


def assert_has(faults: Sequence[Fault], loc: str, *words: str, document: str = "request") -> None:
    """Assert that one of the faults lies at `loc` and its message contains all `words`."""
    here = [fault.message for fault in faults if (fault.loc, fault.document) == (loc, document)]
    assert any(all(word in message for word in words) for message in here), faults


def assert_only(faults: Sequence[Fault], loc: str, *words: str, document: str = "request") -> None:
    """Assert that there is one fault, that it lies at `loc`, and that its message contains all `words`."""
    assert_has(faults, loc, *words, document=document)
    assert len(faults) == 1, faults


def codes(p: Plan) -> list[str]:
    return [notice.code for notice in p.warnings]


def edges_of(p: Plan) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return every connection of a plan with the removed tiles on its way."""
    return {(source, target): via for source, target, via in p.graph.edges(data="via")}


MAX_TILES = 9
_TILES = ("Mirror", "Clips", "Captions", "Rough Cut")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=8), below, max_size=4),
    max_leaves=12,
)


@st.composite
def mutations(draw: st.DrawFn, document: Any) -> Any:
    """Draw the document with up to three of its values replaced, removed or doubled, at any depth."""
    changed = deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        holder, at = changed, None
        while isinstance(holder, dict | list) and holder:
            at = draw(st.sampled_from(list(holder) if isinstance(holder, dict) else range(len(holder))))
            if not isinstance(holder[at], dict | list) or not holder[at] or draw(st.booleans()):
                break
            holder = holder[at]
        if at is None:
            continue
        how = draw(st.sampled_from(["replace", "remove", "double"]))
        if how == "replace":
            holder[at] = draw(json_values)
        elif how == "remove":
            del holder[at]
        elif isinstance(holder, list):
            holder.append(deepcopy(holder[at]))
        else:
            holder[draw(st.text(max_size=6))] = deepcopy(holder[at])
    return changed


class Case(NamedTuple):
    """An agent, its graph, and some of its ids."""

    template: dict[str, Any]
    graph: nx.DiGraph
    chosen: list[str]


@st.composite
def shapes(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]], list[int]]:
    """Draw a number of tiles, the edges of an acyclic graph, and the position of each tile in the export."""
    count = draw(st.integers(1, MAX_TILES))
    pairs = [(low, high) for high in range(count) for low in range(high)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    return count, edges, draw(st.permutations(range(count)))


def _template(types: Sequence[str], edges: Iterable[tuple[int, int]]) -> dict[str, Any]:
    """Return an agent whose tiles are called `t0`, `t1`, … in the order of their types."""
    tiles = [f"t{number}:{name}" for number, name in enumerate(types)]
    links = [f"t{source} > t{target}" for source, target in edges]
    return testing.agent("; ".join([*tiles, *links])).to_dict()


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw agents of tiles that fit each other everywhere, listed in any order, and any of their ids."""
    count, edges, place = draw(shapes())
    types = [draw(st.sampled_from(_TILES)) for _ in range(count)]
    template = _template(types, [(place[source], place[target]) for source, target in edges])
    ids = [node["agent_node_id"] for node in template["agent_nodes"]]
    chosen = draw(st.lists(st.sampled_from(ids), unique=True))
    return Case(template, build_graph(load_agent(template)), chosen)


@st.composite
def runs(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draw agents that can be planned, with requests that fit: rewrites, overrides and clipped inputs."""
    count, edges, _place = draw(shapes())
    types = ["Video Input", *(draw(st.sampled_from(_TILES)) for _ in range(count))]
    inner = [(source + 1, target + 1) for source, target in edges]
    heads = set(range(1, count + 1)) - {target for _source, target in inner}
    template = _template(types, [*((0, head) for head in sorted(heads)), *inner])
    ids = [node["agent_node_id"] for node in template["agent_nodes"][1:]]
    ignored = draw(st.lists(st.sampled_from(ids), unique=True))
    left = [(node, name) for node, name in zip(ids, types[1:], strict=True) if node not in ignored]
    overridden = draw(st.lists(st.sampled_from(left), unique=True)) if left else []
    request = {
        "video_ids": draw(st.lists(st.text("abc", min_size=1), min_size=1, max_size=3)),
        "input_clip_start_ms": draw(st.none() | st.integers(0, 1000)),
        "ignore_nodes": ignored,
        "update_params": {node: draw(_PARAMS[name]) for node, name in overridden},
    }
    return template, request


_PARAMS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "Mirror": st.fixed_dictionaries({}, optional={"horizontal_flip": st.booleans(), "theirs": json_values}),
    "Clips": st.fixed_dictionaries(
        {}, optional={"num_clips": st.none() | st.integers(1, 20), "prompt": st.text()}
    ),
    "Captions": st.fixed_dictionaries(
        {}, optional={"caption_style": st.sampled_from(["colored", "karaoke"])}
    ),
    "Rough Cut": st.fixed_dictionaries({}, optional={"prompt": st.text(), "model_tier": st.just("pro")}),
}
