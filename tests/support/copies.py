"""Sources with real groups of pictures for tests of copying, and the pictures expected of copies."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from tessera.inputs.resolve import video_of
from tessera.media.algebra.item import Video
from tessera.media.algebra.time import Range
from tessera.media.ffmpeg.compiler import Located
from tessera.media.probe.probe import probe
from tessera.media.process.process import run_ffmpeg
from tessera.media.render.renderer import Renderer
from tests.support.media import folder, paint
from tests.support.picture_law import pictures_in

X264 = "-c:v libx264 -preset veryfast -crf 20 -pix_fmt yuv420p"

FILES: dict[str, str] = {
    "film.mp4": f"-r 24000/1001 {X264} -g 12 -bf 3",
    "ntsc.mp4": f"-r 30000/1001 {X264} -g 15 -bf 2 -x264-params b-pyramid=none",
    "fast.mp4": f"-r 60000/1001 {X264} -g 30 -bf 3",
    "long.mp4": f"-r 60 {X264} -g 120 -bf 3 -sc_threshold 0 -x264-params b-adapt=0",
    "plain.mp4": f"-r 25 {X264} -g 10 -bf 0 -profile:v baseline",
    "pal.mkv": f"-r 25 {X264} -g 10 -bf 3",
    "late.mp4": f"-r 30 {X264} -g 15 -bf 3 -output_ts_offset 1.5",
    "vfr.mp4": f"-vf {{vfr}} -fps_mode vfr {X264} -g 12 -bf 3",
    "vfr.mkv": f"-vf {{vfr}} -fps_mode vfr {X264} -g 12 -bf 3",
    "open.mp4": f"-r 25 {X264} -g 12 -bf 3 -x264-params open-gop=1:keyint=12:min-keyint=12:scenecut=0",
    "deep.mp4": f"-r 25 {X264} -g 10 -bf 8 -refs 6 -x264-params b-adapt=2:b-pyramid=strict:slices=2",
    "repeating.mp4": f"-r 25 {X264} -g 10 -bf 3 -profile:v main -x264-params repeat-headers=1",
    "fields.mp4": f"-r 25 {X264} -g 10 -bf 3 -flags +ildct+ilme -x264-params tff=1",
    "refresh.mp4": f"-r 25 {X264} -g 40 -bf 0 -x264-params intra-refresh=1",
    "av1.mp4": "-r 25 -c:v libsvtav1 -preset 12 -g 20",
    "full.mp4": f"-r 25 {X264} -g 12 -bf 3 -pix_fmt yuvj420p -color_range pc",
    "hevc.mp4": "-r 25 -c:v libx265 -preset ultrafast -x265-params keyint=12:log-level=error",
}
"""File name → how ffmpeg makes it. All are 3 s of 96×64 with soft motion, and a tone that rises."""

_VFR = "select='not(eq(mod(n\\,5)\\,2))*not(eq(mod(n\\,7)\\,3))'"


@cache
def made(name: str) -> Located:
    """Return the file of the source of this name."""
    path = folder() / f"{os.getpid()}-{name}"
    words = FILES[name].format(vfr=_VFR).split()
    rate = words[words.index("-r") + 1] if "-r" in words else "30"
    sight = f"testsrc2=s=96x64:r={rate}:d=3,gblur=4"
    hearing = "aevalsrc='0.3*sin(2*PI*(200+100*t)*t)':s=48000:d=3"
    inputs = ["-y", "-f", "lavfi", "-i", sight, "-f", "lavfi", "-i", hearing]
    run_ffmpeg([*inputs, *words, "-c:a", "aac", "-b:a", "96k", "-t", "3", str(path)])
    return Located(path, probe(path))


def video(name: str) -> Video:
    """Return a source as a value."""
    return video_of(name, made(name).info)


def renderer(**options: object) -> Renderer:
    return Renderer(made, paint, **options)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Shown:
    """Decoded pictures: their times in seconds, and their pixels."""

    times: tuple[Fraction, ...]
    frames: tuple[NDArray[np.uint8], ...]

    @property
    def hashes(self) -> list[str]:
        return [hashlib.md5(frame.tobytes()).hexdigest() for frame in self.frames]


def shown(path: Path) -> Shown:
    """Return all pictures of a file, decoded by PyAV."""
    times, frames = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            assert frame.pts is not None
            assert frame.time_base is not None
            assert not frame.is_corrupt
            times.append(frame.pts * frame.time_base)
            frames.append(frame.to_ndarray())
    return Shown(tuple(times), tuple(frames))


@cache
def source_shown(name: str) -> Shown:
    """Return the pictures of a source, with times relative to the first one."""
    all_of_it = shown(made(name).path)
    return Shown(tuple(time - all_of_it.times[0] for time in all_of_it.times), all_of_it.frames)


def expected(name: str, ranges: list[Range]) -> Shown:
    """Return the pictures that ranges show, on their joined timeline."""
    real = source_shown(name)
    found = list(pictures_in(real.times, made(name).info, ranges))
    return Shown(tuple(time for _number, time in found), tuple(real.frames[number] for number, _ in found))


def psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Return the PSNR in dB over all planes; 99 for equal pictures."""
    mse = float(np.mean((one.astype(float) - other.astype(float)) ** 2))
    return 10 * float(np.log10(255**2 / mse)) if mse else 99.0
