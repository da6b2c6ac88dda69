"""The cache key of a tile's work, and the reason why a tile runs again.

The key consists of the tile type, the version of its code, the resolved parameters and the items that reach
it. The questions that the tile asked, and the analysers that answered, are saved with its work, since they
are unknown before it runs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from tessera.context import InputMedia
from tessera.database.statements import decoding
from tessera.graph.model import Tile
from tessera.media.algebra.item import Item, digest_of
from tessera.node import derived_id
from tessera.text.checked import json_object
from tessera.text.masking import mask_urls
from tessera.text.wording import short_json

__all__ = ["CACHE_VERSION", "CacheKey", "cache_key_of", "read_cache_key", "rerun_reason"]

CACHE_VERSION = 1
"""Bump whenever a change of the engine can change the result of an unchanged tile."""


@dataclass(frozen=True, slots=True)
class CacheKey:
    """Everything that determines the work of a tile.

    Attributes
    ----------
    code
        A digest of the module that defines the tile's class, so that edits without a new version are noticed
        too.
    params
        The resolved parameters, as JSON values.
    inputs
        By feeding tile: a digest of its items. For an input tile, the digest of its media is under `""`.
    """

    type_id: str
    name: str
    version: int
    code: str
    params: Mapping[str, Any]
    inputs: Mapping[str, str]
    engine: int = CACHE_VERSION

    @property
    def key(self) -> str:
        """Return the key: equal for equal work, whatever the ids of the feeding tiles."""
        parts = [self.engine, self.type_id, self.version, self.code, self.params, [*self.inputs.values()]]
        return derived_id(json.dumps(parts, sort_keys=True))

    def to_json(self) -> str:
        """Return the key as JSON, to be compared with a later one: without the secrets of URLs."""
        return json.dumps({**asdict(self), "params": mask_urls(self.params)})


def read_cache_key(text: str) -> CacheKey:
    """Read a cache key from its JSON.

    Raises
    ------
    WorkspaceError
        If the text is not a cache key.
    """
    with decoding("the cache key of a tile"):
        found = CacheKey(**json_object(text))
        if not isinstance(found.params, dict) or not isinstance(found.inputs, dict):
            raise ValueError("parameters and inputs must be objects")
        return found


def cache_key_of(tile: Tile, inputs: Sequence[Item], sources: Sequence[InputMedia]) -> CacheKey:
    """Return the cache key of a tile.

    Parameters
    ----------
    inputs
        The items that reach it, grouped by feeding tile.
    sources
        The media of an input tile.
    """
    kind = tile.type
    hashes: dict[str, Any] = {}
    for item in inputs:
        if item.node not in hashes:
            hashes[item.node] = blake2b(digest_size=16)
        hashes[item.node].update(f"{digest_of(item.value)} {item.fidelity}\n".encode())
    digests = {node: digest.hexdigest() for node, digest in hashes.items()}
    if sources:
        descriptions = [f"{digest_of(media.video)} {media.clip} {media.name}" for media in sources]
        digests[""] = blake2b("\n".join(descriptions).encode(), digest_size=16).hexdigest()
    params = tile.params.model_dump(mode="json")
    return CacheKey(kind.type_id, kind.name, kind.version, _code_of(kind.__module__), params, digests)


@cache
def _code_of(module: str) -> str:
    """Return a digest of a module's file, or an empty string if it has none."""
    file = getattr(sys.modules.get(module), "__file__", None)
    try:
        return blake2b(Path(file).read_bytes(), digest_size=16).hexdigest() if file else ""
    except OSError:
        return ""


def rerun_reason(before: CacheKey, now: CacheKey, names: Mapping[str, str]) -> str:
    """Return the reason why a tile runs again, from the difference to its last run.

    Parameters
    ----------
    names
        Tile names by id.
    """
    if before.type_id != now.type_id:
        return f"tile {before.name} → {now.name}"
    changes = []
    if before.version != now.version:
        changes.append(f"tile version {before.version} → {now.version}")
    elif before.code != now.code:
        changes.append("the tile's code changed")
    params = mask_urls(now.params)  # as `before` was stored
    for name in sorted({*before.params, *params}):
        old, new = before.params.get(name), params.get(name)
        if old != new:
            changes.append(f"parameter {name} {short_json(old)} → {short_json(new)}")
    changes += _changed_inputs(before.inputs, now.inputs, names)
    if before.engine != now.engine:
        changes.append("a newer engine")
    return ", ".join(changes) or "its cached items are gone"


def _changed_inputs(old: Mapping[str, str], now: Mapping[str, str], names: Mapping[str, str]) -> list[str]:
    def source(node: str) -> str:
        return f" from {names.get(node, node)}" if node else ""

    changed = [f"input{source(node)} changed" for node in now if node in old and old[node] != now[node]]
    changed += [f"new input{source(node)}" for node in now if node not in old]
    changed += [f"removed input{source(node)}" for node in old if node not in now]
    if not changed and [*old.values()] != [*now.values()]:
        changed.append("order of inputs changed")
    return changed
