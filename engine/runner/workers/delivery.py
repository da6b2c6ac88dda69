"""Delivery of outputs: render an item, store it as an asset, and copy it to the output folder."""

from __future__ import annotations

import filecmp
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.errors import Cancelled, MediaError, RenderError
from tessera.files import part_prefix
from tessera.graph.plan import Plan
from tessera.inputs.assets.asset import Asset
from tessera.inputs.assets.library import Library
from tessera.media.algebra.item import Item, Video
from tessera.media.ffmpeg.encode_settings import encode_settings_for
from tessera.media.probe.file_formats import OUTPUT_STEM, single_stream_path, suffix_of
from tessera.media.probe.info import MediaInfo
from tessera.node import derived_id
from tessera.record.output import output_record
from tessera.runner.cache.render_cache import CachedRender, RenderCache
from tessera.runner.workers.copy_out import copy_out
from tessera.runner.workers.leaf_files import locator, painter
from tessera.runner.workers.messages import Stopped
from tessera.runner.workers.render_groups import RenderGroups
from tessera.runner.workers.worker import RenderWatch
from tessera.store.run_store import DRAWN, RunStore
from tessera.text.wording import file_names

if TYPE_CHECKING:
    from tessera.media.render.renderer import Rendered, Renderer

__all__ = ["RenderOptions", "RunDelivery"]


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """How the outputs of a run are rendered, and where they go.

    Attributes
    ----------
    out
        A folder that receives a copy of every output and its thumbnail, or None for the run's own folder.
    quality
        The name of a quality (`tessera.media.ffmpeg.encode_settings`).
    timeout_s
        The time limit of one ffmpeg process, in seconds, or None.
    fresh
        True ignores existing renders.
    """

    out: Path | None = None
    quality: str = "standard"
    timeout_s: float | None = None
    fresh: bool = False


def _size_of(info: MediaInfo) -> dict[str, int]:
    """Return the width and height of a render, which may be smaller than requested."""
    return {"width": info.picture.width, "height": info.picture.height} if info.picture else {}


def _file_names(plan: Plan) -> dict[str, str]:
    """Return, by tile with outputs, the prefix of their file names.

    The prefix is the tile's name. Of several tiles with one name, all but the first in the template add
    their id.
    """
    prefixes = []
    for tile in sorted((plan.tile(node) for node in plan.order), key=lambda tile: tile.index):
        after = [plan.tile(node) for node in plan.graph.successors(tile.id)]
        if not after or any(tile.type.is_output() for tile in after):
            prefixes.append((tile.id, tile.name))
    return file_names(prefixes)


def _video(item: Item) -> Video:
    assert isinstance(item.value, Video)
    return item.value


@dataclass(frozen=True, slots=True)
class _RenderHooks:
    """The progress callback, stop check and process watch of a render."""

    progress: Callable[[float], None]
    stopped: Stopped
    watch: RenderWatch


