"""A drawing as SVG, laid out here: no other program is needed. Every text in it is escaped."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.graph.drawing import Drawing, DrawnEdge, DrawnTile, EdgeState, labels, notes, skips
from engine.graph.layout import Layout, Link, Piece, Point, Route, lay_out
from engine.text import one_line, short_ids

__all__ = ["svg_of"]

_FONTS = "Helvetica, Arial, 'Liberation Sans', 'Noto Sans', 'DejaVu Sans', sans-serif"
_INK, _SOFT, _ACCENT, _BAD = "#1b2230", "#5a6373", "#9a3f00", "#b3261e"
_NAME, _SMALL, _WORDS = 13.0, 10.5, 10.5
"""Sizes of type: of a tile's name, of what stands below it, of what is written on a connection."""

_PAD = 11.0
_TILE = (104.0, 216.0)
"""The least and the greatest width of a tile."""

_MOST_NOTES = 4
_LABEL_WIDTH = 150.0
_EDGE = 24.0
"""The margin of the picture."""

_COLOURS: Mapping[str, tuple[str, str]] = {
    "input": ("#e7f1fc", "#2f6fb5"),
    "trigger": ("#e7f1fc", "#2f6fb5"),
    "edit": ("#ffffff", "#6a7383"),
    "style": ("#f4effd", "#7a57bd"),
    "sound": ("#e8f7ef", "#2b8259"),
    "generate": ("#fdf3e1", "#a86f12"),
    "export": ("#eceff4", "#434e5f"),
    "output": ("#eceff4", "#434e5f"),
}
"""Of each category: what a tile of it is filled and drawn with."""

_LINES: Mapping[EdgeState, tuple[str, str]] = {
    "gone": ("#a9b0bb", ' stroke-width="1.2" stroke-dasharray="5 4"'),
    "kept": ("#4b5566", ' stroke-width="1.5"'),
    "rewired": (_ACCENT, ' stroke-width="2.2"'),
}
_LEGEND: Mapping[str, str] = {
    "removed": "ignored in this run",
    "skipped": "skipped: nothing that runs leads to it",
    "gone": "not in this run",
    "rewired": "rewired past ignored tiles",
}


@dataclass(frozen=True, slots=True)
class _Box:
    """A tile with what is written on it, and its size."""

    tile: DrawnTile
    name: str
    lines: tuple[str, ...]
    width: float
    height: float


def svg_of(drawing: Drawing) -> str:
    """The drawing as SVG: removed tiles struck through, rewired connections naming what they skip."""
    boxes = _boxes(drawing)
    place = {box.tile.id: index for index, box in enumerate(boxes)}
    called = {node: one_line(name) for node, name in labels(drawing.tiles).items()}
    words = [_words(edge, called) for edge in drawing.edges]
    links = [
        Link(place[edge.source], place[edge.target], _size(lines) if lines else None)
        for edge, lines in zip(drawing.edges, words, strict=True)
    ]
    layout = lay_out([(box.width, box.height) for box in boxes], links)
    return "\n".join(_document(drawing, boxes, words, layout)) + "\n"


def _document(
    drawing: Drawing, boxes: Sequence[_Box], words: Sequence[list[str]], layout: Layout
) -> Iterator[str]:
    legend = list(_legend(drawing, layout.height + 2 * _EDGE))
    width = max(layout.width + 2 * _EDGE, 280.0 if legend else 120.0)
    height = layout.height + 2 * _EDGE + 20 * len(legend)
    title = _xml(one_line(drawing.name) or "agent")
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(width)}" height="{_n(height)}" '
        f'viewBox="0 0 {_n(width)} {_n(height)}" role="img" font-family="{_FONTS}">'
    )
    yield f"<title>{title}</title>"
    yield f'<rect width="{_n(width)}" height="{_n(height)}" fill="#ffffff"/>'
    yield f'<g transform="translate({_n(_EDGE)} {_n(_EDGE)})">'
    drawn = list(zip(drawing.edges, words, layout.routes, strict=True))
    for state in _LINES:
        yield from (_edge(edge, route) for edge, _words, route in drawn if edge.state == state)
    for edge, lines, route in drawn:
        yield from _label(edge, lines, route)
    for box, centre in zip(boxes, layout.centres, strict=True):
        yield from _tile(box, centre)
    yield "</g>"
    yield from legend
    yield "</svg>"


# tiles


