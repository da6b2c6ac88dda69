"""Renders that are there already: equal expressions are rendered once, whoever asks, and when.

A render is known by what it is made of and how: the digest of its expression, the profile that it is encoded
with, the version of the compiler and of ffmpeg, and of the tiles whose code drew parts of it.
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
from tessera.media.ffmpeg.process import ffmpeg_path, ffmpeg_version
from tessera.node import NodeType, derived_id
from tessera.store.run_store import RunStore

__all__ = ["CachedRender", "RenderCache"]

_POLL_S = 0.1


def _is_drawn(node: Expr) -> bool:
    return node.medium == "image" and node.op == "drawn"


@dataclass(frozen=True, slots=True)
class CachedRender:
    """A render that is in the workspace: its asset, and what was said of it when it was made."""

    asset: Asset
    facts: Mapping[str, Any] = field(default_factory=dict)
    reused: bool = True


class RenderCache:
    """The renders of a workspace, by key. `fresh`: take none that was made before."""

    def __init__(self, store: RunStore, library: Library, *, fresh: bool = False) -> None:
        self.store, self.library, self.fresh = store, library, fresh

    def key(self, value: Value, target: EncodeSettings, types: Mapping[str, type[NodeType]]) -> str:
        """The key of a render: equal exactly where the files would be.

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
        """The version of ffmpeg. The binary that comes along is asked once, for to start it takes as long as
        a run of which all is known; what the user names may be a script that starts another.
        """
        if os.environ.get("TESSERA_FFMPEG"):
            return ffmpeg_version()
        path, note = Path(ffmpeg_path()), self.store.workspace / "known" / "ffmpeg.json"
        stat = path.stat()
        stamp = [str(path), stat.st_size, stat.st_mtime_ns]
        with suppress(OSError, ValueError, KeyError, TypeError):
            known = json.loads(note.read_text("utf-8"))
            if known["stamp"] == stamp:
                return str(known["version"])
        version = ffmpeg_version()
        with suppress(WorkspaceError):
            write_atomically(note, json.dumps({"stamp": stamp, "version": version}))
        return version

    def once(
        self,
        key: str,
        make: Callable[[], tuple[Asset, Mapping[str, Any]]],
        cancelled: Callable[[], bool] = lambda: False,
        *,
        fresh: bool = False,
    ) -> CachedRender:
        """The render of this key, made only where it is not there.

        Whoever asks while another, in this process or not, is making it waits for that one.

        Parameters
        ----------
        make
            Makes and stores it: its asset, and what is to be said of it.
        fresh
            Make it although it is there.

        Raises
        ------
        Cancelled
            While it waited for another.
        WorkspaceError
            The workspace cannot be written.
        """
        with self._alone(key, cancelled):
            known = None if self.fresh or fresh else self._known(key)
            if known is not None:
                return known
            asset, facts = make()
            self.store.keep_render(key, asset.id, facts)
            return CachedRender(asset, facts, reused=False)

    def several(
        self,
        keys: Sequence[str],
        make: Callable[[Sequence[str]], Mapping[str, tuple[Asset, Mapping[str, Any]]]],
        cancelled: Callable[[], bool] = lambda: False,
    ) -> dict[str, CachedRender]:
        """The renders of these keys that are not there, made by one call, where they are two or more.

        Raises
        ------
        Cancelled
            While it waited for another.
        WorkspaceError
            The workspace cannot be written.
        """
        with ExitStack() as held:
            for key in sorted(keys):  # in one order, whoever asks: so nobody waits for one who waits for him
                held.enter_context(self._alone(key, cancelled))
            missing = [key for key in keys if self.fresh or self._known(key) is None]
            if len(missing) < 2:
                return {}
            made = make(missing)
            for key, (asset, facts) in made.items():
                self.store.keep_render(key, asset.id, facts)
            return {key: CachedRender(asset, facts, reused=False) for key, (asset, facts) in made.items()}

    def is_there(self, key: str) -> bool:
        """Whether a render of this key is kept, as far as can be told without looking for its file."""
        return not self.fresh and self.store.known_render(key) is not None

    def _known(self, key: str) -> CachedRender | None:
        """What is kept under a key, where its file is still what it was."""
        found = self.store.known_render(key)
        if found is None:
            return None
        asset = self.library.intact(found[0])
        return None if asset is None else CachedRender(asset, found[1])

    @contextmanager
    def _alone(self, key: str, cancelled: Callable[[], bool]) -> Iterator[None]:
        """Hold the lock of a key; the system lets go of it when a process dies."""
        held = None
        while held is None:
            if cancelled():
                raise Cancelled("the run was cancelled")
            held = self.store.locks.acquire(key, _POLL_S)
        try:
            yield
        finally:
            held.release()
