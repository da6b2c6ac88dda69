"""The members of a record that describe the inputs of a run."""

from __future__ import annotations

from typing import Any

from tessera.inputs.resolve import Resolved, ResolvedInput
from tessera.media.algebra.item import describe

__all__ = ["input_record", "triggered_by"]


def triggered_by(resolved: Resolved, at: str) -> dict[str, Any] | None:
    """Return the `triggered_by` member of the contract's section 4, from the first YouTube URL input."""
    for entry in resolved.inputs:
        about = entry.source.inspection.about if entry.source is not None else None
        if about is not None and entry.ref.form == "youtube_url":
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


def input_record(resolved: ResolvedInput) -> dict[str, Any]:
    """Return the members of a record that describe an input."""
    clip = resolved.media.clip
    about = resolved.source.inspection.about if resolved.source is not None else None
    info = resolved.source.inspection.source_info if resolved.source is not None else None
    asset = resolved.asset
    thumbnail = asset.thumbnail if asset is not None else None
    return {
        "video_id": asset.id if asset else (resolved.ref.key if resolved.ref.form == "video_id" else None),
        "video_url": asset.path.absolute().as_uri() if asset else None,
        "thumbnail_url": thumbnail.absolute().as_uri() if thumbnail is not None else None,
        "agent_node_id": resolved.node,
        "form": resolved.ref.form,
        "key": resolved.ref.masked_key,
        "name": resolved.media.name,
        "origin": resolved.origin,
        "metered_ms": resolved.metered_ms,
        "clip_ms": [float(clip[0] * 1000), float(clip[1] * 1000)] if clip else None,
        **describe(resolved.media.video),
        **({"about": about.to_dict()} if about is not None else {}),
        **({"source_info": dict(info)} if info is not None else {}),
    }
