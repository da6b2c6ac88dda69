"""Sources whose container or stream says how they are shown, and a reader of what renders show."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import numpy as np
from PIL import Image as Pillow

from tessera.inputs.resolve import video_of
from tessera.media.algebra.expression import Image, Picture, Sound
from tessera.media.algebra.item import Video
from tessera.media.ffmpeg.lowering import Located
from tessera.media.probe.info import PictureInfo
from tessera.media.probe.probe import probe
from tessera.media.process.process import run_ffmpeg
from tessera.media.render.renderer import Rendered, Renderer
from tests.support.media import folder

_BITS = 8
_SIDE = 16
WIDTH, HEIGHT = _BITS * _SIDE, 4 * _SIDE
TS = "-f mpegts -muxdelay 0 -muxpreload 0"
X264 = "-c:v libx264 -preset veryfast -crf 12 -g 10"


def numbers(first: int = 0, seconds: int = 1, scale: int = 1, rate: int = 25) -> str:
    """Return an ffmpeg source of pictures that show their numbers as black and white columns."""
    side = _SIDE * scale
    lum = f"if(mod(floor((N+{first})/pow(2,floor(X/{side}))),2),235,16)"
    size = f"{WIDTH * scale}x{HEIGHT * scale}"
    return f"color=black:s={size}:r={rate}:d={seconds},geq=lum='{lum}':cb=128:cr=128,format=yuv420p"


def bursts(first: int, seconds: int) -> str:
    """Return an ffmpeg source of a burst at the start of each half second, the n-th of 500 + 250·n Hz."""
    tone = f"sin(2*PI*t*(500+250*({first}+floor(2*t))))"
    return f"aevalsrc='0.5*{tone}*lt(mod(t,0.5),0.1)':s=48000:d={seconds}"


def make(name: str, sight: str, coding: str, sound: str | None = None) -> Path:
    """Encode a source, unless it is made already."""
    path = folder() / name
    if not path.exists():
        heard = ["-f", "lavfi", "-i", sound] if sound else []
        run_ffmpeg(["-y", "-f", "lavfi", "-i", sight, *heard, *coding.split(), str(path)])
    return path


def joined(name: str, parts: list[Path], options: str = "") -> Path:
    """Join files packet by packet, as a recorder that changes its settings writes them."""
    path = folder() / name
    if not path.exists():
        listed = folder() / f"{name}.txt"
        listed.write_text("".join(f"file '{part}'\n" for part in parts))
        concat = ["-f", "concat", "-safe", "0", "-i", str(listed)]
        run_ffmpeg(["-y", *concat, "-c", "copy", *options.split(), str(path)])
    return path


def with_clean_aperture(source: Path, name: str, width: int, height: int) -> Path:
    """Write a `clap` box that crops to the centre into a copy of an MP4 file whose index is at its end."""
    data = bytearray(source.read_bytes())
    start, end, outer = 0, len(data), []
    for kind in ("moov", "trak", "mdia", "minf", "stbl", "stsd", "avc1"):
        while data[start + 4 : start + 8] != kind.encode():
            start += struct.unpack(">I", data[start : start + 4])[0]
        size = struct.unpack(">I", data[start : start + 4])[0]
        outer.append((start, size))
        end, start = start + size, start + (16 if kind == "stsd" else 8)
    for at, size in outer:
        struct.pack_into(">I", data, at, size + 40)
    box = struct.pack(">I4sIIIIiIiI", 40, b"clap", width, 1, height, 1, 0, 1, 0, 1)
    path = folder() / name
    path.write_bytes(bytes(data[:end]) + box + bytes(data[end:]))
    return path


@cache
def located(path: Path) -> Located:
    return Located(path, probe(path))


def video(path: Path) -> Video:
    return video_of("source", located(path).info)


def picture_info(path: Path) -> PictureInfo:
    info = located(path).info.picture
    assert info is not None
    return info


def marked(picture: Picture) -> Picture:
    """Return a picture with a grey mark in its lower left corner."""
    mark = Image.drawn("test", "mark", width=8, height=8)
    return picture.overlay(mark, 4, picture.height - 12)


def rendered(path: Path, picture: Picture, sound: Sound | None, output: Path) -> Rendered:
    """Render expressions of one source."""

    def paint(leaf: Image) -> Pillow.Image:
        return Pillow.new("RGBA", (leaf.width, leaf.height), (128, 128, 128, 255))

    return Renderer(lambda _asset: located(path), paint).render(Video(picture, sound), output)


@dataclass(frozen=True)
class Shown:
    """The pictures of a file: sizes, numbers (None if unreadable), and those that show the mark."""

    sizes: frozenset[tuple[int, int]]
    numbers: tuple[int | None, ...]
    marked: tuple[bool, ...]
    interlaced: int


def shown(path: Path) -> Shown:
    sizes, found, marks, interlaced = set(), [], [], 0
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.video[0]):
            luma = frame.to_ndarray(format="gray").astype(float)
            sizes.add((frame.width, frame.height))
            interlaced += frame.interlaced_frame
            found.append(_number(luma))
            marks.append(abs(float(luma[-10:-6, 6:10].mean()) - 128) < 30)
    return Shown(frozenset(sizes), tuple(found), tuple(marks), interlaced)


def _number(luma: np.ndarray) -> int | None:  # type: ignore[type-arg]
    """Read the number at the centre of the picture, at the scale of `numbers()`."""
    height, width = luma.shape
    middle = luma[height // 2 - 4 : height // 2 + 4].mean(axis=0)
    if width < WIDTH:
        return None
    left = (width - WIDTH) // 2
    levels = [middle[left + bit * _SIDE + 4 : left + (bit + 1) * _SIDE - 4].mean() for bit in range(_BITS)]
    if not all(level < 70 or level > 185 for level in levels):
        return None
    return sum(1 << bit for bit, level in enumerate(levels) if level > 128)


def heard(path: Path) -> dict[int, float]:
    """Return the bursts of a file: number → the second at which it is first heard."""
    samples = []
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("flt", "mono", 48_000)
        for frame in container.decode(container.streams.audio[0]):
            samples += [one.to_ndarray()[0] for one in resampler.resample(frame)]
    line = np.concatenate(samples)
    loud = np.flatnonzero(np.abs(line) > 0.2)
    found: dict[int, float] = {}
    for first in loud[np.insert(np.diff(loud) > 4_800, 0, True)]:
        piece = line[first + 1_500 : first + 3_900]
        tone = np.abs(np.fft.rfft(piece * np.hanning(len(piece)), 48_000)).argmax()
        found[round((int(tone) - 500) / 250)] = float(first) / 48_000
    return found


def combs(path: Path) -> float:
    """Return how much a row differs from the mean of its neighbours, averaged over all pictures."""
    found = []
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.video[0]):
            luma = frame.to_ndarray(format="gray").astype(float)
            found.append(np.abs(luma[1:-1] - (luma[:-2] + luma[2:]) / 2).mean())
    return float(np.mean(found))
