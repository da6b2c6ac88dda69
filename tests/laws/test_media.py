"""Laws 3 and 4 of the media algebra, on real renders."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import RenderError
from engine.media.expr import Picture, Sound, dump, load
from engine.media.item import Video
from engine.media.probe import probe
from tests.laws.expressions import pictures, ranges
from tests.media import SOURCES, renderer, source, taken, whole

REAL = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@given(st.data(), st.sampled_from(sorted(SOURCES)))
@REAL
def test_a_range_keeps_the_frames_from_its_start_up_to_but_not_its_end(
    data: st.DataObject, name: str
) -> None:
    video = source(name)
    kept = data.draw(ranges(video.duration))
    real = whole(name)
    wanted, times, at = [], [], Fraction(0)
    for start, end in kept:
        for time, frame in zip(real.times, real.frames, strict=True):
            if start <= time < end:
                wanted.append(frame)
                times.append(at + time - start)
        at += end - start
    if not wanted:
        return
    got = taken(video.picture.keep(kept))
    assert list(got.frames) == wanted
    assert all(abs(a - b) <= Fraction(2, 90_000) for a, b in zip(got.times, times, strict=True))


@given(st.data(), st.sampled_from(["pal", "ntsc"]))
@REAL
def test_sound_is_cut_at_the_sample_and_never_drifts(data: st.DataObject, name: str) -> None:
    video = source(name)
    assert video.sound is not None
    kept = data.draw(ranges(video.duration))
    cut = video.sound.keep(kept)
    got = taken(None, cut).samples
    real = whole(name).samples
    rate, at, wanted = cut.rate, Fraction(0), []
    for start, end in kept:
        count = _round((at + end - start) * rate) - _round(at * rate)
        first = _round(start * rate)
        part = real[first : first + count]
        wanted.append(np.pad(part, (0, count - len(part))))
        at += end - start
    expected = np.concatenate(wanted)
    assert len(got) == len(expected) == _round(cut.duration * rate)
    assert np.allclose(got, expected, atol=2e-4)


def _round(value: Fraction) -> int:
    return int((value + Fraction(1, 2)) // 1)


@given(pictures(), st.booleans())
@REAL
def test_a_file_is_what_its_expression_says(picture: Picture, with_sound: bool) -> None:
    sound = Sound.silence(picture.duration) if with_sound else None
    video = Video(picture, sound)
    if picture.duration < 1 / picture.rate:
        return
    try:
        path = renderer().render(video, Path(_scratch()) / "law4.mp4").path
    except RenderError as error:
        if "no frame lies within" not in str(error):
            raise
        return
    info = probe(path)
    assert info.picture is not None
    assert (info.picture.width, info.picture.height) == (picture.width, picture.height)
    assert (info.sound is not None) == with_sound
    if info.sound is not None:
        assert abs(info.sound.duration - picture.duration) <= Fraction(1024, info.sound.rate)


def _scratch() -> str:
    from tests.media import folder

    return str(folder())


@given(pictures())
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_expressions_survive_json_and_equal_ones_are_one_object(picture: Picture) -> None:
    assert load(dump(picture)) is picture


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_duration_and_rate_of_a_cut_file_are_as_described(name: str, tmp_path: Path) -> None:
    video = source(name).keep([(Fraction(1, 2), Fraction(3, 2))])
    info = probe(renderer().render(video, tmp_path / "out.mp4").path)
    assert info.picture is not None
    frame = 1 / video.picture.rate
    assert abs(info.picture.duration - video.duration) <= frame * (4 if name == "vfr" else 1)
    assert name == "vfr" or info.picture.rate == video.picture.rate
