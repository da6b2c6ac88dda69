"""`tessera trace` writes a run in Chrome's trace event format, well formed and consistent with the record."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from tessera import run
from tessera.cli import main
from tessera.record.events import NodeChanged, RunFinished, RunResumed, RunStarted
from tessera.record.status import NodeStatus, RunStatus
from tessera.record.trace import trace_of
from tessera.testing import agent, node_id
from tests.support.media import MEDIA

FAN = agent(
    "input > {mirror(horizontal_flip=true), upside_down:Mirror(vertical_flip=true),"
    ' reframe(aspect_ratio="9:16")}'
)
ROWS = {"waits", "tiles", "outputs", "ffmpeg"}


def spans(trace: dict[str, Any], row: str) -> list[dict[str, Any]]:
    return [one for one in trace["traceEvents"] if one["ph"] == "X" and one["cat"] == row]


def test_a_trace_is_well_formed_and_agrees_with_the_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = run(FAN, inputs=[str(MEDIA / "silent.mp4")], workspace=tmp_path, quality="draft")
    out = tmp_path / "out" / "trace.json"
    assert main(["trace", "latest", "--out", str(out), "--workspace", str(tmp_path)]) == 0
    assert f"{out}: " in capsys.readouterr().out
    trace = json.loads(out.read_text("utf-8"))
    check_format(trace)
    check_lanes(trace)
    tiles = {one["args"]["agent_node_id"]: one for one in spans(trace, "tiles")}
    assert tiles.keys() == record.nodes.keys()
    for node, span in tiles.items():
        assert span["args"]["status"] == "completed"
        assert span["args"]["work"] == "ran"
        seconds = record.node(node).seconds
        assert seconds is not None
        assert span["dur"] / 1e6 == pytest.approx(seconds, abs=0.25)
    outputs = {one["args"]["agent_node_id"]: one for one in spans(trace, "outputs")}
    assert outputs.keys() == {node_id("mirror"), node_id("upside_down"), node_id("reframe")}
    for process in spans(trace, "ffmpeg"):
        around = outputs[process["args"]["agent_node_id"]]
        assert around["ts"] - 50_000 <= process["ts"]
        assert process["ts"] + process["dur"] <= around["ts"] + around["dur"] + 50_000
        assert process["dur"] > 1000
    assert len(spans(trace, "ffmpeg")) == 1  # the three outputs share a decoder
    items = [one for one in trace["traceEvents"] if one.get("cat") == "items"]
    assert sorted(one["args"]["agent_node_id"] for one in items) == sorted(record.nodes)
    # With one or two encoding threads, three concurrent renders must wait.
    waits = [one for one in spans(trace, "waits") if "index" in one["args"]]
    assert len(waits) == 3


def check_format(trace: dict[str, Any]) -> None:
    named = {
        one["pid"]: one["args"]["name"]
        for one in trace["traceEvents"]
        if one["ph"] == "M" and one["name"] == "process_name"
    }
    assert set(named.values()) == ROWS
    for one in trace["traceEvents"]:
        assert one["ph"] in "XiM"
        assert isinstance(one["pid"], int)
        assert isinstance(one["tid"], int)
        assert isinstance(one["name"], str)
        if one["ph"] == "M":
            continue
        assert isinstance(one["ts"], int)
        assert one["ts"] >= 0
        if one["ph"] == "X":
            assert isinstance(one["dur"], int)
            assert one["dur"] >= 0
            assert named[one["pid"]] == one["cat"]
        else:
            assert one["s"] in "tpg"


def check_lanes(trace: dict[str, Any]) -> None:
    """Check that spans on one lane do not overlap."""
    events = sorted(
        (one for one in trace["traceEvents"] if one["ph"] == "X"),
        key=lambda one: (one["pid"], one["tid"], one["ts"], one["ts"] + one["dur"]),
    )
    for _lane, on_it in groupby(events, key=lambda one: (one["pid"], one["tid"])):
        end = 0
        for one in on_it:
            assert one["ts"] >= end
            end = one["ts"] + one["dur"]


def test_a_run_that_was_interrupted_and_resumed_has_spans_for_both_attempts() -> None:
    def at(seconds: int) -> str:
        return f"2026-01-01T00:00:{seconds:02}.000000Z"

    def node(second: int, name: str, status: NodeStatus) -> NodeChanged:
        return NodeChanged(at=at(second), node=name, status=status)

    facts = tuple({"original_node_id": name, "node_type_name": name.upper()} for name in "ab")
    trace = trace_of(
        [
            RunStarted(
                at=at(0),
                run_id="r",
                mode="run",
                agent={"id": None, "name": ""},
                nodes=facts,
                inputs=(),
                warnings=(),
                changes={},
                request={},
            ),
            node(1, "a", NodeStatus.QUEUED),
            node(1, "b", NodeStatus.QUEUED),
            node(2, "a", NodeStatus.RUNNING),
            node(3, "b", NodeStatus.RUNNING),
            node(5, "b", NodeStatus.COMPLETED),
            RunResumed(at=at(20)),
            node(20, "a", NodeStatus.QUEUED),
            node(21, "a", NodeStatus.RUNNING),
            node(24, "a", NodeStatus.COMPLETED),
            RunFinished(at=at(24), status=RunStatus.COMPLETED),
        ]
    )
    check_format(trace)
    check_lanes(trace)
    found = [(one["name"], one["ts"], one["dur"], one["args"]["status"]) for one in spans(trace, "tiles")]
    s = 1_000_000
    assert found == [
        ("A", 2 * s, 3 * s, "interrupted"),
        ("B", 3 * s, 2 * s, "completed"),
        ("A", 21 * s, 3 * s, "completed"),
    ]
    assert [(one["name"], one["dur"]) for one in spans(trace, "waits")] == [("A", s), ("B", 2 * s), ("A", s)]
