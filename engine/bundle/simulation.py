"""Simulate the run of a bundle again, using only the contents of the bundle."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tessera.bundle.bundle import Bundle, read_bundle
from tessera.bundle.plan_check import other_plan
from tessera.errors import RequestError
from tessera.graph.plan import plan
from tessera.notice import Notice
from tessera.record.record import RunRecord
from tessera.runner.entry import simulate

__all__ = ["replay"]


def replay(path: Path) -> RunRecord:
    """Simulate the run of a bundle, using only its contents.

    The recorded plan is simulated. If the agent beside it gives another one, the record has a warning.

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
            replace(bundle.plan, warnings=(*bundle.plan.warnings, *_differences(bundle, path))),
            facts=bundle.facts,
            since=since,
            only=only,
            of=bundle.record if since or only else None,
            workspace=Path(folder) / "none",
        )


def _differences(bundle: Bundle, path: Path) -> Iterator[Notice]:
    """Yield a warning if the agent of a bundle does not give its plan."""
    agent, recorded = bundle.documents.get("agent.json"), bundle.plan.to_dict()
    if agent is None or bundle.record.get("part"):
        # The plan of a partial run has only some of the agent's tiles.
        return
    try:
        given = plan(agent, recorded["request"], unknown_tiles="opaque").to_dict()
    except RequestError as error:
        yield Notice("other_plan", f"the agent in {path} gives no plan any more: {error}", "/agent.json")
        return
    yield from other_plan(path, given, recorded, "the plan that ran is simulated")
