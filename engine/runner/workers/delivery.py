"""Delivery in a run: an item rendered, stored as an asset, and put where the user wants it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.errors import Cancelled, MediaError, RenderError
from tessera.files import part_prefix, whole_file
from tessera.graph.plan import Plan
from tessera.inputs.assets.asset import Asset
from tessera.inputs.assets.library import Library
from tessera.media.algebra.item import Item, Video, describe, digest_of
from tessera.media.ffmpeg.encode_settings import encode_settings_for
from tessera.media.probe.file_formats import OUTPUT_STEM, media_type, single_stream_path, suffix_of
from tessera.media.probe.info import MediaInfo
from tessera.node import derived_id
from tessera.record.item_record import sources_of
from tessera.runner.cache.render_cache import CachedRender, RenderCache
from tessera.runner.workers.leaf_files import locator, painter
from tessera.runner.workers.render_groups import RenderGroups
from tessera.runner.workers.worker import Delivered, RenderWatch, Stopped
from tessera.store.run_store import DRAWN, RunStore
from tessera.text.wording import file_names

if TYPE_CHECKING:
    from tessera.media.render.renderer import Rendered, Renderer

__all__ = ["RunDelivery", "output_record"]


def output_record(item: Item, render_id: str, completed_at: str, **where: Any) -> dict[str, Any]:
    """An output as the contract gives it, with what it is and how it came about."""
    return {
        "id": render_id,
        "video_url": None,
        "thumbnail_url": None,
        "premiere_prproj_url": None,
        "sources": sources_of(item.value),
        "completed_at": completed_at,
        "original_node_id": item.node,
        "index": item.index,
        "path": None,
        "thumbnail_path": None,
        "media_type": media_type(item.value),
        "why": item.why,
        "fidelity": item.fidelity,
        "digest": digest_of(item.value),
        **describe(item.value),
        **where,
    }


def _size_of(info: MediaInfo) -> dict[str, int]:
    """Width and height of what was made, which may be smaller than asked for."""
    return {"width": info.picture.width, "height": info.picture.height} if info.picture else {}


def _file_names(plan: Plan) -> dict[str, str]:
    """By tile that makes outputs: how the names of their files begin. It is the tile's name, and of those of
    one name all but the first in the template have their id as well.
    """
    made = []
    for tile in sorted((plan.tile(node) for node in plan.order), key=lambda tile: tile.index):
        after = [plan.tile(node) for node in plan.graph.successors(tile.id)]
        if not after or any(one.type.is_output() for one in after):
            made.append((tile.id, tile.name))
    return file_names(made)


def _video(item: Item) -> Video:
    assert isinstance(item.value, Video)
    return item.value


@dataclass(frozen=True, slots=True)
class _Rendering:
    """Who is told of a render, and may stop it."""

    progress: Callable[[float], None]
    stopped: Stopped
    watch: RenderWatch


class RunDelivery:
    """Renders the outputs of one run.

    Parameters
    ----------
    out
        A folder that receives a copy of every output and its thumbnail, or None.
    now
        The time, for `completed_at`.
    quality
        The name of a quality (`tessera.media.ffmpeg.encode_settings`).
    fresh
        Render what is there already as well.

    Attributes
    ----------
    together
        Which items are rendered together.
    """

    def __init__(
        self,
        plan: Plan,
        library: Library,
        store: RunStore,
        run_id: str,
        out: Path | None,
        timeout_s: float | None,
        now: Callable[[], str],
        quality: str = "standard",
        *,
        fresh: bool = False,
    ) -> None:
        self.together = RenderGroups(self._is_there)
        self.plan, self.library, self.store, self.run_id = plan, library, store, run_id
        self.out, self.timeout_s, self.now = out, timeout_s, now
        self._types = {tile.type.type_id: tile.type for _node, tile in plan.graph.nodes(data="node")}
        self.renders = RenderCache(store, library, fresh=fresh)
        self.quality, self._target = quality, encode_settings_for(quality)
        self._names = _file_names(plan)
        scratch = store.workspace / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        self._scratch = tempfile.TemporaryDirectory(prefix=part_prefix(), dir=scratch)

    def close(self) -> None:
        self._scratch.cleanup()

    def deliver(
        self, item: Item, progress: Callable[[float], None], stopped: Stopped, watch: RenderWatch
    ) -> Delivered:
        """Render an item, store it, copy it out.

        Raises
        ------
        Cancelled
            `stopped()` became true.
        TesseraError
            It could not be rendered or written. Nothing half-written stays.
        """
        making = _Rendering(progress, stopped, watch)
        known = None
        if not watch.kills:
            known = self.together.take(item, lambda items: self._make_all(items, making), stopped)
        if known is None:
            known = self.renders.once(
                self._key(item), lambda: self._make(item, making), stopped, fresh=watch.kills
            )
        if stopped():
            raise Cancelled("the run was cancelled")
        render_id = derived_id(self.run_id, item.node, item.index)
        path, picture = self._place(self._name(item), known.asset.path, known.asset.thumbnail)
        self.store.save_render(render_id, known.asset.id, self.run_id)
        return Delivered(
            output_record(
                item,
                render_id,
                self.now(),
                video_url=path.absolute().as_uri(),
                thumbnail_url=picture.absolute().as_uri() if picture else None,
                path=str(path),
                thumbnail_path=str(picture) if picture else None,
                asset_id=known.asset.id,
                reused=known.reused,
                quality=self.quality,
                **_size_of(known.asset.info),
                **known.facts,
            )
        )

    def _key(self, item: Item) -> str:
        return self.renders.key(item.value, self._target, self._types)

    def _is_there(self, item: Item) -> bool:
        return self.renders.is_there(self._key(item))

    def _make(self, item: Item, making: _Rendering) -> tuple[Asset, dict[str, Any]]:
        made = self._renderer(making).render(item.value, self._scratch_of(item))
        if making.watch.kills:
            raise RenderError("crashes, though no ffmpeg is needed")
        return self._stored(item, made, making)

    def _make_all(self, items: Sequence[Item], making: _Rendering) -> dict[tuple[str, int], CachedRender]:
        """Those of several items that are not there, rendered together; none where that fails, as each by
        itself will tell what is wrong.
        """
        keys = {self._key(item): item for item in items}

        def make(missing: Sequence[str]) -> dict[str, tuple[Asset, dict[str, Any]]]:
            asked = [(_video(keys[key]), self._scratch_of(keys[key])) for key in missing]
            try:
                made = self._renderer(making).render_together(asked)
            except Cancelled:
                raise
            except Exception:  # a tile's own painter may raise anything
                return {}
            return {key: self._stored(keys[key], one, making) for key, one in zip(missing, made, strict=True)}

        found = self.renders.several(list(keys), make, making.stopped)
        return {keys[key].ref: known for key, known in found.items()}

    def _renderer(self, making: _Rendering) -> Renderer:
        from tessera.media.render.renderer import Renderer

        return Renderer(
            locator(self.library),
            painter(self._types),
            cancelled=making.stopped,
            progress=making.progress,
            timeout_s=self.timeout_s,
            target=self._target,
            watch=making.watch,
            drawn=self.store.workspace / DRAWN,
        )

    def _stored(self, item: Item, made: Rendered, making: _Rendering) -> tuple[Asset, dict[str, Any]]:
        """What was rendered, as an asset, and what is to be said of it."""
        asset = self.library.take(made.path, f"{self._name(item)}{made.path.suffix}")
        own = Path(f"{OUTPUT_STEM}{made.path.suffix}")
        names = {str(made.path): str(own), str(single_stream_path(made.path)): str(single_stream_path(own))}
        return asset, {
            "commands": [[names.get(arg, arg) for arg in command] for command in made.commands],
            "measured": made.measured,
            "render": made.made.to_dict() if made.made else None,
            **({"scripts": making.watch.scripts} if making.watch.scripts else {}),
        }

    def _name(self, item: Item) -> str:
        return f"{self._names[item.node]}-{item.index + 1}"

    def _scratch_of(self, item: Item) -> Path:
        name = derived_id(self.run_id, item.node, item.index)
        return Path(self._scratch.name) / f"{name}{suffix_of(item.value)}"

    def _place(self, name: str, media: Path, thumbnail: Path | None) -> tuple[Path, Path | None]:
        """Put an output where the user finds it: in `out`, else in the run's own folder."""
        folder = self.out if self.out is not None else self.store.folder(self.run_id) / "outputs"
        path = folder / f"{name}{media.suffix}"
        picture = folder / f"{name}.jpg" if thumbnail else None
        try:
            with whole_file(path) as partial:
                shutil.copyfile(media, partial)
            if thumbnail is not None and picture is not None:
                with whole_file(picture) as partial:
                    shutil.copyfile(thumbnail, partial)
        except OSError as error:
            raise MediaError(f"cannot write {path}: {error.strerror or error}") from None
        return path, picture
