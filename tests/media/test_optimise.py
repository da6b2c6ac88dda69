"""The results of the optimiser, compared as plain values."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest

from tessera.media.algebra.expression import Image, Picture, Sound, walk
from tessera.media.algebra.optimiser import RULES, optimise
from tessera.media.algebra.time import Range

TALK = Picture.source("talk", width=1920, height=1080, rate=Fraction(30), duration=Fraction(36_000))
OTHER = Picture.source("other", width=1920, height=1080, rate=Fraction(25), duration=Fraction(600))
LOGO = Image.source("logo", width=200, height=100)
VOICE = Sound.source("talk", rate=48_000, channels=2, duration=Fraction(600))


def seconds(*pairs: tuple[int, int]) -> list[Range]:
    return [(Fraction(start), Fraction(end)) for start, end in pairs]


def test_clips_of_a_reframed_and_marked_talk_decode_only_the_frames_they_show() -> None:
    marked = TALK.crop(656, 0, 608, 1080).scale(1080, 1920).overlay(LOGO, 20, 20)
    clip = marked.keep(seconds((600, 700))).keep(seconds((10, 30)))
    cut = TALK.keep(seconds((610, 630)))
    assert optimise(clip) is cut.crop(656, 0, 608, 1080).scale(1080, 1920).overlay(LOGO, 20, 20)


def test_parts_of_one_source_with_equal_changes_become_one_cut_changed_once() -> None:
    cuts = seconds(*((second, second + 3) for second in range(0, 35_000, 7)))
    parts = [TALK.keep([cut]).flip(horizontal=True).overlay(LOGO, 0, 0) for cut in cuts]
    assert len(parts) == 5_000
    better = optimise(parts[0].then(*parts[1:]))
    assert better is TALK.keep(cuts).flip(horizontal=True).overlay(LOGO, 0, 0)


def test_parts_changed_in_different_ways_stay_separate() -> None:
    first, second = TALK.keep(seconds((0, 10))), TALK.keep(seconds((20, 30)))
    joined = first.flip(horizontal=True).then(second.flip(vertical=True))
    assert optimise(joined) is joined


def test_parts_in_another_order_stay_parts() -> None:
    late, early = TALK.keep(seconds((60, 70))), TALK.keep(seconds((0, 10)))
    assert optimise(late.then(early)) is late.then(early)


def test_only_the_parts_that_are_kept_remain() -> None:
    joined = TALK.keep(seconds((0, 10))).then(OTHER).then(TALK.keep(seconds((500, 510))))
    assert optimise(joined.keep(seconds((12, 15)))) is OTHER.keep(seconds((2, 5)))


def test_a_cut_does_not_move_past_an_effect_with_memory() -> None:
    cut = VOICE.denoise().keep(seconds((5, 6)))
    assert optimise(cut) is cut


def test_a_cut_does_not_move_past_a_picture_with_other_frame_times() -> None:
    over = TALK.keep(seconds((0, 600))).overlay(OTHER.scale(320, 180), 0, 0)
    cut = over.keep(seconds((5, 6)))
    assert optimise(cut) is cut


@pytest.mark.parametrize(
    "picture",
    [
        TALK.flip(horizontal=True).flip(horizontal=True),
        TALK.flip(horizontal=True).flip(vertical=True).flip(horizontal=True, vertical=True),
        TALK.overlay(LOGO, 1920, 0),
        TALK.overlay(LOGO, 0, -100),
        TALK.overlay(LOGO, 10, 10, opacity=Fraction(0)),
        TALK.keep(seconds((0, 5), (5, 36_000))),
        TALK.overlay(TALK, 0, 0),
    ],
)
def test_an_operation_without_effect_is_removed(picture: Picture) -> None:
    assert optimise(picture) is TALK


def test_an_overlay_outside_the_crop_is_removed() -> None:
    left, right = TALK.overlay(LOGO, 0, 0), TALK.overlay(LOGO, 1700, 0)
    assert optimise(left.crop(960, 0, 960, 1080)) is TALK.crop(960, 0, 960, 1080)
    assert optimise(right.crop(960, 0, 960, 1080)) is TALK.crop(960, 0, 960, 1080).overlay(LOGO, 740, 0)


def test_consecutive_crops_are_merged_even_across_a_flip() -> None:
    cropped = TALK.crop(100, 0, 1000, 1000).flip(horizontal=True).crop(0, 10, 400, 400)
    assert optimise(cropped) is TALK.crop(700, 10, 400, 400).flip(horizontal=True)


def test_odd_crops_stay_separate_since_half_a_chroma_pixel_cannot_be_cut() -> None:
    cropped = TALK.crop(101, 0, 1000, 1000).crop(1, 0, 400, 400)
    assert optimise(cropped) is cropped


def test_a_crop_limits_the_scaled_area() -> None:
    better = optimise(TALK.scale(3840, 2160).crop(0, 0, 960, 540))
    scaled = next(node for node in walk(better) if node.op == "scale")
    assert isinstance(scaled, Picture)
    assert 960 * 540 <= scaled.width * scaled.height <= 1.1 * 960 * 540


def test_a_picture_that_is_used_uncropped_elsewhere_is_not_made_again_for_a_crop() -> None:
    large = TALK.scale(3840, 2160)
    both = large.overlay(large.crop(0, 0, 960, 540), 0, 0)
    assert optimise(both) is both


def test_a_wide_blur_is_made_on_a_small_copy() -> None:
    assert optimise(TALK.blur(20)) is TALK.scale(480, 270).blur(5).scale(1920, 1080)
    assert optimise(TALK.scale(1280, 720).blur(20)) is TALK.scale(320, 180).blur(5).scale(1280, 720)
    assert optimise(TALK.blur(4)) is TALK.blur(4)


def test_the_work_grows_linearly_with_the_expression() -> None:
    def steps(length: int) -> int:
        picture, fired = TALK, Counter[str]()
        for number in range(length):
            picture = picture.keep([(Fraction(1, 10), picture.duration - Fraction(1, 10))])
            picture = picture.flip(horizontal=number % 3 > 0, vertical=number % 3 == 0).overlay(LOGO, 0, 0)
        optimise(picture, fired=fired)
        return fired.total()

    assert steps(2_000) <= 2 * steps(1_000) + 10


def test_every_rule_has_a_name_and_a_one_line_law() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert "=" in rule.law
        assert "\n" not in rule.law
        assert rule.ops


def test_the_applied_rules_are_counted() -> None:
    fired = Counter[str]()
    optimise(
        TALK.keep(seconds((0, 9))).keep(seconds((1, 5))).flip(horizontal=True).flip(vertical=True),
        fired=fired,
    )
    assert fired == {"merge cuts": 1, "fuse flips": 1}
