"""The user's settings: `tessera.toml` in the current directory, or the file in `TESSERA_CONFIG`."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tessera.errors import Fault, RequestError, pointer
from tessera.input_files import read_document
from tessera.node import Catalogue
from tessera.text.checked import toml_document
from tessera.text.nearest import suggestion
from tessera.validation import faults_of

__all__ = ["Settings", "default_catalogue", "settings"]


class Settings(BaseModel):
    """The contents of `tessera.toml`.

    Attributes
    ----------
    node_types
        Ids or names in exported agents → names or ids in the catalogue.
    max_items
        The maximum number of items that may reach one tile.
    max_film_pixels, max_image_pixels
        The most pixels of a picture of a video and of a still image. Larger ones are refused before a picture
        is decoded. An encode takes about 60 bytes a pixel: 2.2 GB at the default, which is 8192×4320.
    encodes
        The number of parallel encodes in one process. Default: one per two cores.
    encode_memory_mb
        The estimated memory of all parallel encodes, in MB. Default: half of the memory. A single encode is
        always allowed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    node_types: dict[str, str] = {}
    max_items: int = Field(10_000, gt=0, strict=True)
    max_film_pixels: int = Field(8192 * 4320, gt=0, strict=True)
    max_image_pixels: int = Field(100_000_000, gt=0, le=150_000_000, strict=True)
    encodes: int | None = Field(None, gt=0, strict=True)
    encode_memory_mb: int | None = Field(None, gt=0, strict=True)


def settings() -> Settings:
    """Return the current settings, or the defaults if there is no file.

    Raises
    ------
    RequestError
        If the file is not TOML or contains invalid settings.
    """
    named = os.environ.get("TESSERA_CONFIG")
    path = Path(named or "tessera.toml")
    try:
        stat = path.stat()
    except OSError as error:
        if named:
            what = f"TESSERA_CONFIG is {named}, but it cannot be read: {error.strerror}"
            raise RequestError([Fault("", "template", what)]) from None
        return Settings.model_construct()  # skips building the validator: faster start
    return _read(path.absolute(), (stat.st_mtime_ns, stat.st_size))


# The stamp (time and size) is part of the cache key: an edited file is read again.
@lru_cache(maxsize=8)
def _read(path: Path, _stamp: tuple[int, int]) -> Settings:
    raw: Any = None
    try:
        raw = toml_document(read_document(path))
        return Settings.model_validate(raw)
    except ValidationError as error:
        found = [fault for _path, fault in faults_of(error, raw, "template", known=Settings.model_fields)]
        raise RequestError([Fault(f.loc, f.document, f"{path.name}: {f.message}") for f in found]) from None
    except (OSError, ValueError) as error:
        raise RequestError([Fault("", "template", f"{path}: {error}")]) from None


def default_catalogue() -> Catalogue:
    """Return the catalogue of all installed node types, with the mapping from the settings.

    Raises
    ------
    RequestError
        If the settings are invalid, or map a name to a type that is not installed.
    """
    mapping = settings().node_types
    return _mapped(tuple(mapping.items())) if mapping else Catalogue.installed()


@lru_cache(maxsize=8)
def _mapped(mapping: tuple[tuple[str, str], ...]) -> Catalogue:
    installed = Catalogue.installed()
    lost = [(theirs, mine) for theirs, mine in mapping if installed.find(mine) is None]
    if lost:
        raise RequestError(
            Fault(
                pointer("node_types", theirs),
                "template",
                f"tessera.toml: {theirs!r} is mapped to an unknown node type {mine!r}"
                f"{suggestion(mine, installed.names())}",
            )
            for theirs, mine in lost
        )
    return installed.with_mapping(dict(mapping))
