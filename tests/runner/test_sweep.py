"""A sweep gives the same results as simulating its requests one after another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tessera import RequestError, SimulateConfig, simulate
from tessera.runner.sweep import differences, sweep
from tessera.testing import agent, node_id

FACTS = {
    "*": {
        "duration_ms": 60_000,
        "width": 1920,
        "height": 1080,
        "fps": "30000/1001",
        "speech": [[0, 30_000]],
    }
}
AGENT = agent("input > c:Clips > r:Reframe > out:Destination")


def _requests() -> list[dict[str, Any]]:
    counts = [
        {"video_ids": ["x"], "update_params": {node_id("c"): {"num_clips": n, "target_duration": 5}}}
        for n in (1, 2, 3)
    ]
    return [
        *counts,
        {"video_ids": ["x"], "ignore_nodes": [node_id("c")]},
        {"video_ids": ["x"], "ignore_nodes": ["?"]},
    ]


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_requests_and_equal_those_of_simulate(workers: int) -> None:
    lines = [json.dumps(request) for request in _requests()]
    results = list(sweep(AGENT, [lines[0], "", *lines[1:]], SimulateConfig(facts=FACTS), processes=workers))
    assert [result["line"] for result in results] == [1, 3, 4, 5, 6]
    assert [result["status"] for result in results] == ["completed"] * 4 + ["refused"]
    assert [len(result.get("outputs", [])) for result in results] == [1, 2, 3, 1, 0]
    for result, request in zip(results[:4], _requests(), strict=False):
        expected = simulate(AGENT, request, facts=FACTS)
        assert [one["duration_ms"] for one in result["outputs"]] == [
            one.duration_ms for one in expected.outputs
        ]
    assert results[-1]["error"]["errors"][0]["loc"] == "/ignore_nodes/0"


def test_a_line_that_is_not_json_is_refused_and_the_others_continue() -> None:
    results = list(sweep(AGENT, ["{", '{"video_ids": ["x"]}'], SimulateConfig(facts=FACTS), processes=1))
    assert [result["status"] for result in results] == ["refused", "completed"]


def test_an_invalid_agent_is_refused_at_once() -> None:
    with pytest.raises(RequestError):
        list(sweep({"agent_nodes": {}}, [], processes=1))


def test_outcomes_are_grouped_with_the_most_frequent_first(tmp_path: Path) -> None:
    requests = _requests() + [_requests()[1]] * 2
    groups = differences(sweep(AGENT, requests, SimulateConfig(facts=FACTS, workspace=tmp_path), processes=1))
    assert groups[0]["lines"] == [2, 6, 7]
    assert groups[0]["outputs"] == 2
    assert groups[0]["sizes"] == ["1080×1920"]
    assert sorted(len(group["lines"]) for group in groups) == [1, 1, 1, 1, 3]
