"""A kept range has exactly the frames that begin within it, for every codec, rate and container."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tessera.media.algebra.time import Range
from tessera.media.ffmpeg.compiler import EncodeSettings
from tessera.media.probe.probe import probe as info_of
from tessera.media.process.process import run_ffmpeg
from tests.support.media import cut_samples
from tests.support.numbered import CODECS, RATES, numbered, origin, rendered, samples, seen, wanted

TRIMS: list[list[Range]] = [
    [(Fraction(1001, 1000), Fraction(2))],
    [(Fraction(3003, 1000), Fraction(4004, 1000)), (Fraction(17, 4), Fraction(9, 2))],
    [(Fraction(10, 3), Fraction(7, 2)), (Fraction(1, 7), Fraction(1, 2)), (Fraction(10, 3), Fraction(4))],
]
"""Ranges on frames and between them, with and without a seek, ascending, descending and repeated."""


def check(source: Path, kept: Sequence[Range], output: Path) -> None:
    expected = wanted(source, kept)
    got = seen(rendered(source, kept, output))
    assert got.numbers == expected.numbers
    off = max(abs(a - b) for a, b in zip(got.times, expected.times, strict=True))
    assert off <= Fraction(2, 90_000), float(off)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("codec", CODECS)
def test_a_cut_contains_the_frames_that_begin_within_it(codec: str, rate: str, tmp_path: Path) -> None:
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
    """`-ss` with `-c copy` writes packets from a keyframe on, and an edit list hides the first ones."""
    whole = numbered(f"mp4-{codec}", CODECS[codec], "25", suffix=".mp4")
    source = tmp_path / "edited.mp4"
    run_ffmpeg(["-ss", "2.1", "-i", str(whole), "-c", "copy", str(source)])
    assert origin(source).numbers[0] > 0
    for index, kept in enumerate([[(Fraction(0), Fraction(1, 2))], [(Fraction(2), Fraction(5, 2))]]):
        check(source, kept, tmp_path / f"{index}.mp4")


@pytest.mark.parametrize("rate", ["24000/1001", "vfr"])
def test_sound_and_picture_stay_in_sync_after_500_cuts(rate: str, tmp_path: Path) -> None:
    source = numbered(f"h264-{rate}", CODECS["h264"], rate)
    part = Fraction(9, 1000)
    kept = [(index * part, index * part + Fraction(1 + index % 7, 1000)) for index in range(500)]
    output = rendered(source, kept, tmp_path / "out.nut", EncodeSettings(lossless=True))
    expected = wanted(source, kept)
    got = seen(output)
    assert got.numbers == expected.numbers
    assert all(abs(a - b) <= Fraction(2, 90_000) for a, b in zip(got.times, expected.times, strict=True))
    assert np.allclose(samples(output), cut_samples(samples(source), kept, 48_000), atol=2e-4)


def test_a_cut_within_a_long_picture_begins_with_it(tmp_path: Path) -> None:
    """No frame begins between 2.33 s and 3.13 s: a cut within that gap begins with the frame on screen."""
    source = numbered("h264-vfr", CODECS["h264"], "vfr")
    kept = [(Fraction(1), Fraction(2)), (Fraction(5, 2), Fraction(4))]
    check(source, kept, tmp_path / "out.mp4")
    real, got = origin(source), seen(tmp_path / "out.mp4")
    on_screen = max(time for time in real.times if time <= Fraction(5, 2))
    assert Fraction(5, 2) - on_screen > Fraction(1, 10)
    assert got.numbers[got.times.index(Fraction(1))] == real.numbers[real.times.index(on_screen)]


SLIDES = {
    "a second each": "fps=1",
    "five seconds each, in a container of milliseconds": "fps=1/5",
    "ten in a second, then none for two": "fps=10,select='lt(t,1)+gt(t,3)'",
}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("slides", SLIDES.values(), ids=SLIDES.keys())
def test_a_clip_within_a_long_picture_shows_it(slides: str, suffix: str, tmp_path: Path) -> None:
    """The clip is shorter than a picture, and no picture begins within it."""
    source = numbered(f"slides-{slides}", f"-vf {slides} -c:v libx264 -preset veryfast", "25", suffix=suffix)
    real = origin(source)
    start, end = Fraction(22, 10), Fraction(28, 10)
    assert not any(start <= time < end for time in real.times)
    on_screen = max(time for time in real.times if time <= start)
    check(source, [(start, end)], tmp_path / "out.mp4")
    got = seen(tmp_path / "out.mp4")
    assert (got.times, got.numbers) == ((0,), (real.numbers[real.times.index(on_screen)],))
    assert abs(info_of(tmp_path / "out.mp4").duration - Fraction(6, 10)) < Fraction(1, 100)


def test_clips_within_long_pictures_are_joined_in_their_places(tmp_path: Path) -> None:
    source = numbered("slides-1", "-vf fps=1 -c:v libx264 -preset veryfast", "25", suffix=".mp4")
    kept = [(Fraction(a, 100), Fraction(b, 100)) for a, b in ((220, 260), (310, 480), (50, 70), (90, 95))]
    check(source, kept, tmp_path / "out.mp4")
    real = origin(source)
    places = [real.times.index(Fraction(time)) for time in (2, 4, 0, 0)]
    assert seen(tmp_path / "out.mp4").numbers == tuple(real.numbers[place] for place in places)
