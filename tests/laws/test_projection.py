"""Facts projected through cuts equal a search at every instant of the timeline."""

from __future__ import annotations

import time
from fractions import Fraction
from itertools import pairwise
from math import ceil

from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.analysis.projection import project_levels, project_speech
from tessera.media.algebra.expression import NO_SOURCE, Picture, SourceRange
from tessera.media.algebra.time import Range

GRID = 6
"""Cells per second: times are multiples of 1/6 s. Hops of 500 ms end on this grid, their middle is off it."""

instants = st.integers(0, 60)


@st.composite
def speeches(draw: st.DrawFn) -> list[Range]:
    """Draw ordered ranges that do not touch."""
    bounds = sorted(draw(st.sets(instants, max_size=12)))
    pairs = zip(bounds[::2], bounds[1::2], strict=False)
    return [(Fraction(start, GRID), Fraction(end, GRID)) for start, end in pairs]


@st.composite
def pieces(draw: st.DrawFn) -> SourceRange:
    start, end = sorted(draw(st.sets(instants, min_size=2, max_size=2)))
    source = draw(st.sampled_from(["a", "b", NO_SOURCE]))
    return SourceRange((source, Fraction(start, GRID), Fraction(end, GRID)))


timelines = st.lists(pieces(), max_size=8)
sources = st.fixed_dictionaries({"a": speeches(), "b": speeches()})
levels = st.lists(st.sampled_from([-60.0, -30.0, -12.5, -3.1]), max_size=25)


def instants_of(timeline: list[SourceRange]) -> list[tuple[str, Fraction]]:
    """Return the source and time at the start of each grid cell of a timeline."""
    return [
        (source, start + Fraction(cell, GRID))
        for source, start, end in timeline
        for cell in range(int((end - start) * GRID))
    ]


@settings(deadline=None)
@given(timelines, sources)
def test_projected_speech_equals_the_speech_at_every_instant(
    timeline: list[SourceRange], speech: dict[str, list[Range]]
) -> None:
    found = project_speech(timeline, speech.__getitem__)
    cells = [
        any(start <= at < end for start, end in speech.get(source, ()))
        for source, at in instants_of(timeline)
    ]
    for cell, expected in enumerate(cells):
        at = Fraction(cell, GRID)
        assert any(start <= at < end for start, end in found) == expected
    assert all(start < end for start, end in found)
    assert all(before[1] < after[0] for before, after in pairwise(found))
    assert not found or found[-1][1] * GRID <= len(cells)


@settings(deadline=None)
@given(timelines, st.fixed_dictionaries({"a": levels, "b": levels}), st.sampled_from([100, 250, 500]))
def test_projected_levels_are_the_levels_at_the_middle_of_each_step(
    timeline: list[SourceRange], loudness: dict[str, list[float]], hop_ms: int
) -> None:
    hop = Fraction(hop_ms, 1000)
    total = sum((end - start for _source, start, end in timeline), Fraction(0))
    expected = []
    for step in range(ceil(total / hop)):
        middle = (step * hop + min((step + 1) * hop, total)) / 2
        at = Fraction(0)
        for source, start, end in timeline:
            if at <= middle < at + end - start:
                inside = int((start + middle - at) / hop)
                known = loudness.get(source, [])
                expected.append(known[inside] if inside < len(known) else -100.0)
            at += end - start
    assert project_levels(timeline, loudness.__getitem__, hop_ms) == tuple(expected)


def test_an_uncut_source_keeps_its_facts() -> None:
    whole = [SourceRange(("a", Fraction(0), Fraction("24.024")))]
    speech = [(Fraction(1), Fraction(2)), (Fraction(3), Fraction("24.024"))]
    loudness = [float(-index) for index in range(241)]
    assert project_speech(whole, lambda _source: speech) == tuple(speech)
    assert project_levels(whole, lambda _source: loudness, 100) == tuple(loudness)


def test_a_cut_of_a_cut_has_the_speech_of_the_source() -> None:
    picture = Picture.source("a", width=64, height=36, rate=Fraction(25), duration=Fraction(20))
    cut = picture.keep([(Fraction(2), Fraction(6)), (Fraction(10), Fraction(14))]).keep(
        [(Fraction(1), Fraction(7))]
    )
    speech = [(Fraction(5), Fraction(11))]
    assert project_speech(cut.kept, lambda _source: speech) == ((Fraction(2), Fraction(4)),)


def test_unknown_levels_of_one_source_make_all_levels_unknown() -> None:
    timeline = [SourceRange(("a", Fraction(0), Fraction(1))), SourceRange(("b", Fraction(0), Fraction(1)))]
    assert project_levels(timeline, {"a": [-9.0] * 10, "b": None}.__getitem__, 100) is None


def test_each_source_is_analysed_once_and_silence_never() -> None:
    analysed: list[str] = []

    def speech_of(source: str) -> list[Range]:
        analysed.append(source)
        return []

    names = ["a", NO_SOURCE, "b", "a"]
    project_speech([SourceRange((name, Fraction(0), Fraction(1))) for name in names], speech_of)
    assert analysed == ["a", "b"]


def test_five_thousand_cuts_of_a_long_source_are_projected_quickly() -> None:
    speech = [(Fraction(3 * index), Fraction(3 * index + 2)) for index in range(6_000)]
    loudness = [-20.0] * 180_000
    timeline = [SourceRange(("a", Fraction(3 * index), Fraction(3 * index + 3))) for index in range(5_000)]
    began = time.process_time()
    assert len(project_speech(timeline, lambda _source: speech)) == 5_000
    assert len(project_levels(timeline, lambda _source: loudness, 100) or ()) == 150_000
    assert time.process_time() - began < 2
