"""Law 1: an optimised expression renders the same frames and samples."""

from __future__ import annotations

import json
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tessera.media.algebra.expression import Expr, Picture, Sound, dump, even
from tessera.media.algebra.optimiser import RULES, Rule, optimise
from tessera.media.process.process import run_ffmpeg
from tests.laws.expressions import pictures, pictures_for, sounds
from tests.laws.planes import fixture, luma, psnr, ssim, values
from tests.support.media import Taken, source, taken

EXACT = [rule for rule in RULES if rule.exactness == "exact"]


def real(examples: int) -> settings:
    """Return the Hypothesis settings of a test that renders."""
    return settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))


def rendered(node: Expr) -> Taken:
    return taken(node if isinstance(node, Picture) else None, node if isinstance(node, Sound) else None)


def assert_same(plain: Expr, better: Expr) -> None:
    """Assert that both expressions render the same frames at the same times, and the same samples.

    Samples may differ in the last bit of a fade: ffmpeg computes fades in blocks, and the blocks may
    begin at other samples.
    """
    expected, got = rendered(plain), rendered(better)
    assert got.frames == expected.frames
    assert all(abs(a - b) <= Fraction(5, 90_000) for a, b in zip(expected.times, got.times, strict=True))
    assert len(got.samples) == len(expected.samples)
    assert np.allclose(got.samples, expected.samples, rtol=0, atol=1e-7)


@given(pictures(8))
@real(30)
def test_the_exact_rules_together_change_no_frame(picture: Picture) -> None:
    note(json.dumps(dump(picture)[:-1]))
    assert_same(picture, optimise(picture, EXACT))


@given(sounds())
@real(12)
def test_the_exact_rules_together_change_no_sample(sound: Sound) -> None:
    assert_same(sound, optimise(sound, EXACT))


@pytest.mark.parametrize("rule", EXACT, ids=str)
def test_every_exact_rule_alone_changes_no_frame(rule: Rule) -> None:
    @given(pictures_for(rule.name).filter(lambda picture: optimise(picture, [rule]) is not picture))
    @real(4)
    def same(picture: Picture) -> None:
        note(json.dumps(dump(picture)[:-1]))
        assert_same(picture, optimise(picture, [rule]))

    same()


@pytest.mark.parametrize("name", ["film", "pal"])
def test_a_layer_cut_in_a_different_order_stays_on_its_frames(name: str) -> None:
    whole = source(name).picture
    first, second = (whole.keep([(Fraction(start, 7), Fraction(end, 7))]) for start, end in ((1, 3), (4, 11)))
    layer = first.flip(vertical=True).then(second).crop(0, 0, 40, 30)
    picture = first.then(second).overlay(layer, 4, 4)
    assert optimise(picture, EXACT) is not picture
    assert_same(picture, optimise(picture, EXACT))


@pytest.mark.parametrize("name", ["tenbit.mp4", "odd.mp4"])
def test_the_rules_change_no_frame_of_other_pixel_layouts(name: str) -> None:
    whole = fixture(name)
    picture = whole.keep([(Fraction(0), Fraction(1, 5))])
    picture = picture.overlay(picture.scale(40, 20), 4, 6).flip(horizontal=True).crop(2, 2, 60, 40)
    better = _picture(optimise(picture, EXACT))
    assert better is not picture
    assert np.array_equal(values(better), values(picture))


def test_the_rules_change_no_frame_of_sources_with_different_colour_spaces(tmp_path: Path) -> None:
    parts = []
    for matrix in ("smpte170m", "bt709"):
        path = tmp_path / f"{matrix}.mp4"
        noise = "testsrc2=s=64x36:r=25:d=0.2,noise=alls=40:all_seed=7"
        tags = ["-colorspace", matrix, "-color_primaries", matrix, "-color_trc", matrix]
        run_ffmpeg(["-f", "lavfi", "-i", noise, "-c:v", "libx264", "-pix_fmt", "yuv420p", *tags, str(path)])
        parts.append(fixture(str(path)).blur(2).scale(100, 50))
    picture = parts[0].then(parts[1])
    better = _picture(optimise(picture, EXACT))
    assert better.op == "scale"
    assert np.array_equal(values(better), values(picture))