class RunDelivery:
    """Renders and stores the outputs of one run.

    Parameters
    ----------
    now
        Returns the time for `completed_at`.

    Attributes
    ----------
    groups
        The items that are rendered together.
    """

    def __init__(
        self,
        plan: Plan,
        library: Library,
        store: RunStore,
        run_id: str,
        options: RenderOptions,
        now: Callable[[], str],
    ) -> None:
        self.groups = RenderGroups(self._is_cached)
        self.plan, self.library, self.store, self.run_id = plan, library, store, run_id
        self.options, self.now = options, now
        self._types = {tile.type.type_id: tile.type for _node, tile in plan.graph.nodes(data="node")}
        self.renders = RenderCache(store, library, fresh=options.fresh)
        self._target = encode_settings_for(options.quality)
        self._names = _file_names(plan)
        scratch = store.workspace / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        self._scratch = tempfile.TemporaryDirectory(prefix=part_prefix(), dir=scratch)

    def close(self) -> None:
        """Delete the scratch folder."""
        self._scratch.cleanup()

    def deliver(
        self, item: Item, progress: Callable[[float], None], stopped: Stopped, watch: RenderWatch
    ) -> dict[str, Any]:
        """Render an item, store it and copy it to the output folder. Return its entry in the record.

        Raises
        ------
        Cancelled
            If `stopped()` becomes true.
        TesseraError
            If the item cannot be rendered or written. No partial file remains.
        """
        hooks = _RenderHooks(progress, stopped, watch)
        cached = None
        # An injected crash needs a render of its own.
        if not watch.kills:
            cached = self.groups.take(item, lambda items: self._render_group(items, hooks), stopped)
        if cached is None:
            cached = self.renders.render_once(
                self._key(item), lambda: self._render_one(item, hooks), stopped, fresh=watch.kills
            )
        if stopped():
            raise Cancelled("the run was cancelled")
        render_id = derived_id(self.run_id, item.node, item.index)
        asset = cached.asset
        path, picture, other = self._copy_out(self._name(item), asset.path, asset.thumbnail, stopped)
        self.store.save_render(render_id, asset.id, self.run_id)
        return output_record(
            item,
            render_id,
            self.now(),
            video_url=path.absolute().as_uri(),
            thumbnail_url=picture.absolute().as_uri() if picture else None,
            path=str(path),
            thumbnail_path=str(picture) if picture else None,
            asset_id=asset.id,
            reused=cached.reused,
            quality=self.options.quality,
            bytes=cached.asset.size,
            **({"replaced_another": True} if other else {}),
            **_size_of(cached.asset.info),
            **cached.facts,
        )

    def _key(self, item: Item) -> str:
        return self.renders.key(item.value, self._target, self._types)

    def _is_cached(self, item: Item) -> bool:
        return self.renders.has(self._key(item))

    def _render_one(self, item: Item, hooks: _RenderHooks) -> tuple[Asset, dict[str, Any]]:
        made = self._renderer(hooks).render(item.value, self._scratch_of(item))
        if hooks.watch.kills:
            raise RenderError("crash, although no ffmpeg is needed")
        return self._store_render(item, made, hooks)

    def _render_group(
        self, items: Sequence[Item], hooks: _RenderHooks
    ) -> dict[tuple[str, int], CachedRender]:
        """Return those renders of several items that are missing, made together.

        If that fails, return none: each item is then rendered alone, and its own error names the cause.
        """
        keys = {self._key(item): item for item in items}

        def make(missing: Sequence[str]) -> dict[str, tuple[Asset, dict[str, Any]]]:
            requests = [(_video(keys[key]), self._scratch_of(keys[key])) for key in missing]
            try:
                made = self._renderer(hooks).render_together(requests)
            except Cancelled:
                raise
            except Exception:  # a tile's own painter may raise anything
                return {}
            return {
                key: self._store_render(keys[key], render, hooks)
                for key, render in zip(missing, made, strict=True)
            }

        found = self.renders.render_missing(list(keys), make, hooks.stopped)
        return {keys[key].ref: cached for key, cached in found.items()}

    def _renderer(self, hooks: _RenderHooks) -> Renderer:
        from tessera.media.render.renderer import Renderer

        return Renderer(
            locator(self.library),
            painter(self._types),
            cancelled=hooks.stopped,
            progress=hooks.progress,
            timeout_s=self.options.timeout_s,
            target=self._target,
            watch=hooks.watch,
            drawn=self.store.workspace / DRAWN,
        )

    def _store_render(self, item: Item, made: Rendered, hooks: _RenderHooks) -> tuple[Asset, dict[str, Any]]:
        """Store a render as an asset, and return it with the facts to record."""
        asset = self.library.take(made.path, f"{self._name(item)}{made.path.suffix}", made.info)
        # Recorded commands name a placeholder, since the scratch path differs in every run.
        own = Path(f"{OUTPUT_STEM}{made.path.suffix}")
        names = {str(made.path): str(own), str(single_stream_path(made.path)): str(single_stream_path(own))}
        return asset, {
            "commands": [[names.get(arg, arg) for arg in command] for command in made.commands],
            "measured": made.measured,
            "render": made.made.to_dict() if made.made else None,
            **({"scripts": hooks.watch.scripts} if hooks.watch.scripts else {}),
        }

    def _name(self, item: Item) -> str:
        return f"{self._names[item.node]}-{item.index + 1}"

    def _scratch_of(self, item: Item) -> Path:
        name = derived_id(self.run_id, item.node, item.index)
        return Path(self._scratch.name) / f"{name}{suffix_of(item.value)}"

    @property
    def prefixes(self) -> frozenset[str]:
        """The beginnings of the names of all output files; a hyphen, a number and an extension follow."""
        return frozenset(self._names.values())

    def _copy_out(
        self, name: str, media: Path, thumbnail: Path | None, stopped: Stopped
    ) -> tuple[Path, Path | None, bool]:
        """Copy an output and its thumbnail to `out`, or else to the run's own folder.

        The last value is True if a file with another content was there.
        """
        out = self.options.out
        folder = out if out is not None else self.store.folder(self.run_id) / "outputs"
        path = folder / f"{name}{media.suffix}"
        picture = folder / f"{name}.jpg" if thumbnail else None
        try:
            other = path.exists() and not filecmp.cmp(media, path, shallow=False)
            pairs = [(media, path)]
            if thumbnail is not None and picture is not None:
                pairs.append((thumbnail, picture))
            copy_out(pairs, stopped)
        except OSError as error:
            raise MediaError(f"cannot write {path}: {error.strerror or error}") from None
        return path, picture, other
