"""Triggers: sources whose videos come from an external event."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tessera.context import Context
from tessera.media.algebra.item import Item
from tessera.node import NOTHING, Made, NodeType, ours_id
from tessera.nodes.video_input import requested_videos

__all__ = ["GoogleDriveTrigger", "S3Trigger", "ScheduleTrigger", "YouTubeTrigger"]


class _Trigger(NodeType):
    category = "trigger"
    source = "ours"
    accepts = NOTHING

    def run(self, ctx: Context, inputs: Sequence[Item], params: Any) -> Iterable[Made]:
        return requested_videos(ctx)


class YouTubeTrigger(_Trigger):
    name = "YouTube Trigger"
    type_id = ours_id(name)
    summary = "Starts a run with each new video of the YouTube channels it watches."


class GoogleDriveTrigger(_Trigger):
    name = "Google Drive Trigger"
    type_id = ours_id(name)
    summary = "Starts a run with each new video in the Google Drive folder it watches."


class S3Trigger(_Trigger):
    name = "S3 Trigger"
    type_id = ours_id(name)
    summary = "Starts a run with each new video in the S3 bucket it watches."


class ScheduleTrigger(_Trigger):
    name = "Schedule Trigger"
    type_id = ours_id(name)
    summary = "Starts a run at the times of its schedule."
