"""Random media expressions over the small sources."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from tessera.media.algebra.expression import Image, Picture, Sound, even
from tessera.media.algebra.time import Range
from tests.support.media import SOURCES, source

__all__ = ["changed", "pictures", "pictures_for", "ranges", "sounds"]

Draw = st.DrawFn


@st.composite
def ranges(
    draw: Draw, duration: Fraction, most: int = 4, steps: tuple[int, ...] = (1000, 30000, 25, 7)
) -> Any:
    """Draw ranges within a duration: on frame times, on milliseconds, or odd fractions; ordered or not."""
    found: list[Range] = []
    for _ in range(draw(st.integers(1, most))):
        step = draw(st.sampled_from([one for one in steps if duration * one >= 1]))
        last = int(duration * step)
        start = draw(st.integers(0, last - 1))
        end = draw(st.integers(start + 1, last))
        found.append((Fraction(start, step), Fraction(end, step)))
    return sorted(found) if draw(st.booleans()) else found


@st.composite
def pictures(draw: Draw, depth: int = 4) -> Picture:
    """Draw a picture of up to `depth` operations."""
    picture = source(draw(st.sampled_from(sorted(SOURCES)))).picture
    for _ in range(draw(st.integers(1, depth))):
        picture = draw(st.sampled_from(_STEPS))(draw, picture)
    return picture


def _cut(draw: Draw, picture: Picture) -> Picture:
    return picture.keep(draw(ranges(picture.duration)))


def _flip(draw: Draw, picture: Picture) -> Picture:
    return picture.flip(horizontal=draw(st.booleans()), vertical=draw(st.booleans()))


def _crop(draw: Draw, picture: Picture) -> Picture:
    width = even(draw(st.integers(min(16, picture.width), picture.width)))
    height = even(draw(st.integers(min(16, picture.height), picture.height)))
    x, y = draw(st.integers(0, picture.width - width)), draw(st.integers(0, picture.height - height))
    if draw(st.booleans()):
        x, y = even(x), even(y)
    return picture.crop(x, y, width, height)


def _scale(draw: Draw, picture: Picture) -> Picture:
    return picture.scale(2 * draw(st.integers(8, 40)), 2 * draw(st.integers(8, 40)))


def _blur(draw: Draw, picture: Picture) -> Picture:
    return picture.blur(draw(st.integers(1, 3)))


def _mark(draw: Draw, picture: Picture) -> Picture:
    """Overlay an image, sometimes outside of the picture or fully transparent."""
    mark = Image.drawn("00000000-0000-0000-0000-000000000000", "mark", width=12, height=8)
    x, y = draw(_edge(picture.width, mark.width)), draw(_edge(picture.height, mark.height))
    return picture.overlay(
        mark, x, y, opacity=draw(st.sampled_from([Fraction(3, 4), Fraction(1), Fraction(0)]))
    )


def _edge(whole: int, part: int) -> st.SearchStrategy[int]:
    """Draw the start of a layer: anywhere, or just inside or outside of either edge."""
    return st.one_of(st.integers(-part - 2, whole), st.sampled_from([-part, 1 - part, whole - 1, whole]))


def _self(draw: Draw, picture: Picture) -> Picture:
    """Overlay a smaller copy of the picture: one input used twice."""
    small = picture.scale(max(even(picture.width // 2), 2), max(even(picture.height // 2), 2))
    return picture.overlay(small, 2 * draw(st.integers(0, 4)), 0)


def _other(draw: Draw, picture: Picture) -> Picture:
    """Overlay an equally long piece of another source whose frames have other times."""
    other = source(draw(st.sampled_from(["pal", "ntsc"]))).picture
    length = min(picture.duration, other.duration, Fraction(1))
    layer = other.keep([(Fraction(1, 2), Fraction(1, 2) + length)])
    return picture.keep([(Fraction(0), length)]).overlay(layer.crop(0, 0, 20, 16), 2, 2)


def _cover(draw: Draw, picture: Picture) -> Picture:
    """Overlay a flipped copy that covers the picture, or all but an edge of it."""
    x = draw(st.sampled_from([0, -2, 2, -1]))
    copy = picture.scale(picture.width + 2, picture.height).flip(horizontal=True)
    return picture.overlay(copy, x, 0)


def _join(draw: Draw, picture: Picture) -> Picture:
    """Append a piece of another source."""
    other = source(draw(st.sampled_from(["pal", "ntsc"]))).picture.keep([(Fraction(1, 3), Fraction(4, 5))])
    return picture.then(other.scale(picture.width, picture.height))


def _chop(draw: Draw, picture: Picture) -> Picture:
    """Cut into two pieces, change none, one or both, and join them again."""
    middle = picture.duration / draw(st.integers(2, 3))
    parts = [picture.keep([(Fraction(0), middle)]), picture.keep([(middle, picture.duration)])]
    if draw(st.booleans()):
        parts.reverse()
    changes = draw(st.sampled_from(_CHANGES))
    return _joined([part.flip(**change) for part, change in zip(parts, changes, strict=True)])


_CHANGES: list[tuple[dict[str, bool], dict[str, bool]]] = [
    ({}, {}),
    ({"vertical": True}, {}),
    ({"vertical": True}, {"vertical": True}),
    ({"vertical": True}, {"horizontal": True}),
]


def _joined(parts: list[Picture]) -> Picture:
    return parts[0].then(*parts[1:])


_STEPS = [_cut, _cut, _flip, _crop, _crop, _scale, _blur, _mark, _mark, _self, _other, _cover, _join, _chop]


_FRAMEWISE = [_flip, _crop, _scale, _blur, _mark, _self, _cover]


def changed(draw: Draw, picture: Picture) -> Picture:
    """Apply one to three operations that do not move frames in time."""
    for _ in range(draw(st.integers(1, 3))):
        picture = draw(st.sampled_from(_FRAMEWISE))(draw, picture)
    return picture


def _cut_on(draw: Draw, picture: Picture) -> Picture:
    """Cut into ranges that touch: one begins where the previous one ends."""
    middle = picture.duration / draw(st.integers(2, 5))
    return picture.keep([(Fraction(0), middle), (middle, picture.duration), (Fraction(0), middle)])


_MET_BY: dict[str, tuple[Any, ...]] = {
    "merge cuts": (_cut, _cut),
    "join touching ranges": (_cut_on,),
    "cut before effects": (_flip, _cut),
    "cut both pictures": (_self, _cut),
    "cut parts": (_join, _cut),
    "flatten joins": (_join, _join),
    "join cuts": (_chop,),
    "join before effects": (_chop,),
    "fuse crops": (_crop, _crop),
    "crop before flip": (_flip, _crop),
    "crop before overlay": (_mark, _crop),
    "fuse flips": (_flip, _flip),
    "drop unseen layer": (_mark,),
    "drop hidden base": (_cover,),
}


@st.composite
def pictures_for(draw: Draw, rule: str) -> Picture:
    """Draw a picture that contains the operations a rule matches; the rule is given by name."""
    picture = draw(pictures(2))
    for step in _MET_BY[rule]:
        picture = step(draw, picture)
    return draw(st.sampled_from(_STEPS))(draw, picture) if draw(st.booleans()) else picture


@st.composite
def sounds(draw: Draw, depth: int = 4) -> Sound:
    """Draw a sound of up to `depth` cuts, joins and silences, each at a whole sample."""
    sound = _whole_sound()
    for _ in range(draw(st.integers(1, depth))):
        sound = draw(st.sampled_from([_cut_sound, _cut_sound, _with_silence, _twice]))(draw, sound)
    return sound


def _whole_sound() -> Sound:
    sound = source("pal").sound
    assert sound is not None
    return sound


def _cut_sound(draw: Draw, sound: Sound) -> Sound:
    return sound.keep(draw(ranges(sound.duration, 3, (1000, 25))))


def _with_silence(draw: Draw, sound: Sound) -> Sound:
    quiet = Sound.silence(Fraction(draw(st.integers(1, 900)), 1000), rate=sound.rate, channels=sound.channels)
    quiet = quiet.keep(draw(ranges(quiet.duration, 2, (1000,))))
    return quiet.then(sound) if draw(st.booleans()) else sound.then(quiet)


def _twice(draw: Draw, sound: Sound) -> Sound:
    return sound.then(_cut_sound(draw, sound))
