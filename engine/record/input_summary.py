"""What a record tells of the inputs of a run."""

from __future__ import annotations

from typing import Any

from tessera.inputs.resolve import Resolved, ResolvedInput
from tessera.media.algebra.item import describe
from tessera.text.masking import masked_url

__all__ = ["input_record", "triggered_by"]


def triggered_by(resolved: Resolved, at: str) -> dict[str, Any] | None:
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


def input_record(one: ResolvedInput) -> dict[str, Any]:
    """What a record says of an input."""
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
