"""An asset: media that is known by its content; and whether one that was stored is what it was.

Its content is read again when the time of the file is not the noted one: whoever changes a file changes its
time, and to look at that costs nothing.
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

from pydantic import BaseModel, ConfigDict

from engine.errors import DamagedError, WorkspaceError
from engine.files import write_atomically
from engine.media.info import MediaInfo
from engine.text import json_object

__all__ = ["FACTS", "Asset", "Damage", "asset_id", "damage_of", "digest_of_file", "read_asset", "stamp"]

FACTS = "asset.json"
"""The file of an asset's folder that says what it is."""

_CONTENT = uuid.UUID("5f0f7a52-7a4e-5d0e-8d5c-746573736572")
_SECOND = 10**9
_OF_THE_READER = frozenset({errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Why a file cannot be read that may be whole."""


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


def _is_as_noted(facts: Mapping[str, Any], now: int) -> bool:
    """Whether a file has the time that was noted; archives keep whole seconds of it."""
    noted = facts.get("modified_ns")
    return isinstance(noted, int) and (noted == now or (now % _SECOND == 0 and noted - now in range(_SECOND)))


def damage_of(folder: Path, *, thorough: bool = False) -> Damage | None:
    """What is wrong with the asset in a folder; None where nothing is.

    Parameters
    ----------
    thorough
        Read the media also where its time is the noted one.

    Raises
    ------
    OSError
        It cannot be read, and that may be no fault of it: its `asset.json` is not there, or what is may be
        read by others.
    """
    return _looked_at(folder, thorough)[1]


def _looked_at(folder: Path, thorough: bool) -> tuple[dict[str, Any], Damage | None, bool]:
    """What an asset says of itself, what is wrong with it, and whether its media has the noted time."""
    file = folder / FACTS
    facts: dict[str, Any] = {}
    try:
        facts = json_object(file.read_text("utf-8"))
        media, size, small = folder / facts["path"], facts["size"], facts.get("thumbnail")
        if asset_id(facts["sha256"]) != folder.name:
            return facts, Damage("corrupt", file, "is of another asset"), False
        found = media.stat()  # before it is read: what changes it meanwhile gives it another time
        is_noted = _is_as_noted(facts, found.st_mtime_ns)
        damage = None
        if found.st_size != size:
            damage = Damage("corrupt", media, f"has {found.st_size:,} bytes, not {size:,}")
        elif (thorough or not is_noted) and digest_of_file(media) != facts["sha256"]:
            damage = Damage("corrupt", media, "its content has changed")
        elif small and not (folder / small).is_file():
            damage = Damage("missing", folder / small, "the thumbnail is not there")
        return {**facts, "modified_ns": found.st_mtime_ns}, damage, is_noted
    except (FileNotFoundError, NotADirectoryError):
        if not facts:
            raise
        return facts, Damage("missing", media, "the media is not there"), False
    except OSError as error:
        if error.errno in _OF_THE_READER:
            raise
        what = f"cannot be read: {error.strerror or error}"
        return facts, Damage("corrupt", media if facts else file, what), False
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        return facts, Damage("corrupt", file, f"cannot be read: {error}"), False


def read_asset(folder: Path) -> Asset | None:
    """The asset in a folder, which is said to be used now; None where there is none.

    Raises
    ------
    DamagedError
        It is not what it was when it was stored.
    WorkspaceError
        It cannot be read.
    """
    try:
        facts, damage, is_noted = _looked_at(folder, thorough=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise WorkspaceError(f"asset {folder.name} cannot be read: {error}") from None
    if damage is not None:
        again = "store the file again, or run again what made it"
        raise DamagedError(f"asset {folder.name} is damaged: {damage.path} {damage.message}; {again}")
    file, small = folder / FACTS, facts.get("thumbnail")
    places = {"path": folder / facts["path"], "thumbnail": folder / small if small else None}
    try:
        asset = Asset.model_validate({**facts, **places})
    except ValueError as error:
        raise DamagedError(f"asset {folder.name} is damaged: {file} cannot be read: {error}") from None
    if not is_noted:
        with contextlib.suppress(WorkspaceError):
            write_atomically(file, json.dumps(facts, indent=1))
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
