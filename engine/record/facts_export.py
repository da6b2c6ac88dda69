"""What a run learned of its media, as the facts of a simulation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tessera.context import LEVEL_HOP_MS
from tessera.inputs.resolve import Resolved, ResolvedInput
from tessera.media.algebra.time import to_ms
from tessera.media.probe.info import MediaInfo
from tessera.runner.answers.tile_context import Answers
from tessera.text.masking import masked_url

__all__ = ["facts_of"]


def facts_of(resolved: Resolved, answers: Answers) -> dict[str, dict[str, Any]]:
    """Facts of every input, by the id that the request gave, and of the assets that parameters name."""
    facts: dict[str, dict[str, Any]] = {}
    of_inputs = set()
    for one in resolved.inputs:
        if one.asset is not None:
            of_inputs.add(one.asset.id)
            facts[masked_url(one.ref.key)] = {
                "name": one.media.name,
                **described(one.asset.info),
                **answers.learned.get(one.asset.id, {}),
                **_placed(one, answers.learned.get(one.asset.id, {})),
            }
    for asset, learned in answers.learned.items():
        if asset not in of_inputs:
            facts[asset] = dict(learned)
    return facts


def _placed(one: ResolvedInput, learned: Mapping[str, Any]) -> dict[str, Any]:
    """Where only a part of a source was fetched, what differs when it is told of the source."""
    part = one.source.fetched.part if one.source is not None else None
    if part is None or one.source is None:
        return {}
    begin, whole = to_ms(part[0]), one.source.duration
    placed: dict[str, Any] = {"duration": str(whole), "duration_ms": int(whole * 1000)}
    if "speech" in learned:
        placed["speech"] = [[start + begin, end + begin] for start, end in learned["speech"]]
    if learned.get("levels_dbfs"):
        before = [min(learned["levels_dbfs"])] * round(begin / LEVEL_HOP_MS)
        placed["levels_dbfs"] = [*before, *learned["levels_dbfs"]]
    return placed


def described(info: MediaInfo) -> dict[str, Any]:
    """A video as facts state it, exactly."""
    picture, sound = info.picture, info.sound
    assert picture is not None
    stated: dict[str, Any] = {
        "duration_ms": max(int(picture.duration * 1000), 1),
        "duration": str(picture.duration),
        "width": picture.width,
        "height": picture.height,
        "fps": str(picture.rate),
        "has_audio": sound is not None,
    }
    if sound is not None:
        stated |= {"sample_rate": sound.rate, "channels": sound.channels}
    return stated
