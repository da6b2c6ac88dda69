"""What the work of a tile stands on: equal traits, equal work. They make its key, and say why it is redone.

Key = type, version of its code, resolved parameters, what reaches it. What it asked and who answered is kept
with the work, since nobody knows it before.
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
from tessera.text.wording import short_json

__all__ = ["KEPT_VERSION", "CacheKey", "cache_key_of", "read_cache_key", "rerun_reason"]

KEPT_VERSION = 1
"""Raised whenever the engine itself may lead the same tile to another result."""


@dataclass(frozen=True, slots=True)
class CacheKey:
    """What the work of a tile stands on.

    Attributes
    ----------
    code
        A digest of the module that the tile's class stands in: what its author changes without a new version
        is seen as well.
    params
        The resolved parameters, as JSON values.
    inputs
        What reaches it: the tile that it comes from → a digest of its items. Of an input tile, what the
        request gave to it, under `""`.
    """

    type_id: str
    name: str
    version: int
    code: str
    params: Mapping[str, Any]
    inputs: Mapping[str, str]
    engine: int = KEPT_VERSION

    @property
    def key(self) -> str:
        """Equal for equal work, whatever the tiles before are called."""
        stands_on = [self.engine, self.type_id, self.version, self.code, self.params, [*self.inputs.values()]]
        return derived_id(json.dumps(stands_on, sort_keys=True))

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def read_cache_key(text: str) -> CacheKey:
    """Traits from their JSON.

    Raises
    ------
    WorkspaceError
        It is something else.
    """
    with decoding("what a tile stood on"):
        found = CacheKey(**json.loads(text))
        if not isinstance(found.params, dict) or not isinstance(found.inputs, dict):
            raise ValueError("parameters and inputs are objects")
        return found


def cache_key_of(tile: Tile, inputs: Sequence[Item], sources: Sequence[InputMedia]) -> CacheKey:
    """The traits of a tile at work.

    Parameters
    ----------
    inputs
        The items that reach it, those of one tile together.
    sources
        What the request gave to it.
    """
    kind = tile.type
    reaching: dict[str, Any] = {}
    for item in inputs:
        if item.node not in reaching:
            reaching[item.node] = blake2b(digest_size=16)
        reaching[item.node].update(f"{digest_of(item.value)} {item.fidelity}\n".encode())
    digests = {node: digest.hexdigest() for node, digest in reaching.items()}
    if sources:
        told = [f"{digest_of(one.video)} {one.clip} {one.name}" for one in sources]
        digests[""] = blake2b("\n".join(told).encode(), digest_size=16).hexdigest()
    params = tile.params.model_dump(mode="json")
    return CacheKey(kind.type_id, kind.name, kind.version, _code_of(kind.__module__), params, digests)


@cache
def _code_of(module: str) -> str:
    """A digest of the file of a module; empty where it stands in none."""
    file = getattr(sys.modules.get(module), "__file__", None)
    try:
        return blake2b(Path(file).read_bytes(), digest_size=16).hexdigest() if file else ""
    except OSError:
        return ""


def rerun_reason(before: CacheKey, now: CacheKey, names: Mapping[str, str]) -> str:
    """Why a tile works again, compared with when it last did.

    Parameters
    ----------
    names
        What tiles are called, by id.
    """
    if before.type_id != now.type_id:
        return f"tile {before.name} → {now.name}"
    changes = []
    if before.version != now.version:
        changes.append(f"tile version {before.version} → {now.version}")
    elif before.code != now.code:
        changes.append("the tile's code changed")
    for name in sorted({*before.params, *now.params}):
        was, new = before.params.get(name), now.params.get(name)
        if was != new:
            changes.append(f"parameter {name} {short_json(was)} → {short_json(new)}")
    changes += _changed_inputs(before.inputs, now.inputs, names)
    if before.engine != now.engine:
        changes.append("a newer engine")
    return ", ".join(changes) or "what it made is no longer kept"


def _changed_inputs(was: Mapping[str, str], now: Mapping[str, str], names: Mapping[str, str]) -> list[str]:
    def called(node: str) -> str:
        return f" from {names.get(node, node)}" if node else ""

    changed = [f"input{called(node)} changed" for node in now if node in was and was[node] != now[node]]
    changed += [f"new input{called(node)}" for node in now if node not in was]
    changed += [f"no more input{called(node)}" for node in was if node not in now]
    if not changed and [*was.values()] != [*now.values()]:
        changed.append("order of inputs changed")
    return changed
