"""Recordings: the answers of the outside world and the original media of a run.

A bundle with a recording can repeat the run without any network.
"""

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
from tessera.media.ffmpeg.encode_settings import Quality
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
"""The document of a run with the answers of the outside world: an `AnswerLog`."""

REPLAYED = "replay.json"
"""The document of a replayed run that names its recording: a `ReplaySource`."""
_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}", re.ASCII)


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Original(_Value):
    """An asset in an archive.

    Attributes
    ----------
    media
        The name of the archive member with the media.
    heard
        The facts of its sound that an analyser found, if the run asked for them.
    """

    name: str
    sha256: str
    size: int
    media: str
    heard: SoundFacts | None = None


class Recording(_Value):
    """The document `recording.json`.

    Attributes
    ----------
    outside
        The questions to the outside world, with their answers.
    assets
        The assets of the run by id.
    quality
        The quality with which the run encoded its outputs.
    """

    outside: AnswerLog
    assets: dict[str, Original]
    quality: Quality


class ReplaySource(_Value):
    """The recording that answered a run, and the assets that the run used from it, by id."""

    path: str
    assets: dict[str, Original]


def restore_answers(store: RunStore, library: Library, run_id: str) -> str | None:
    """Give the assets of a replayed run the names and sound facts of its recording.

    Return the path of the recording, or None if the outside world answered the run.

    Raises
    ------
    WorkspaceError
        If an asset is missing.
    """
    text = store.document(run_id, REPLAYED)
    if text is None:
        return None
    with decoding(f"the recording of run {run_id}"):
        replayed = ReplaySource.model_validate_json(text)
    for asset_id, original in replayed.assets.items():
        library.set_details(stored_asset(asset_id, library), original.name, original.heard)
    return replayed.path


def answers_from(recorded: AnswerLog, library: Library, path: str | Path) -> RecordedAnswers:
    """Return the answers of a recording whose media is in the library."""
    return RecordedAnswers(recorded, lambda key: stored_asset(key, library), f"the recording {path}")


def recording_of(
    store: RunStore, library: Library, run_id: str, plan: Mapping[str, Any], record: Mapping[str, Any]
) -> tuple[Recording, list[tuple[Path, str]]]:
    """Return the recording of a run, and its media files with their names in the archive.

    Raises
    ------
    WorkspaceError
        If an earlier version, which stored no answers, made the run, or if its media is missing.
    """
    text = store.document(run_id, ANSWERS)
    if text is None:
        raise NotFound(f"run {run_id} has no stored answers: it cannot be recorded")
    with decoding(f"the answers of run {run_id}"):
        outside = AnswerLog.model_validate_json(text)
    # A replayed run is recorded again with the names and sound facts of its recording.
    restore_answers(store, library, run_id)
    with decoding(f"the record of run {run_id}"):
        questions = [
            (answer["question"], answer["about"])
            for node in record["nodes"]
            for answer in node["answers"]
            if answer["origin"] in ("real", "cached")
        ]
        names = {
            source["video_id"]: source["name"]
            for source in reversed(record["inputs"])
            if source["video_id"] is not None
        }
    asset_ids = {
        *names,
        *(answer.asset for answer in outside.answers),
        *outside.renders.values(),
        *(about for _question, about in questions),
    }
    assets = {asset_id: stored_asset(asset_id, library) for asset_id in sorted(asset_ids)}
    values = (parameter["value"] for tile in plan["tiles"] for parameter in tile["parameters"].values())
    assets |= {asset.id: asset for asset in named_assets(values, library)}
    analysed = {about for question, about in questions if question in ("speech", "levels")}
    originals = {
        key: _original(asset, names.get(key, asset.name), library, analysed=key in analysed)
        for key, asset in assets.items()
    }
    files = [(asset.path, originals[asset_id].media) for asset_id, asset in assets.items()]
    quality = store.document(run_id, "quality") or "standard"
    return Recording.model_validate({"outside": outside, "assets": originals, "quality": quality}), files


def stored_asset(asset_id: str, library: Library) -> Asset:
    """Return the asset with this id.

    Raises
    ------
    WorkspaceError
        If its media is missing.
    """
    asset = library.get(asset_id)
    if asset is None or not asset.path.is_file():
        raise NotFound(f"asset {asset_id} is no longer in the workspace")
    return asset


def _original(asset: Asset, name: str, library: Library, *, analysed: bool) -> Original:
    suffix = asset.path.suffix.lower()
    return Original(
        name=name,
        sha256=asset.sha256,
        size=asset.size,
        media=f"media/{asset.id}{suffix if _SUFFIX.fullmatch(suffix) else ''}",
        heard=library.sound_facts(asset) if analysed else None,
    )


def named_ids(values: Iterable[Any]) -> Iterator[str]:
    """Yield the parameter values that are ids."""
    return (value for value in values if isinstance(value, str) and is_id(value))


def named_assets(values: Iterable[Any], library: Library) -> Iterator[Asset]:
    """Yield the assets whose ids are among the parameter values."""
    for value in named_ids(values):
        asset = library.get(value)
        if asset is not None:
            yield asset
