"""Graph coverage: the parts of an agent that count as exercised, and the report."""

from __future__ import annotations

import json
from typing import Any

from tessera.testing import GraphCoverage, agent, assert_plan

A = agent('input > rough_cut(prompt="best") > {captions, mirror} > destination', name="Cut")


def coverage_of(*plans: dict[str, Any], of: Any = A) -> GraphCoverage:
    coverage = GraphCoverage()
    for options in plans:
        coverage.add(of, assert_plan(of, **options).plan)
    return coverage


def counts(coverage: GraphCoverage) -> dict[str, tuple[int, int]]:
    (only,) = coverage.agents.values()
    return {part: only.count(part) for part in ("tiles", "edges", "branches", "ignored", "parameters")}


def test_one_plan_covers_tiles_edges_and_one_side_of_every_branch() -> None:
    assert counts(coverage_of({})) == {
        "tiles": (5, 5),
        "edges": (5, 5),
        "branches": (2, 4),
        "ignored": (0, 3),
        "parameters": (0, 1),
    }


def test_an_ignored_tile_leaves_out_a_branch_and_its_edges() -> None:
    coverage = coverage_of({"ignore": ["captions"]})
    assert counts(coverage)["tiles"] == (4, 5)
    assert counts(coverage)["edges"] == (3, 5)
    assert counts(coverage)["branches"] == (2, 4)
    assert counts(coverage)["ignored"] == (1, 3)
    (only,) = coverage.agents.values()
    assert only.missing("edges") == ["rough_cut > captions", "captions > destination"]
    assert only.missing("branches") == ["rough_cut > captions taken", "rough_cut > mirror left out"]


def test_parameters_of_the_template_and_overrides_are_counted() -> None:
    assert counts(coverage_of({"set": {"mirror.vertical_flip": True}}))["parameters"] == (1, 2)
    assert counts(coverage_of({"set": {"rough_cut.prompt": "x"}}))["parameters"] == (1, 1)


def test_the_update_params_template_lists_the_parameters_to_override() -> None:
    document = A.to_dict()
    mirror = document["agent_nodes"][3]["agent_node_id"]
    document["update_params_template"] = {mirror: {"vertical_flip": False, "horizontal_flip": True}}
    assert counts(coverage_of({}, of=agent(document)))["parameters"] == (0, 2)


def test_several_plans_add_up_to_full_coverage() -> None:
    coverage = coverage_of({}, *({"ignore": [tile]} for tile in ("rough_cut", "captions", "mirror")))
    assert coverage.percent < 100
    coverage.add(A, assert_plan(A, set={"rough_cut.prompt": "x"}).plan)
    assert coverage.percent == 100
    assert coverage.report().splitlines() == [
        "agent  tiles  edges  branches  ignored  parameters  total",
        "Cut      5/5    5/5       4/4      3/3         1/1  100 %",
        "5 plans of 1 agent: 100.0 % exercised",
    ]


def test_the_report_names_what_is_missing() -> None:
    report = coverage_of({"ignore": ["captions"]}).report()
    assert "    tiles never run: captions\n" in report
    assert "    parameters never overridden: rough_cut.prompt\n" in report
    wide = "input > {" + ", ".join(f"mirror_{at}" for at in range(20)) + "}"
    coverage = coverage_of({}, of=agent(wide))
    assert "mirror_7 and 12 more" in coverage.report()
    assert GraphCoverage().report() == "no plan was checked by an assertion"
    assert GraphCoverage().percent == 0


def test_equal_agents_are_counted_once_and_the_least_covered_comes_first() -> None:
    coverage = coverage_of({})
    again = agent(A.to_dict())
    coverage.add(again, assert_plan(again).plan)
    assert len(coverage.agents) == 1
    other = agent("input > mirror > captions", name="Other")
    coverage.add(other, assert_plan(other, ignore=["mirror"]).plan)
    names = [line.split()[0] for line in coverage.report().splitlines() if line[0] != " "]
    assert names == ["agent", "Other", "Cut", "3"]


def test_coverage_of_two_processes_is_merged() -> None:
    one, other = coverage_of({"ignore": ["captions"]}), coverage_of({"ignore": ["mirror"]})
    merged = GraphCoverage().merge(json.loads(one.to_json())).merge(other.to_dict())
    assert merged.to_dict() == coverage_of({"ignore": ["captions"]}, {"ignore": ["mirror"]}).to_dict()
    assert merged.percent > one.percent
