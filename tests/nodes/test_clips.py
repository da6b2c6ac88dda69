"""The Clips tile: the number of clips, their length, their place, and the reason."""

from __future__ import annotations

import time
from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations, pairwise
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.context import Context
from tessera.media.algebra.expression import Picture, Sound
from tessera.media.algebra.item import Item, Video
from tessera.media.algebra.time import Range
from tessera.node import Made
from tessera.nodes._windows import _choose, best_windows
from tessera.nodes.clips import Clips


class Answers:
    """A context that gives the answers of the test."""

    def __init__(self, speech: Sequence[Range] = (), levels: tuple[float, ...] | None = None) -> None:
        self._speech, self._levels = tuple(speech), levels
        self.deviations: list[tuple[str, str, str]] = []

    def not_as_asked(self, parameter: str, made: str, why: str) -> None:
        self.deviations.append((parameter, made, why))

    def speech(self, _video: Video) -> tuple[Range, ...]:
        return self._speech

    def levels(self, _video: Video) -> tuple[float, ...] | None:
        return self._levels


def video(duration: Fraction, asset: str = "a") -> Video:
    picture = Picture.source(asset, width=64, height=36, rate=Fraction(25), duration=duration)
    return Video(picture, Sound.source(asset, rate=48_000, channels=2, duration=duration))


def clips(duration: str | Fraction, answers: Answers | None = None, **params: Any) -> list[Made]:
    item = Item("input", 0, video(Fraction(duration)))
    return list(Clips().run(cast(Context, answers or Answers()), [item], Clips.Params(**params)))


def spans(made: Sequence[Made]) -> list[Range]:
    """Return the range of the source that each clip shows."""
    found = []
    for one in made:
        assert isinstance(one.value, Video)
        ((_source, start, end),) = one.value.picture.kept
        assert one.value.sound is not None
        assert one.value.sound.kept == one.value.picture.kept
        found.append((start, end))
    return found


def seconds(*ranges: tuple[float, float]) -> list[Range]:
    return [(Fraction(str(start)), Fraction(str(end))) for start, end in ranges]


# Rules


@pytest.mark.parametrize("duration", ["3", "9.99", "10", Fraction(10_000 - 1, 1001)])
def test_a_source_no_longer_than_the_target_passes_through(duration: str | Fraction) -> None:
    (made,) = clips(duration, target_duration=10.0, num_clips=3)
    assert made.value == video(Fraction(duration))
    assert "10 s" in made.why
    assert made.parents == (Item("input", 0, made.value),)


@pytest.mark.parametrize("duration", ["20", "29.97", "30", Fraction(100 * 1001, 30_000)])
def test_without_a_target_a_short_source_passes_through(duration: str | Fraction) -> None:
    for number in (None, 1):
        (made,) = clips(duration, num_clips=number)
        assert made.value == video(Fraction(duration))


def test_there_are_fewer_clips_if_not_all_fit() -> None:
    assert len(clips("19.999", target_duration=4.0, num_clips=20)) == 4
    assert len(clips("20", target_duration=4.0, num_clips=20)) == 5
    assert len(clips("5", target_duration=4.0, num_clips=2)) == 1
    assert len(clips(Fraction(7_999_900, 1_000_001), target_duration=4.0, num_clips=2)) == 1


def test_a_null_target_divides_the_source() -> None:
    assert spans(clips("60", num_clips=3)) == seconds((0, 20), (20, 40), (40, 60))
    assert spans(clips("24.024", num_clips=5))[-1] == (Fraction("19.216"), Fraction("24.020"))
    assert {end - start for start, end in spans(clips("600", num_clips=3))} == {30}


def test_a_shared_clip_holds_at_least_one_frame() -> None:
    assert all(end - start >= Fraction(1, 25) for start, end in spans(clips("0.5", num_clips=20)))


def test_a_null_number_keeps_the_windows_worth_keeping() -> None:
    talk = seconds((100, 128), (200, 220), (300, 305))
    assert len(clips("600", Answers(talk))) == 2
    assert len(clips("600", Answers(seconds((100, 128))))) == 1
    assert len(clips("600", Answers(seconds((0, 600))))) == 3


def test_each_video_is_cut_on_its_own() -> None:
    items = [Item("input", index, video(Fraction(60), asset)) for index, asset in enumerate("ab")]
    made = list(Clips().run(cast(Context, Answers()), items, Clips.Params(num_clips=2)))
    assert [one.parents for one in made] == [(items[0],)] * 2 + [(items[1],)] * 2


def test_the_reason_gives_rank_share_and_place() -> None:
    made = clips("3700", Answers(seconds((10.4, 13.4), (3650, 3652))), target_duration=4.0, num_clips=2)
    assert [one.why for one in made] == [
        "rank 1 of 2: speech in 75 % of 0:09.55–0:13.55",
        "rank 2 of 2: speech in 50 % of 1:00:48–1:00:52",
    ]


# Choice


def test_windows_contain_the_speech() -> None:
    talk = seconds((33.3, 36.1), (80.2, 84.0))
    (first, second) = spans(clips("120", Answers(talk), target_duration=5.0, num_clips=2))
    assert first[0] <= talk[0][0] < talk[0][1] <= first[1]
    assert second[0] <= talk[1][0] < talk[1][1] <= second[1]