def _boxes(drawing: Drawing) -> list[_Box]:
    short, called = short_ids(tile.id for tile in drawing.tiles), labels(drawing.tiles)
    told = [(tile, one_line(called[tile.id]), _lines(tile, short[tile.id])) for tile in drawing.tiles]
    wide = max((_needs(name, lines) for _tile, name, lines in told), default=0.0)
    width = min(max(wide, _TILE[0]), _TILE[1])
    return [
        _Box(
            tile,
            _cut(name, width - 2 * _PAD, _NAME, bold=True),
            tuple(_cut(line, width - 2 * _PAD, _SMALL) for line in lines),
            width,
            24 + 14 * len(lines) + 6,
        )
        for tile, name, lines in told
    ]


def _lines(tile: DrawnTile, short: str) -> list[str]:
    """What stands below a tile's name: the beginning of its id, and its notes."""
    told = [one_line(note) for note in notes(tile)]
    more = len(told) - _MOST_NOTES
    return [one_line(short), *told[:_MOST_NOTES], *([f"and {more} more"] if more > 0 else [])]


def _needs(name: str, lines: Sequence[str]) -> float:
    wide = max(_wide(line, _SMALL) for line in lines)
    return max(_wide(name, _NAME, bold=True), wide) + 2 * _PAD + 0.5


def _tile(box: _Box, centre: Point) -> Iterator[str]:
    tile = box.tile
    off = tile.state != "runs"
    fill, line = ("#ffffff", "#8b93a1") if off else _COLOURS.get(tile.category, _COLOURS["edit"])
    failed = tile.flow is not None and tile.flow.status not in ("", "completed")
    stroke = f'stroke="{_BAD if failed else line}" stroke-width="{2 if failed or tile.overrides else 1.3}"'
    dashes = {"removed": ' stroke-dasharray="5 4"', "skipped": ' stroke-dasharray="2 4"'}.get(tile.state, "")
    left, top = centre[0] - box.width / 2, centre[1] - box.height / 2
    yield f"<g><title>{_xml(one_line(f'{tile.name} {tile.id}'))}</title>"
    yield (
        f'<rect x="{_n(left)}" y="{_n(top)}" width="{_n(box.width)}" height="{_n(box.height)}" '
        f'rx="{_radius(tile.category)}" fill="{fill}" {stroke}{dashes}/>'
    )
    ink = _SOFT if off else _INK
    yield _text(box.name, centre[0], top + 18, _NAME, ink, ' font-weight="600"')
    if tile.state == "removed":
        half = _wide(box.name, _NAME, bold=True) / 2 + 3
        yield (
            f'<path d="M{_n(centre[0] - half)} {_n(top + 13.5)}H{_n(centre[0] + half)}" '
            f'stroke="{_BAD}" stroke-width="1.6"/>'
        )
    for number, text in enumerate(box.lines):
        colour = _SOFT if not number or off else _BAD if failed and number == 1 else _ACCENT
        yield _text(text, centre[0], top + 32 + 14 * number, _SMALL, colour)
    yield "</g>"


def _radius(category: str) -> int:
    return 16 if category in ("input", "trigger") else 7


# connections


def _words(edge: DrawnEdge, called: Mapping[str, str]) -> list[str]:
    """What is written on a connection, cut to fit."""
    told = [skips(called[node] for node in edge.via)] if edge.via else []
    told += [str(edge.flow)] if edge.flow else []
    return [_cut(line, _LABEL_WIDTH, _WORDS) for line in told]


def _size(lines: Sequence[str]) -> tuple[float, float]:
    return max(_wide(line, _WORDS) for line in lines) + 8, 14.0 * len(lines)


def _edge(edge: DrawnEdge, route: Route) -> str:
    colour, style = _LINES[edge.state]
    x, y = route.end
    head = f"M{_n(x)} {_n(y)}l-8 -4v8z"
    return (
        f'<path d="{_path(route)}" fill="none" stroke="{colour}"{style}/><path d="{head}" fill="{colour}"/>'
    )


def _path(route: Route) -> str:
    x, y = route.pieces[0].points[0]
    steps = [f"M{_n(x)} {_n(y)}"]
    last = len(route.pieces) - 1
    for number, piece in enumerate(route.pieces):
        steps.append(_step(piece, 6.0 if number == last else 0.0))
    return "".join(steps)


