"""A user's settings: `tessera.toml` in the current directory, or the file that `TESSERA_CONFIG` names."""

from __future__ import annotations

import os
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.errors import Fault, RequestError
from engine.node import Catalogue
from engine.shape import faults_of

__all__ = ["Settings", "default_catalogue", "settings"]


class Settings(BaseModel):
    """What `tessera.toml` may say.

    Attributes
    ----------
    node_types
        Ids or names met in exports → names or ids in the catalogue.
    max_items
        The greatest number of items that may reach one tile.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    node_types: dict[str, str] = {}
    max_items: int = 10_000


def settings() -> Settings:
    """The settings in force; all defaults where there is no file.

    Raises
    ------
    RequestError
        The file is not TOML, or says what it may not.
    """
    path = Path(os.environ.get("TESSERA_CONFIG") or "tessera.toml")
    try:
        stamp = path.stat().st_mtime_ns
    except OSError:
        return Settings()
    return _read(path.absolute(), stamp)


@lru_cache(maxsize=8)
def _read(path: Path, _stamp: int) -> Settings:
    raw: Any = None
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
        return Settings.model_validate(raw)
    except ValidationError as error:
        found = [fault for _path, fault in faults_of(error, raw, "template", known=tuple(Settings.model_fields))]
        raise RequestError([Fault(f.loc, f.document, f"{path.name}: {f.message}") for f in found]) from None
    except (OSError, ValueError) as error:
        raise RequestError([Fault("", "template", f"{path}: {error}")]) from None


def default_catalogue() -> Catalogue:
    """All installed node types, with the settings' mapping on top."""
    mapping = settings().node_types
    return Catalogue.installed().with_mapping(mapping) if mapping else Catalogue.installed()
