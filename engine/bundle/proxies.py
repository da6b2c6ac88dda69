"""Render small previews of a run's media: at most 320 pixels wide and high, with a low quality."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from tessera.errors import RenderError
from tessera.inputs.assets.asset import Asset
from tessera.inputs.assets.library import Library
from tessera.inputs.resolve import sound_of, video_of
from tessera.media.algebra.expression import even
from tessera.media.algebra.item import Audio, Video
from tessera.media.algebra.time import Range
from tessera.media.ffmpeg.compiler import EncodeSettings
from tessera.media.ffmpeg.lowering import Located
from tessera.media.probe.file_formats import suffix_of
from tessera.media.render.renderer import Renderer

__all__ = ["make_proxies"]

_MAX_SIDE = 320
"""The largest width and height in pixels."""
_TARGET = EncodeSettings(crf=34, preset="ultrafast")


def make_proxies(library: Library, record: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, Path]]:
    """Render previews of the used part of each input and of each output. Yield their names and files.

    Media that is missing from the workspace is skipped.

    Raises
    ------
    RenderError
        If a preview cannot be rendered.
    """
    for index, source in enumerate(record["inputs"], 1):
        clip_ms = source.get("clip_ms")
        clip = (Fraction(clip_ms[0]) / 1000, Fraction(clip_ms[1]) / 1000) if clip_ms else None
        yield from _preview(library, source.get("video_id"), f"input-{index}", clip, folder)
    for index, output in enumerate(record["outputs"], 1):
        yield from _preview(library, output.get("asset_id"), f"output-{index}", None, folder)


def _preview(
    library: Library, asset_id: str | None, name: str, clip: Range | None, folder: Path
) -> Iterator[tuple[str, Path]]:
    asset = library.get(asset_id) if asset_id else None
    if asset is None:
        return
    if asset.info.kind == "image":
        file = folder / f"{name}{asset.path.suffix}"
        _shrink(asset.path, file)
    else:
        value = _value(asset, clip)
        file = folder / f"{name}{suffix_of(value)}"
        Renderer(lambda _id: Located(asset.path, asset.info), _no_painter, target=_TARGET).render(value, file)
    yield file.name, file


def _value(asset: Asset, clip: Range | None) -> Video | Audio:
    if asset.info.kind == "audio":
        sound = sound_of(asset.id, asset.info)
        return Audio(sound.keep([clip]) if clip else sound)
    video = video_of(asset.id, asset.info)
    if clip:
        video = video.keep([(clip[0], min(clip[1], video.duration))])
    picture = video.picture
    factor = min(Fraction(1), Fraction(_MAX_SIDE, max(picture.width, picture.height)))
    size = (max(2, even(int(side * factor))) for side in (picture.width, picture.height))
    return video.with_picture(picture.scale(*size))


def _no_painter(_leaf: Any) -> Any:
    raise RenderError("a preview of a file has no drawn pictures")


def _shrink(image: Path, target: Path) -> None:
    from PIL import Image

    try:
        with Image.open(image) as opened:
            opened.thumbnail((_MAX_SIDE, _MAX_SIDE))
            opened.save(target)
    except (OSError, ValueError):
        # Pillow cannot write every format that it can read.
        shutil.copyfile(image, target)
