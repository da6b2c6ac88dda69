"""Tessera: run, simulate and test video-editing agents offline.

>>> from engine import plan
>>> agent = {"agent_nodes": [{"agent_node_id": "11111111-2222-3333-4444-555555555555",
...          "node_type": {"node_type_name": "Image Generation"}}], "connections": []}
>>> plan(agent).order
('11111111-2222-3333-4444-555555555555',)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.agent import AgentTemplate
    from engine.errors import (
        Cancelled,
        Fault,
        MediaError,
        QuestionError,
        RenderError,
        RequestError,
        TesseraError,
        TileError,
        WorkspaceError,
    )
    from engine.graph.load import load_agent
    from engine.graph.plan import Plan, plan
    from engine.node import Catalogue, Kind, NodeType
    from engine.request import RunRequest
    from engine.run.api import run, simulate
    from engine.run.record import RunRecord
    from engine.run.resume import resume

_HOMES = {
    "AgentTemplate": "engine.agent",
    "Cancelled": "engine.errors",
    "Catalogue": "engine.node",
    "Fault": "engine.errors",
    "Kind": "engine.node",
    "MediaError": "engine.errors",
    "NodeType": "engine.node",
    "Plan": "engine.graph.plan",
    "QuestionError": "engine.errors",
    "RenderError": "engine.errors",
    "RequestError": "engine.errors",
    "RunRecord": "engine.run.record",
    "RunRequest": "engine.request",
    "TesseraError": "engine.errors",
    "TileError": "engine.errors",
    "WorkspaceError": "engine.errors",
    "load_agent": "engine.graph.load",
    "plan": "engine.graph.plan",
    "resume": "engine.run.resume",
    "simulate": "engine.run.api",
}

__all__ = [
    "AgentTemplate",
    "Cancelled",
    "Catalogue",
    "Fault",
    "Kind",
    "MediaError",
    "NodeType",
    "Plan",
    "QuestionError",
    "RenderError",
    "RequestError",
    "RunRecord",
    "RunRequest",
    "TesseraError",
    "TileError",
    "WorkspaceError",
    "load_agent",
    "plan",
    "resume",
    "run",
    "simulate",
]


def __getattr__(name: str) -> Any:
    """Imports happen when a name is first used, so that `import engine` costs nothing."""
    if name == "run":
        return import_module("engine.run")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
