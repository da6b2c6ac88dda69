"""A fault sweep finds tiles whose failure is not contained, and nothing where all is well."""

from __future__ import annotations

import pytest

from tessera import Plan, RunRecord, plan
from tessera.testing import agent, assert_faults_contained, fault_sweep

FACTS = {"*": {"duration_ms": 30_000, "width": 640, "height": 360, "fps": "25"}}
SHOW = """
    host:Video Input > clips(num_clips=2, target_duration=5) > {mirror, reframe} > watermark > destination
    guest:Video Input > captions
"""


def _planned() -> Plan:
    template = agent(SHOW)
    inputs = [node.id for node in template if node.type.is_input()]
    return plan(template, {"video_inputs": [{"agent_node_id": node, "video_ids": ["x"]} for node in inputs]})


def test_faults_of_every_tile_are_contained() -> None:
    assert fault_sweep(_planned(), facts=FACTS) == []
    assert_faults_contained(_planned(), facts=FACTS)


def test_an_invariant_of_one_s_own_that_does_not_hold_is_listed_with_the_tile_and_the_way() -> None:
    def watermark_always_finishes(plan: Plan, node: str, record: RunRecord) -> str | None:
        told = next(one for one in record.nodes.values() if one.name == "Watermark")
        return None if told.status == "completed" else f"Watermark is {told.status.value}"

    with pytest.raises(AssertionError, match=r"Clips .*, error: Watermark is blocked") as caught:
        assert_faults_contained(_planned(), facts=FACTS, invariants=[watermark_always_finishes])
    assert "Captions" not in str(caught.value)
    assert "transient once" not in str(caught.value)
