"""The expression and the render of each output of a run: simulated, optimised and compiled, not executed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from tessera.explain.expressions import RenderExplanation, explain_render, joint_command
from tessera.inputs.assets.library import Library
from tessera.media.algebra.expression import Expr, Picture, Sound, walk
from tessera.media.algebra.item import Audio, Item, Video
from tessera.media.ffmpeg.compiler import Located
from tessera.media.probe.file_formats import suffix_of
from tessera.media.probe.info import MediaInfo, PictureInfo, SoundInfo
from tessera.media.render.decoder_groups import groups_of
from tessera.record.record import RunRecord
from tessera.runner.config import SimulateConfig, accepts_options
from tessera.runner.entry import simulate

__all__ = ["MediaPlan", "OutputMedia", "media_plan"]

_PLACEHOLDERS = Path("/path/to")
"""The folder of placeholders for media that the workspace lacks."""


@dataclass(frozen=True, slots=True)
class OutputMedia:
    """An output's item and the explanation of its render.

    Attributes
    ----------
    explained
        None for an image, which is rendered without ffmpeg.
    together
        The indices, from 0, of the outputs that the last command makes with one decoder.
    """

    item: Item
    explained: RenderExplanation | None
    together: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class MediaPlan:
    """The outputs of a simulated run with their expressions.

    Attributes
    ----------
    names
        The display names of assets, by id.
    missing
        The ids of media that the workspace lacks; the commands contain a placeholder for each.
    """

    record: RunRecord
    outputs: tuple[OutputMedia, ...]
    names: Mapping[str, str]
    missing: tuple[str, ...]

    def name(self, asset: str) -> str:
        """Return the display name of an asset."""
        return self.names.get(asset, asset)

    def to_dict(self) -> dict[str, Any]:
        return {
            "outputs": [
                {
                    "original_node_id": output.item.node,
                    "index": output.item.index,
                    "why": output.item.why,
                    "together": list(output.together),
                    **(output.explained.to_dict() if output.explained else {"commands": []}),
                }
                for output in self.outputs
            ],
            "assets": dict(self.names),
            "missing": list(self.missing),
        }


@accepts_options(SimulateConfig)
def media_plan(
    agent: Any = None, request: Any = None, config: SimulateConfig = SimulateConfig()
) -> MediaPlan:
    """Simulate a run and explain the render of each output.

    Parameters
    ----------
    agent, request, config
        The arguments of `simulate`.

    Raises
    ------
    TesseraError
        If `simulate` raises it.
    """
    items: list[tuple[Item, Library]] = []
    record = simulate(agent, request, config, on_output=lambda item, library: items.append((item, library)))
    assets = _Assets()
    outputs = [OutputMedia(item, _explanation(item, library, assets)) for item, library in items]
    for numbers in groups_of([item.value for item, _library in items]):
        _share_command(outputs, numbers, assets)
    return MediaPlan(record, tuple(outputs), assets.names, tuple(assets.missing))


def _share_command(outputs: list[OutputMedia], numbers: Sequence[int], assets: _Assets) -> None:
    """Replace the last commands of these outputs with one command that makes all of them."""
    renders = [render for number in numbers if (render := outputs[number].explained) is not None]
    command = joint_command(renders, assets.locations.__getitem__)
    for number, render in zip(numbers, renders, strict=True):
        shared = replace(render, commands=(*render.commands[:-1], command))
        outputs[number] = OutputMedia(outputs[number].item, shared, tuple(numbers))


class _Assets:
    """The assets of the outputs: their names, the ids of missing ones, and the locations of the leaves."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.missing: dict[str, None] = {}
        self.locations: dict[Expr, Located] = {}


def _explanation(item: Item, library: Library, assets: _Assets) -> RenderExplanation | None:
    """Explain the render of an item; return None for an image."""
    match item.value:
        case Video(picture, sound):
            pair: tuple[Picture | None, Sound | None] = picture, sound
        case Audio(sound):
            pair = None, sound
        case _:
            return None
    leaves = {node: None for root in pair if root is not None for node in walk(root) if not node.inputs}
    assets.locations |= {
        leaf: _locate(leaf, leaves, library, assets) for leaf in leaves if leaf.op != "silence"
    }
    output = Path(f"{item.node[:8]}-{item.index + 1}{suffix_of(item.value)}")
    return explain_render(*pair, output, assets.locations.__getitem__)


def _locate(leaf: Expr, leaves: Iterable[Expr], library: Library, assets: _Assets) -> Located:
    """Return the location of a leaf: a file of the workspace, or a placeholder named after the asset's id."""
    if leaf.op == "drawn":
        return Located(_PLACEHOLDERS / f"{leaf.arg('painter')}-{leaf.digest[:8]}.png", _image_info(leaf))
    key = leaf.arg("asset")
    asset = library.get(key)
    if asset is not None:
        assets.names[key] = asset.name
        # A render reads images from PNG files that it writes itself.
        path = asset.path if leaf.medium != "image" else _PLACEHOLDERS / f"{asset.id}.png"
        return Located(path, asset.info)
    assets.missing[key] = None
    name = re.sub(r"[^A-Za-z0-9.]+", "-", key).strip("-.")
    if leaf.medium == "image":
        return Located(_PLACEHOLDERS / f"{name}.png", _image_info(leaf))
    same = [other for other in leaves if other.op == "source" and other.arg("asset") == key]
    return Located(_PLACEHOLDERS / name, _media_info(same))


def _image_info(leaf: Any) -> MediaInfo:
    picture = _picture_info(leaf.width, leaf.height, Fraction(1), Fraction(1), "png")
    return MediaInfo(kind="image", container="png", picture=picture)


def _media_info(leaves: Iterable[Expr]) -> MediaInfo:
    """Return the probe result of missing media as far as the leaves of an expression determine it."""
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
