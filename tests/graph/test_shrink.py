"""Shrinking finds the smallest agent and request that still show a problem."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera import RequestError, plan
from tessera.graph.shrink import minimise, shrink
from tests.support.builders import agent, uid


@given(st.lists(st.integers(0, 50), unique=True), st.sets(st.integers(0, 50), max_size=4))
def test_what_is_needed_is_kept_and_nothing_else(items: list[int], wanted: set[int]) -> None:
    needed = wanted & set(items)
    assert minimise(items, lambda kept: needed <= set(kept)) == [one for one in items if one in needed]


def test_an_agent_of_twelve_tiles_shrinks_to_the_three_that_matter() -> None:
    tiles = ["in:Video Input", *(f"m{n}:Mirror" for n in range(9)), "c:Captions", "out:Destination"]
    edges = "in>m0 " + " ".join(f"m{n}>m{n + 1}" for n in range(8)) + " m8>c c>out in>m5"
    doc = agent(*tiles, edges=edges, c={"caption_style": "karaoke"}, m3={"horizontal_flip": True})
    request = {
        "video_ids": ["a", "b"],
        "input_clip_end_ms": 500,
        "ignore_nodes": [uid("m1"), uid("m4")],
        "update_params": {uid("c"): {"caption_style": "scaling", "caption_font": "Lora"}},
    }

    def still(agent: dict[str, Any], request: dict[str, Any]) -> bool:
        """Captions are reached from an input and set to scaling."""
        try:
            p = plan(agent, request)
        except RequestError:
            return False
        values = [p.tile(node).values() for node in p.order if p.tile(node).name == "Captions"]
        return [one["caption_style"] for one in values] == ["scaling"]

    small, asked = shrink(doc, request, still)
    assert [node["node_type"]["node_type_name"] for node in small["agent_nodes"]] == [
        "Video Input",
        "Captions",
    ]
    assert len(small["connections"]) == 1
    assert small["agent_nodes"][1]["params_used"] == {}
    assert len(asked["video_ids"]) == 1
    assert {name: value for name, value in asked.items() if name != "video_ids"} == {
        "update_params": {uid("c"): {"caption_style": "scaling"}}
    }
    json.dumps([small, asked])


def test_a_problem_that_does_not_show_is_refused() -> None:
    with pytest.raises(ValueError, match="does not show"):
        shrink({"agent_nodes": [], "connections": []}, {}, lambda _agent, _request: False)
