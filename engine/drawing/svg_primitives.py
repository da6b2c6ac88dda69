"""The elements of SVG drawings: texts with estimated widths, numbers, and the paths of routes."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from tessera.drawing.layout import Point, Route, RouteSegment
from tessera.text.masking import masked_prose

__all__ = ["FONTS", "cut_to", "path_of", "px", "text_at", "width_of", "xml"]

FONTS = "Helvetica, Arial, 'Liberation Sans', 'Noto Sans', 'DejaVu Sans', sans-serif"


def path_of(route: Route) -> str:
    """Return the `d` attribute of a path along a route; the path ends under the arrow's head."""
    x, y = route.pieces[0].points[0]
    steps = [f"M{px(x)} {px(y)}"]
    last = len(route.pieces) - 1
    for number, piece in enumerate(route.pieces):
        steps.append(_command(piece, 6.0 if number == last else 0.0))
    return "".join(steps)


def _command(piece: RouteSegment, shortened: float) -> str:
    """Return the path command of a segment; the last one is shortened to end under the arrow."""
    points = [*piece.points[:-1], (piece.points[-1][0] - shortened, piece.points[-1][1])]
    if piece.form == "curve":
        (x, y), (to, down) = points
        middle = (x + to) / 2
        return f"C{px(middle)} {px(y)} {px(middle)} {px(down)} {px(to)} {px(down)}"
    if piece.form == "corners":
        return "".join(_rounded(points))
    return f"L{px(points[-1][0])} {px(points[-1][1])}"


def _rounded(points: Sequence[Point], radius: float = 7.0) -> Iterator[str]:
    """Yield lines between points with rounded corners."""
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        begin, end = _towards(corner, before, radius), _towards(corner, after, radius)
        yield f"L{px(begin[0])} {px(begin[1])}Q{px(corner[0])} {px(corner[1])} {px(end[0])} {px(end[1])}"
    yield f"L{px(points[-1][0])} {px(points[-1][1])}"


def _towards(start: Point, end: Point, most: float) -> Point:
    """Return the point at the distance `most` from `start` towards `end`, at most half-way."""
    # The taxicab length is exact here: the sides of corners are horizontal or vertical.
    length = abs(end[0] - start[0]) + abs(end[1] - start[1])
    share = min(most / length, 0.5) if length else 0.0
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def text_at(
    text: str, x: float, y: float, size: float, colour: str, style: str = "", anchor: str = "middle"
) -> str:
    return (
        f'<text x="{px(x)}" y="{px(y)}" font-size="{px(size)}" fill="{colour}" '
        f'text-anchor="{anchor}"{style}>{xml(text)}</text>'
    )


def xml(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace('"', "&quot;").replace("'", "&#39;")


def px(value: float) -> str:
    """Return a coordinate rounded to a tenth of a pixel."""
    # Adding 0.0 turns -0.0 into 0.0.
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")


_NARROW, _SLIM, _BROAD = frozenset("ijl.,:;'|!I`"), frozenset('ftr()[]{}/\\- "'), frozenset("mwMW@%…→—©")


def width_of(text: str, size: float, *, bold: bool = False) -> float:
    """Return an estimate of a text's width in common sans-serif fonts, rather too wide than too narrow."""
    return sum(map(_character_width, text)) * size * (1.16 if bold else 1.02)


def _character_width(character: str) -> float:
    """Return an estimate of a character's width in ems."""
    if character in _NARROW:
        return 0.29
    if character in _SLIM:
        return 0.37
    if character in _BROAD:
        return 0.95
    if character < "\x7f":
        return 0.7 if character.isupper() else 0.57
    if unicodedata.combining(character):
        return 0.0
    return 1.05 if unicodedata.east_asian_width(character) in "WF" else 0.68


def cut_to(text: str, width: float, size: float, *, bold: bool = False) -> str:
    """Return a text without the secrets of URLs, cut with an ellipsis if it is wider than `width`."""
    text = masked_prose(text)
    if width_of(text, size, bold=bold) <= width:
        return text
    room = width - width_of("…", size, bold=bold)
    for end, character in enumerate(text):
        room -= width_of(character, size, bold=bold)
        if room < 0:
            return text[:end].rstrip() + "…"
    return text