def _step(piece: Piece, short: float) -> str:
    """One piece of a path; the last ends `short` of its end, below the arrow's head."""
    points = [*piece.points[:-1], (piece.points[-1][0] - short, piece.points[-1][1])]
    if piece.form == "curve":
        (x, y), (to, down) = points
        middle = (x + to) / 2
        return f"C{_n(middle)} {_n(y)} {_n(middle)} {_n(down)} {_n(to)} {_n(down)}"
    if piece.form == "corners":
        return "".join(_rounded(points))
    return f"L{_n(points[-1][0])} {_n(points[-1][1])}"


def _rounded(points: Sequence[Point], radius: float = 7.0) -> Iterator[str]:
    """Lines between points with round corners."""
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        one, other = _towards(corner, before, radius), _towards(corner, after, radius)
        yield f"L{_n(one[0])} {_n(one[1])}Q{_n(corner[0])} {_n(corner[1])} {_n(other[0])} {_n(other[1])}"
    yield f"L{_n(points[-1][0])} {_n(points[-1][1])}"


def _towards(start: Point, end: Point, most: float) -> Point:
    """The point `most` away from `start` in the direction of `end`, at most half-way."""
    length = abs(end[0] - start[0]) + abs(end[1] - start[1])
    share = min(most / length, 0.5) if length else 0.0
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _label(edge: DrawnEdge, lines: Sequence[str], route: Route) -> Iterator[str]:
    if not lines:
        return
    x, y = route.label or _middle(route)
    width, height = _size(lines)
    yield (
        f'<rect x="{_n(x - width / 2)}" y="{_n(y - height / 2)}" width="{_n(width)}" height="{_n(height)}" '
        'fill="#ffffff"/>'
    )
    for number, line in enumerate(lines):
        colour = _ACCENT if edge.via and not number else _INK
        yield _text(line, x, y - height / 2 + 10.8 + 14 * number, _WORDS, colour)


def _middle(route: Route) -> Point:
    begin, end = route.pieces[0].points[0], route.end
    return (begin[0] + end[0]) / 2, (begin[1] + end[1]) / 2


def _legend(drawing: Drawing, top: float) -> Iterator[str]:
    """What the unusual lines and boxes of a drawing mean."""
    states = {tile.state for tile in drawing.tiles} | {edge.state for edge in drawing.edges}
    for number, state in enumerate(name for name in _LEGEND if name in states):
        y = top + 20 * number
        if state in ("removed", "skipped"):
            dashes = "5 4" if state == "removed" else "2 4"
            sample = (
                f'<rect x="{_n(_EDGE)}" y="{_n(y - 9)}" width="26" height="12" rx="3" fill="#ffffff" '
                f'stroke="#8b93a1" stroke-width="1.3" stroke-dasharray="{dashes}"/>'
            )
        else:
            colour, style = _LINES["gone" if state == "gone" else "rewired"]
            sample = f'<path d="M{_n(_EDGE)} {_n(y - 3)}h26" stroke="{colour}"{style}/>'
        yield sample + _text(_LEGEND[state], _EDGE + 36, y, _SMALL, _SOFT, "", anchor="start")


# text


def _text(
    text: str, x: float, y: float, size: float, colour: str, style: str = "", anchor: str = "middle"
) -> str:
    return (
        f'<text x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}" fill="{colour}" '
        f'text-anchor="{anchor}"{style}>{_xml(text)}</text>'
    )


def _xml(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace('"', "&quot;").replace("'", "&#39;")


def _n(number: float) -> str:
    """A coordinate to a tenth of a pixel."""
    return f"{round(number, 1) + 0.0:.1f}".removesuffix(".0")


_NARROW, _SLIM, _BROAD = frozenset("ijl.,:;'|!I`"), frozenset('ftr()[]{}/\\- "'), frozenset("mwMW@%…→—©")


def _wide(text: str, size: float, *, bold: bool = False) -> float:
    """About how wide a text is: the widths of common sans-serif types, rather too wide than too narrow."""
    return sum(map(_em, text)) * size * (1.16 if bold else 1.02)


def _em(character: str) -> float:
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


def _cut(text: str, width: float, size: float, *, bold: bool = False) -> str:
    """A text, cut where it would be wider than `width`."""
    if _wide(text, size, bold=bold) <= width:
        return text
    left = width - _wide("…", size, bold=bold)
    for end, character in enumerate(text):
        left -= _wide(character, size, bold=bold)
        if left < 0:
            return text[:end].rstrip() + "…"
    return text
