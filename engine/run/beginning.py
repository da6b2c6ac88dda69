"""The first event of a run: what runs, with which inputs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engine.graph.plan import Plan
from engine.inputs.resolve import Resolved, ResolvedInput
from engine.masking import masked, masked_url
from engine.media.item import describe
from engine.node import derived_id
from engine.run.events import RunStarted

__all__ = ["started"]


def started(
    decided: Plan, resolved: Resolved, run_id: str, mode: Any, at: str, stubbed: Iterable[str]
) -> RunStarted:
    nodes: list[dict[str, Any]] = []
    shared: dict[str, dict[str, Any]] = {}
    tiles = dict(decided.graph.nodes(data="node"))
    for node in decided.order:
        kind = tiles[node].type
        of_type = shared.get(kind.type_id)
        if of_type is None:
            of_type = shared[kind.type_id] = {
                "node_type_id": kind.type_id,
                "node_type_name": kind.name,
                "docs_url": None,
                "params_docs_url": None,
            }
        nodes.append(
            {
                "agent_node_id": derived_id(run_id, node),
                "original_node_id": node,
                "node_type": of_type,
                "node_type_id": kind.type_id,
                "node_type_name": kind.name,
            }
        )
    return RunStarted(
        at=at,
        run_id=run_id,
        mode=mode,
        agent={"id": decided.agent_id, "name": decided.agent_name},
        nodes=tuple(nodes),
        inputs=tuple(_input_record(one) for one in resolved.inputs),
        warnings=tuple(notice.to_dict() for notice in (*decided.warnings, *resolved.warnings)),
        changes=decided.changes.to_dict(),
        request=masked(decided.request.to_dict()),
        triggered_by=_triggered_by(resolved, at),
        stubs=tuple(stubbed),
    )


def _triggered_by(resolved: Resolved, at: str) -> dict[str, Any] | None:
    """What the contract's section 4 says of a run of a YouTube URL: the first of its inputs that is one."""
    for one in resolved.inputs:
        about = one.source.look.about if one.source is not None else None
        if about is not None and one.ref.form == "youtube_url":
            return {
                "type": "youtube",
                "channel_id": about.channel_id,
                "video_id": about.id,
                "video_title": about.title,
                "video_url": about.url,
                "triggered_at": at,
                "trigger_id": None,
            }
    return None


def _input_record(one: ResolvedInput) -> dict[str, Any]:
    clip = one.media.clip
    about = one.source.look.about if one.source is not None else None
    info = one.source.look.source_info if one.source is not None else None
    small = one.asset.thumbnail if one.asset is not None else None
    return {
        "video_id": one.asset.id if one.asset else (one.ref.key if one.ref.form == "video_id" else None),
        "video_url": one.asset.path.absolute().as_uri() if one.asset else None,
        "thumbnail_url": small.absolute().as_uri() if small is not None else None,
        "agent_node_id": one.node,
        "form": one.ref.form,
        "key": masked_url(one.ref.key),
        "name": one.media.name,
        "origin": one.origin,
        "metered_ms": one.metered_ms,
        "clip_ms": [float(clip[0] * 1000), float(clip[1] * 1000)] if clip else None,
        **describe(one.media.video),
        **({"about": about.to_dict()} if about is not None else {}),
        **({"source_info": dict(info)} if info is not None else {}),
    }
