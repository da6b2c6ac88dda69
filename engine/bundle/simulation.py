"""Simulate the run of a bundle again, using only the contents of the bundle."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tessera.bundle.bundle import read_bundle
from tessera.record.record import RunRecord
from tessera.runner.entry import simulate

__all__ = ["replay"]


def replay(path: Path) -> RunRecord:
    """Simulate the run of a bundle, using only its contents.

    Raises
    ------
    RequestError
        If the file is not a bundle.
    QuestionError
        If a tile asks a question that the run did not answer.
    """
    bundle = read_bundle(path)
    part = bundle.record.get("part") or {}
    node = part.get("agent_node_id")
    since, only = (node if part.get("part") == kind else None for kind in ("from", "only"))
    # A workspace that does not exist: nothing but the bundle can answer.
    with tempfile.TemporaryDirectory(prefix="tessera-replay-") as folder:
        return simulate(
            bundle.plan,
            facts=bundle.facts,
            since=since,
            only=only,
            of=bundle.record if since or only else None,
            workspace=Path(folder) / "none",
        )
