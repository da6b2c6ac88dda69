"""Delivery in a run: an item rendered, stored as an asset, and put where the user wants it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.errors import Cancelled, MediaError, RenderError
from engine.files import part_prefix, whole_file
from engine.graph.plan import Plan
from engine.inputs.library import Asset, Library
from engine.media.forms import media_type, suffix_of
from engine.media.info import MediaInfo
from engine.media.item import Item, describe, digest_of
from engine.media.target import target_of
from engine.node import derived_id
from engine.run.leaves import locator, painter
from engine.run.record import sources_of
from engine.run.renders import RenderCache
from engine.run.store import RunStore
from engine.run.working import Delivered, RenderWatch, Stopped
from engine.text import slug

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
    made: dict[str, str] = {}
    taken: set[str] = set()
    for tile in sorted((plan.tile(node) for node in plan.order), key=lambda tile: tile.index):
        after = [plan.tile(node) for node in plan.graph.successors(tile.id)]
        if after and not any(one.type.is_output() for one in after):
            continue
        short = slug(tile.name, "output")
        names = (short, f"{short}-{tile.id[:8]}", f"{short}-{tile.id}")
        made[tile.id] = next(name for name in names if name not in taken)
        taken.add(made[tile.id])
    return made


class RunDelivery:
    """Renders the outputs of one run.

    Parameters
    ----------
    out
        A folder that receives a copy of every output and its thumbnail, or None.
    now
        The time, for `completed_at`.
    quality
        The name of a quality (`engine.media.target`).
    fresh
        Render what is there already as well.
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
        self.plan, self.library, self.store, self.run_id = plan, library, store, run_id
        self.out, self.timeout_s, self.now = out, timeout_s, now
        self._types = {tile.type.type_id: tile.type for _node, tile in plan.graph.nodes(data="node")}
        self.renders = RenderCache(store, library, fresh=fresh)
        self.quality, self._target = quality, target_of(quality)
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
        render_id = derived_id(self.run_id, item.node, item.index)
        name = f"{self._names[item.node]}-{item.index + 1}"
        scratch = Path(self._scratch.name) / f"{render_id}{suffix_of(item.value)}"

        def make() -> tuple[Asset, dict[str, Any]]:
            from engine.media.render import Renderer

            renderer = Renderer(
                locator(self.library),
                painter(self._types),
                cancelled=stopped,
                progress=progress,
                timeout_s=self.timeout_s,
                target=self._target,
                watch=watch,
            )
            made = renderer.render(item.value, scratch)
            if watch.kills:
                raise RenderError("crashes, though no ffmpeg is needed")
            asset = self.library.take(made.path, f"{name}{scratch.suffix}")
            return asset, {
                "commands": [list(command) for command in made.commands],
                "measured": made.measured,
                "render": made.made.to_dict() if made.made else None,
                **({"scripts": watch.scripts} if watch.scripts else {}),
            }

        key = self.renders.key(item.value, self._target, self._types)
        known = self.renders.once(key, make, stopped, fresh=watch.kills)
        if stopped():
            raise Cancelled("the run was cancelled")
        path, picture = self._place(name, known.asset.path, known.asset.thumbnail)
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
