"""Sources in which every frame shows its number, and a reader of these numbers from renders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np

from tessera.inputs.resolve import video_of
from tessera.media.algebra.item import Video
from tessera.media.algebra.time import Range
from tessera.media.ffmpeg.compiler import EncodeSettings
from tessera.media.ffmpeg.lowering import Located
from tessera.media.probe.probe import probe
from tessera.media.process.process import run_ffmpeg
from tessera.media.render.renderer import Renderer
from tests.support.media import folder, paint
from tests.support.picture_law import pictures_in

_BITS = 10
_SIDE = 16
_SECONDS = 5

CODECS = {
    "h264": "-c:v libx264 -preset veryfast -bf 3 -g 40",
    "h264-open": "-c:v libx264 -preset veryfast -bf 3 -g 40 -x264-params open-gop=1",
    "h264-long": "-c:v libx264 -preset veryfast -bf 2 -g 1000",
    "h264-refresh": "-c:v libx264 -preset veryfast -x264-params intra-refresh=1:keyint=40",
    "hevc": "-c:v libx265 -preset ultrafast -x265-params bframes=4:keyint=40:open-gop=1:log-level=error",
    "vp9": "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -auto-alt-ref 1 -lag-in-frames 16 -g 40",
    "av1": "-c:v libsvtav1 -preset 11 -crf 20 -g 40 -svtav1-params lp=2",
}
RATES = ["24000/1001", "25", "30000/1001", "60000/1001", "vfr"]
_DROPPED = "select='not(eq(mod(n,5),2))*not(eq(mod(n,7),3))*not(between(n,70,93))'"


@dataclass(frozen=True)
class Seen:
    """The frames of a file: presentation times in seconds, and the number that each one shows."""

    times: tuple[Fraction, ...]
    numbers: tuple[int, ...]


def numbered(name: str, codec: str, rate: str, extra: str = "", suffix: str = ".mkv") -> Path:
    """Make a clip of 5 s with noise, in which every frame shows its number as black and white squares."""
    path = folder() / f"numbered-{name.replace('/', '_')}{suffix}"
    if path.exists():
        return path
    shown = f"color=black:s={_BITS * _SIDE}x{3 * _SIDE}:r={'30' if rate == 'vfr' else rate}:d={_SECONDS}"
    shown += f",geq=lum='if(mod(floor(N/pow(2,floor(X/{_SIDE}))),2),235,16)':cb=128:cr=128,format=yuv420p"
    shown += f",{_DROPPED},settb=1/1000" if rate == "vfr" else ""
    sound = f"anoisesrc=d={_SECONDS}:r=48000:a=0.3:seed=5,lowpass=4000"
    coder = "pcm_s16le" if suffix in (".mkv", ".mov") else "libopus" if suffix == ".webm" else "aac"
    made = f"{codec} -fps_mode vfr -threads 2 -c:a {coder} {extra}"
    run_ffmpeg(["-y", "-f", "lavfi", "-i", shown, "-f", "lavfi", "-i", sound, *made.split(), str(path)])
    return path


def _frames(container: Any, *, tolerant: bool) -> Iterator[av.VideoFrame]:
    for packet in container.demux(container.streams.video[0]):
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            if not tolerant:
                raise
            # VP9 decodes nothing more after an error until it is reset.
            container.streams.video[0].codec_context.flush_buffers()


def seen(path: Path, *, tolerant: bool = False) -> Seen:
    """Return what a file shows; if tolerant, packets that cannot be decoded show nothing."""
    times, numbers = [], []
    with av.open(str(path)) as container:
        for frame in _frames(container, tolerant=tolerant):
            assert frame.pts is not None
            assert frame.time_base is not None
            luma = frame.to_ndarray(format="gray")[_SIDE // 4 : 2 * _SIDE].astype(float)
            levels = luma.reshape(len(luma), _BITS, _SIDE)[:, :, 4:-4].mean(axis=(0, 2))
            assert all(level < 70 or level > 185 for level in levels), "a frame is incomplete"
            times.append(frame.pts * frame.time_base)
            numbers.append(sum(1 << bit for bit, level in enumerate(levels) if level > 128))
    return Seen(tuple(times), tuple(numbers))


@cache
def origin(path: Path) -> Seen:
    """Return the frames of a source, decoded from end to end, with times relative to its first frame."""
    whole = seen(path, tolerant=True)
    return Seen(tuple(time - whole.times[0] for time in whole.times), whole.numbers)


def wanted(source: Path, kept: Sequence[Range]) -> Seen:
    """Return what the ranges of a source show."""
    real = origin(source)
    found = list(pictures_in(real.times, probe(source), kept))
    return Seen(tuple(time for _number, time in found), tuple(real.numbers[number] for number, _ in found))


def rendered(source: Path, kept: Sequence[Range], output: Path, target: EncodeSettings | None = None) -> Path:
    info = probe(source)
    video: Video = video_of("source", info).keep(kept)
    renderer = Renderer(lambda _asset: Located(source, info), paint, target=target or EncodeSettings())
    return renderer.render(video, output).path


def samples(path: Path) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    with av.open(str(path)) as container:
        parts = [frame.to_ndarray().reshape(-1) for frame in container.decode(container.streams.audio[0])]
    joined = np.concatenate(parts)
    return joined.astype(np.float32) / (32768 if joined.dtype == np.int16 else 1)
