"""Unit tests of graph rewrites: a notation for agents, assertions on plans, snapshots, strategies, coverage.

>>> from tessera.testing import agent, assert_plan
>>> a = agent("input > rough_cut > {captions, mirror} > watermark > destination")
>>> _ = assert_plan(a, ignore=["captions"]).edges("rough_cut > watermark via captions", "mirror > watermark")

The pytest plug-in (fixtures `agent`, `assert_plan` and `replay`, options `--tessera-…`) comes with the
installation.
`tessera.testing.strategies` needs Hypothesis and is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tessera.testing.strategies as strategies
    from tessera.testing.assertions import PlanAssertion, assert_plan
    from tessera.testing.coverage import GraphCoverage
    from tessera.testing.fault_containment import assert_faults_contained, fault_sweep
    from tessera.testing.notation.names import NotationError, node_id
    from tessera.testing.notation.parser import agent
    from tessera.testing.notation.writer import to_notation

_HOMES = {
    "GraphCoverage": "tessera.testing.coverage",
    "NotationError": "tessera.testing.notation.names",
    "PlanAssertion": "tessera.testing.assertions",
    "agent": "tessera.testing.notation.parser",
    "assert_faults_contained": "tessera.testing.fault_containment",
    "assert_plan": "tessera.testing.assertions",
    "fault_sweep": "tessera.testing.fault_containment",
    "node_id": "tessera.testing.notation.names",
    "to_notation": "tessera.testing.notation.writer",
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
        return import_module("tessera.testing.strategies")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
