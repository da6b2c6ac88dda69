"""What a run learned of its media, as the facts of a simulation."""

from __future__ import annotations

from typing import Any

from engine.inputs.resolve import Resolved
from engine.media.info import MediaInfo
from engine.run.answers import Answers

__all__ = ["facts_of"]


def facts_of(resolved: Resolved, answers: Answers) -> dict[str, dict[str, Any]]:
    """Facts of every input, by the id that the request gave, and of the assets that parameters name."""
    facts: dict[str, dict[str, Any]] = {}
    of_inputs = set()
    for one in resolved.inputs:
        if one.asset is not None:
            of_inputs.add(one.asset.id)
            facts[one.ref.key] = {
                "name": one.asset.name,
                **described(one.asset.info),
                **answers.learned.get(one.asset.id, {}),
            }
    for asset, learned in answers.learned.items():
        if asset not in of_inputs:
            facts[asset] = dict(learned)
    return facts


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
