"""Export the media facts that a run learned, for use in a simulation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tessera.context import LEVEL_HOP_MS
from tessera.inputs.resolve import Resolved, ResolvedInput
from tessera.media.algebra.time import to_ms
from tessera.media.probe.info import MediaInfo
from tessera.runner.answers.tile_context import Answers

__all__ = ["facts_of"]


def facts_of(resolved: Resolved, answers: Answers) -> dict[str, dict[str, Any]]:
    """Return the facts of all media of a run.

    An input is listed by its key in the request, with secrets masked. An asset that a parameter names is
    listed by its id.
    """
    facts: dict[str, dict[str, Any]] = {}
    input_assets = set()
    for entry in resolved.inputs:
        if entry.asset is not None:
            input_assets.add(entry.asset.id)
            facts[entry.ref.masked_key] = {
                "name": entry.media.name,
                **_media_facts(entry.asset.info),
                **answers.learned.get(entry.asset.id, {}),
                **_source_facts(entry, answers.learned.get(entry.asset.id, {})),
            }
    for asset, learned in answers.learned.items():
        if asset not in input_assets:
            facts[asset] = dict(learned)
    return facts


def _source_facts(entry: ResolvedInput, learned: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts that differ between a partially fetched input and its complete source."""
    part = entry.source.fetched.part if entry.source is not None else None
    if part is None or entry.source is None:
        return {}
    begin, whole = to_ms(part[0]), entry.source.duration
    facts: dict[str, Any] = {"duration": str(whole), "duration_ms": int(whole * 1000)}
    if "speech" in learned:
        facts["speech"] = [[start + begin, end + begin] for start, end in learned["speech"]]
    if learned.get("levels_dbfs"):
        # The part before the fetched one is unknown: assume its level is the quietest known.
        before = [min(learned["levels_dbfs"])] * round(begin / LEVEL_HOP_MS)
        facts["levels_dbfs"] = [*before, *learned["levels_dbfs"]]
    return facts


def _media_facts(info: MediaInfo) -> dict[str, Any]:
    """Return the facts of a probed video, with durations and rates as exact fractions."""
    picture, sound = info.picture, info.sound
    assert picture is not None
    facts: dict[str, Any] = {
        "duration_ms": max(int(picture.duration * 1000), 1),
        "duration": str(picture.duration),
        "width": picture.width,
        "height": picture.height,
        "fps": str(picture.rate),
        "has_audio": sound is not None,
    }
    if sound is not None:
        facts |= {"sample_rate": sound.rate, "channels": sound.channels}
    return facts
