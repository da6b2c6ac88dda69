"""The tutorial's tests and the strategies each find a bug planted in the rewrites."""

from __future__ import annotations

import doctest
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tessera import AgentTemplate, plan
from tessera.graph import plan as planning
from tessera.graph.rewrite import ignore_nodes, runnable_nodes, update_params
from tessera.testing import assert_plan, strategies
from tessera.testing.notation.names import Names
from tessera.testing.request_builder import running_tiles
from tessera.testing.session import CURRENT, Session
from tests.examples import test_tutorial

Mutant = tuple[str, Callable[..., Any]]


def edge_lost(graph: Any, ignored: Any, **options: Any) -> Any:
    after = ignore_nodes(graph, ignored, **options)
    rewired = [(source, target) for source, target, via in after.edges(data="via") if via]
    after.remove_edges_from(rewired[-1:])
    return after


def via_lost(graph: Any, ignored: Any, **options: Any) -> Any:
    after = ignore_nodes(graph, ignored, **options)
    for _source, _target, data in after.edges(data=True):
        data["via"] = data["via"][1:]
    return after


def edge_added(graph: Any, ignored: Any, **options: Any) -> Any:
    after = ignore_nodes(graph, ignored, **options)
    gone = next((node for node in graph if node in ignored), None)
    for source in graph.pred[gone] if gone else ():
        for target in graph.succ[source]:
            if target in after and source in after and target != source:
                for beyond in graph.succ[target]:
                    if beyond in after:
                        after.add_edge(source, beyond, via=(gone,))
    return after


def parameter_dropped(graph: Any, overrides: Any) -> Any:
    last = list(overrides)[-1]
    return update_params(graph, {node: own for node, own in overrides.items() if node != last})


def all_runnable(graph: Any) -> set[str]:
    return set(graph)


def first_tile_skipped(graph: Any) -> set[str]:
    runs = runnable_nodes(graph)
    return runs - {next((node for node in graph if node in runs), "")} if len(runs) > 1 else runs


MUTANTS: tuple[Mutant, ...] = (
    ("ignore_nodes", edge_lost),
    ("ignore_nodes", via_lost),
    ("ignore_nodes", edge_added),
    ("update_params", parameter_dropped),
    ("runnable_nodes", all_runnable),
    ("runnable_nodes", first_tile_skipped),
)


@pytest.fixture(params=MUTANTS, ids=lambda mutant: mutant[1].__name__)
def _planted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(planning, *request.param)
    token = CURRENT.set(Session(test=None))
    yield
    CURRENT.reset(token)


@pytest.mark.usefixtures("_planted")
def test_the_tutorial_finds_a_planted_bug() -> None:
    drawn = test_tutorial.test_no_rewrite_puts_tiles_into_a_bad_order
    tests = [
        own for name, own in vars(test_tutorial).items() if name.startswith("test_") and own is not drawn
    ]
    found = [own.__name__ for own in tests if not _passes(own)]
    assert set(found) - {"test_the_agent_as_it_is"}


def _passes(test: Callable[[], None]) -> bool:
    try:
        test()
    except AssertionError:
        return False
    return True


@pytest.mark.usefixtures("_planted")
def test_the_strategies_find_a_planted_bug() -> None:
    @settings(max_examples=1_000, phases=[Phase.generate], database=None, derandomize=True)
    @given(strategies.agents(), st.data())
    def law(template: AgentTemplate, data: st.DataObject) -> None:
        request = data.draw(strategies.requests(template))
        check_against_the_rules(template, request)

    with pytest.raises(AssertionError):
        law()


@given(strategies.agents(), st.data())
def test_plans_follow_the_rewrite_rules(template: AgentTemplate, data: st.DataObject) -> None:
    check_against_the_rules(template, data.draw(strategies.requests(template)))


def check_against_the_rules(template: AgentTemplate, request: dict[str, Any]) -> None:
    """Assert that a plan has the tiles, edges and parameters of a brute-force application of the rules."""
    name_of = Names(template).name_of
    gone = set(request.get("ignore_nodes", ()))
    runs = running_tiles(template, gone)
    feeds: dict[str, list[str]] = {}
    for edge in template.connections:
        feeds.setdefault(edge.source, []).append(edge.target)
    shortest: dict[tuple[str, str], int] = {}
    paths = [(node,) for node in runs]
    while paths:
        path = paths.pop()
        for after in feeds.get(path[-1], ()):
            if after in gone:
                paths.append((*path, after))
            else:
                edge = (path[0], after)
                shortest[edge] = min(len(path) - 1, shortest.get(edge, len(path)))
    p = assert_plan(template, request).tiles(*(name_of[node] for node in runs))
    assert {(a, b): len(via) for a, b, via in p.plan.graph.edges(data="via")} == shortest
    for node, values in request.get("update_params", {}).items():
        for name, value in values.items():
            p.param(f"{name_of[node]}.{name}", value, origin="override")
    assert p.plan == plan(template, request)


@pytest.mark.parametrize(
    "module",
    [
        "",
        ".assertions",
        ".coverage",
        ".fault_containment",
        ".plan_outcome",
        ".notation.writer",
        ".notation.names",
        ".notation.parser",
        ".strategies",
        ".strategies.invalid",
        ".strategies.valid",
    ],
    ids=str,
)
def test_examples_in_docstrings_run(module: str) -> None:
    assert doctest.testmod(import_module(f"tessera.testing{module}"))[0] == 0
