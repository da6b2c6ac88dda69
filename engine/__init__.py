"""Tessera: run, simulate and test video-editing agents offline.

Read the modules directly in this folder in this order:

- `errors`: the exceptions, and `Fault`, one problem in a document
- `kinds`: the kinds of media on an edge
- `node`: the contract of a tile, and the catalogue of installed tiles
- `context`: the interface through which a tile reads media and asks questions
- `notice`: warnings
- `validation`: pydantic errors as faults with JSON pointers
- `agent`: the exported agent, read and checked
- `request`: the run request
- `settings`: the user's `tessera.toml`
- `files`: atomic writes and file locks

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
        ConfigError,
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
    from tessera.runner.config import ResumeConfig, RunConfig, SimulateConfig
    from tessera.runner.entry import run, simulate
    from tessera.runner.resume import resume

_MODULES = {
    "AgentTemplate": "tessera.agent",
    "Cancelled": "tessera.errors",
    "Catalogue": "tessera.node",
    "ConfigError": "tessera.errors",
    "Fault": "tessera.errors",
    "Kind": "tessera.node",
    "MediaError": "tessera.errors",
    "NodeType": "tessera.node",
    "Plan": "tessera.graph.plan",
    "QuestionError": "tessera.errors",
    "RenderError": "tessera.errors",
    "RequestError": "tessera.errors",
    "ResumeConfig": "tessera.runner.config",
    "RunConfig": "tessera.runner.config",
    "RunRecord": "tessera.record.record",
    "RunRequest": "tessera.request",
    "SimulateConfig": "tessera.runner.config",
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
    "ConfigError",
    "Fault",
    "Kind",
    "MediaError",
    "NodeType",
    "Plan",
    "QuestionError",
    "RenderError",
    "RequestError",
    "ResumeConfig",
    "RunConfig",
    "RunRecord",
    "RunRequest",
    "SimulateConfig",
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
    """Import a public name on first use, so that `import tessera` stays fast."""
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
