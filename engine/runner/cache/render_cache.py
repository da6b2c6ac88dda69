"""The cache of renders: equal expressions are rendered once per workspace, even by runs at the same time.

The key of a render covers its content and its making: the digest of its expression, the encode settings, the
versions of the compiler and of ffmpeg, and the versions of the tiles that drew parts of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tessera.errors import Cancelled, WorkspaceError
from tessera.files import write_atomically
from tessera.inputs.assets.asset import Asset
from tessera.inputs.assets.library import Library
from tessera.media.algebra.expression import Expr, walk
from tessera.media.algebra.item import Value, digest_of, exprs_of
from tessera.media.ffmpeg.encode_settings import COMPILER_VERSION, EncodeSettings
from tessera.media.process.process import ffmpeg_path, ffmpeg_version
from tessera.node import NodeType, derived_id
from tessera.store.run_store import RunStore
from tessera.text.checked import json_object

__all__ = ["CachedRender", "RenderCache"]

_POLL_S = 0.1


def _is_drawn(node: Expr) -> bool:
    return node.medium == "image" and node.op == "drawn"


@dataclass(frozen=True, slots=True)
class CachedRender:
    """A render in the workspace: its asset, and the facts recorded when it was made."""

    asset: Asset
    facts: Mapping[str, Any] = field(default_factory=dict)
    reused: bool = True


class RenderCache:
    """The renders of a workspace, by key. `fresh`: ignore existing renders."""

    def __init__(self, store: RunStore, library: Library, *, fresh: bool = False) -> None:
        self.store, self.library, self.fresh = store, library, fresh

    def key(self, value: Value, target: EncodeSettings, types: Mapping[str, type[NodeType]]) -> str:
        """Return the key of a render. Equal keys mean equal files.

        Parameters
        ----------
        types
            The node types whose painters draw leaves, by type id.
        """
        drawn = {leaf.arg("type_id") for leaf in walk(*exprs_of(value)) if _is_drawn(leaf)}
        versions = [f"{type_id} {types[type_id].version}" for type_id in sorted(drawn) if type_id in types]
        return derived_id(digest_of(value), repr(target), COMPILER_VERSION, self._ffmpeg, *versions)

    @cached_property
    def _ffmpeg(self) -> str:
        """The version of ffmpeg.

        The version of the bundled binary is saved, since starting it takes as long as a fully cached run. A
        binary from `TESSERA_FFMPEG` is asked every time, since it may be a script that starts another one.
        """
        if os.environ.get("TESSERA_FFMPEG"):
            return ffmpeg_version()
        path, note = Path(ffmpeg_path()), self.store.workspace / "known" / "ffmpeg.json"
        stat = path.stat()
        stamp = [str(path), stat.st_size, stat.st_mtime_ns]
        with suppress(OSError, ValueError, KeyError, TypeError):
            cached = json_object(note.read_bytes())
            if cached["stamp"] == stamp:
                return str(cached["version"])
        version = ffmpeg_version()
        with suppress(WorkspaceError):
            write_atomically(note, json.dumps({"stamp": stamp, "version": version}))
        return version

    def render_once(
        self,
        key: str,
        make: Callable[[], tuple[Asset, Mapping[str, Any]]],
        cancelled: Callable[[], bool] = lambda: False,
        *,
        fresh: bool = False,
    ) -> CachedRender:
        """Return the render with this key, and make it only if it is missing.

        Callers that ask while another thread or process makes it wait for that one.

        Parameters
        ----------
        make
            Makes and stores the render; returns its asset and the facts to record.
        fresh
            Make the render even if it exists.

        Raises
        ------
        Cancelled
            If the run is cancelled while it waits.
        WorkspaceError
            If the workspace cannot be written.
        """
        with self._locked(key, cancelled):
            cached = None if self.fresh or fresh else self._intact(key)
            if cached is not None:
                return cached
            asset, facts = make()
            self.store.keep_render(key, asset.id, facts)
            return CachedRender(asset, facts, reused=False)

    def render_missing(
        self,
        keys: Sequence[str],
        make: Callable[[Sequence[str]], Mapping[str, tuple[Asset, Mapping[str, Any]]]],
        cancelled: Callable[[], bool] = lambda: False,
    ) -> dict[str, CachedRender]:
        """Return the renders of those keys that are missing, made by one call, if there are two or more.

        Raises
        ------
        Cancelled
            If the run is cancelled while it waits.
        WorkspaceError
            If the workspace cannot be written.
        """
        with ExitStack() as locks:
            # All callers take locks in the same order, which rules out a deadlock.
            for key in sorted(keys):
                locks.enter_context(self._locked(key, cancelled))
            missing = [key for key in keys if self.fresh or self._intact(key) is None]
            if len(missing) < 2:
                return {}
            made = make(missing)
            for key, (asset, facts) in made.items():
                self.store.keep_render(key, asset.id, facts)
            return {key: CachedRender(asset, facts, reused=False) for key, (asset, facts) in made.items()}

    def has(self, key: str) -> bool:
        """Return True if a render with this key is recorded and may be reused. Its file is not checked."""
        return not self.fresh and self.store.known_render(key) is not None

    def _intact(self, key: str) -> CachedRender | None:
        """Return the render with this key, or None if it is missing or corrupted."""
        found = self.store.known_render(key)
        if found is None:
            return None
        asset = self.library.intact(found[0])
        return None if asset is None else CachedRender(asset, found[1])

    @contextmanager
    def _locked(self, key: str, cancelled: Callable[[], bool]) -> Iterator[None]:
        """Hold the lock of a key. The operating system releases it if the process dies."""
        lock = None
        while lock is None:
            if cancelled():
                raise Cancelled("the run was cancelled")
            lock = self.store.locks.acquire(key, _POLL_S)
        try:
            yield
        finally:
            lock.release()
