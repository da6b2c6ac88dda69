"""A kept range holds exactly the frames that begin within it, whatever the codec, rate and container."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest

from engine.inputs.resolve import video_of
from engine.media.compile import Target
from engine.media.ffmpeg import run_ffmpeg
from engine.media.item import Video
from engine.media.lower import Located
from engine.media.probe import probe
from engine.media.render import Renderer
from engine.media.time import Range
from tests.media import cut_samples, folder, paint

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

TRIMS: list[list[Range]] = [
    [(Fraction(1001, 1000), Fraction(2))],
    [(Fraction(3003, 1000), Fraction(4004, 1000)), (Fraction(17, 4), Fraction(9, 2))],
    [(Fraction(10, 3), Fraction(7, 2)), (Fraction(1, 7), Fraction(1, 2)), (Fraction(10, 3), Fraction(4))],
]
"""On frames and between them, with and without a seek, ascending, descending and repeated."""


@dataclass(frozen=True)
class Seen:
    """A file's frames: presentation times in seconds, and the number that each of them shows."""

    times: tuple[Fraction, ...]
    numbers: tuple[int, ...]


def numbered(name: str, codec: str, rate: str, extra: str = "", suffix: str = ".mkv") -> Path:
    """A clip of 5 s whose every frame shows its own number as black and white squares, and hisses."""
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


def seen(path: Path) -> Seen:
    times, numbers = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.video[0]):
            assert frame.pts is not None
            assert frame.time_base is not None
            luma = frame.to_ndarray(format="gray")[_SIDE // 4 : 2 * _SIDE].astype(float)
            levels = luma.reshape(len(luma), _BITS, _SIDE)[:, :, 4:-4].mean(axis=(0, 2))
            assert all(level < 70 or level > 185 for level in levels), "a frame is not whole"
            times.append(frame.pts * frame.time_base)
            numbers.append(sum(1 << bit for bit, level in enumerate(levels) if level > 128))
    return Seen(tuple(times), tuple(numbers))


@cache
def origin(path: Path) -> Seen:
    """The frames of a source by a decoder that reads it from end to end; times from its first frame on."""
    whole = seen(path)
    return Seen(tuple(time - whole.times[0] for time in whole.times), whole.numbers)


def wanted(source: Seen, kept: Sequence[Range]) -> Seen:
    times, numbers, at = [], [], Fraction(0)
    for start, end in kept:
        for time, number in zip(source.times, source.numbers, strict=True):
            if start <= time < end:
                times.append(at + time - start)
                numbers.append(number)
        at += end - start
    return Seen(tuple(times), tuple(numbers))


def rendered(source: Path, kept: Sequence[Range], output: Path, target: Target | None = None) -> Path:
    info = probe(source)
    video: Video = video_of("source", info).keep(kept)
    renderer = Renderer(lambda _asset: Located(source, info), paint, target=target or Target())
    return renderer.render(video, output).path


def check(source: Path, kept: Sequence[Range], output: Path) -> None:
    expected = wanted(origin(source), kept)
    got = seen(rendered(source, kept, output))
    assert got.numbers == expected.numbers
    off = max(abs(a - b) for a, b in zip(got.times, expected.times, strict=True))
    assert off <= Fraction(2, 90_000), float(off)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("codec", CODECS)
def test_a_cut_holds_the_frames_that_begin_within_it(codec: str, rate: str, tmp_path: Path) -> None:
    source = numbered(f"{codec}-{rate}", CODECS[codec], rate)
    assert len(set(origin(source).numbers)) == len(origin(source).numbers) > 50
    for index, kept in enumerate(TRIMS):
        check(source, kept, tmp_path / f"{index}.mp4")


@pytest.mark.parametrize(
    ("name", "codec", "extra", "suffix"),
    [
        ("mp4", "h264", "", ".mp4"),
        ("webm", "vp9", "", ".webm"),
        ("mov", "hevc", "-tag:v hvc1", ".mov"),
        ("av1-mp4", "av1", "", ".mp4"),
        ("ts", "h264", "", ".ts"),
        ("ts-long", "h264-long", "", ".ts"),
        ("ts-open", "h264-open", "", ".ts"),
        ("flv", "h264-long", "", ".flv"),
        ("late", "h264", "-output_ts_offset 3.7", ".mkv"),
        ("late-mp4", "h264", "-output_ts_offset 3.7", ".mp4"),
        ("fragments", "h264", "-movflags +frag_keyframe+empty_moov", ".mp4"),
        ("early-sound", "h264-open", "-movflags +negative_cts_offsets", ".mp4"),
    ],
)
def test_a_cut_is_exact_in_every_container(
    name: str, codec: str, extra: str, suffix: str, tmp_path: Path
) -> None:
    source = numbered(name, CODECS[codec], "30000/1001", extra, suffix)
    for index, kept in enumerate(TRIMS):
        check(source, kept, tmp_path / f"{index}.mp4")


@pytest.mark.parametrize("codec", ["h264", "h264-open"])
def test_frames_that_an_edit_list_hides_stay_hidden(codec: str, tmp_path: Path) -> None:
    """What `-ss` with `-c copy` makes: packets from a keyframe on, of which an edit list hides the first."""
    whole = numbered(f"mp4-{codec}", CODECS[codec], "25", suffix=".mp4")
    source = tmp_path / "edited.mp4"
    run_ffmpeg(["-ss", "2.1", "-i", str(whole), "-c", "copy", str(source)])
    assert origin(source).numbers[0] > 0
    for index, kept in enumerate([[(Fraction(0), Fraction(1, 2))], [(Fraction(2), Fraction(5, 2))]]):
        check(source, kept, tmp_path / f"{index}.mp4")


@pytest.mark.parametrize("rate", ["24000/1001", "vfr"])
def test_after_500_cuts_sound_and_picture_are_where_they_belong(rate: str, tmp_path: Path) -> None:
    source = numbered(f"h264-{rate}", CODECS["h264"], rate)
    part = Fraction(9, 1000)
    kept = [(index * part, index * part + Fraction(1 + index % 7, 1000)) for index in range(500)]
    output = rendered(source, kept, tmp_path / "out.nut", Target(lossless=True))
    expected = wanted(origin(source), kept)
    got = seen(output)
    assert got.numbers == expected.numbers
    assert all(abs(a - b) <= Fraction(2, 90_000) for a, b in zip(got.times, expected.times, strict=True))
    assert np.allclose(samples(output), cut_samples(samples(source), kept, 48_000), atol=2e-4)


def samples(path: Path) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    with av.open(str(path)) as container:
        parts = [frame.to_ndarray().reshape(-1) for frame in container.decode(container.streams.audio[0])]
    joined = np.concatenate(parts)
    return joined.astype(np.float32) / (32768 if joined.dtype == np.int16 else 1)


def test_a_gap_at_a_cut_stays_a_gap(tmp_path: Path) -> None:
    """No frame begins for 0.8 s from 2.33 s on: a cut within that begins with as long a wait as is left."""
    source = numbered("h264-vfr", CODECS["h264"], "vfr")
    kept = [(Fraction(1), Fraction(2)), (Fraction(5, 2), Fraction(4))]
    got = seen(rendered(source, kept, tmp_path / "out.mp4"))
    after = next(time for time in got.times if time >= 1)
    assert after - 1 > Fraction(1, 2)
    assert got.numbers == wanted(origin(source), kept).numbers
