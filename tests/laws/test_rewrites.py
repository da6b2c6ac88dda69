"""Law 5: what `ignore_nodes` does to a graph, against brute force. Law 6: a plan is a pure function."""

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
from tests.support.planning import ONE_VIDEO, Case, agent, cases, chain, planned, runs, uid

Edge = tuple[str, str]


def paths(graph: nx.DiGraph, gone: Collection[str]) -> Iterator[tuple[str, ...]]:
    """Every path of the graph between kept tiles whose inner nodes are all in `gone`: the oracle of law 5."""
    stack: list[tuple[str, ...]] = [(node,) for node in graph if node not in gone]
    while stack:
        path = stack.pop()
        for after in graph.succ[path[-1]]:
            if after in gone:
                stack.append((*path, after))
            else:
                yield (*path, after)


def shortest(graph: nx.DiGraph, gone: Collection[str]) -> dict[Edge, int]:
    """Every edge that must be there after the rewrite, and the length of its `via`."""
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
def test_two_kept_tiles_are_connected_exactly_when_a_path_of_ignored_tiles_led_between_them(
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
def test_a_rewrite_changes_nothing_of_the_graph_it_is_given(case: Case) -> None:
    before = copy.deepcopy(contents(case.graph))
    after = ignore_nodes(case.graph, case.chosen)
    for _source, _target, data in after.edges(data=True):
        data["via"] = ("spoiled",)
    for _node, data in after.nodes(data=True):
        data.clear()
    assert contents(case.graph) == before


@given(cases())
def test_connections_are_counted_exactly_before_any_is_made(case: Case) -> None:
    made = sum(1 for length in lengths(ignore_nodes(case.graph, case.chosen)).values() if length)
    assert ignore_nodes(case.graph, case.chosen, limit=made) is not None
    if made:
        with pytest.raises(TooManyEdges) as caught:
            ignore_nodes(case.graph, case.chosen, limit=made - 1)
        assert (caught.value.count, caught.value.limit) == (made, made - 1)


def test_an_override_changes_one_tile_and_nothing_of_the_graph_it_is_given() -> None:
    graph = build_graph(load_agent(chain("Video Input", "Mirror", "Mirror")))
    before = copy.deepcopy(contents(graph))
    tile = graph.nodes[uid(1)]["node"]
    params = tile.type.Params(horizontal_flip=True)
    after = update_params(graph, {uid(1): ({"horizontal_flip": True}, params, {})})
    assert contents(graph) == before
    assert after.nodes[uid(1)]["node"].values()["horizontal_flip"] is True
    assert after.nodes[uid(2)]["node"] is graph.nodes[uid(2)]["node"]
    assert list(after.edges(data=True)) == list(graph.edges(data=True)) != []


@given(cases(), st.data())
def test_the_runnable_graph_is_what_the_sources_reach(case: Case, data: st.DataObject) -> None:
    count = len(case.graph)
    sources = ["Video Input", "S3 Trigger", "Image Generation", "Video Generation", "Mirror"]
    names = [
        "Video Generation" if case.graph.pred[node] else data.draw(st.sampled_from(sources))
        for node in case.graph
    ]
    template = agent(*names)
    template["connections"] = case.template["connections"]
    graph = build_graph(load_agent(template))
    kinds = {uid(number): name for number, name in zip(range(count), names, strict=True)}
    starts = [node for node in graph if kinds[node] == "Video Input"]
    starts = starts or [node for node in graph if kinds[node] == "S3 Trigger"]
    starts += [node for node in graph if "Generation" in kinds[node] and not graph.pred[node]]
    assert runnable_nodes(graph) == {
        node for start in starts for node in (start, *nx.descendants(graph, start))
    }


@given(cases())
def test_of_the_tiles_that_could_come_next_the_first_of_the_template_comes(case: Case) -> None:
    left, order = list(case.graph), []
    while left:
        node = next(node for node in left if not set(case.graph.pred[node]) & set(left))
        left.remove(node)
        order.append(node)
    assert topological_order(case.graph) == tuple(order)


@given(runs())
def test_the_same_agent_and_request_give_the_same_bytes_in_whatever_form_they_come(
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
def test_a_plan_goes_through_json_without_loss(run: tuple[dict[str, Any], dict[str, Any]]) -> None:
    p = plan(*run)
    again = Plan.from_dict(json.loads(p.to_json()))
    assert again == p
    assert again.to_json() == p.to_json()
    assert contents(again.graph)[0] == contents(p.graph)[0]
    assert [again.tile(node).params for node in again.order] == [p.tile(node).params for node in p.order]


@given(runs())
def test_a_plan_runs_what_is_left_of_the_template_and_nothing_else(
    run: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    p = plan(*run)
    assert set(p.order) == set(p.graph)
    assert {*p.order, *p.changes.removed, *p.changes.skipped} == {
        node["agent_node_id"] for node in run[0]["agent_nodes"]
    }
    assert set(p.changes.removed) == set(run[1]["ignore_nodes"])


def test_a_plan_does_not_change_when_what_it_was_made_of_is_changed_later() -> None:
    template = agent(("Image Generation", {"selected_context": {"a": [1]}}), "Image Generation")
    request: dict[str, Any] = {"update_params": {uid(1): {"selected_context": {"b": [2]}}}}
    loaded = load_agent(template)
    p = plan(loaded, request)
    before, written = p.to_json(), json.dumps(loaded.to_dict())
    template["agent_nodes"][0]["params_used"]["selected_context"]["a"].append(9)
    request["update_params"][uid(1)]["selected_context"]["b"].append(9)
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
    edges = [(0, at) for at in range(1, width)] + [
        (low, high) for low in range(1, width) for high in range(width, 2 * width)
    ]
    loops = [(at, at + 1) for at in range(width, 2 * width - 1)] + [(2 * width - 1, width)] if cyclic else []
    template = json.dumps(agent("Video Input", *["Mirror"] * (2 * width), edges=edges + loops))
    request = json.dumps({**ONE_VIDEO, "ignore_nodes": [uid(at) for at in (3, 5, 6, 2)]})
    said = {
        subprocess.run(
            [sys.executable, "-c", _PRINT_PLAN, template, request],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1
    assert ("cycle" in said.pop()) == cyclic


def test_a_diamond_of_ignored_tiles_gives_one_connection_by_its_shorter_side() -> None:
    edges = [(0, 1), (0, 2), (1, 4), (2, 3), (3, 4), (4, 5)]
    template = agent("Video Input", *["Mirror"] * 5, edges=edges)
    for order in permutations([1, 2, 3, 4]):
        p = planned(template, {**ONE_VIDEO, "ignore_nodes": [uid(number) for number in order]})
        assert list(p.graph.edges(data="via")) == [(uid(0), uid(5), (uid(1), uid(4)))]


@pytest.mark.parametrize(
    ("edges", "via"),
    [
        ([(0, 1), (1, 2), (2, 4), (0, 3), (3, 4)], (uid(3),)),
        ([(0, 1), (1, 4), (0, 2), (2, 3), (3, 4)], (uid(1),)),
        ([(0, 4), (0, 1), (1, 4), (0, 2), (2, 3), (3, 4)], ()),
    ],
    ids=["the shorter way comes last", "the shorter way comes first", "the template has the edge"],
)
def test_of_separate_ways_past_ignored_tiles_the_shortest_is_kept(
    edges: list[tuple[int, int]], via: tuple[str, ...]
) -> None:
    graph = build_graph(load_agent(agent(*["Mirror"] * 5, edges=edges)))
    after = ignore_nodes(graph, [uid(1), uid(2), uid(3)])
    assert list(after.edges(data="via")) == [(uid(0), uid(4), via)]


@pytest.mark.parametrize("order", list(permutations([1, 2, 3])), ids=str)
@pytest.mark.parametrize("ends", ["one", "many feed", "feeds many"])
def test_tiles_ignored_one_after_the_other_are_all_named_in_the_order_of_the_path(
    order: tuple[int, ...], ends: str
) -> None:
    edges = [(0, 1), (1, 2), (2, 3), (3, 4)]
    edges += {"one": [], "many feed": [(5, 1), (6, 1)], "feeds many": [(3, 5), (3, 6)]}[ends]
    graph = build_graph(load_agent(agent(*["Mirror"] * 7, edges=edges)))
    for number in order:
        graph = ignore_nodes(graph, [uid(number)])
    assert {via for _source, _target, via in graph.edges(data="via")} == {(uid(1), uid(2), uid(3))}


@pytest.mark.parametrize("at_once", [1, 2, 3, 100])
def test_connections_are_counted_exactly_however_many_exits_one_pass_takes(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tessera.graph.rewrite._EXITS_PER_PASS", at_once)
    edges = [(0, 4), (0, 2), (1, 3), (2, 3), (2, 4), (2, 5), (3, 6), (3, 7), (3, 8)]
    graph = build_graph(load_agent(agent(*["Mirror"] * 9, edges=edges)))
    assert ignore_nodes(graph, [uid(2), uid(3)], limit=7).number_of_edges() == 8
    with pytest.raises(TooManyEdges) as caught:
        ignore_nodes(graph, [uid(2), uid(3)], limit=6)
    assert caught.value.count == 7


def test_all_the_via_together_may_be_as_long_as_the_limit_and_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    edges = [(0, 2), (1, 2), (2, 3), (3, 4)]
    graph = build_graph(load_agent(agent(*["Mirror"] * 5, edges=edges)))
    monkeypatch.setattr("tessera.graph.rewrite.MAX_VIA", 4)
    assert ignore_nodes(graph, [uid(2), uid(3)]).number_of_edges() == 2
    monkeypatch.setattr("tessera.graph.rewrite.MAX_VIA", 3)
    with pytest.raises(TooManyEdges) as caught:
        ignore_nodes(graph, [uid(2), uid(3)])
    assert (caught.value.count, caught.value.limit) == (4, 3)
