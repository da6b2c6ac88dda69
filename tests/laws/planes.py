"""Pixel values of pictures, in 8 bits as rendered or in 12 bits, and measures of their difference."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tessera.inputs.resolve import video_of
from tessera.media.algebra.expression import Expr, Picture
from tessera.media.ffmpeg.compiler import Located
from tessera.media.ffmpeg.lowering import Lowering
from tessera.media.probe.probe import probe
from tessera.media.process.process import run_ffmpeg
from tests.support.media import MEDIA, located

__all__ = ["Values", "fixture", "luma", "psnr", "ssim", "values"]

Values = NDArray[np.float64]


class _Precise(Lowering):
    """A lowering in 12 bits from the first scale on, so that no later step rounds to 8 bits."""

    def _picture_scale(self, node: Picture, inputs: list[Any]) -> Any:
        return super()._picture_scale(node, [inputs[0].filter("format", "yuv420p12le")])


def fixture(name: str) -> Picture:
    """Return the picture of a fixture by its file name."""
    return video_of(name, probe(MEDIA / name)).picture


def _resolve(node: Expr) -> Located:
    asset = node.arg("asset")
    path = MEDIA / asset
    return Located(path, probe(path)) if path.exists() else located(asset)


def values(picture: Picture, *, precise: bool = False) -> Values:
    """Return all values of all frames in one row, in 8-bit code values; luma before chroma in each frame."""
    import ffmpeg

    lowering = (_Precise if precise else Lowering)(_resolve, {}, [picture])
    layout = "yuv420p12le" if precise else "yuv420p"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.raw"
        output = ffmpeg.output(
            lowering.lower(picture), str(out), pix_fmt=layout, fps_mode="passthrough", f="rawvideo"
        )
        run_ffmpeg(output.global_args("-copyts", "-y").compile()[1:])
        found = np.fromfile(out, np.uint16 if precise else np.uint8).astype(np.float64)
    return found / 16 if precise else found


def luma(picture: Picture, found: Values) -> Values:
    """Return the luma of all frames of a picture: (frames, height, width)."""
    width, height = picture.width, picture.height
    frames = found.reshape(-1, width * height * 3 // 2)
    return frames[:, : width * height].reshape(-1, height, width)


def psnr(one: Values, other: Values) -> float:
    """Return the peak signal-to-noise ratio in dB."""
    error = float(np.mean((one - other) ** 2))
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))


def ssim(one: Values, other: Values, side: int = 8) -> float:
    """Return the structural similarity of two (frames, height, width), by blocks of `side` pixels."""

    def blocks(plane: Values) -> Values:
        frames, height, width = plane.shape
        rows, columns = height // side, width // side
        cut = plane[:, : rows * side, : columns * side].reshape(frames, rows, side, columns, side)
        return cut.transpose(0, 1, 3, 2, 4).reshape(-1, side * side)

    a, b = blocks(one), blocks(other)
    mean_a, mean_b = a.mean(1), b.mean(1)
    both = (a * b).mean(1) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + 6.5025) / (mean_a**2 + mean_b**2 + 6.5025)
    return float(np.mean(luminance * (2 * both + 58.5225) / (a.var(1) + b.var(1) + 58.5225)))
