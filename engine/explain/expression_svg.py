"""Media expressions before and after the optimiser, side by side as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tessera.drawing.layout import Layout, Link, Point, Route, lay_out
from tessera.drawing.svg_primitives import FONTS, cut_to, path_of, px, text_at, width_of
from tessera.explain.expressions import Naming, RenderExplanation, args_text, leaf_text
from tessera.media.algebra.expression import Expr, walk
from tessera.text.wording import count, one_line

__all__ = ["media_svg"]

_INK, _SOFT, _LINE, _ACCENT = "#1b2230", "#5a6373", "#4b5566", "#9a3f00"
_NAME, _SMALL, _TITLE = 12.5, 10.5, 15.0
_PAD, _MARGIN, _GAP = 10.0, 24.0, 56.0
_BOX = (64.0, 230.0)
"""The smallest and the largest width of a box."""

_PARTS = 4
"""The largest number of parts of a join that are drawn."""

_NODES = 300
"""The largest number of boxes of one expression; those nearest to its end are drawn."""

_COLOURS: Mapping[str, tuple[str, str]] = {
    "source": ("#e7f1fc", "#2f6fb5"),
    "drawn": ("#f4effd", "#7a57bd"),
    "silence": ("#e8f7ef", "#2b8259"),
    "keep": ("#fdf3e1", "#a86f12"),
    "concat": ("#fdf3e1", "#a86f12"),
}
"""The fill and the line colour of a box, by its operation."""

_PLAIN = ("#ffffff", "#6a7383")


@dataclass(frozen=True, slots=True)
class _Box:
    """A box with its texts and its size."""

    op: str
    name: str
    detail: str
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class _Panel:
    """A titled drawing of one expression with its layout."""

    title: str
    boxes: tuple[_Box, ...]
    layout: Layout

    @property
    def width(self) -> float:
        return max(self.layout.width, width_of(self.title, _NAME, bold=True))


def media_svg(outputs: Sequence[tuple[str, RenderExplanation]], naming: Naming) -> str:
    """Return titled explanations as SVG, one below the other: each before and after optimisation."""
    rows = [(title, explained, *_panels(explained, naming)) for title, explained in outputs]
    # The second panels of all outputs begin at the same x.
    left = max((before.width for *_rest, before, _after in rows), default=0.0)
    right = max((after.width for *_rest, after in rows), default=0.0)
    width = left + right + _GAP + 2 * _MARGIN
    lines: list[str] = []
    top = _MARGIN
    for title, explained, before, after in rows:
        lines.append(
            text_at(cut_to(title, width - 2 * _MARGIN, _TITLE), _MARGIN, top + 14, _TITLE, _INK, "", "start")
        )
        lines += _panel_svg(before, _MARGIN, top + 30)
        lines += _panel_svg(after, _MARGIN + left + _GAP, top + 30)
        top += 58 + max(before.layout.height, after.layout.height)
        for line in _rules(explained):
            top += 15
            lines.append(
                text_at(cut_to(line, width - 2 * _MARGIN, _SMALL), _MARGIN, top, _SMALL, _SOFT, "", "start")
            )
        top += 34
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{px(width)}" height="{px(top)}" '
        f'viewBox="0 0 {px(width)} {px(top)}" role="img" font-family="{FONTS}">'
    )
    paper = f'<rect width="{px(width)}" height="{px(top)}" fill="#ffffff"/>'
    return "\n".join([head, "<title>media expressions</title>", paper, *lines, "</svg>"]) + "\n"


def _rules(explained: RenderExplanation) -> Iterator[str]:
    if not explained.fired:
        yield "no rule applied"
    for rule, number in explained.fired:
        yield one_line(f"{number:,} × {rule.name} ({rule.exactness}): {rule.law}")


def _panels(explained: RenderExplanation, naming: Naming) -> tuple[_Panel, _Panel]:
    return (
        _panel("as the tiles define it", explained.before, naming),
        _panel("as it is rendered", explained.after, naming),
    )


def _panel(title: str, roots: Mapping[str, Expr], naming: Naming) -> _Panel:
    number = sum(1 for _node in walk(*roots.values()))
    nodes = _last_nodes(list(roots.values()))
    index = {node: at for at, node in enumerate(nodes)}
    boxes = [_box(node, naming) for node in nodes]
    links = [
        Link(index[source], index[node])
        for node in nodes
        for source in dict.fromkeys(_drawn_inputs(node))
        if source in index
    ]
    # A box without an operation is the plain label of a root.
    for name, root in roots.items():
        links.append(Link(index[root], len(boxes)))
        boxes.append(_fitted_box("", name, "", _NAME))
    drawn = f", {len(nodes):,} of them drawn" if len(nodes) < number else ""
    layout = lay_out([(box.width, box.height) for box in boxes], links)
    return _Panel(f"{title}: {count(number, 'step')}{drawn}", tuple(boxes), layout)


def _last_nodes(roots: Sequence[Expr]) -> list[Expr]:
    """Return the nodes nearest to the roots, each after its inputs."""
    drawn = dict.fromkeys(roots)
    # Breadth-first from the roots, so that a large expression loses its beginning first.
    level = list(drawn)
    while level and len(drawn) < _NODES:
        level = [
            source
            for source in dict.fromkeys(source for node in level for source in _drawn_inputs(node))
            if source not in drawn
        ]
        drawn.update(dict.fromkeys(level))
    return [node for node in walk(*roots) if node in drawn]


def _drawn_inputs(node: Expr) -> tuple[Expr, ...]:
    return node.inputs[:_PARTS] if node.op == "concat" else node.inputs


def _box(node: Expr, naming: Naming) -> _Box:
    if not node.inputs:
        return _fitted_box(node.op, leaf_text(node, naming), node.medium, _NAME)
    name = {"concat": "join"}.get(node.op, node.op)
    return _fitted_box(node.op, name, args_text(node), _NAME)


def _fitted_box(op: str, name: str, detail: str, size: float) -> _Box:
    name, detail = one_line(name), one_line(detail)
    needed = max(width_of(name, size, bold=True), width_of(detail, _SMALL)) + 2 * _PAD + 0.5
    width = min(max(needed, _BOX[0]), _BOX[1])
    inner = width - 2 * _PAD
    return _Box(
        op,
        cut_to(name, inner, size, bold=True),
        cut_to(detail, inner, _SMALL),
        width,
        38.0 if detail else 26.0,
    )


def _panel_svg(panel: _Panel, left: float, top: float) -> Iterator[str]:
    yield text_at(panel.title, left, top + 10, _NAME, _ACCENT, ' font-weight="600"', "start")
    yield f'<g transform="translate({px(left)} {px(top + 24)})">'
    for route in panel.layout.routes:
        yield from _route_svg(route)
    for box, centre in zip(panel.boxes, panel.layout.centres, strict=True):
        yield from _box_svg(box, centre)
    yield "</g>"


def _route_svg(route: Route) -> Iterator[str]:
    x, y = route.end
    yield f'<path d="{path_of(route)}" fill="none" stroke="{_LINE}" stroke-width="1.4"/>'
    yield f'<path d="M{px(x)} {px(y)}l-8 -4v8z" fill="{_LINE}"/>'


def _box_svg(box: _Box, centre: Point) -> Iterator[str]:
    x, y = centre
    if box.op:
        fill, line = _COLOURS.get(box.op, _PLAIN)
        yield (
            f'<rect x="{px(x - box.width / 2)}" y="{px(y - box.height / 2)}" width="{px(box.width)}" '
            f'height="{px(box.height)}" rx="6" fill="{fill}" stroke="{line}" stroke-width="1.3"/>'
        )
    yield text_at(box.name, x, y + (-2 if box.detail else 4), _NAME, _INK, ' font-weight="600"')
    if box.detail:
        yield text_at(box.detail, x, y + 12, _SMALL, _SOFT)
