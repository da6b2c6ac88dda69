"""Triggers: sources that an event outside fills with videos."""

from __future__ import annotations

from engine.node import NOTHING, NodeType, ours_id

__all__ = ["GoogleDriveTrigger", "S3Trigger", "ScheduleTrigger", "YouTubeTrigger"]


class _Trigger(NodeType):
    category = "trigger"
    source = "ours"
    accepts = NOTHING


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
