"""Simulations of a part of an agent, whose inputs come from facts or from an earlier run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tessera import RequestError, RunRecord, run, simulate
from tests.support.media import FIXTURES, MEDIA

SINGLE = FIXTURES / "agents" / "single.json"
FACTS: dict[str, Any] = {
    "*": {"duration_ms": 40_000, "width": 1920, "height": 1080, "fps": "25", "speech": [[0, 30_000]]}
}
REQUEST = {"video_ids": ["x"]}


def names(record: RunRecord) -> list[str]:
    return [node.name for node in record.nodes.values()]


def test_simulating_until_a_tile_includes_everything_it_needs() -> None:
    record = simulate(SINGLE, REQUEST, facts=FACTS, until="reframe")
    assert names(record) == ["Video Input", "Clips", "Reframe"]
    assert [(output.width, output.height) for output in record.outputs] == [(1080, 1920)] * 2


def test_simulating_from_a_tile_of_a_run_gives_the_outputs_of_that_run(tmp_path: Path) -> None:
    made = run(SINGLE, inputs=[str(MEDIA / "talk.mp4")], workspace=tmp_path)
    record = simulate(SINGLE, made.to_dict()["request"], since="Reframe", of=made, workspace=tmp_path)
    assert names(record) == ["Clips", "Reframe", "Watermark", "Destination"]
    assert [output.raw["sources"] for output in record.outputs] == [
        output.raw["sources"] for output in made.outputs
    ]
    assert [output.duration_ms for output in record.outputs] == [
        output.duration_ms for output in made.outputs
    ]


def test_simulating_only_one_tile_takes_its_inputs_from_the_facts() -> None:
    record = simulate(SINGLE, REQUEST, facts=FACTS, only="watermark")
    assert names(record) == ["Reframe", "Watermark"]
    assert [(output.width, output.height) for output in record.outputs] == [(1920, 1080)]


def test_a_partial_run_without_recorded_items_is_refused() -> None:
    with pytest.raises(RequestError, match="facts for"):
        simulate(SINGLE, REQUEST, only="watermark")
    with pytest.raises(RequestError, match="of which run"):
        simulate(SINGLE, REQUEST, facts=FACTS, since="watermark")
    with pytest.raises(RequestError, match="holds no items of Reframe"):
        simulate(SINGLE, REQUEST, facts=FACTS, since="watermark", of={"run_id": "r", "items": []})
    with pytest.raises(RequestError, match="did you mean 'Watermark'"):
        simulate(SINGLE, REQUEST, facts=FACTS, only="watermrk")
