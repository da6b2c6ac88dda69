"""A drawing as SVG, laid out without any other program. Every text is escaped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tessera.drawing.layout import Layout, Link, Point, Route, lay_out
from tessera.drawing.model import Drawing, DrawnEdge, DrawnTile, edge_labels, tile_notes, unique_names
from tessera.drawing.svg_primitives import FONTS, cut_to, path_of, px, text_at, width_of, xml
from tessera.text.wording import one_line, short_ids

__all__ = ["svg_of"]

_INK, _SOFT, _ACCENT, _BAD = "#1b2230", "#5a6373", "#9a3f00", "#b3261e"
_NAME, _SMALL, _LABEL = 13.0, 10.5, 10.5
"""Font sizes: of a tile's name, of the lines below it, of a connection's label."""

_PAD = 11.0
_TILE = (104.0, 216.0)
"""The smallest and the largest width of a tile."""

_MOST_NOTES = 4
_LABEL_WIDTH = 150.0
_MARGIN = 24.0
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
"""The fill and the line colour of a tile, by its category."""

_LINES: Mapping[str, tuple[str, str]] = {
    "gone": ("#a9b0bb", ' stroke-width="1.2" stroke-dasharray="5 4"'),
    "kept": ("#4b5566", ' stroke-width="1.5"'),
    "rewired": (_ACCENT, ' stroke-width="2.2"'),
}
_LEGEND: Mapping[str, str] = {
    "removed": "ignored in this run",
    "skipped": "skipped: no running tile leads to it",
    "gone": "not in this run",
    "rewired": "rewired past ignored tiles",
}


@dataclass(frozen=True, slots=True)
class _Box:
    """A tile with its texts and its size."""

    tile: DrawnTile
    name: str
    lines: tuple[str, ...]
    width: float
    height: float


def svg_of(drawing: Drawing) -> str:
    """Return the drawing as SVG: removed tiles struck through, rewired connections labelled."""
    boxes = _boxes(drawing)
    index = {box.tile.id: number for number, box in enumerate(boxes)}
    names = {node: one_line(name) for node, name in unique_names(drawing.tiles).items()}
    labels = [_label_lines(edge, names) for edge in drawing.edges]
    links = [
        Link(index[edge.source], index[edge.target], _size(lines) if lines else None)
        for edge, lines in zip(drawing.edges, labels, strict=True)
    ]
    layout = lay_out([(box.width, box.height) for box in boxes], links)
    return "\n".join(_document(drawing, boxes, labels, layout)) + "\n"


def _document(
    drawing: Drawing, boxes: Sequence[_Box], labels: Sequence[list[str]], layout: Layout
) -> Iterator[str]:
    legend = list(_legend(drawing, layout.height + 2 * _MARGIN))
    width = max(layout.width + 2 * _MARGIN, 280.0 if legend else 120.0)
    height = layout.height + 2 * _MARGIN + 20 * len(legend)
    title = xml(one_line(drawing.name) or "agent")
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{px(width)}" height="{px(height)}" '
        f'viewBox="0 0 {px(width)} {px(height)}" role="img" font-family="{FONTS}">'
    )
    yield f"<title>{title}</title>"
    yield f'<rect width="{px(width)}" height="{px(height)}" fill="#ffffff"/>'
    yield f'<g transform="translate({px(_MARGIN)} {px(_MARGIN)})">'
    drawn = list(zip(drawing.edges, labels, layout.routes, strict=True))
    # The order of `_LINES` puts rewired connections on top of the others.
    for state in _LINES:
        yield from (_edge(edge, route) for edge, _lines, route in drawn if edge.state == state)
    for edge, lines, route in drawn:
        yield from _label(edge, lines, route)
    for box, centre in zip(boxes, layout.centres, strict=True):
        yield from _tile(box, centre)
    yield "</g>"
    yield from legend
    yield "</svg>"


# tiles


def _boxes(drawing: Drawing) -> list[_Box]:
    short, names = short_ids(tile.id for tile in drawing.tiles), unique_names(drawing.tiles)
    texts = [(tile, one_line(names[tile.id]), _tile_lines(tile, short[tile.id])) for tile in drawing.tiles]
    widest = max((_text_width(name, lines) for _tile, name, lines in texts), default=0.0)
    width = min(max(widest, _TILE[0]), _TILE[1])
    return [
        _Box(
            tile,
            cut_to(name, width - 2 * _PAD, _NAME, bold=True),
            tuple(cut_to(line, width - 2 * _PAD, _SMALL) for line in lines),
            width,
            24 + 14 * len(lines) + 6,
        )
        for tile, name, lines in texts
    ]


def _tile_lines(tile: DrawnTile, short: str) -> list[str]:
    """Return the lines below a tile's name: the beginning of its id, and its notes."""
    notes = [one_line(note) for note in tile_notes(tile)]
    more = len(notes) - _MOST_NOTES
    return [one_line(short), *notes[:_MOST_NOTES], *([f"and {more} more"] if more > 0 else [])]


