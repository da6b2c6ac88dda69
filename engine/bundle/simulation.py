"""Simulate the run of a bundle again, from what the bundle holds alone."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tessera.bundle.bundle import read_bundle
from tessera.record.record import RunRecord
from tessera.runner.entry import simulate

__all__ = ["replay"]


def replay(path: Path) -> RunRecord:
    """Simulate the run of a bundle, from what it holds alone.

    Raises
    ------
    RequestError
        It is no bundle.
    QuestionError
        A tile asks what the run did not learn.
    """
    bundle = read_bundle(path)
    told = bundle.record.get("part") or {}
    node = told.get("agent_node_id")
    since, only = (node if told.get("part") == kind else None for kind in ("from", "only"))
    with tempfile.TemporaryDirectory(prefix="tessera-replay-") as nowhere:
        return simulate(
            bundle.plan,
            facts=bundle.facts,
            since=since,
            only=only,
            of=bundle.record if since or only else None,
            workspace=Path(nowhere) / "none",
        )
