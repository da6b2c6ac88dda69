"""Small sources made by ffmpeg, and renders decoded into frame hashes and samples."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from tessera.inputs.resolve import video_of
from tessera.media.algebra.expression import Expr, Image, Picture, Sound
from tessera.media.algebra.item import Video
from tessera.media.algebra.time import Range
from tessera.media.ffmpeg.compiler import EncodeSettings, Gain, Located, compile_render
from tessera.media.ffmpeg.feed import run_command
from tessera.media.probe.probe import probe
from tessera.media.process.process import run_ffmpeg
from tessera.media.render.renderer import NOTHING_ENCODED, Renderer

FIXTURES = Path(__file__).parents[2] / "fixtures"
MEDIA = FIXTURES / "media"

SOURCES: dict[str, list[str]] = {
    "ntsc": ["-r", "30000/1001", "-bf", "3", "-g", "12"],
    "pal": ["-r", "25", "-bf", "0", "-g", "50"],
    "film": ["-r", "24000/1001", "-bf", "2", "-g", "8", "-x264-params", "open-gop=1"],
    "vfr": [
        "-vf",
        "select='not(eq(mod(n,5),2))*not(eq(mod(n,7),3))',settb=1/1000",
        "-fps_mode",
        "vfr",
        "-bf",
        "2",
    ],
}


@cache
def folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="tessera-tests-"))


@cache
def located(name: str) -> Located:
    """Make a source of 2 s with noise in picture and sound, 64×36, or 128×72 if its name contains `wide`."""
    path = folder() / f"{name}-{os.getpid()}.mkv"
    rate = next(
        (value for key, value in zip(SOURCES[name], SOURCES[name][1:], strict=False) if key == "-r"), "30"
    )
    sight = f"testsrc2=s=64x36:r={rate}:d=2,noise=alls=40:allf=t:all_seed=7"
    hearing = "anoisesrc=d=2:r=48000:a=0.3:seed=3,lowpass=4000"
    inputs = ["-y", "-f", "lavfi", "-i", sight, "-f", "lavfi", "-i", hearing]
    coding = [
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-crf",
        "20",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "pcm_s16le",
    ]
    run_ffmpeg([*inputs, *SOURCES[name], *coding, "-t", "2", str(path)])
    return Located(path, probe(path))


def source(name: str) -> Video:
    """Return a source as a value."""
    return video_of(name, located(name).info)


def paint(leaf: Image) -> Pillow.Image:
    """Make a picture with a soft edge in its alpha."""
    ramp = Pillow.linear_gradient("L").resize((leaf.width, leaf.height))
    picture = Pillow.new("RGBA", (leaf.width, leaf.height), (200, 60, 30, 255))
    picture.putalpha(ramp)
    return picture


def renderer(**options: Any) -> Renderer:
    return Renderer(located, paint, **options)


@dataclass(frozen=True)
class Taken:
    """A decoded render: presentation times in seconds, a hash of each frame, and the samples."""

    times: tuple[Fraction, ...]
    frames: tuple[str, ...]
    samples: NDArray[np.float32]


def taken(picture: Picture | None, sound: Sound | None = None, **gains: Gain) -> Taken:
    """Render losslessly without the optimiser, and decode the result."""
    with tempfile.TemporaryDirectory() as scratch:

        def resolve(node: Expr) -> Located:
            if not isinstance(node, Image):
                return located(node.arg("asset"))
            path = Path(scratch) / f"{node.digest}.png"
            paint(node).save(path)
            return Located(path, probe(path))

        out = Path(scratch) / "out.nut"
        command = compile_render(picture, sound, out, resolve, gains, EncodeSettings(lossless=True))
        finished = run_command(command, Path(scratch))
        if NOTHING_ENCODED in finished.stderr:
            return Taken((), (), np.zeros(0, np.float32))
        return take_apart(out)


def take_apart(path: Path) -> Taken:
    """Decode a file into times, frame hashes and samples."""
    times: list[Fraction] = []
    frames: list[str] = []
    samples = [np.zeros((0, 1), np.float32)]
    with av.open(str(path)) as container:
        for frame in container.decode(*container.streams.video, *container.streams.audio):
            if isinstance(frame, av.VideoFrame):
                assert frame.pts is not None
                assert frame.time_base is not None
                times.append(frame.pts * frame.time_base)
                frames.append(hashlib.md5(frame.to_ndarray().tobytes()).hexdigest())
            else:
                array = frame.to_ndarray()
                flat = array.T if frame.format.is_planar else array.reshape(-1, frame.layout.nb_channels)
                samples.append(flat[:, :1].astype(np.float32))
    return Taken(tuple(times), tuple(frames), np.concatenate(samples)[:, 0])


@cache
def whole(name: str) -> Taken:
    """Return the frames and samples of a source, decoded by PyAV, with times relative to its first frame."""
    apart = take_apart(located(name).path)
    zero = apart.times[0]
    scale = 32768 if np.abs(apart.samples).max() > 1 else 1
    return Taken(tuple(time - zero for time in apart.times), apart.frames, apart.samples / scale)


def cut_samples(real: NDArray[np.float32], kept: Sequence[Range], rate: int) -> NDArray[np.float32]:
    """Return the samples of ranges of a source: touching ranges are merged, other joins fade over 4 ms."""
    ranges: list[Range] = []
    for start, end in kept:
        ranges.append((ranges.pop()[0], end) if ranges and ranges[-1][1] == start else (start, end))
    at, parts = Fraction(0), []
    for start, end in ranges:
        count = nearest((at + end - start) * rate) - nearest(at * rate)
        part = real[nearest(start * rate) :][:count]
        parts.append(np.pad(part, (0, count - len(part))))
        at += end - start
    parts = [part for part in parts if len(part)]
    for index, part in enumerate(parts):
        fade = min(rate * 4 // 1000, len(part) // 2)
        ramp = np.arange(fade, dtype=np.float32) / max(fade, 1)
        if index:
            part[:fade] = part[:fade] * ramp
        if fade and index + 1 < len(parts):
            part[-fade:] = part[-fade:] * (1 - ramp)
    return np.concatenate(parts)


def nearest(value: Fraction) -> int:
    """Return the nearest integer, with halves rounded up."""
    return int((value + Fraction(1, 2)) // 1)
