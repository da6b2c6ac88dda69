"""Laws 3 and 4 of the media algebra, on real renders."""

from __future__ import annotations

import gc
import json
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tessera.errors import RenderError
from tessera.media.algebra.expression import Image, Picture, Sound, dump, load
from tessera.media.algebra.item import Video
from tessera.media.algebra.optimiser import optimise
from tessera.media.probe.probe import probe
from tests.laws.expressions import pictures, ranges
from tests.support.media import SOURCES, cut_samples, located, nearest, renderer, source, taken, whole
from tests.support.picture_law import pictures_in

REAL = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@given(st.data(), st.sampled_from(sorted(SOURCES)))
@REAL
def test_a_range_keeps_its_frames_and_begins_with_the_one_on_screen(data: st.DataObject, name: str) -> None:
    video = source(name)
    kept = data.draw(ranges(video.duration))
    real = whole(name)
    shown = list(pictures_in(real.times, located(name).info, kept))
    wanted, times = [real.frames[number] for number, _time in shown], [time for _number, time in shown]
    if not wanted:
        return
    got = taken(video.picture.keep(kept))
    assert list(got.frames) == wanted
    assert all(abs(a - b) <= Fraction(2, 90_000) for a, b in zip(got.times, times, strict=True))


@given(st.data(), st.sampled_from(["pal", "ntsc"]), st.sampled_from([4, 40]))
@REAL
def test_sound_is_cut_at_the_exact_sample_without_drift(data: st.DataObject, name: str, most: int) -> None:
    video = source(name)
    assert video.sound is not None
    kept = data.draw(ranges(video.duration, most))
    cut = video.sound.keep(kept)
    got = taken(None, cut).samples
    expected = cut_samples(whole(name).samples, kept, cut.rate)
    assert len(got) == len(expected) == nearest(cut.duration * cut.rate)
    assert np.allclose(got, expected, atol=2e-4)


@st.composite
def sounds(draw: st.DrawFn) -> Sound:
    """Draw a sound expression over the small sources."""
    sound = source("pal").sound
    other = source("ntsc").sound
    assert sound is not None
    assert other is not None
    for _ in range(draw(st.integers(1, 4))):
        step = draw(st.sampled_from(["cut", "cut", "join", "silence", "denoise"]))
        if step == "cut":
            sound = sound.keep(draw(ranges(sound.duration, draw(st.sampled_from([3, 30])))))
        elif step == "join":
            sound = sound.then(other.keep([(Fraction(1, 3), Fraction(4, 5))]), sound)
        elif step == "silence":
            sound = sound.then(Sound.silence(Fraction(1, 7), rate=sound.rate, channels=sound.channels))
        else:
            sound = sound.denoise()
    return sound


def optimised(sound: Sound) -> Sound:
    better = optimise(sound)
    assert isinstance(better, Sound)
    return better


@given(sounds())
@REAL
def test_an_optimised_sound_has_the_same_samples(sound: Sound) -> None:
    note(json.dumps(dump(sound)[:-1]))
    plain, better = taken(None, sound).samples, taken(None, optimised(sound)).samples
    assert len(plain) == nearest(sound.duration * sound.rate)
    assert np.array_equal(plain, better)


@given(pictures(), st.booleans())
@REAL
def test_a_rendered_file_has_the_size_and_length_of_its_expression(
    picture: Picture, with_sound: bool
) -> None:
    sound = Sound.silence(picture.duration) if with_sound else None
    video = Video(picture, sound)
    if picture.duration < 1 / picture.rate:
        return
    try:
        path = renderer().render(video, Path(_scratch()) / "law4.mp4").path
    except RenderError as error:
        if "contains no frame" not in str(error):
            raise
        return
    info = probe(path)
    assert info.picture is not None
    assert (info.picture.width, info.picture.height) == (picture.width, picture.height)
    assert (info.sound is not None) == with_sound
    if info.sound is not None:
        assert abs(info.sound.duration - picture.duration) <= Fraction(1024, info.sound.rate)


def _scratch() -> str:
    from tests.support.media import folder

    return str(folder())


@given(pictures())
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_expressions_survive_json_and_equal_expressions_are_one_object(picture: Picture) -> None:
    assert load(dump(picture)) is picture


@given(pictures())
@REAL
def test_an_expression_that_is_made_anew_has_the_same_digest_and_frame_times(picture: Picture) -> None:
    flat, digest, clock = dump(picture), picture.digest, picture.clock
    del picture
    gc.collect()
    # Asked for in the other order, and of the last node first.
    again = load(flat)
    assert (again.clock, again.digest) == (clock, digest)


def test_a_chain_of_any_length_has_a_digest_and_frame_times() -> None:
    picture = source("pal").picture
    for _ in range(5_000):
        picture = picture.flip(horizontal=True)
    assert len(picture.digest) == 32
    assert picture.clock == source("pal").picture.clock


def test_arguments_of_different_types_make_different_expressions() -> None:
    picture, mark = source("pal").picture, Image.drawn("type", "mark", width=10, height=10)
    whole_number = picture.overlay(mark, 0, 0, opacity=1)  # type: ignore[arg-type]
    fraction = picture.overlay(mark, 0, 0, opacity=Fraction(1))
    assert whole_number is not fraction
    assert whole_number.digest != fraction.digest


def test_threads_that_make_equal_expressions_get_one_object() -> None:
    picture = source("pal").picture

    def made(number: int) -> Picture:
        return picture.flip(horizontal=True).keep([(Fraction(0), Fraction(number % 50 + 1, 100))])

    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            found = list(pool.map(made, range(400)))
            assert len({id(one) for one in found}) == 50
            assert all(one is made(number) for number, one in enumerate(found))
            del found


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_a_cut_file_has_the_duration_and_rate_of_its_expression(name: str, tmp_path: Path) -> None:
    video = source(name).keep([(Fraction(1, 2), Fraction(3, 2))])
    info = probe(renderer().render(video, tmp_path / "out.mp4").path)
    assert info.picture is not None
    assert abs(info.picture.duration - video.duration) <= 1 / video.picture.rate
    assert name == "vfr" or info.picture.rate == video.picture.rate
