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

from pydantic import BaseModel, ConfigDict, ValidationError

from tessera.errors import DamagedError, WorkspaceError
from tessera.files import write_atomically
from tessera.media.probe.info import MediaInfo
from tessera.text.wording import json_object

__all__ = [
    "FACTS",
    "Asset",
    "Damage",
    "asset_id",
    "damage_of",
    "described",
    "digest_of_file",
    "noted",
    "read_asset",
]

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


def _is_as_noted(facts: Mapping[str, Any], now: int) -> bool:
    """Whether a file has the time that was noted; archives keep whole seconds of it."""
    then = facts.get("modified_ns")
    return isinstance(then, int) and (then == now or (now % _SECOND == 0 and then - now in range(_SECOND)))


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
    found = _looked_at(folder, thorough)
    return found if isinstance(found, Damage) else None


def described(text: str | bytes, wanted: str) -> Asset:
    """What an `asset.json` says of the asset with this id; its files by their names alone.

    Raises
    ------
    ValueError
        It says nothing that can be understood, or it is of another asset.
    """
    try:
        asset = Asset.model_validate(json_object(text))
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if not wanted == asset.id == asset_id(asset.sha256):
        raise ValueError("it is of another asset")
    for file in (asset.path, asset.thumbnail or asset.path):
        if len(file.parts) != 1 or file.name.startswith("."):
            raise ValueError(f"it names {str(file)!r}, which is no file of it")
    return asset


@dataclass(frozen=True, slots=True)
class _Sound:
    """An asset that is what it was, and the time of its media where that is not the noted one."""

    asset: Asset
    changed_ns: int | None


def _looked_at(folder: Path, thorough: bool) -> _Sound | Damage:
    """An asset, or what is wrong with it."""
    file = folder / FACTS
    asset = None
    try:
        text = file.read_text("utf-8")
        asset = described(text, folder.name)
        media, small = folder / asset.path, folder / asset.thumbnail if asset.thumbnail else None
        found = media.stat()  # before it is read: what changes it meanwhile gives it another time
        is_noted = _is_as_noted(json_object(text), found.st_mtime_ns)
        if found.st_size != asset.size:
            return Damage("corrupt", media, f"has {found.st_size:,} bytes, not {asset.size:,}")
        if (thorough or not is_noted) and digest_of_file(media) != asset.sha256:
            return Damage("corrupt", media, "its content has changed")
        if small is not None and not small.is_file():
            return Damage("missing", small, "the thumbnail is not there")
        whole = asset.model_copy(update={"path": media, "thumbnail": small})
        return _Sound(whole, None if is_noted else found.st_mtime_ns)
    except (FileNotFoundError, NotADirectoryError):
        if asset is None:
            raise
        return Damage("missing", folder / asset.path, "the media is not there")
    except OSError as error:
        if error.errno in _OF_THE_READER:
            raise
        what = f"cannot be read: {error.strerror or error}"
        return Damage("corrupt", folder / asset.path if asset else file, what)
    except ValueError as error:
        return Damage("corrupt", file, f"cannot be read: {error}")


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
        found = _looked_at(folder, thorough=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise WorkspaceError(f"asset {folder.name} cannot be read: {error}") from None
    if isinstance(found, Damage):
        again = "store the file again, or run again what made it"
        raise DamagedError(f"asset {folder.name} is damaged: {found.path} {found.message}; {again}")
    file = folder / FACTS
    if found.changed_ns is not None:
        with contextlib.suppress(WorkspaceError):
            write_atomically(file, noted(found.asset, found.changed_ns))
    with contextlib.suppress(OSError):  # for whoever asks what was not used for long
        os.utime(file)
    return found.asset


def noted(asset: Asset, modified_ns: int) -> str:
    """The `asset.json` of an asset whose media, last read whole, has this time."""
    small = asset.thumbnail.name if asset.thumbnail is not None else None
    facts = asset.model_dump(mode="json") | {"path": asset.path.name, "thumbnail": small}
    return json.dumps({**facts, "modified_ns": modified_ns}, indent=1)


def digest_of_file(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits.

    Raises
    ------
    OSError
        It cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
