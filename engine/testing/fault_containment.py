"""The fault sweep: each tile of a plan fails once in each way, and the rules of the contract must hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tessera.graph.plan import Plan
from tessera.graph.rewrite import reachable
from tessera.record.record import RunRecord
from tessera.runner.entry import simulate
from tessera.testing.request_builder import DUMMY

if TYPE_CHECKING:
    from tessera.testing.assertions import PlanAssertion

__all__ = ["WAYS", "Violation", "assert_faults_contained", "fault_sweep"]

WAYS: Mapping[str, Mapping[str, Any]] = {
    "error": {"fault": "error"},
    "transient once": {"attempts": [{"fault": "transient"}]},
    "transient always": {"fault": "transient"},
    "hang": {"fault": "hang"},
}
"""The ways in which a tile fails: name → the stub that causes the fault."""

Invariant = Callable[[Plan, str, RunRecord], str | None]
"""A check of (plan, id of the failed tile, record): returns the problem, or None."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that does not hold after a fault.

    Attributes
    ----------
    tile
        The id of the tile that failed.
    name
        The name of its type.
    way
        The way in which it failed, a key of `WAYS`.
    message
        The problem.
    """

    tile: str
    name: str
    way: str
    message: str

    def __str__(self) -> str:
        return f"{self.name} {self.tile}, {self.way}: {self.message}"


def fault_sweep(
    plan: Plan | PlanAssertion,
    *,
    facts: Any = None,
    invariants: Sequence[Invariant] = (),
    workspace: str | None = None,
) -> list[Violation]:
    """Simulate a plan once for each tile and each way of failing, and return the violated rules.

    A transient fault must not change the run. Any other fault must fail the tile, block all its descendants,
    leave every other tile and its items unchanged, and end the run as `partial_complete` if outputs remain,
    or else as `failed`.

    Parameters
    ----------
    plan
        The plan to simulate, or the assertions on it that `assert_plan` returns.
    facts
        Facts about the inputs, as for `simulate`. By default those given to `assert_plan`; without any, each
        input is 60,000 ms of speech, 1920×1080 pixels, 30 frames/s.
    invariants
        Additional checks: functions of (plan, id of the failed tile, record) that return a problem or None.
    workspace
        The workspace of the simulations, as for `simulate`.

    Examples
    --------
    >>> from tessera.testing import assert_plan, fault_sweep
    >>> p = assert_plan("input > mirror > destination")
    >>> fault_sweep(p)
    []
    """
    if not isinstance(plan, Plan):
        facts = plan.facts() if facts is None else facts
        plan = plan.plan
    if facts is None:
        facts = {"*": DUMMY}
    reference = simulate(plan, facts=facts, assume=True, workspace=workspace)
    found: list[Violation] = []
    for node in plan.order:
        for way, stub in WAYS.items():
            record = simulate(plan, facts=facts, assume=True, workspace=workspace, stubs={node: dict(stub)})
            problems = list(_problems(plan, node, way, reference, record))
            problems += [text for check in invariants if (text := check(plan, node, record)) is not None]
            found += [Violation(node, plan.tile(node).name, way, text) for text in problems]
    return found


def _problems(plan: Plan, node: str, way: str, reference: RunRecord, record: RunRecord) -> Iterator[str]:
    if way == "transient once":
        if record.status != reference.status or len(record.outputs) != len(reference.outputs):
            yield f"a transient fault changed the run: {reference.status} → {record.status}"
        return
    affected = reachable(plan.graph, [node])
    for other, result in record.nodes.items():
        normal = reference.node(other)
        wanted = "failed" if other == node else "blocked" if other in affected else normal.status.value
        if result.status != wanted:
            yield f"{result.name} {other} is {result.status.value}, expected {wanted}"
        if other not in affected and result.made != normal.made:
            yield f"{result.name} {other} produced {result.made} items, expected {normal.made}"
    wanted = "partial_complete" if record.outputs else "failed"
    if record.status != wanted:
        yield f"the run is {record.status.value}, expected {wanted}"


def assert_faults_contained(
    plan: Plan | PlanAssertion,
    *,
    facts: Any = None,
    invariants: Sequence[Invariant] = (),
    workspace: str | None = None,
) -> None:
    """Assert that a fault sweep finds no violation. Parameters as in `fault_sweep`.

    Raises
    ------
    AssertionError
        If rules are violated. The message lists all violations.

    Examples
    --------
    >>> from tessera.testing import assert_faults_contained, assert_plan
    >>> assert_faults_contained(assert_plan("input > mirror > destination"))
    >>> assert_faults_contained(assert_plan("input > mirror > destination").plan)
    """
    found = fault_sweep(plan, facts=facts, invariants=invariants, workspace=workspace)
    assert not found, "faults are not contained:\n" + "\n".join(f"  {violation}" for violation in found)
