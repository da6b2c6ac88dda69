"""Seeking: a render skips the unneeded part of a source, and has the needed part exact to the frame."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tessera.media.algebra.item import Video
from tessera.media.ffmpeg.compiler import compile_render
from tessera.media.ffmpeg.encode_settings import EncodeSettings
from tests.support.copies import expected, made, renderer, shown, video

MP4 = ["film", "fast", "late", "vfr", "open", "deep", "long", "hevc", "av1"]
NAMES = [*(f"{name}.mp4" for name in MP4), "pal.mkv"]
OFF = [Fraction(0), Fraction(1, 7), Fraction(1, 2)]
"""The beginning of a range between two frames, in frames."""


@pytest.mark.parametrize("name", NAMES)
def test_a_range_reached_by_seeking_shows_exactly_its_frames(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    frame = 1 / made(name).info.picture.rate  # type: ignore[union-attr]

    @given(
        st.integers(0, 150),
        st.sampled_from(OFF),
        st.integers(1, 20),
    )
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    def exact(first: int, off: Fraction, count: int) -> None:
        duration = video(name).duration
        start = min((first + off) * frame, duration - frame)
        end = min(start + (count + Fraction(1, 3)) * frame, duration)
        want = expected(name, [(start, end)])
        if not want.times:
            return
        path = tmp_path_factory.mktemp("cut") / "cut.nut"
        picture = video(name).picture.keep([(start, end)])
        renderer(target=EncodeSettings(lossless=True)).render(Video(picture), path)
        got = shown(path)
        assert got.hashes == want.hashes
        assert all(abs(a - b) < Fraction(1, 80_000) for a, b in zip(got.times, want.times, strict=True))

    exact()


def test_a_range_that_begins_at_a_keyframe_of_an_mp4_is_read_from_there() -> None:
    """Groups have 120 frames at 60 frames/s, and each frame is coded two frames before it is shown."""
    picture = video("long.mp4").picture.keep([(Fraction(2), Fraction(5, 2))])
    command = compile_render(
        picture, None, made("long.mp4").path, lambda leaf: made(leaf.arg("asset")), {}, EncodeSettings()
    )
    assert float(command.args[command.args.index("-ss") + 1]) == pytest.approx(2 - 2 / 60, abs=1e-5)
