"""Unit tests of graph rewrites: a notation for agents, assertions on plans, snapshots, strategies, coverage.

The modules, in reading order:

- `notation`: agents as text, and the names of tiles in tests
- `request_builder`: the request of a test, with names for ids and placeholder inputs
- `plan_outcome`: a plan or a rejected request, with the assertions on warnings and faults
- `assertions`: `assert_plan` and the assertions on graph, parameters and results
- `simulation`: expected items, durations and outputs against a simulation
- `snapshot`: a plan as a reviewable JSON file
- `session`: the state of a pytest session that assertions share
- `plugin`: the pytest plug-in
- `coverage`: the parts of each agent that a test suite exercises
- `fault_containment`: the fault sweep, in which each tile fails in each way
- `strategies`: Hypothesis strategies for agents, rewrites and requests

>>> from tessera.testing import agent, assert_plan
>>> a = agent("input > rough_cut > {captions, mirror} > watermark > destination")
>>> _ = assert_plan(a, ignore=["captions"]).edges("rough_cut > watermark via captions", "mirror > watermark")

pytest finds the plug-in (fixtures `agent`, `assert_plan` and `replay`, options `--tessera-…`) by itself once
the package is installed. `tessera.testing.strategies` needs Hypothesis and is imported on first use.
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

_MODULES = {
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
    """Import a public name on first use, so that the plug-in costs nothing in suites without such tests."""
    if name == "strategies":
        return import_module("tessera.testing.strategies")
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
