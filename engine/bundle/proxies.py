"""Small proxies of a run's media, for looking at: at most 320 pixels wide and high, and far from lossless."""

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

_PIXELS = 320
_TARGET = EncodeSettings(crf=34, preset="ultrafast")


def make_proxies(library: Library, record: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, Path]]:
    """A draft of each input, as far as it was used, and of each output: its name and its file in `folder`.

    Media that the workspace no longer holds is left out.

    Raises
    ------
    RenderError
        A draft cannot be made.
    """
    for index, one in enumerate(record["inputs"], 1):
        clip = one.get("clip_ms")
        kept = (Fraction(clip[0]) / 1000, Fraction(clip[1]) / 1000) if clip else None
        yield from _draft(library, one.get("video_id"), f"input-{index}", kept, folder)
    for index, one in enumerate(record["outputs"], 1):
        yield from _draft(library, one.get("asset_id"), f"output-{index}", None, folder)


def _draft(
    library: Library, wanted: str | None, name: str, kept: Range | None, folder: Path
) -> Iterator[tuple[str, Path]]:
    asset = library.get(wanted) if wanted else None
    if asset is None:
        return
    if asset.info.kind == "image":
        made = folder / f"{name}{asset.path.suffix}"
        _shrink(asset.path, made)
    else:
        value = _value(asset, kept)
        made = folder / f"{name}{suffix_of(value)}"
        Renderer(lambda _id: Located(asset.path, asset.info), _no_painter, target=_TARGET).render(value, made)
    yield made.name, made


def _value(asset: Asset, kept: Range | None) -> Video | Audio:
    if asset.info.kind == "audio":
        sound = sound_of(asset.id, asset.info)
        return Audio(sound.keep([kept]) if kept else sound)
    video = video_of(asset.id, asset.info)
    if kept:
        video = video.keep([(kept[0], min(kept[1], video.duration))])
    picture = video.picture
    factor = min(Fraction(1), Fraction(_PIXELS, max(picture.width, picture.height)))
    size = (max(2, even(int(side * factor))) for side in (picture.width, picture.height))
    return video.with_picture(picture.scale(*size))


def _no_painter(_leaf: Any) -> Any:
    raise RenderError("a draft of a file has nothing to draw")


def _shrink(image: Path, made: Path) -> None:
    from PIL import Image

    try:
        with Image.open(image) as opened:
            opened.thumbnail((_PIXELS, _PIXELS))
            opened.save(made)
    except (OSError, ValueError):
        shutil.copyfile(image, made)
