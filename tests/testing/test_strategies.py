"""The strategies draw documents that are valid, or wrong in exactly one place, and that shrink well."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from tessera import AgentTemplate, RequestError, load_agent, plan
from tessera.graph.model import build_graph
from tessera.graph.rewrite import ignore_nodes, runnable_nodes, sources
from tessera.node import Catalogue, NodeType, Params
from tessera.testing import assert_plan, strategies, to_notation
from tessera.testing.request_builder import running_tiles, start_tiles
from tessera.testing.strategies.parameters import fitting, parameters
from tests.support.planning import cases

TILES = list(Catalogue.installed())


def refused(document: Any, check: Callable[[Any], object]) -> list[str]:
    with pytest.raises(RequestError) as caught:
        check(document)
    return [fault.loc for fault in caught.value.errors]


@given(strategies.agents(), st.data())
def test_requests_of_agents_are_accepted(template: AgentTemplate, data: st.DataObject) -> None:
    request = data.draw(strategies.requests(template))
    p = plan(template, request)
    assert list(p.changes.removed) == [t.id for t in template if t.id in request.get("ignore_nodes", ())]
    assert {one.node for one in p.changes.overridden} == {
        node for node, values in request.get("update_params", {}).items() if values
    }


@given(strategies.agents(), st.data())
def test_rewrites_of_agents_are_accepted(template: AgentTemplate, data: st.DataObject) -> None:
    rewrite = data.draw(strategies.rewrites(template))
    p = assert_plan(template, **rewrite).removed(*rewrite["ignore"])
    for name, value in rewrite["set"].items():
        p.param(name, value, origin="override")


@given(strategies.nearly_valid_agents())
def test_nearly_valid_agents_have_one_fault_at_the_place_named(planted: strategies.Planted) -> None:
    assert refused(planted.document, load_agent) == [planted.loc], planted.what


@given(strategies.agents(max_tiles=5), st.data())
def test_nearly_valid_requests_have_one_fault_at_the_place_named(
    template: AgentTemplate, data: st.DataObject
) -> None:
    planted = data.draw(strategies.nearly_valid_requests(template))
    assert refused(planted.document, lambda document: plan(template, document)) == [planted.loc], planted.what


@given(strategies.agents(), st.data())
def test_the_tiles_that_run_are_those_of_the_planner(template: AgentTemplate, data: st.DataObject) -> None:
    ignored = data.draw(st.lists(st.sampled_from([tile.id for tile in template]), unique=True))
    graph = ignore_nodes(build_graph(template), ignored)
    assert set(running_tiles(template, ignored)) == runnable_nodes(graph)
    assert set(start_tiles(template, ignored)) == set(sources(graph))


@given(cases())
def test_no_tile_runs_without_a_source(case: Any) -> None:
    assert running_tiles(load_agent(case.template), case.chosen) == []


@pytest.mark.parametrize("kind", TILES, ids=lambda kind: kind.name)
def test_parameters_are_drawn_for_every_type(kind: type[NodeType]) -> None:
    drawn: Counter[str] = Counter()

    @settings(max_examples=30, phases=[Phase.generate], derandomize=True, database=None)
    @given(parameters(kind))
    def draw(values: dict[str, Any]) -> None:
        kept = fitting(kind, values)
        kind.Params.model_validate(kept)
        drawn.update(list(kept))

    draw()
    assert drawn or not kind.Params.model_fields


class Bounds(Params):
    inside: float
    above: int = 1
    choice: str | None = None


def test_parameters_that_do_not_fit_are_left_out() -> None:
    class Kind(NodeType):
        Params = Bounds

    assert fitting(Kind, {"above": "no", "inside": 2.0}) == {"inside": 2.0}
    assert fitting(Kind, {"above": 2}, {"inside": 1.0}) == {"above": 2}
    assert fitting(Kind, {"above": 2}) == {}
    assert fitting(Kind, {}) == {}


def feeding(template: AgentTemplate) -> Mapping[str, int]:
    return Counter(edge.source for edge in template.connections)


@pytest.mark.parametrize(
    ("wanted", "most"),
    [
        (lambda a: len(a) >= 3, 3),
        (lambda a: any(count > 1 for count in feeding(a).values()), 4),
        (lambda a: any(tile.name == "Captions" and tile.explicit for tile in a), 2),
        (lambda a: sum(tile.type.is_input() for tile in a) == 2, 2),
    ],
    ids=["tiles", "fan-out", "parameters", "inputs"],
)
def test_agents_shrink_to_few_tiles(wanted: Callable[[AgentTemplate], bool], most: int) -> None:
    found = find(
        strategies.agents(),
        wanted,
        random=random.Random(1),
        settings=settings(max_examples=2000, database=None),
    )
    assert len(found) <= most, to_notation(found)
    assert len(to_notation(found)) < 60, to_notation(found)


def test_types_and_sizes_can_be_chosen() -> None:
    @settings(max_examples=30, database=None)
    @given(strategies.agents(max_tiles=3, tiles=["mirror", "captions"], with_parameters=False))
    def draw(template: AgentTemplate) -> None:
        assert len(template) <= 3
        assert {tile.name for tile in template} <= {"Video Input", "Mirror", "Captions"}
        assert not any(tile.explicit for tile in template)

    draw()


def test_a_failing_agent_is_printed_in_the_notation() -> None:
    @settings(database=None, derandomize=True)
    @given(strategies.agents(tiles=["mirror"], with_parameters=False))
    def check(template: AgentTemplate) -> None:
        assert len(template) < 3

    with pytest.raises(AssertionError) as caught:
        check()
    assert "agent('input > mirror > mirror_2')" in "\n".join(caught.value.__notes__)
