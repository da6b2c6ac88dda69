"""Law 5: `ignore_nodes` agrees with a brute-force search. Law 6: a plan is a pure function."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterator
from itertools import pairwise, permutations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera import Plan, load_agent, plan
from tessera.graph.model import build_graph
from tessera.graph.plan import topological_order
from tessera.graph.rewrite import TooManyEdges, ignore_nodes, runnable_nodes, update_params
from tessera.testing import agent, node_id
from tests.support.planning import ONE_VIDEO, Case, cases, planned, runs

Edge = tuple[str, str]


def paths(graph: nx.DiGraph, gone: Collection[str]) -> Iterator[tuple[str, ...]]:
    """Yield every path between kept tiles whose inner nodes are all in `gone`: the oracle of law 5."""
    stack: list[tuple[str, ...]] = [(node,) for node in graph if node not in gone]
    while stack:
        path = stack.pop()
        for after in graph.succ[path[-1]]:
            if after in gone:
                stack.append((*path, after))
            else:
                yield (*path, after)


def shortest(graph: nx.DiGraph, gone: Collection[str]) -> dict[Edge, int]:
    """Return every edge expected after the rewrite with the length of its `via`."""
    found: dict[Edge, int] = {}
    for path in paths(graph, gone):
        edge, length = (path[0], path[-1]), len(path) - 2
        found[edge] = min(length, found.get(edge, length))
    return found


def lengths(graph: nx.DiGraph) -> dict[Edge, int]:
    return {(source, target): len(via) for source, target, via in graph.edges(data="via")}


def contents(graph: nx.DiGraph) -> tuple[Any, Any]:
    return list(graph.nodes(data=True)), list(graph.edges(data=True))


@given(cases())
def test_two_kept_tiles_are_connected_if_and_only_if_a_path_of_ignored_tiles_leads_between_them(
    case: Case,
) -> None:
    after = ignore_nodes(case.graph, case.chosen)
    assert set(after) == set(case.graph) - set(case.chosen)
    assert lengths(after) == shortest(case.graph, set(case.chosen))


@given(cases())
def test_via_is_one_shortest_path_through_the_ignored_tiles_and_nothing_else(case: Case) -> None:
    for source, target, via in ignore_nodes(case.graph, case.chosen).edges(data="via"):
        assert all(case.graph.has_edge(*step) for step in pairwise((source, *via, target)))
        assert set(via) <= set(case.chosen)


@given(cases())
def test_a_connection_of_the_template_keeps_an_empty_via(case: Case) -> None:
    for source, target, via in ignore_nodes(case.graph, case.chosen).edges(data="via"):
        assert (via == ()) == case.graph.has_edge(source, target)


@given(cases(), st.data())
def test_the_order_of_the_ignored_tiles_has_no_effect(case: Case, data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(case.chosen))
    assert contents(ignore_nodes(case.graph, shuffled)) == contents(ignore_nodes(case.graph, case.chosen))


@given(cases(), st.data())
def test_ignoring_tiles_one_at_a_time_in_any_order_is_ignoring_them_at_once(
    case: Case, data: st.DataObject
) -> None:
    graph = case.graph
    for node in data.draw(st.permutations(case.chosen)):
        graph = ignore_nodes(graph, [node])
    assert lengths(graph) == lengths(ignore_nodes(case.graph, case.chosen))
    for source, target, via in graph.edges(data="via"):
        assert all(case.graph.has_edge(*step) for step in pairwise((source, *via, target)))


@given(cases())
def test_ignoring_twice_is_ignoring_once(case: Case) -> None:
    once = ignore_nodes(case.graph, case.chosen)
    assert contents(ignore_nodes(once, case.chosen)) == contents(once)
    assert contents(ignore_nodes(case.graph, case.chosen * 2)) == contents(once)


@given(cases())
def test_the_graph_stays_acyclic_and_keeps_the_order_of_its_tiles(case: Case) -> None:
    after = ignore_nodes(case.graph, case.chosen)
    assert nx.is_directed_acyclic_graph(after)
    assert list(after) == [node for node in case.graph if node in after]


@given(cases())
def test_a_rewrite_does_not_change_its_graph(case: Case) -> None:
    before = copy.deepcopy(contents(case.graph))
    after = ignore_nodes(case.graph, case.chosen)
    for _source, _target, data in after.edges(data=True):
        data["via"] = ("spoiled",)
    for _node, data in after.nodes(data=True):
        data.clear()
    assert contents(case.graph) == before


@given(cases())
def test_connections_are_counted_exactly_before_they_are_added(case: Case) -> None:
    count = sum(1 for length in lengths(ignore_nodes(case.graph, case.chosen)).values() if length)
    assert ignore_nodes(case.graph, case.chosen, limit=count) is not None
    if count:
        with pytest.raises(TooManyEdges) as caught:
            ignore_nodes(case.graph, case.chosen, limit=count - 1)
        assert (caught.value.count, caught.value.limit) == (count, count - 1)


def test_an_override_changes_one_tile_of_a_copy_of_the_graph() -> None:
    graph = build_graph(agent("input > left:Mirror > right:Mirror"))
    left, right = node_id("left"), node_id("right")
    before = copy.deepcopy(contents(graph))
    tile = graph.nodes[left]["node"]
    params = tile.type.Params(horizontal_flip=True)
    after = update_params(graph, {left: ({"horizontal_flip": True}, params, {})})
    assert contents(graph) == before
    assert after.nodes[left]["node"].values()["horizontal_flip"] is True
    assert after.nodes[right]["node"] is graph.nodes[right]["node"]
    assert list(after.edges(data=True)) == list(graph.edges(data=True)) != []


@given(cases(), st.data())
def test_the_tiles_that_run_are_those_the_sources_reach(case: Case, data: st.DataObject) -> None:
    sources = ["Video Input", "S3 Trigger", "Image Generation", "Video Generation", "Mirror"]
    kinds = {
        node: "Video Generation" if case.graph.pred[node] else data.draw(st.sampled_from(sources))
        for node in case.graph
    }
    template = copy.deepcopy(case.template)
    for node in template["agent_nodes"]:
        node |= {"node_type": {"node_type_id": None, "node_type_name": kinds[node["agent_node_id"]]}}
    graph = build_graph(load_agent(template))
    starts = [node for node in graph if kinds[node] == "Video Input"]
    starts = starts or [node for node in graph if kinds[node] == "S3 Trigger"]
    starts += [node for node in graph if "Generation" in kinds[node] and not graph.pred[node]]
    assert runnable_nodes(graph) == {
        node for start in starts for node in (start, *nx.descendants(graph, start))
    }


@given(cases())
def test_the_first_ready_tile_of_the_template_comes_next(case: Case) -> None:
    left, order = list(case.graph), []
    while left:
        node = next(node for node in left if not set(case.graph.pred[node]) & set(left))
        left.remove(node)
        order.append(node)
    assert topological_order(case.graph) == tuple(order)


@given(runs())
def test_the_same_agent_and_request_give_the_same_bytes_in_every_form(
    run: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    template, request = run
    kept = copy.deepcopy(run)
    once = plan(template, request).to_json()
    assert plan(template, request).to_json() == once
    assert plan(load_agent(template), request).to_json() == once
    assert plan(json.dumps(template), json.dumps(request, ensure_ascii=False)).to_json() == once
    assert plan(json.dumps(template).encode(), json.dumps(request).encode()).to_json() == once
    with TemporaryDirectory() as folder:
        agent_path, request_path = Path(folder, "agent.json"), Path(folder, "request.json")
        agent_path.write_text(json.dumps(template), "utf-8")
        request_path.write_text(json.dumps(request), "utf-8-sig")
        assert plan(agent_path, str(request_path)).to_json() == once
    assert (template, request) == kept


@given(runs())
def test_a_plan_survives_json(run: tuple[dict[str, Any], dict[str, Any]]) -> None:
    p = plan(*run)
    again = Plan.from_dict(json.loads(p.to_json()))
    assert again == p
    assert again.to_json() == p.to_json()
    assert contents(again.graph)[0] == contents(p.graph)[0]
    assert [again.tile(node).params for node in again.order] == [p.tile(node).params for node in p.order]


@given(runs())
def test_every_tile_of_the_template_runs_or_is_removed_or_skipped(
    run: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    p = plan(*run)
    assert set(p.order) == set(p.graph)
    assert {*p.order, *p.changes.removed, *p.changes.skipped} == {
        node["agent_node_id"] for node in run[0]["agent_nodes"]
    }
    assert set(p.changes.removed) == set(run[1]["ignore_nodes"])


def test_a_plan_does_not_change_if_its_template_and_request_change_later() -> None:
    template = agent('image_generation(selected_context={"a": [1]}); image_generation_2').to_dict()
    second = node_id("image_generation_2")
    request: dict[str, Any] = {"update_params": {second: {"selected_context": {"b": [2]}}}}
    loaded = load_agent(template)
    p = plan(loaded, request)
    before, written = p.to_json(), json.dumps(loaded.to_dict())
    template["agent_nodes"][0]["params_used"]["selected_context"]["a"].append(9)
    request["update_params"][second]["selected_context"]["b"].append(9)
    loaded.to_dict()["agent_nodes"][0]["params_used"]["selected_context"]["a"].append(9)
    assert p.to_json() == before
    assert json.dumps(loaded.to_dict()) == written
    assert plan(loaded, {}).to_json() == plan(loaded, {}).to_json()


_PRINT_PLAN = """
import sys
from tessera import RequestError, plan
try:
    sys.stdout.write(plan(sys.argv[1], sys.argv[2]).to_json())
