"""The statuses of tiles and runs (contract, section 4), and the allowed transitions of tiles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

__all__ = ["FINAL", "NodeStatus", "RunStatus", "check_transition", "counts", "run_status"]


class NodeStatus(StrEnum):
    """The status of a tile."""

    NOT_STARTED = "not_started"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    PARTIAL_COMPLETE = "partial_complete"
    FAILED = "failed"
    BLOCKED = "blocked"
    CANCELLED = "cancelled"


class RunStatus(StrEnum):
    """The status of a run."""

    RUNNING = "running"
    COMPLETED = "completed"
    PARTIAL_COMPLETE = "partial_complete"
    FAILED = "failed"
    CANCELLED = "cancelled"


_N = NodeStatus
# Resuming a run is no transition: it replaces the state of each unfinished tile by a new one.
_ALLOWED: Mapping[NodeStatus, frozenset[NodeStatus]] = {
    _N.NOT_STARTED: frozenset({_N.QUEUED, _N.BLOCKED, _N.CANCELLED}),
    _N.QUEUED: frozenset({_N.RUNNING, _N.CANCELLED}),
    _N.RUNNING: frozenset({_N.COMPLETED, _N.PARTIAL_COMPLETE, _N.FAILED, _N.CANCELLED}),
    _N.COMPLETED: frozenset(),
    _N.PARTIAL_COMPLETE: frozenset(),
    _N.FAILED: frozenset(),
    _N.BLOCKED: frozenset(),
    _N.CANCELLED: frozenset(),
}
FINAL = frozenset(status for status, successors in _ALLOWED.items() if not successors)
"""The statuses of a tile that has ended."""


def check_transition(node: str, before: NodeStatus, after: NodeStatus) -> None:
    """Raise `ValueError` if a tile may not change from the status `before` to `after`."""
    if after not in _ALLOWED[before]:
        raise ValueError(f"{node} cannot go from {before} to {after}")


def counts(statuses: Iterable[NodeStatus]) -> dict[str, int]:
    """Return `node_status_counts` of the contract: completed, in_progress and failed."""
    numbers = {"completed": 0, "in_progress": 0, "failed": 0}
    group = {
        _N.COMPLETED: "completed",
        _N.PARTIAL_COMPLETE: "completed",
        _N.RUNNING: "in_progress",
        _N.QUEUED: "in_progress",
        _N.FAILED: "failed",
        _N.BLOCKED: "failed",
    }
    for status in statuses:
        if status in group:
            numbers[group[status]] += 1
    return numbers


def run_status(statuses: Iterable[NodeStatus], outputs: int) -> RunStatus:
    """Return the final status of a run.

    After a failure the status is `failed` if the run made no output, and `partial_complete` otherwise.

    Parameters
    ----------
    statuses
        The final statuses of all tiles.
    outputs
        The number of outputs.
    """
    seen = set(statuses)
    if _N.CANCELLED in seen:
        return RunStatus.CANCELLED
    if seen <= {_N.COMPLETED}:
        return RunStatus.COMPLETED
    return RunStatus.PARTIAL_COMPLETE if outputs else RunStatus.FAILED
