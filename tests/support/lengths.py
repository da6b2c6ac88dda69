"""Sources of numbered pictures and pitched bursts of sound, edit lists, and what a render plays."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np

from tessera.inputs.resolve import video_of
from tessera.media.ffmpeg.lowering import Located
from tessera.media.probe.probe import probe
from tessera.media.process.process import run_ffmpeg
from tessera.media.render.renderer import Renderer
from tests.support.media import folder, paint

RATE = 25
X264 = "-c:v libx264 -preset veryfast -crf 20 -sc_threshold 0 -g 50 -bf 2"
_BITS, _SIDE = 8, 16
_SOUND = 48_000
_BURST_S = 0.02


@dataclass(frozen=True)
class Played:
    """A file: the numbers of its pictures with their times, the bursts with theirs, and its lengths."""

    numbers: tuple[int, ...]
    times: tuple[float, ...]
    bursts: dict[int, float]
    picture_s: float
    sound_s: float

    def changes(self) -> list[int]:
        """Return the numbers shown, without repeats."""
        return [one for at, one in enumerate(self.numbers) if not at or self.numbers[at - 1] != one]


@cache
def bursts(
    name: str, seconds: int, coding: str, pictures: int, *, suffix: str = ".mp4", rest: str = ""
) -> Path:
    """Make a file of numbered pictures, 25 a second, whose half second k begins with 500 + 150 k Hz."""
    path = folder() / f"bursts-{name}{suffix}"
    lit = f"mod(floor(N/pow(2,floor(X/{_SIDE}))),2)"
    size = f"{_BITS * _SIDE}x{3 * _SIDE}"
    sight = f"color=gray:s={size}:r={RATE}:d={pictures / RATE},geq=lum='40+170*{lit}':cb=128:cr=128"
    heard = f"0.6*sin(2*PI*t*(500+150*floor(2*t)))*lt(mod(t,0.5),{_BURST_S})"
    hearing = f"aevalsrc='{heard}':s={_SOUND}:d={seconds}"
    line = ["-y", "-f", "lavfi", "-i", f"{sight},format=yuv420p", "-f", "lavfi", "-i", hearing]
    run_ffmpeg([*line, *coding.split(), *rest.split(), str(path)])
    return path


def remuxed(source: Path, name: str, before: str = "", after: str = "") -> Path:
    """Copy the streams of a file without encoding; options before the input, such as -ss, cut it."""
    path = folder() / name
    run_ffmpeg(["-y", *before.split(), "-i", str(source), "-c", "copy", *after.split(), str(path)])
    return path


def played(path: Path) -> Played:
    """Decode a file."""
    times, numbers, loud = [], [], np.zeros(0, np.float32)
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.video[0]):
            luma = frame.to_ndarray(format="gray")[_SIDE:-_SIDE].astype(float)
            levels = luma.reshape(len(luma), _BITS, _SIDE)[:, :, 4:-4].mean(axis=(0, 2))
            numbers.append(sum(1 << bit for bit, level in enumerate(levels) if level > 125))
            times.append(float(frame.pts * frame.time_base))
        stream = container.streams.video[0]
        picture_s = float((stream.duration or 0) * stream.time_base)
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return Played(tuple(numbers), tuple(times), {}, picture_s, 0.0)
        for frame in container.decode(container.streams.audio[0]):
            at = round(float(frame.pts * frame.time_base) * _SOUND)
            loud = np.pad(loud, (0, max(at - len(loud), 0)))
            loud = np.concatenate([loud, frame.to_ndarray()[0].astype(np.float32)])
    return Played(tuple(numbers), tuple(times), dict(_bursts(loud)), picture_s, len(loud) / _SOUND)


def _bursts(sound: np.ndarray[tuple[int], np.dtype[np.float32]]) -> Iterator[tuple[int, float]]:
    hot = np.flatnonzero(np.abs(sound) > 0.15)
    for first in hot[np.insert(np.diff(hot) > _SOUND // 10, 0, True)] if len(hot) else ():
        piece = sound[first : first + int(0.8 * _BURST_S * _SOUND)]
        spectrum = np.abs(np.fft.rfft(piece * np.hanning(len(piece)), _SOUND))
        yield round((int(spectrum[300:].argmax()) + 300 - 500) / 150), int(first) / _SOUND


def render(
    source: Path, kept: tuple[str, str] | None = None, *, encoded: bool = False
) -> tuple[Played, Fraction]:
    """Render a range of a source, as a copy if possible or encoded; return the file and its length."""
    info = probe(source)
    video = video_of("source", info)
    if kept is not None:
        video = video.keep([(Fraction(kept[0]), Fraction(kept[1]) if kept[1] else video.duration)])
    if encoded:
        width, height = video.picture.width, video.picture.height
        picture = video.picture.crop(0, 0, width - 2, height).scale(width, height)
        video = type(video)(picture, video.sound)
    out = folder() / f"{source.stem}-{kept}-{encoded}.mp4"
    made = Renderer(lambda _asset: Located(source, info), paint).render(video, out)
    return played(made.path), video.duration


# Edit lists


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, bytes]]:
    while start + 8 <= end:
        size, kind = struct.unpack(">I4s", data[start : start + 8])
        yield start, start + size, kind
        start += size


def _child(data: bytes, box: tuple[int, int, bytes], kind: bytes) -> tuple[int, int, bytes]:
    return next(one for one in _boxes(data, box[0] + 8, box[1]) if one[2] == kind)


def with_edits(source: Path, name: str, edits: Sequence[tuple[float, float]]) -> Path:
    """Copy an MP4 file whose index is last, with an edit list of (start or -1, seconds) on each track."""
    data = source.read_bytes()
    moov = next(box for box in _boxes(data, 0, len(data)) if box[2] == b"moov")
    assert moov[1] == len(data), "the index is not last"
    header = _child(data, moov, b"mvhd")[0]
    movie = struct.unpack(">I", data[header + 20 : header + 24])[0]
    parts = []
    for box in _boxes(data, moov[0] + 8, moov[1]):
        if box[2] != b"trak":
            parts.append(data[box[0] : box[1]])
            continue
        media = _child(data, _child(data, box, b"mdia"), b"mdhd")[0]
        ticks = struct.unpack(">I", data[media + 20 : media + 24])[0]
        old = _child(data, _child(data, box, b"edts"), b"elst")[0]
        zero = struct.unpack(">i", data[old + 20 : old + 24])[0]
        lines = b"".join(
            struct.pack(">IiHH", round(lasts * movie), -1 if start < 0 else round(start * ticks) + zero, 1, 0)
            for start, lasts in edits
        )
        table = struct.pack(">I4sII", 16 + len(lines), b"elst", 0, len(edits)) + lines
        inner = [data[one[0] : one[1]] for one in _boxes(data, box[0] + 8, box[1]) if one[2] != b"edts"]
        inner.insert(1, struct.pack(">I4s", 8 + len(table), b"edts") + table)
        track = b"".join(inner)
        parts.append(struct.pack(">I4s", 8 + len(track), b"trak") + track)
    index = b"".join(parts)
    path = folder() / name
    path.write_bytes(data[: moov[0]] + struct.pack(">I4s", 8 + len(index), b"moov") + index)
    return path