def test_a_window_avoids_cutting_speech() -> None:
    talk = seconds((8, 11.9), (12.1, 13), (40, 41))
    ((start, end),) = spans(clips("60", Answers(talk), target_duration=5.5, num_clips=1))
    assert not any(begin < edge < finish for edge in (start, end) for begin, finish in talk)


def test_all_clips_fit_where_a_greedy_choice_would_leave_no_room() -> None:
    talk = seconds((5, 15))
    assert spans(clips("20", Answers(talk), target_duration=10.0, num_clips=2)) == seconds((0, 10), (10, 20))


def test_the_louder_of_equal_windows_wins_then_the_earlier() -> None:
    talk = seconds((10, 12), (40, 42))
    quiet_then_loud = (-40.0,) * 300 + (-20.0,) * 300
    (answers,) = spans(clips("60", Answers(talk, quiet_then_loud), target_duration=4.0, num_clips=1))
    (untold,) = spans(clips("60", Answers(talk), target_duration=4.0, num_clips=1))
    assert answers[0] > 30 > untold[0]


def test_silence_gives_the_first_windows() -> None:
    assert spans(clips("100", target_duration=4.0, num_clips=3)) == seconds((0, 4), (4, 8), (8, 12))


def test_more_windows_than_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        best_windows(Fraction(10), Fraction(4), 3, ())


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.integers(-9, 9)),
        min_size=1,
        max_size=9,
        unique_by=lambda one: one[0],
    ),
    st.integers(1, 5),
    st.integers(1, 3),
)
def test_the_choice_has_the_greatest_sum(windows: list[tuple[int, int]], size: int, count: int) -> None:
    windows.sort()
    sums = [
        sum(score for _start, score in some)
        for some in combinations(windows, count)
        if all(after[0] - before[0] >= size for before, after in pairwise(some))
    ]
    if sums:
        starts, scores = [start for start, _score in windows], [score for _start, score in windows]
        chosen = _choose(starts, scores, size, count)
        assert all(starts[b] - starts[a] >= size for a, b in pairwise(chosen))
        assert (len(chosen), sum(scores[at] for at in chosen)) == (count, max(sums))


# Properties


@st.composite
def cases(draw: st.DrawFn) -> tuple[Fraction, Answers, dict[str, Any]]:
    """Draw a source with any speech, and any valid parameters."""
    duration = Fraction(draw(st.integers(100, 400_000)), draw(st.sampled_from([1000, 999, 1001, 30_000])))
    bounds = sorted(draw(st.sets(st.integers(0, int(duration * 1000)), max_size=14)))
    pairs = zip(bounds[::2], bounds[1::2], strict=False)
    talk = [(Fraction(start, 1000), Fraction(end, 1000)) for start, end in pairs]
    steps = int(duration * 10)
    levels = draw(
        st.none() | st.just((-30.0,) * steps) | st.just(tuple(float(-(n % 90)) for n in range(steps)))
    )
    target = st.floats(1, 300) | st.integers(1_000, 60_000).map(lambda length: length / 1000)
    params = {
        "num_clips": draw(st.none() | st.integers(1, 20)),
        "target_duration": draw(st.none() | target),
    }
    return duration, Answers(talk, levels), params


@settings(deadline=None)
@given(cases())
def test_number_length_and_places_are_as_promised(case: tuple[Fraction, Answers, dict[str, Any]]) -> None:
    duration, answers, params = case
    number, target = params["num_clips"], params["target_duration"]
    made = clips(duration, answers, **params)
    places = spans(made)
    length = places[0][1] - places[0][0]
    exact = Fraction(str(target)) if target is not None else min(Fraction(30), duration / (number or 1))
    if duration <= exact:
        assert places == [(Fraction(0), duration)]
        return
    if target is not None:
        assert length == exact
    else:
        assert exact - Fraction(1, 1000) < length <= max(exact, Fraction(1, 25))
    assert all(end - start == length for start, end in places)
    fitting = max(min(number or 3, duration // length), 1)
    assert len(places) == fitting if number is not None else 1 <= len(places) <= fitting
    assert places[0][0] >= 0
    assert places[-1][1] <= duration
    assert all(before[1] <= after[0] for before, after in pairwise(places))
    if (length * 1000).denominator == 1:
        assert all((start * 1000).denominator == 1 for start, _end in places)
    again = clips(duration, answers, **params)
    assert [(one.value, one.why) for one in again] == [(one.value, one.why) for one in made]


@pytest.mark.parametrize("length", ["1", "7.5", "30", "3.3333333"])
def test_twenty_clips_of_five_hours_are_found_quickly(length: str) -> None:
    talk = [(Fraction(31 * index, 10), Fraction(31 * index + 22, 10)) for index in range(5_800)]
    levels = tuple(-20.0 - index % 30 for index in range(180_000))
    began = time.process_time()
    assert len(best_windows(Fraction(18_000), Fraction(length), 20, talk, levels)) == 20
    assert time.process_time() - began < 1