def test_a_crop_of_a_scaled_picture_keeps_its_edges() -> None:
    """The edges of the crop lie on whole pixels before scaling, so a crop before scaling is exact there."""
    scaled = source("pal").picture.keep([(Fraction(0), Fraction(1, 5))]).scale(128, 72)
    for x, y in ((64, 0), (0, 36), (32, 16)):
        picture = scaled.crop(x, y, 32, 32)
        better = _picture(optimise(picture))
        assert better is not picture
        assert np.abs(values(better) - values(picture)).max() <= 1


@given(st.one_of(pictures(8), sounds(6)))
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_an_optimised_expression_cannot_be_optimised_further(node: Expr) -> None:
    better = optimise(node)
    again = Counter[str]()
    assert optimise(better, fired=again) is better
    assert not again


SHARP = ["talk.mp4", "street.mp4", "portrait.mp4"]
APPROXIMATE = [rule for rule in RULES if rule.exactness == "approximate"]


@st.composite
def resampled(draw: st.DrawFn) -> Picture:
    """Draw a sharp scaled picture below the operation that an approximate rule matches."""
    picture = fixture(draw(st.sampled_from(SHARP)))
    picture = picture.keep([(picture.duration / 2, picture.duration / 2 + Fraction(1, 10))])
    width, height = _size(draw, picture)
    above = draw(st.sampled_from([_cropped, _flipped, _scaled]))
    return above(draw, picture.flip(horizontal=draw(st.booleans())).scale(width, height))


def _size(draw: st.DrawFn, picture: Picture) -> tuple[int, int]:
    across, down = (draw(st.floats(0.25, 1.6)) for _ in range(2))
    return even(int(picture.width * across)), even(int(picture.height * down))


def _cropped(draw: st.DrawFn, picture: Picture) -> Picture:
    width, height = (even(int(side * draw(st.floats(0.2, 0.6)))) for side in (picture.width, picture.height))
    x, y = draw(st.integers(0, picture.width - width)), draw(st.integers(0, picture.height - height))
    return picture.crop(even(x), even(y), width, height)


def _flipped(draw: st.DrawFn, picture: Picture) -> Picture:
    return picture.flip(horizontal=True, vertical=draw(st.booleans()))


def _scaled(draw: st.DrawFn, picture: Picture) -> Picture:
    return picture.scale(*_size(draw, picture))


@pytest.mark.parametrize("rule", [rule for rule in APPROXIMATE if "SSIM" not in rule.law], ids=str)
def test_an_approximate_rule_stays_within_50_db_of_the_precise_result(rule: Rule) -> None:
    @given(resampled().filter(lambda picture: optimise(picture, [rule]) is not picture))
    @real(6)
    def near(picture: Picture) -> None:
        note(json.dumps(dump(picture)[:-1]))
        wanted = values(picture, precise=True)
        got = values(_picture(optimise(picture, [rule])))
        note(f"{psnr(wanted, got):.1f} dB, at most {np.abs(wanted - got).max():.1f} apart")
        assert psnr(wanted, got) >= 50

    near()


@given(st.sampled_from(SHARP), st.integers(6, 80))
@real(5)
def test_a_blur_of_a_smaller_copy_looks_like_a_blur_of_the_whole_picture(name: str, radius: int) -> None:
    picture = fixture(name)
    blurred = picture.keep([(picture.duration / 2, picture.duration / 2 + Fraction(1, 10))]).blur(radius)
    better = _picture(optimise(blurred))
    assert better is not blurred
    one, other = luma(blurred, values(blurred)), luma(better, values(better))
    assert ssim(one, other) >= 0.95


def _picture(node: Expr) -> Picture:
    assert isinstance(node, Picture)
    return node
