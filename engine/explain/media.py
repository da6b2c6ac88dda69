"""What each output of a run is made of, and what its render will do: simulated, optimised, compiled."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from tessera.explain.expressions import Explained, explain, explain_together
from tessera.inputs.assets.library import Library
from tessera.media.algebra.expression import Expr, Picture, Sound, walk
from tessera.media.algebra.item import Audio, Item, Video
from tessera.media.ffmpeg.compiler import Located
from tessera.media.probe.file_formats import suffix_of
from tessera.media.probe.info import MediaInfo, PictureInfo, SoundInfo
from tessera.media.render.decoder_groups import groups_of
from tessera.record.record import RunRecord
from tessera.runner.entry import simulate

__all__ = ["MediaPlan", "OutputMedia", "media_plan"]

_ELSEWHERE = Path("/path/to")
"""Where placeholders of media that is not here lie."""


@dataclass(frozen=True, slots=True)
class OutputMedia:
    """An output: the item, and how it is rendered; None where no ffmpeg has a part in that (an image).

    `together` are the numbers, from 0, of the outputs that its last command makes with one decoder.
    """

    item: Item
    explained: Explained | None
    together: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class MediaPlan:
    """The outputs of a simulated run with their expressions.

    Attributes
    ----------
    names
        What assets are called, by id.
    missing
        Ids of media that is not here: commands name it by a placeholder.
    """

    record: RunRecord
    outputs: tuple[OutputMedia, ...]
    names: Mapping[str, str]
    missing: tuple[str, ...]

    def name(self, asset: str) -> str:
        """What an asset is called."""
        return self.names.get(asset, asset)

    def to_dict(self) -> dict[str, Any]:
        return {
            "outputs": [
                {
                    "original_node_id": one.item.node,
                    "index": one.item.index,
                    "why": one.item.why,
                    "together": list(one.together),
                    **(one.explained.to_dict() if one.explained else {"commands": []}),
                }
                for one in self.outputs
            ],
            "assets": dict(self.names),
            "missing": list(self.missing),
        }


def media_plan(agent: Any, request: Any = None, **options: Any) -> MediaPlan:
    """Simulate a run, and say of each output what its render does.

    Parameters
    ----------
    agent, request, options
        As `simulate` takes them.

    Raises
    ------
    TesseraError
        As `simulate` does.
    """
    items: list[tuple[Item, Library]] = []
    record = simulate(
        agent, request, **options, on_output=lambda item, library: items.append((item, library))
    )
    seen = _Assets()
    outputs = [OutputMedia(item, _explained(item, library, seen)) for item, library in items]
    for numbers in groups_of([item.value for item, _library in items]):
        _join(outputs, numbers, seen)
    return MediaPlan(record, tuple(outputs), seen.names, tuple(seen.missing))


def _join(outputs: list[OutputMedia], numbers: Sequence[int], seen: _Assets) -> None:
    """Let outputs have one last command."""
    parts = [how for number in numbers if (how := outputs[number].explained) is not None]
    command = explain_together(parts, seen.located.__getitem__)
    for number, how in zip(numbers, parts, strict=True):
        how = replace(how, commands=(*how.commands[:-1], command))
        outputs[number] = OutputMedia(outputs[number].item, how, tuple(numbers))


class _Assets:
    """The assets that were met: what they are called, which are not here, and where leaves lie."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.missing: dict[str, None] = {}
        self.located: dict[Expr, Located] = {}


def _explained(item: Item, library: Library, seen: _Assets) -> Explained | None:
    match item.value:
        case Video(picture, sound):
            pair: tuple[Picture | None, Sound | None] = picture, sound
        case Audio(sound):
            pair = None, sound
        case _:
            return None
    leaves = {node: None for root in pair if root is not None for node in walk(root) if not node.inputs}
    seen.located |= {leaf: _located(leaf, leaves, library, seen) for leaf in leaves if leaf.op != "silence"}
    output = Path(f"{item.node[:8]}-{item.index + 1}{suffix_of(item.value)}")
    return explain(*pair, output, seen.located.__getitem__)


def _located(leaf: Expr, leaves: Iterable[Expr], library: Library, seen: _Assets) -> Located:
    """Where a leaf lies: a file of the workspace, else a placeholder named by its id."""
    if leaf.op == "drawn":
        return Located(_ELSEWHERE / f"{leaf.arg('painter')}-{leaf.digest[:8]}.png", _image_info(leaf))
    key = leaf.arg("asset")
    asset = library.get(key)
    if asset is not None:
        seen.names[key] = asset.name
        # A render reads images from PNG files of its own making.
        path = asset.path if leaf.medium != "image" else _ELSEWHERE / f"{asset.id}.png"
        return Located(path, asset.info)
    seen.missing[key] = None
    name = re.sub(r"[^A-Za-z0-9.]+", "-", key).strip("-.")
    if leaf.medium == "image":
        return Located(_ELSEWHERE / f"{name}.png", _image_info(leaf))
    return Located(
        _ELSEWHERE / name, _info(one for one in leaves if one.op == "source" and one.arg("asset") == key)
    )


def _image_info(leaf: Any) -> MediaInfo:
    picture = _picture_info(leaf.width, leaf.height, Fraction(1), Fraction(1), "png")
    return MediaInfo(kind="image", container="png", picture=picture)


def _info(leaves: Iterable[Expr]) -> MediaInfo:
    """What a probe would say of media that is not here, as far as the leaves of an expression tell."""
    picture: PictureInfo | None = None
    sound: SoundInfo | None = None
    for leaf in leaves:
        if isinstance(leaf, Picture):
            picture = _picture_info(leaf.width, leaf.height, leaf.rate, leaf.duration, "h264")
        elif isinstance(leaf, Sound):
            sound = SoundInfo(
                index=1, codec="aac", rate=leaf.rate, channels=leaf.channels, duration=leaf.duration
            )
    return MediaInfo(kind="video" if picture else "audio", container="mp4", picture=picture, sound=sound)


def _picture_info(width: int, height: int, rate: Fraction, duration: Fraction, codec: str) -> PictureInfo:
    return PictureInfo(
        index=0,
        codec=codec,
        width=width,
        height=height,
        coded_width=width,
        coded_height=height,
        rate=rate,
        frames=max(int(duration * rate), 1),
        time_base=1 / (rate * 512),
        duration=duration,
        pixel_format="yuv420p",
    )
