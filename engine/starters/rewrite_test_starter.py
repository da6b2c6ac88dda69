"""Tests of the rewrites of an agent, which is written next to them."""

from __future__ import annotations

import json

from tessera.starters.agent_starter import agent_document
from tessera.starters.starter import Starter, Step

__all__ = ["rewrite_test_starter"]

_TESTS = '''\
"""Rewrites of the agent in agent.json, without media, network or clock.

To test your own agent, put its exported JSON in place of agent.json, or name its file here. A tile is named
after its type in snake case; the second Reframe of an agent is `reframe_2`.
"""

from pathlib import Path

from tessera.testing import assert_plan

AGENT = Path(__file__).with_name("agent.json")


def test_ignoring_one_tile_joins_its_neighbours() -> None:
    # `ignore` names the tiles to leave out; `via` names the ignored tiles on the way of a new connection.
    p = assert_plan(AGENT, ignore=["reframe"])
    p.removed("reframe")
    p.edges("input > clips", "clips > watermark via reframe", "watermark > destination")


def test_ignoring_a_chain_leads_past_all_of_it() -> None:
    p = assert_plan(AGENT, ignore=["clips", "reframe"])
    p.removed("clips", "reframe")
    p.edges("input > watermark via clips, reframe", "watermark > destination")


def test_an_override_replaces_the_value_of_the_agent() -> None:
    # `set` names a tile and a parameter; `tessera nodes Clips` lists the parameters of a type.
    assert_plan(AGENT).param("clips.num_clips", 2, origin="template")
    assert_plan(AGENT, set={"clips.num_clips": 3}).param("clips.num_clips", 3, origin="override")
    # A request with an unknown parameter is refused, at this place in it.
    assert_plan(AGENT, set={"clips.clip_count": 3}).raises("/update_params/<clips>/clip_count")
'''


def rewrite_test_starter() -> Starter:
    """Return a test file with three rewrite tests, and the agent that it tests, with new ids."""
    agent = json.dumps(agent_document(), indent=2)
    run = Step("Run the tests (pip install pytest first if it is missing):", ("pytest test_rewrites.py",))
    return Starter({"agent.json": f"{agent}\n", "test_rewrites.py": _TESTS}, (run,))
