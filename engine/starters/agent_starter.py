"""A small agent, with a request and facts that simulate it without any video."""

from __future__ import annotations

import json
import uuid
from itertools import pairwise
from typing import Any

from tessera.node import Catalogue
from tessera.starters.starter import Starter, Step

__all__ = ["agent_document", "agent_starter"]

_TILES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Video Input", {}),
    ("Clips", {"num_clips": 2, "target_duration": 5}),
    ("Reframe", {"aspect_ratio": "9:16"}),
    ("Watermark", {"logo_position": "bottom-right", "logo_size": 40}),
    ("Destination", {}),
)
"""The tiles in order, each with the parameters that differ from its defaults. All of them render."""

_FACTS = {
    "*": {
        "duration_ms": 90_000,
        "width": 1920,
        "height": 1080,
        "fps": 30,
        "has_audio": True,
        "speech": [[400, 21_000], [24_000, 61_000]],
    }
}
"""Facts of any video. A simulation of Clips asks for its speech."""


def agent_starter() -> Starter:
    """Return an agent with new ids, a request that changes one of its parameters, and facts of a video."""
    agent = agent_document()
    clips = next(
        tile["agent_node_id"]
        for tile in agent["agent_nodes"]
        if tile["node_type"]["node_type_name"] == "Clips"
    )
    request = {"video_ids": ["example"], "update_params": {clips: {"num_clips": 3}}}
    documents = {"agent.json": agent, "request.json": request, "facts.json": _FACTS}
    return Starter(
        {name: f"{json.dumps(document, indent=2)}\n" for name, document in documents.items()},
        (
            Step(
                "Without any video, since facts.json describes one:",
                (
                    "tessera validate agent.json request.json",
                    "tessera plan agent.json request.json",
                    "tessera simulate agent.json request.json --facts facts.json",
                ),
            ),
            Step(
                "With a video of yours in place of VIDEO.mp4:",
                ("tessera run agent.json --input VIDEO.mp4 --out out",),
            ),
        ),
    )


def agent_document() -> dict[str, Any]:
    """Return the agent as an exported document, with new ids."""
    catalogue = Catalogue.installed()
    tiles = []
    for name, parameters in _TILES:
        node_type = catalogue.find(name)
        assert node_type is not None, name  # it comes with Tessera
        kind = {"node_type_id": node_type.type_id, "node_type_name": name}
        tiles.append({"agent_node_id": _new_id(), "node_type": kind, "params_used": parameters})
    ids = [tile["agent_node_id"] for tile in tiles]
    return {
        "agent": {"id": _new_id(), "name": "Clips of a talk", "visibility": "private"},
        "agent_nodes": tiles,
        "connections": [
            {"source_agent_node_id": source, "target_agent_node_id": target}
            for source, target in pairwise(ids)
        ],
    }


def _new_id() -> str:
    return str(uuid.uuid4())
