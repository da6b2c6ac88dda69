"""The size, form or sound of a source changes midway: one size, every overlay, and the sound in step."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from tests.support.parameters import (
    HEIGHT,
    TS,
    WIDTH,
    X264,
    bursts,
    heard,
    joined,
    located,
    make,
    marked,
    numbers,
    picture_info,
    rendered,
    shown,
    video,
)

CODINGS = {
    "h264.ts": (X264, TS),
    "hevc.ts": ("-c:v libx265 -preset ultrafast -x265-params keyint=10:bframes=0:log-level=error", TS),
    "mpeg2.ts": ("-c:v mpeg2video -q:v 2 -bf 0", TS),
    "vp8.webm": ("-c:v libvpx -b:v 2M -deadline realtime", ""),
    "vp9.webm": ("-c:v libvpx-vp9 -b:v 2M -deadline realtime -cpu-used 8", ""),
    "av1.mkv": ("-c:v libsvtav1 -preset 12 -crf 20 -svtav1-params lp=2", ""),
    "h264.mp4": (X264, ""),
    "h264.flv": (X264, ""),
    "mjpeg.avi": ("-c:v mjpeg -q:v 2", ""),
}


def twice_as_large(name: str) -> Path:
    """Return 25 pictures of one size and then 25 of twice that size."""
    coding, muxing = CODINGS[name]
    stem, suffix = name.split(".")
    parts = [
        make(f"{stem}-{scale}.{suffix}", numbers(first, scale=scale), f"{coding} {muxing}")
        for first, scale in ((0, 1), (25, 2))
    ]
    return joined(f"larger-{name}", parts, muxing)


@pytest.mark.parametrize("name", CODINGS)
def test_every_picture_has_the_first_ones_size_and_the_mark(name: str, tmp_path: Path) -> None:
    path = twice_as_large(name)
    assert picture_info(path).varies
    note = next(one for one in located(path).info.notes if "changes" in one)
    assert f"its size from {WIDTH}×{HEIGHT} to {2 * WIDTH}×{2 * HEIGHT}" in note
    rendered(path, marked(video(path).picture), None, tmp_path / "out.mp4")
    found = shown(tmp_path / "out.mp4")
    assert found.sizes == {(WIDTH, HEIGHT)}
    # The decoder of MPEG-2 drops the picture before a new size.
    lost = {24} if name == "mpeg2.ts" else set()
    assert found.numbers == tuple(sorted({*range(50)} - lost))
    assert all(found.marked)


def test_a_crop_shows_the_same_part_before_and_after_the_change(tmp_path: Path) -> None:
    path = twice_as_large("h264.ts")
    picture = video(path).picture
    late = picture.duration - Fraction(2, 5)
    part = picture.keep([(Fraction(1, 5), Fraction(3, 5)), (late, picture.duration)]).crop(0, 16, WIDTH, 32)
    rendered(path, marked(part), None, tmp_path / "out.mp4")
    found = shown(tmp_path / "out.mp4")
    assert found.sizes == {(WIDTH, 32)}
    assert found.numbers == (*range(5, 15), *range(40, 50))
    assert all(found.marked)


@pytest.mark.parametrize(
    "change",
    [
        "-pix_fmt yuv444p",
        "-pix_fmt yuv420p10le",
        "-vf scale=out_range=pc -color_range pc",
        "-vf setsar=4/3",
        "-colorspace bt709 -color_primaries bt709 -color_trc bt709",
    ],
)
def test_a_change_of_form_alone_loses_no_overlay(change: str, tmp_path: Path) -> None:
    safe = change.replace("/", "-").replace(" ", "")
    parts = [
        make("form.ts", numbers(), f"{X264} {TS}"),
        make(f"{safe}.ts", numbers(25), f"{X264} {change} {TS}"),
    ]
    path = joined(f"form-{safe}.ts", parts, TS)
    assert picture_info(path).varies
    rendered(path, marked(video(path).picture), None, tmp_path / "out.mp4")
    found = shown(tmp_path / "out.mp4")
    assert found.sizes == {(WIDTH, HEIGHT)}
    assert found.numbers == tuple(range(50))
    assert all(found.marked)


def test_a_wider_picture_is_padded_not_stretched(tmp_path: Path) -> None:
    parts = [
        make("narrow.ts", numbers(), f"{X264} {TS}"),
        make("wide.ts", f"color=white:s={2 * WIDTH}x{HEIGHT}:r=25:d=1", f"{X264} -pix_fmt yuv420p {TS}"),
    ]
    path = joined("wider.ts", parts, TS)
    picture = video(path).picture
    bars = picture.keep([(picture.duration - Fraction(1, 2), picture.duration)])
    tall = {}
    for name, top in (("above", 0), ("middle", HEIGHT // 2 - 4), ("below", HEIGHT - 8)):
        output = tmp_path / f"{name}.mp4"
        rendered(path, bars.crop(0, top, WIDTH, 8), None, output)
        tall[name] = set(shown(output).numbers)
    assert tall == {"above": {0}, "middle": {255}, "below": {0}}


@pytest.mark.parametrize("name", ["h264.mp4", "vp9.webm"])
def test_a_source_that_changes_is_not_copied(name: str, tmp_path: Path) -> None:
    path = twice_as_large(name)
    for picture in (video(path).picture, video(path).picture.keep([(Fraction(1, 5), Fraction(9, 5))])):
        made = rendered(path, picture, None, tmp_path / "out.mp4").made
        assert made is not None
        assert made.picture == "encoded"
        assert "changes within the file" in made.note


def test_headers_that_differ_without_a_change_are_no_change() -> None:
    parts = [
        make("one.ts", numbers(), f"{X264} {TS}"),
        make("other.ts", numbers(25), f"{X264} -refs 1 -bf 0 -level 4.2 {TS}"),
    ]
    path = joined("same-picture.ts", parts, TS)
    assert not picture_info(path).varies


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("aac -ac 2", "aac -ac 1"),
        ("aac -ac 2", "aac -ac 2 -ar 44100"),
        ("ac3 -ac 2", "ac3 -ac 6"),
        ("ac3 -ac 6", "ac3 -ac 2"),
        ("mp2 -ac 2", "mp2 -ac 1"),
    ],
)
def test_a_sound_that_changes_stays_in_step_and_costs_no_overlay(
    before: str, after: str, tmp_path: Path
) -> None:
    names = [form.replace(" ", "") for form in (before, after)]
    parts = [
        make(f"{name}-{first}.ts", numbers(25 * first), f"{X264} -c:a {form} {TS}", bursts(2 * first, 1))
        for first, (name, form) in enumerate(zip(names, (before, after), strict=True))
    ]
    path = joined(f"{'-'.join(names)}.ts", parts, TS)
    sound = located(path).info.sound
    assert sound is not None
    assert sound.varies
    assert any("changes the rate or the channels of its sound" in note for note in located(path).info.notes)
    whole = video(path)
    assert whole.sound is not None
    rendered(path, marked(whole.picture), whole.sound, tmp_path / "whole.mp4")
    found, times = shown(tmp_path / "whole.mp4"), heard(tmp_path / "whole.mp4")
    assert found.numbers == tuple(range(50))
    assert all(found.marked)
    assert list(times) == [0, 1, 2, 3]
    assert all(abs(second - number / 2) < 0.06 for number, second in times.items())
    half = [(Fraction(1, 2), Fraction(3, 2))]
    rendered(path, marked(whole.picture.keep(half)), whole.sound.keep(half), tmp_path / "half.mp4")
    assert all(shown(tmp_path / "half.mp4").marked)
    assert abs(heard(tmp_path / "half.mp4")[2] - 0.5) < 0.06