def _text_width(name: str, lines: Sequence[str]) -> float:
    """Return the width of a tile that holds a name and lines without cutting them."""
    widest = max(width_of(line, _SMALL) for line in lines)
    return max(width_of(name, _NAME, bold=True), widest) + 2 * _PAD + 0.5


def _tile(box: _Box, centre: Point) -> Iterator[str]:
    tile = box.tile
    off = tile.state != "runs"
    fill, line = ("#ffffff", "#8b93a1") if off else _COLOURS.get(tile.category, _COLOURS["edit"])
    failed = tile.flow is not None and tile.flow.status not in ("", "completed")
    stroke = f'stroke="{_BAD if failed else line}" stroke-width="{2 if failed or tile.overrides else 1.3}"'
    dashes = {"removed": ' stroke-dasharray="5 4"', "skipped": ' stroke-dasharray="2 4"'}.get(tile.state, "")
    left, top = centre[0] - box.width / 2, centre[1] - box.height / 2
    yield f"<g><title>{xml(one_line(f'{tile.name} {tile.id}'))}</title>"
    yield (
        f'<rect x="{px(left)}" y="{px(top)}" width="{px(box.width)}" height="{px(box.height)}" '
        f'rx="{_radius(tile.category)}" fill="{fill}" {stroke}{dashes}/>'
    )
    ink = _SOFT if off else _INK
    yield text_at(box.name, centre[0], top + 18, _NAME, ink, ' font-weight="600"')
    if tile.state == "removed":
        half = width_of(box.name, _NAME, bold=True) / 2 + 3
        yield (
            f'<path d="M{px(centre[0] - half)} {px(top + 13.5)}H{px(centre[0] + half)}" '
            f'stroke="{_BAD}" stroke-width="1.6"/>'
        )
    for number, text in enumerate(box.lines):
        colour = _SOFT if not number or off else _BAD if failed and number == 1 else _ACCENT
        yield text_at(text, centre[0], top + 32 + 14 * number, _SMALL, colour)
    yield "</g>"


def _radius(category: str) -> int:
    return 16 if category in ("input", "trigger") else 7


# connections


def _label_lines(edge: DrawnEdge, names: Mapping[str, str]) -> list[str]:
    """Return the lines of a connection's label, cut to fit."""
    return [cut_to(line, _LABEL_WIDTH, _LABEL) for line in edge_labels(edge, names)]


def _size(lines: Sequence[str]) -> tuple[float, float]:
    return max(width_of(line, _LABEL) for line in lines) + 8, 14.0 * len(lines)


def _edge(edge: DrawnEdge, route: Route) -> str:
    colour, style = _LINES[edge.state]
    x, y = route.end
    head = f"M{px(x)} {px(y)}l-8 -4v8z"
    return (
        f'<path d="{path_of(route)}" fill="none" stroke="{colour}"{style}/><path d="{head}" fill="{colour}"/>'
    )


def _label(edge: DrawnEdge, lines: Sequence[str], route: Route) -> Iterator[str]:
    if not lines:
        return
    x, y = route.label or _middle(route)
    width, height = _size(lines)
    yield (
        f'<rect x="{px(x - width / 2)}" y="{px(y - height / 2)}" width="{px(width)}" height="{px(height)}" '
        'fill="#ffffff"/>'
    )
    for number, line in enumerate(lines):
        colour = _ACCENT if edge.via and not number else _INK
        yield text_at(line, x, y - height / 2 + 10.8 + 14 * number, _LABEL, colour)


def _middle(route: Route) -> Point:
    begin, end = route.pieces[0].points[0], route.end
    return (begin[0] + end[0]) / 2, (begin[1] + end[1]) / 2


def _legend(drawing: Drawing, top: float) -> Iterator[str]:
    """Yield a legend of the unusual lines and boxes of a drawing."""
    states = {tile.state for tile in drawing.tiles} | {edge.state for edge in drawing.edges}
    for number, state in enumerate(name for name in _LEGEND if name in states):
        y = top + 20 * number
        if state in ("removed", "skipped"):
            dashes = "5 4" if state == "removed" else "2 4"
            sample = (
                f'<rect x="{px(_MARGIN)}" y="{px(y - 9)}" width="26" height="12" rx="3" fill="#ffffff" '
                f'stroke="#8b93a1" stroke-width="1.3" stroke-dasharray="{dashes}"/>'
            )
        else:
            colour, style = _LINES["gone" if state == "gone" else "rewired"]
            sample = f'<path d="M{px(_MARGIN)} {px(y - 3)}h26" stroke="{colour}"{style}/>'
        yield sample + text_at(_LEGEND[state], _MARGIN + 36, y, _SMALL, _SOFT, "", anchor="start")