except RequestError as error:
    sys.stdout.write(str(error.to_dict()))
"""


@pytest.mark.parametrize("cyclic", [False, True], ids=["a plan", "the fault of a cycle"])
def test_another_process_with_another_hash_seed_gives_the_same_bytes(cyclic: bool) -> None:
    width = 8
    before = [f"mirror_{number}" for number in range(1, width)]
    after = [f"mirror_{number}" for number in range(width, 2 * width)]
    template = agent(f"input > {{{', '.join(before)}}} > {{{', '.join(after)}}}; unused:Mirror").to_dict()
    if cyclic:
        template["connections"] += [
            {"source_agent_node_id": node_id(source), "target_agent_node_id": node_id(target)}
            for source, target in pairwise([*after, after[0]])
        ]
    ignored = [node_id(f"mirror_{number}") for number in (3, 5, 6, 2)]
    request = json.dumps({**ONE_VIDEO, "ignore_nodes": ignored})
    outputs = {
        subprocess.run(
            [sys.executable, "-c", _PRINT_PLAN, json.dumps(template), request],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1
    assert ("cycle" in outputs.pop()) == cyclic


def test_a_diamond_of_ignored_tiles_gives_one_connection_along_its_shorter_side() -> None:
    tiles = [node_id(name) for name in ("short", "long_1", "long_2", "join")]
    template = agent(
        """
        input; short:Mirror; long_1:Mirror; long_2:Mirror; join:Mirror; captions
        input > {short, long_1}; short > join; long_1 > long_2 > join > captions
        """
    )
    for ignored in permutations(tiles):
        p = planned(template, {**ONE_VIDEO, "ignore_nodes": list(ignored)})
        via = (node_id("short"), node_id("join"))
        assert list(p.graph.edges(data="via")) == [(node_id("input"), node_id("captions"), via)]


@pytest.mark.parametrize(
    ("chains", "via"),
    [
        ("start > a > b > end; start > c > end", ("c",)),
        ("start > a > end; start > b > c > end", ("a",)),
        ("start > end; start > a > end; start > b > c > end", ()),
    ],
    ids=["the shorter way comes last", "the shorter way comes first", "the template has the edge"],
)
def test_the_shortest_of_several_paths_through_ignored_tiles_is_kept(
    chains: str, via: tuple[str, ...]
) -> None:
    tiles = "; ".join(f"{name}:Mirror" for name in ("start", "a", "b", "c", "end"))
    graph = build_graph(agent(f"{tiles}; {chains}"))
    after = ignore_nodes(graph, [node_id(name) for name in "abc"])
    removed = tuple(node_id(name) for name in via)
    assert list(after.edges(data="via")) == [(node_id("start"), node_id("end"), removed)]


@pytest.mark.parametrize("order", list(permutations("abc")), ids="".join)
@pytest.mark.parametrize(
    "ends",
    ["", "mirror_2 > a; mirror_3 > a", "c > mirror_2; c > mirror_3"],
    ids=["one", "many feed", "feeds many"],
)
def test_tiles_ignored_one_by_one_are_all_named_in_the_order_of_the_path(
    order: tuple[str, ...], ends: str
) -> None:
    line = "mirror > a:Mirror > b:Mirror > c:Mirror > mirror_1; mirror_2; mirror_3"
    graph = build_graph(agent(f"{line}; {ends}"))
    for name in order:
        graph = ignore_nodes(graph, [node_id(name)])
    assert {via for _source, _target, via in graph.edges(data="via")} == {
        tuple(node_id(name) for name in "abc")
    }


@pytest.mark.parametrize("at_once", [1, 2, 3, 100])
def test_connections_are_counted_exactly_for_every_batch_size(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tessera.graph.rewrite._EXITS_PER_PASS", at_once)
    tiles = "; ".join(f"mirror_{number}" for number in range(9))
    chains = "mirror_0 > {mirror_4, mirror_2}; mirror_1 > mirror_3; mirror_2 > {mirror_3, mirror_4, mirror_5}"
    graph = build_graph(agent(f"{tiles}; {chains}; mirror_3 > {{mirror_6, mirror_7, mirror_8}}"))
    ignored = [node_id("mirror_2"), node_id("mirror_3")]
    assert ignore_nodes(graph, ignored, limit=7).number_of_edges() == 8
    with pytest.raises(TooManyEdges) as caught:
        ignore_nodes(graph, ignored, limit=6)
    assert caught.value.count == 7


def test_all_via_paths_together_are_limited_in_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graph = build_graph(agent("{mirror_0, mirror_1} > mirror_2 > mirror_3 > mirror_4"))
    ignored = [node_id("mirror_2"), node_id("mirror_3")]
    monkeypatch.setattr("tessera.graph.rewrite.MAX_VIA", 4)
    assert ignore_nodes(graph, ignored).number_of_edges() == 2
    monkeypatch.setattr("tessera.graph.rewrite.MAX_VIA", 3)
    with pytest.raises(TooManyEdges) as caught:
        ignore_nodes(graph, ignored)
    assert (caught.value.count, caught.value.limit) == (4, 3)


def test_a_hub_costs_no_path_of_its_own_for_each_pair_of_its_neighbours() -> None:
    # 1,000 × 1,000 tiles once took 473 MB.
    width = 60
    before, after = ([f"{side}{number}" for number in range(width)] for side in "ab")
    graph = nx.DiGraph()
    graph.add_nodes_from([*before, "hub", *after])
    graph.add_edges_from(((node, "hub") for node in before), via=())
    graph.add_edges_from((("hub", node) for node in after), via=())
    kept = ignore_nodes(graph, {"hub"})
    vias = [via for _before, _after, via in kept.edges(data="via")]
    assert set(vias) == {("hub",)}
    assert len(vias) == width**2
    assert len({id(via) for via in vias}) <= width
