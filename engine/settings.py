"""A user's settings: `tessera.toml` in the current directory, or the file that `TESSERA_CONFIG` names."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tessera.errors import Fault, RequestError, pointer
from tessera.node import Catalogue
from tessera.text.nearest import suggestion
from tessera.validation import faults_of

__all__ = ["Settings", "default_catalogue", "settings"]


class Settings(BaseModel):
    """What `tessera.toml` may say.

    Attributes
    ----------
    node_types
        Ids or names met in exports → names or ids in the catalogue.
    max_items
        The greatest number of items that may reach one tile.
    encodes
        How many encodes run at a time in one process; by default one for every two cores.
    encode_memory_mb
        What they may take together, by their estimates, in MB; by default half of the memory. One alone is
        always let in.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    node_types: dict[str, str] = {}
    max_items: int = Field(10_000, gt=0, strict=True)
    encodes: int | None = Field(None, gt=0, strict=True)
    encode_memory_mb: int | None = Field(None, gt=0, strict=True)


def settings() -> Settings:
    """The settings in force; all defaults where there is no file.

    Raises
    ------
    RequestError
        The file is not TOML, or says what it may not.
    """
    named = os.environ.get("TESSERA_CONFIG")
    path = Path(named or "tessera.toml")
    try:
        stat = path.stat()
    except OSError as error:
        if named:
            what = f"TESSERA_CONFIG names {named}, which cannot be read: {error.strerror}"
            raise RequestError([Fault("", "template", what)]) from None
        return Settings.model_construct()  # the defaults, which nothing need be made to check
    return _read(path.absolute(), (stat.st_mtime_ns, stat.st_size))


@lru_cache(maxsize=8)
def _read(path: Path, _stamp: tuple[int, int]) -> Settings:
    import tomllib

    raw: Any = None
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
        return Settings.model_validate(raw)
    except ValidationError as error:
        found = [fault for _path, fault in faults_of(error, raw, "template", known=Settings.model_fields)]
        raise RequestError([Fault(f.loc, f.document, f"{path.name}: {f.message}") for f in found]) from None
    except (OSError, ValueError) as error:
        raise RequestError([Fault("", "template", f"{path}: {error}")]) from None


def default_catalogue() -> Catalogue:
    """All installed node types, with the settings' mapping on top.

    Raises
    ------
    RequestError
        The settings cannot be read, or map a name to a type that is not installed.
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
