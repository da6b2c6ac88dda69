"""Recordings: what a bundle holds more, so that the run can be run from it: answers, and the media itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from tessera.analysis.speech import SoundFacts
from tessera.database.statements import decoding
from tessera.errors import NotFound
from tessera.inputs.assets.asset import Asset
from tessera.inputs.assets.library import Library
from tessera.inputs.recorded_answers import AnswerLog, RecordedAnswers
from tessera.node import is_id
from tessera.store.run_store import RunStore

__all__ = [
    "ANSWERS",
    "REPLAYED",
    "Original",
    "Recording",
    "ReplaySource",
    "answers_from",
    "named_assets",
    "named_ids",
    "recording_of",
    "restore_answers",
    "stored_asset",
]

ANSWERS = "answers.json"
"""The document of a run that holds what the world answered: a `AnswerLog`."""

REPLAYED = "replay.json"
"""The document of a run that says what it was answered from: a `ReplaySource`."""
_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}", re.ASCII)


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Original(_Value):
    """An asset in an archive.

    Attributes
    ----------
    media
        The name of the member of the archive that holds it.
    heard
        What an analyser answered of its sound, where it was asked.
    """

    name: str
    sha256: str
    size: int
    media: str
    heard: SoundFacts | None = None


class Recording(_Value):
    """`recording.json`: what a run asked of the world, and what it was answered. Assets are by id."""

    outside: AnswerLog
    assets: dict[str, Original]
    quality: str


class ReplaySource(_Value):
    """The recording that answered a run, and what it took of it: the assets, by id."""

    path: str
    assets: dict[str, Original]


def restore_answers(store: RunStore, library: Library, run_id: str) -> str | None:
    """Know the assets of a run as the recording that answered it told of them; gives the path of that.

    None where the world itself answered.

    Raises
    ------
    WorkspaceError
        An asset is no longer there.
    """
    text = store.document(run_id, REPLAYED)
    if text is None:
        return None
    with decoding(f"the recording of run {run_id}"):
        replayed = ReplaySource.model_validate_json(text)
    for one, original in replayed.assets.items():
        library.call(stored_asset(one, library), original.name, original.heard)
    return replayed.path


def answers_from(recorded: AnswerLog, library: Library, path: str | Path) -> RecordedAnswers:
    """Answers from what was told before; the media is in the library."""
    return RecordedAnswers(recorded, lambda wanted: stored_asset(wanted, library), f"the recording {path}")


def recording_of(
    store: RunStore, library: Library, run_id: str, plan: Mapping[str, Any], record: Mapping[str, Any]
) -> tuple[Recording, list[tuple[Path, str]]]:
    """The recording of a run, and the files that belong to it with their names in the archive.

    Raises
    ------
    WorkspaceError
        The run was made by a version that kept no answers, or its media is no longer there.
    """
    text = store.document(run_id, ANSWERS)
    if text is None:
        raise NotFound(f"run {run_id} has no answers kept with it: it cannot be recorded")
    with decoding(f"the answers of run {run_id}"):
        outside = AnswerLog.model_validate_json(text)
    restore_answers(store, library, run_id)
    with decoding(f"the record of run {run_id}"):
        asked = [
            (answer["question"], answer["about"])
            for node in record["nodes"]
            for answer in node["answers"]
            if answer["origin"] in ("real", "cached")
        ]
        inputs = [one["video_id"] for one in record["inputs"] if one["video_id"] is not None]
    wanted = {
        *inputs,
        *(answer.asset for answer in outside.answers),
        *outside.renders.values(),
        *(about for _question, about in asked),
    }
    found = {one: stored_asset(one, library) for one in sorted(wanted)}
    values = (one["value"] for tile in plan["tiles"] for one in tile["parameters"].values())
    found |= {asset.id: asset for asset in named_assets(values, library)}
    heard = {about for question, about in asked if question in ("speech", "levels")}
    assets = {one: _original(asset, library, heard=one in heard) for one, asset in found.items()}
    files = [(asset.path, assets[one].media) for one, asset in found.items()]
    quality = store.document(run_id, "quality") or "standard"
    return Recording(outside=outside, assets=assets, quality=quality), files


def stored_asset(wanted: str, library: Library) -> Asset:
    """The asset with this id.

    Raises
    ------
    WorkspaceError
        Its media is not there.
    """
    asset = library.get(wanted)
    if asset is None or not asset.path.is_file():
        raise NotFound(f"asset {wanted} is no longer in the workspace")
    return asset


def _original(asset: Asset, library: Library, *, heard: bool) -> Original:
    suffix = asset.path.suffix.lower()
    return Original(
        name=asset.name,
        sha256=asset.sha256,
        size=asset.size,
        media=f"media/{asset.id}{suffix if _SUFFIX.fullmatch(suffix) else ''}",
        heard=library.sound_facts(asset) if heard else None,
    )


def named_ids(values: Iterable[Any]) -> Iterator[str]:
    """The values of parameters that are ids."""
    return (value for value in values if isinstance(value, str) and is_id(value))


def named_assets(values: Iterable[Any], library: Library) -> Iterator[Asset]:
    """The assets that values of parameters name."""
    for value in named_ids(values):
        asset = library.get(value)
        if asset is not None:
            yield asset
