"""A fault sweep finds tiles whose failure is not contained, and only those."""

from __future__ import annotations

import pytest

from tessera import Plan, RunRecord, plan
from tessera.testing import agent, assert_faults_contained, assert_plan, fault_sweep

FACTS = {"*": {"duration_ms": 30_000, "width": 640, "height": 360, "fps": "25"}}
SHOW = """
    host:Video Input > clips(num_clips=2, target_duration=5) > {mirror, reframe} > watermark > destination
    guest:Video Input > captions
"""


def _plan() -> Plan:
    template = agent(SHOW)
    inputs = [node.id for node in template if node.type.is_input()]
    return plan(template, {"video_inputs": [{"agent_node_id": node, "video_ids": ["x"]} for node in inputs]})


def test_faults_of_every_tile_are_contained() -> None:
    assert fault_sweep(_plan(), facts=FACTS) == []
    assert_faults_contained(_plan(), facts=FACTS)


def test_a_plan_needs_no_facts_and_neither_do_assertions_on_one() -> None:
    assert_faults_contained(_plan())
    checked = assert_plan("input > clips(num_clips=2, target_duration=5) > mirror > destination")
    assert_faults_contained(checked)
    assert_faults_contained(checked.plan)


def test_the_facts_of_the_assertions_are_used() -> None:
    seen: list[int | None] = []

    def lengths(_plan: Plan, _node: str, record: RunRecord) -> str | None:
        seen.extend(output.duration_ms for output in record.outputs)
        return None

    short = {"*": {"duration_ms": 7_000, "width": 640, "height": 360, "fps": "25"}}
    assert_faults_contained(assert_plan("input > mirror > destination", facts=short), invariants=[lengths])
    assert set(seen) == {7_000}


def test_a_broken_custom_invariant_is_listed_with_the_tile_and_the_fault() -> None:
    def watermark_always_finishes(plan: Plan, node: str, record: RunRecord) -> str | None:
        watermark = next(tile for tile in record.nodes.values() if tile.name == "Watermark")
        return None if watermark.status == "completed" else f"Watermark is {watermark.status.value}"

    with pytest.raises(AssertionError, match=r"Clips .*, error: Watermark is blocked") as caught:
        assert_faults_contained(_plan(), facts=FACTS, invariants=[watermark_always_finishes])
    assert "Captions" not in str(caught.value)
    assert "transient once" not in str(caught.value)
