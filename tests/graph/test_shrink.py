"""Shrinking finds a smallest agent and request that still show a problem."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera import RequestError, plan
from tessera.graph.shrink import minimise, shrink
from tessera.testing import agent, node_id


@given(st.lists(st.integers(0, 50), unique=True), st.sets(st.integers(0, 50), max_size=4))
def test_exactly_the_needed_items_are_kept(items: list[int], wanted: set[int]) -> None:
    needed = wanted & set(items)
    assert minimise(items, lambda kept: needed <= set(kept)) == [one for one in items if one in needed]


def test_an_agent_of_twelve_tiles_shrinks_to_the_three_that_matter() -> None:
    template = agent(
        """
        input > mirror_0 > mirror_1 > mirror_2 > mirror_3(horizontal_flip=true) > mirror_4 > mirror_5
        mirror_5 > mirror_6 > mirror_7 > mirror_8 > captions(caption_style="karaoke") > destination
        input > mirror_5
        """
    )
    request = {
        "video_ids": ["a", "b"],
        "input_clip_end_ms": 500,
        "ignore_nodes": [node_id("mirror_1"), node_id("mirror_4")],
        "update_params": {node_id("captions"): {"caption_style": "scaling", "caption_font": "Lora"}},
    }

    def still_fails(template: dict[str, Any], request: dict[str, Any]) -> bool:
        """Return True if captions run and are set to scaling."""
        try:
            p = plan(template, request)
        except RequestError:
            return False
        values = [p.tile(node).values() for node in p.order if p.tile(node).name == "Captions"]
        return [one["caption_style"] for one in values] == ["scaling"]

    small, small_request = shrink(template.to_dict(), request, still_fails)
    assert [node["node_type"]["node_type_name"] for node in small["agent_nodes"]] == [
        "Video Input",
        "Captions",
    ]
    assert len(small["connections"]) == 1
    assert small["agent_nodes"][1]["params_used"] == {}
    assert len(small_request["video_ids"]) == 1
    assert {name: value for name, value in small_request.items() if name != "video_ids"} == {
        "update_params": {node_id("captions"): {"caption_style": "scaling"}}
    }
    json.dumps([small, small_request])


def test_a_problem_that_does_not_occur_is_refused() -> None:
    with pytest.raises(ValueError, match="does not show"):
        shrink({"agent_nodes": [], "connections": []}, {}, lambda _agent, _request: False)
