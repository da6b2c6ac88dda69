"""An asset: media that is known by its content; and whether one that was stored is what it was.

Its content is read again when the time of the file is not the noted one: whoever changes a file changes its
time, and to look at that costs nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from engine.errors import WorkspaceError
from engine.files import write_atomically
from engine.media.info import MediaInfo

__all__ = ["Asset", "Damage", "asset_id", "damage_of", "digest_of_file", "read_asset", "stamp"]

_CONTENT = uuid.UUID("5f0f7a52-7a4e-5d0e-8d5c-746573736572")
_SECOND = 10**9


def asset_id(sha256: str) -> str:
    """The id of the media with this content: a UUIDv5 of its SHA-256."""
    return str(uuid.uuid5(_CONTENT, sha256))


class Asset(BaseModel):
    """A media file that is known by its content."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    id: str
    sha256: str
    name: str
    size: int
    path: Path
    info: MediaInfo
    thumbnail: Path | None = None


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong with an asset, and with which file of it."""

    what: Literal["missing", "corrupt"]
    path: Path
    message: str


def stamp(media: Path) -> dict[str, int]:
    """What `asset.json` notes of its media when that was last read whole."""
    return {"modified_ns": media.stat().st_mtime_ns}


def _is_as_noted(facts: Mapping[str, Any], media: Path) -> bool:
    """Whether a file has the time that was noted; archives keep whole seconds of it."""
    noted, now = facts.get("modified_ns"), media.stat().st_mtime_ns
    return isinstance(noted, int) and (noted == now or (now % _SECOND == 0 and noted - now in range(_SECOND)))


def damage_of(folder: Path, facts: Mapping[str, Any], *, thorough: bool = False) -> Damage | None:
    """What is wrong with the asset in a folder; None where nothing is.

    Parameters
    ----------
    facts
        Its `asset.json`.
    thorough
        Read the media also where its time is the noted one.

    Raises
    ------
    KeyError, TypeError
        The facts are not those of an asset.
    """
    media, digest, size = folder / facts["path"], facts["sha256"], facts["size"]
    small = folder / facts["thumbnail"] if facts.get("thumbnail") else None
    try:
        if media.stat().st_size != size:
            return Damage("corrupt", media, f"has {media.stat().st_size:,} bytes, not {size:,}")
        if (thorough or not _is_as_noted(facts, media)) and digest_of_file(media) != digest:
            return Damage("corrupt", media, "its content has changed")
    except FileNotFoundError:
        return Damage("missing", media, "the media is not there")
    except OSError as error:
        return Damage("corrupt", media, f"cannot be read: {error.strerror or error}")
    if small is not None and not small.is_file():
        return Damage("missing", small, "the thumbnail is not there")
    return None


def read_asset(folder: Path) -> Asset | None:
    """The asset in a folder, which is said to be used now; None where there is none.

    Raises
    ------
    WorkspaceError
        It is not what it was when it was stored.
    """
    file = folder / "asset.json"
    try:
        raw = json.loads(file.read_text("utf-8"))
        damage = damage_of(folder, raw)
        if damage is not None:
            again = "store the file again, or run again what made it"
            raise WorkspaceError(f"asset {folder.name} is damaged: {damage.path} {damage.message}; {again}")
        small = raw.get("thumbnail")
        places = {"path": folder / raw["path"], "thumbnail": folder / small if small else None}
        asset = Asset.model_validate({**raw, **places})
        if not _is_as_noted(raw, asset.path):
            with contextlib.suppress(WorkspaceError):
                write_atomically(file, json.dumps({**raw, **stamp(asset.path)}, indent=1))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise WorkspaceError(f"asset {folder.name} cannot be read: {error}") from None
    with contextlib.suppress(OSError):  # for whoever asks what was not used for long
        os.utime(file)
    return asset


def digest_of_file(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits.

    Raises
    ------
    OSError
        It cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
