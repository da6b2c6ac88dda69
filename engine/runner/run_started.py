"""The first event of a run or a simulation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tessera.graph.plan import Plan
from tessera.node import derived_id
from tessera.record.events import RunStarted
from tessera.record.input_summary import input_record, triggered_by
from tessera.text.masking import mask_urls, masked_text

if TYPE_CHECKING:
    from tessera.inputs.resolve import Resolved
    from tessera.runner.scheduling.run_spec import RunSpec

__all__ = ["RunIdentity", "run_started", "simulated_id"]


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """What makes a run this one.

    Attributes
    ----------
    at
        The time of its start, as a timestamp.
    part
        The entry of a partial run; see `tessera.runner.partial.Part.summary`.
    """

    run_id: str
    mode: Literal["run", "simulate"]
    at: str
    part: Mapping[str, Any] | None = None


def simulated_id(plan: Plan) -> str:
    """Return the run id of a simulation: the same for every simulation of the same plan."""
    return derived_id(*plan.order, plan.request.model_dump_json(exclude_unset=True))


def run_started(identity: RunIdentity, spec: RunSpec, resolved: Resolved) -> RunStarted:
    """Return the first event of a run."""
    plan, run_id = spec.plan, identity.run_id
    # Masked before the record exists: it is shown, bundled and stored.
    return RunStarted(
        at=identity.at,
        run_id=run_id,
        mode=identity.mode,
        agent=mask_urls({"id": plan.agent_id, "name": plan.agent_name}),
        nodes=tuple(mask_urls(node) for node in _nodes(plan, run_id)),
        inputs=tuple(mask_urls(input_record(media)) for media in resolved.inputs),
        warnings=tuple(mask_urls(notice.to_dict()) for notice in (*plan.warnings, *resolved.warnings)),
        changes=mask_urls(plan.changes.to_dict()),
        request=mask_urls(plan.request.to_dict()),
        triggered_by=triggered_by(resolved, identity.at),
        stubs=tuple(map(masked_text, spec.stubs)),
        faults=tuple(masked_text(fault.text) for fault in spec.faults),
        part=dict(identity.part) if identity.part is not None else None,
    )


def _nodes(plan: Plan, run_id: str) -> Iterable[dict[str, Any]]:
    """Yield the entry of each tile, in the form of the contract. Tiles of one type share its entry."""
    entries: dict[str, dict[str, Any]] = {}
    tiles = dict(plan.graph.nodes(data="node"))
    for node in plan.order:
        kind = tiles[node].type
        entry = entries.get(kind.type_id)
        if entry is None:
            entry = entries[kind.type_id] = {
                "node_type_id": kind.type_id,
                "node_type_name": kind.name,
                "docs_url": None,
                "params_docs_url": None,
            }
        yield {
            "agent_node_id": derived_id(run_id, node),
            "original_node_id": node,
            "node_type": entry,
            "node_type_id": kind.type_id,
            "node_type_name": kind.name,
        }
