"""Unit tests of graph rewrites: a notation for agents, assertions on plans, snapshots, strategies, coverage.

>>> from engine.testing import agent, assert_plan
>>> a = agent("input > rough_cut > {captions, mirror} > watermark > destination")
>>> _ = assert_plan(a, ignore=["captions"]).edges("rough_cut > watermark via captions", "mirror > watermark")

The pytest plug-in (fixtures `agent`, `assert_plan` and `replay`, options `--tessera-…`) comes with the
installation.
`engine.testing.strategies` needs Hypothesis and is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import engine.testing.strategies as strategies
    from engine.testing.asserts import PlanAssertion, assert_plan
    from engine.testing.coverage import GraphCoverage
    from engine.testing.emit import to_notation
    from engine.testing.faults import assert_faults_contained, fault_sweep
    from engine.testing.names import NotationError, node_id
    from engine.testing.notation import agent

_HOMES = {
    "GraphCoverage": "engine.testing.coverage",
    "NotationError": "engine.testing.names",
    "PlanAssertion": "engine.testing.asserts",
    "agent": "engine.testing.notation",
    "assert_faults_contained": "engine.testing.faults",
    "assert_plan": "engine.testing.asserts",
    "fault_sweep": "engine.testing.faults",
    "node_id": "engine.testing.names",
    "to_notation": "engine.testing.emit",
}

__all__ = [
    "GraphCoverage",
    "NotationError",
    "PlanAssertion",
    "agent",
    "assert_faults_contained",
    "assert_plan",
    "fault_sweep",
    "node_id",
    "strategies",
    "to_notation",
]


def __getattr__(name: str) -> Any:
    """Imports happen when a name is first used: the plug-in costs nothing where no test uses it."""
    if name == "strategies":
        return import_module("engine.testing.strategies")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
