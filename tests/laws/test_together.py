"""Renders that share a decoder give the same files as single renders, and share it only if that pays."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st

from tessera.media.algebra.expression import Image, Picture, Sound, dump
from tessera.media.algebra.item import Audio, Value, Video
from tessera.media.ffmpeg.compiler import EncodeSettings
from tessera.media.render.decoder_groups import groups_of
from tests.laws.expressions import changed, ranges
from tests.support.media import renderer, source

TALK = Picture.source("talk", width=640, height=360, rate=Fraction(25), duration=Fraction(3600))


def clip(start: int, end: int, picture: Picture = TALK) -> Video:
    """Return a range in seconds of a mirrored picture, so that it has to be encoded."""
    return Video(picture.flip(horizontal=True).keep([(Fraction(start), Fraction(end))]))


def test_outputs_of_one_whole_video_share_a_decoder() -> None:
    square, tall = Video(TALK.crop(140, 0, 360, 360)), Video(TALK.crop(218, 0, 202, 360).scale(360, 640))
    assert groups_of([square, tall]) == [[0, 1]]


def test_clips_far_apart_each_have_their_own_decoder() -> None:
    assert groups_of([clip(600, 620), clip(1800, 1820), clip(3000, 3020)]) == []
    assert groups_of([clip(0, 20), clip(20, 40)]) == []


def test_each_clip_in_two_shapes_is_decoded_once() -> None:
    wide = [clip(600, 620), clip(1800, 1820)]
    square = [Video(one.picture.crop(0, 0, 360, 360)) for one in wide]
    assert groups_of([*wide, *square]) == [[0, 2], [1, 3]]


@pytest.mark.parametrize(
    ("second", "shared"),
    [
        ((10, 30), True),
        ((11, 30), False),
        ((0, 10), True),
        ((0, 9), False),
        ((0, 40), True),
        ((0, 41), False),
    ],
)
def test_outputs_that_share_a_decoder_read_nearly_the_same_range(
    second: tuple[int, int], shared: bool
) -> None:
    assert (groups_of([clip(0, 20), clip(*second)]) == [[0, 1]]) is shared


def test_an_output_that_begins_much_later_does_not_share_a_decoder() -> None:
    assert groups_of([clip(0, 600), clip(20, 500)]) == [[0, 1]]
    assert groups_of([clip(0, 600), clip(21, 500)]) == []


def test_at_most_four_encoders_run_beside_one_decoder() -> None:
    shapes = [Video(TALK.crop(0, 0, 100 + 2 * number, 100)) for number in range(9)]
    assert sorted(map(len, groups_of(shapes))) == [4, 4]


def test_copies_equal_outputs_and_outputs_without_video_share_no_decoder() -> None:
    mirrored = Video(TALK.flip(horizontal=True))
    whole, cut = Video(TALK), Video(TALK.keep([(Fraction(1), Fraction(5))]))
    sound = Audio(Sound.source("talk", rate=48_000, channels=2, duration=Fraction(3600)))
    values: list[Value] = [whole, mirrored, cut, mirrored, sound, Image.source("logo", width=4, height=4)]
    assert groups_of(values) == []


def test_an_output_that_reads_from_two_places_is_rendered_alone() -> None:
    other = Picture.source("other", width=640, height=360, rate=Fraction(25), duration=Fraction(3600))
    joined = Video(clip(0, 20).picture.then(clip(0, 20, other).picture))
    backwards = [(Fraction(100), Fraction(120)), (Fraction(0), Fraction(20))]
    twice = Video(TALK.keep(backwards).flip(vertical=True))
    assert groups_of([joined, Video(TALK.flip(horizontal=True)), twice]) == []


@st.composite
def families(draw: Any) -> list[Video]:
    """Draw two to four different videos of the same part of a source, or of nearly the same part."""
    whole = source(draw(st.sampled_from(["ntsc", "pal", "film", "vfr"])))
    part = whole.keep(draw(ranges(whole.duration, steps=(7, 3)))) if draw(st.booleans()) else whole
    found = []
    for _ in range(draw(st.integers(2, 4))):
        own = part.keep(draw(ranges(part.duration, most=2, steps=(7, 3)))) if draw(st.booleans()) else part
        sound = draw(st.sampled_from([own.sound, None]))
        found.append(Video(changed(draw, own.picture), sound))
    return found


TARGETS = [EncodeSettings(lossless=True), EncodeSettings(preset="ultrafast")]


@pytest.mark.parametrize("target", TARGETS, ids=["lossless", "x264"])
def test_files_rendered_together_equal_files_rendered_alone(target: EncodeSettings) -> None:
    @given(families())
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    def same(videos: Sequence[Video]) -> None:
        groups = groups_of(videos)
        assume(groups)
        for group in groups:
            members = [videos[number] for number in group]
            note(json.dumps([dump(one.picture)[:-1] for one in members]))
            with tempfile.TemporaryDirectory() as name:
                alone = [Path(name) / f"alone-{number}.mp4" for number in group]
                both = [Path(name) / f"both-{number}.mp4" for number in group]
                for video, path in zip(members, alone, strict=True):
                    renderer(target=target).render(video, path)
                made = renderer(target=target).render_together(list(zip(members, both, strict=True)))
                assert len({one.commands[-1] for one in made}) == 1
                for one, other in zip(alone, both, strict=True):
                    assert one.read_bytes() == other.read_bytes()

    same()
