"""Assets: media files addressed by content, with checks for missing or corrupted files.

The content is hashed again only if the file's modification time differs from the recorded one: a change to
a file changes its time, and checking the time is cheap.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from tessera.errors import DamagedError, WorkspaceError
from tessera.files import write_atomically
from tessera.media.probe.info import MediaInfo
from tessera.text.checked import json_object
from tessera.validation import problem_of

__all__ = [
    "FACTS",
    "THUMBNAIL_VERSION",
    "Asset",
    "Damage",
    "asset_id",
    "asset_json",
    "damage_of",
    "digest_of_file",
    "parse_asset_json",
    "read_asset",
]

FACTS = "asset.json"
"""The file in an asset's folder that describes the asset."""
THUMBNAIL_VERSION = 1
"""The version of the choice of a thumbnail. Bump it whenever another picture of the same media would be
chosen, or the same one be written otherwise: the thumbnails that an earlier version chose are made again.
"""

_ID_NAMESPACE = uuid.UUID("5f0f7a52-7a4e-5d0e-8d5c-746573736572")
_SECOND = 10**9
_READER_ERRNOS = frozenset({errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors of the reading process, such as missing permissions; the file itself can be intact."""


def asset_id(sha256: str) -> str:
    """Return the id of the media with this content: a UUIDv5 of its SHA-256."""
    return str(uuid.uuid5(_ID_NAMESPACE, sha256))


class Asset(BaseModel):
    """A media file addressed by its content.

    `thumbnail_version` is the version of the choice that made the thumbnail, or that found none to make; 0 is
    older than all.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    id: str
    sha256: str
    name: str
    size: int
    path: Path
    info: MediaInfo
    thumbnail: Path | None = None
    thumbnail_version: int = 0

    @property
    def has_outdated_thumbnail(self) -> bool:
        """Whether it has a picture whose thumbnail was chosen by another version."""
        return self.info.kind in ("video", "image") and self.thumbnail_version != THUMBNAIL_VERSION


@dataclass(frozen=True, slots=True)
class Damage:
    """The kind of damage to an asset, and the damaged file."""

    what: Literal["missing", "corrupt"]
    path: Path
    message: str


def _has_recorded_time(facts: Mapping[str, Any], now: int) -> bool:
    """Return True if a file has the recorded time; archives keep only whole seconds."""
    saved = facts.get("modified_ns")
    return isinstance(saved, int) and (saved == now or (now % _SECOND == 0 and saved - now in range(_SECOND)))


def damage_of(folder: Path, *, thorough: bool = False) -> Damage | None:
    """Return the damage to the asset in a folder, or None if it is intact.

    Parameters
    ----------
    thorough
        Hash the media even if its time is the recorded one.

    Raises
    ------
    OSError
        If the asset cannot be read for a reason that is not damage: its `asset.json` is missing, or this
        process may not read a file.
    """
    found = _inspect(folder, thorough)
    return found if isinstance(found, Damage) else None


def parse_asset_json(text: str | bytes, expected_id: str) -> Asset:
    """Parse the `asset.json` of the asset with this id; file paths are bare names.

    Raises
    ------
    ValueError
        If the text is invalid or describes another asset.
    """
    try:
        raw = json_object(text)
    except ValueError as error:
        raise ValueError(f"it is {error}") from None
    try:
        asset = Asset.model_validate(raw)
    except ValidationError as error:
        raise ValueError(problem_of(error, raw)) from None
    if not expected_id == asset.id == asset_id(asset.sha256):
        raise ValueError("it belongs to another asset")
    for file in (asset.path, asset.thumbnail or asset.path):
        if len(file.parts) != 1 or file.name.startswith("."):
            raise ValueError(f"it names {str(file)!r}, which is not a file name in its folder")
    return asset


@dataclass(frozen=True, slots=True)
class _IntactAsset:
    """An intact asset, and the time of its media if it differs from the recorded one."""

    asset: Asset
    changed_ns: int | None


def _inspect(folder: Path, thorough: bool) -> _IntactAsset | Damage:
    """Return the intact asset in a folder, or its damage."""
    file = folder / FACTS
    asset = None
    try:
        text = file.read_text("utf-8")
        asset = parse_asset_json(text, folder.name)
        media, thumbnail_path = folder / asset.path, folder / asset.thumbnail if asset.thumbnail else None
        # Stat before hashing: a change during the hash then shows as another time.
        found = media.stat()
        is_unchanged = _has_recorded_time(json_object(text), found.st_mtime_ns)
        if found.st_size != asset.size:
            return Damage("corrupt", media, f"has {found.st_size:,} bytes, not {asset.size:,}")
        if (thorough or not is_unchanged) and digest_of_file(media) != asset.sha256:
            return Damage("corrupt", media, "its content has changed")
        if thumbnail_path is not None and not thumbnail_path.is_file():
            return Damage("missing", thumbnail_path, "the thumbnail is missing")
        located = asset.model_copy(update={"path": media, "thumbnail": thumbnail_path})
        return _IntactAsset(located, None if is_unchanged else found.st_mtime_ns)
    except (FileNotFoundError, NotADirectoryError):
        if asset is None:
            raise
        return Damage("missing", folder / asset.path, "the media is missing")
    except OSError as error:
        if error.errno in _READER_ERRNOS:
            raise
        what = f"cannot be read: {error.strerror or error}"
        return Damage("corrupt", folder / asset.path if asset else file, what)
    except ValueError as error:
        return Damage("corrupt", file, f"cannot be read: {error}")


def read_asset(folder: Path) -> Asset | None:
    """Read the asset in a folder and mark it as used now; return None if there is none.

    Raises
    ------
    DamagedError
        If the asset is missing a file or is corrupted.
    WorkspaceError
        If the asset cannot be read.
    """
    try:
        found = _inspect(folder, thorough=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise WorkspaceError(f"asset {folder.name} cannot be read: {error}") from None
    if isinstance(found, Damage):
        remedy = "store the file again, or repeat the run that made it"
        raise DamagedError(f"asset {folder.name} is damaged: {found.path} {found.message}; {remedy}")
    file = folder / FACTS
    if found.changed_ns is not None:
        with contextlib.suppress(WorkspaceError):
            write_atomically(file, asset_json(found.asset, found.changed_ns))
    # `prune` removes the assets that were unused the longest, by this time.
    with contextlib.suppress(OSError):
        os.utime(file)
    return found.asset


def asset_json(asset: Asset, modified_ns: int) -> str:
    """Return the `asset.json` of an asset whose media had this time when it was last hashed."""
    thumbnail_path = asset.thumbnail.name if asset.thumbnail is not None else None
    facts = asset.model_dump(mode="json") | {"path": asset.path.name, "thumbnail": thumbnail_path}
    return json.dumps({**facts, "modified_ns": modified_ns}, indent=1)


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal digits.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
