"""The fault sweep: each tile of a plan fails once, each way, and what the contract says of it must hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tessera.graph.plan import Plan
from tessera.graph.rewrite import reachable
from tessera.record.record import RunRecord
from tessera.runner.entry import simulate
from tessera.text.wording import count

__all__ = ["WAYS", "Violation", "assert_faults_contained", "fault_sweep"]

WAYS: Mapping[str, Mapping[str, Any]] = {
    "error": {"fault": "error"},
    "transient once": {"attempts": [{"fault": "transient"}]},
    "transient always": {"fault": "transient"},
    "hang": {"fault": "hang"},
}
"""How a tile fails: the name of the way, and the stub that makes it."""

Invariant = Callable[[Plan, str, RunRecord], str | None]
"""Given a plan, the tile that failed, and the record: what is wrong, or None."""


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that did not hold after a fault."""

    tile: str
    name: str
    way: str
    message: str

    def __str__(self) -> str:
        return f"{self.name} {self.tile}, {self.way}: {self.message}"


def fault_sweep(
    plan: Plan, *, facts: Any = None, invariants: Sequence[Invariant] = (), workspace: str | None = None
) -> list[Violation]:
    """Simulate a plan once for each tile and each way of failing; what did not hold.

    Checked each time: a fault that passes leaves the run as it is without one; any other fails the tile,
    blocks all its descendants, leaves every other tile and its items as they are, and ends the run
    `partial_complete` where outputs are left and `failed` where none is.

    Parameters
    ----------
    facts
        As for `simulate`; speech that nothing tells of is assumed.
    invariants
        What must hold besides.
    """
    calm = simulate(plan, facts=facts, assume=True, workspace=workspace)
    found: list[Violation] = []
    for node in plan.order:
        for way, stub in WAYS.items():
            record = simulate(plan, facts=facts, assume=True, workspace=workspace, stubs={node: dict(stub)})
            said = list(_broken(plan, node, way, calm, record))
            said += [text for check in invariants if (text := check(plan, node, record)) is not None]
            found += [Violation(node, plan.tile(node).name, way, text) for text in said]
    return found


def _broken(plan: Plan, node: str, way: str, calm: RunRecord, record: RunRecord) -> Iterator[str]:
    if way == "transient once":
        if record.status != calm.status or len(record.outputs) != len(calm.outputs):
            yield f"a fault that passed changed the run: {calm.status} → {record.status}"
        return
    hit = reachable(plan.graph, [node])
    for other, told in record.nodes.items():
        wanted = "failed" if other == node else "blocked" if other in hit else calm.node(other).status.value
        if told.status != wanted:
            yield f"{told.name} {other} is {told.status.value}, not {wanted}"
        if other not in hit and told.made != calm.node(other).made:
            yield f"{told.name} {other} made {count(told.made, 'item')}, not {calm.node(other).made}"
    wanted = "partial_complete" if record.outputs else "failed"
    if record.status != wanted:
        yield f"the run is {record.status.value}, not {wanted}"


def assert_faults_contained(
    plan: Plan, *, facts: Any = None, invariants: Sequence[Invariant] = (), workspace: str | None = None
) -> None:
    """Raise `AssertionError` that lists what a fault sweep found; see `fault_sweep`."""
    found = fault_sweep(plan, facts=facts, invariants=invariants, workspace=workspace)
    assert not found, "faults are not contained:\n" + "\n".join(f"  {one}" for one in found)
