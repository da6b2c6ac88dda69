"""Tessera: run, simulate and test video-editing agents offline.

>>> from tessera import plan
>>> agent = {"agent_nodes": [{"agent_node_id": "11111111-2222-3333-4444-555555555555",
...          "node_type": {"node_type_name": "Image Generation"}}], "connections": []}
>>> plan(agent).order
('11111111-2222-3333-4444-555555555555',)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tessera.agent import AgentTemplate
    from tessera.errors import (
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
    from tessera.graph.load import load_agent
    from tessera.graph.plan import Plan, plan
    from tessera.node import Catalogue, Kind, NodeType
    from tessera.record.record import RunRecord
    from tessera.request import RunRequest
    from tessera.runner.entry import run, simulate
    from tessera.runner.resume import resume

_HOMES = {
    "AgentTemplate": "tessera.agent",
    "Cancelled": "tessera.errors",
    "Catalogue": "tessera.node",
    "Fault": "tessera.errors",
    "Kind": "tessera.node",
    "MediaError": "tessera.errors",
    "NodeType": "tessera.node",
    "Plan": "tessera.graph.plan",
    "QuestionError": "tessera.errors",
    "RenderError": "tessera.errors",
    "RequestError": "tessera.errors",
    "RunRecord": "tessera.record.record",
    "RunRequest": "tessera.request",
    "TesseraError": "tessera.errors",
    "TileError": "tessera.errors",
    "WorkspaceError": "tessera.errors",
    "load_agent": "tessera.graph.load",
    "plan": "tessera.graph.plan",
    "resume": "tessera.runner.resume",
    "run": "tessera.runner.entry",
    "simulate": "tessera.runner.entry",
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
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
