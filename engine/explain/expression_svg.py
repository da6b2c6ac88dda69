"""Expressions before and after the optimiser, drawn side by side as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tessera.drawing.layout import Layout, Link, Point, Route, lay_out
from tessera.drawing.svg_primitives import FONTS, cut_to, path_of, px, text_at, width_of
from tessera.explain.expressions import Explained, Naming, args_text, leaf_text
from tessera.media.algebra.expression import Expr, walk
from tessera.text.wording import count, one_line

__all__ = ["media_svg"]

_INK, _SOFT, _LINE, _ACCENT = "#1b2230", "#5a6373", "#4b5566", "#9a3f00"
_NAME, _SMALL, _TITLE = 12.5, 10.5, 15.0
_PAD, _EDGE, _GAP = 10.0, 24.0, 56.0
_BOX = (64.0, 230.0)
"""The least and the greatest width of a box."""

_PARTS = 4
"""Parts of a join that are drawn."""

_NODES = 300
"""Boxes of one expression that are drawn: those nearest to its end."""

_COLOURS: Mapping[str, tuple[str, str]] = {
    "source": ("#e7f1fc", "#2f6fb5"),
    "drawn": ("#f4effd", "#7a57bd"),
    "silence": ("#e8f7ef", "#2b8259"),
    "keep": ("#fdf3e1", "#a86f12"),
    "concat": ("#fdf3e1", "#a86f12"),
}
"""Of an operation: what its box is filled and drawn with."""

_PLAIN = ("#ffffff", "#6a7383")


@dataclass(frozen=True, slots=True)
class _Box:
    """What stands in a box, and its size."""

    op: str
    name: str
    told: str
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class _Panel:
    """A laid out drawing with a title."""

    title: str
    boxes: tuple[_Box, ...]
    layout: Layout

    @property
    def width(self) -> float:
        return max(self.layout.width, width_of(self.title, _NAME, bold=True))


def media_svg(outputs: Sequence[tuple[str, Explained]], naming: Naming) -> str:
    """Titled explanations, one below the other: each as the tiles say it, and as it is rendered."""
    rows = [(title, explained, *_panels(explained, naming)) for title, explained in outputs]
    left = max((before.width for *_rest, before, _after in rows), default=0.0)
    right = max((after.width for *_rest, after in rows), default=0.0)
    width = left + right + _GAP + 2 * _EDGE
    lines: list[str] = []
    top = _EDGE
    for title, explained, before, after in rows:
        lines.append(
            text_at(cut_to(title, width - 2 * _EDGE, _TITLE), _EDGE, top + 14, _TITLE, _INK, "", "start")
        )
        lines += _drawn(before, _EDGE, top + 30)
        lines += _drawn(after, _EDGE + left + _GAP, top + 30)
        top += 58 + max(before.layout.height, after.layout.height)
        for line in _rules(explained):
            top += 15
            lines.append(
                text_at(cut_to(line, width - 2 * _EDGE, _SMALL), _EDGE, top, _SMALL, _SOFT, "", "start")
            )
        top += 34
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{px(width)}" height="{px(top)}" '
        f'viewBox="0 0 {px(width)} {px(top)}" role="img" font-family="{FONTS}">'
    )
    paper = f'<rect width="{px(width)}" height="{px(top)}" fill="#ffffff"/>'
    return "\n".join([head, "<title>media expressions</title>", paper, *lines, "</svg>"]) + "\n"


def _rules(explained: Explained) -> Iterator[str]:
    if not explained.fired:
        yield "no rule applied"
    for rule, number in explained.fired:
        yield one_line(f"{number:,} × {rule.name} ({rule.exactness}): {rule.law}")


def _panels(explained: Explained, naming: Naming) -> tuple[_Panel, _Panel]:
    return (
        _panel("as the tiles say it", explained.before, naming),
        _panel("as it is rendered", explained.after, naming),
    )


def _panel(title: str, roots: Mapping[str, Expr], naming: Naming) -> _Panel:
    number = sum(1 for _node in walk(*roots.values()))
    nodes = _nearest(list(roots.values()))
    place = {node: index for index, node in enumerate(nodes)}
    boxes = [_box(node, naming) for node in nodes]
    links = [
        Link(place[one], place[node])
        for node in nodes
        for one in dict.fromkeys(_drawn_inputs(node))
        if one in place
    ]
    for name, root in roots.items():
        links.append(Link(place[root], len(boxes)))
        boxes.append(_sized("", name, "", _NAME))
    shown = f", {len(nodes):,} of them drawn" if len(nodes) < number else ""
    layout = lay_out([(box.width, box.height) for box in boxes], links)
    return _Panel(f"{title}: {count(number, 'step')}{shown}", tuple(boxes), layout)


def _nearest(roots: Sequence[Expr]) -> list[Expr]:
    """The nodes nearest to the ends of the expressions, inputs before what uses them."""
    found = dict.fromkeys(roots)
    level = list(found)
    while level and len(found) < _NODES:
        level = [
            one
            for one in dict.fromkeys(one for node in level for one in _drawn_inputs(node))
            if one not in found
        ]
        found.update(dict.fromkeys(level))
    return [node for node in walk(*roots) if node in found]


def _drawn_inputs(node: Expr) -> tuple[Expr, ...]:
    return node.inputs[:_PARTS] if node.op == "concat" else node.inputs


def _box(node: Expr, naming: Naming) -> _Box:
    if not node.inputs:
        return _sized(node.op, leaf_text(node, naming), node.medium, _NAME)
    name = {"concat": "join"}.get(node.op, node.op)
    return _sized(node.op, name, args_text(node), _NAME)


def _sized(op: str, name: str, told: str, size: float) -> _Box:
    name, told = one_line(name), one_line(told)
    wide = max(width_of(name, size, bold=True), width_of(told, _SMALL)) + 2 * _PAD + 0.5
    width = min(max(wide, _BOX[0]), _BOX[1])
    inner = width - 2 * _PAD
    return _Box(
        op, cut_to(name, inner, size, bold=True), cut_to(told, inner, _SMALL), width, 38.0 if told else 26.0
    )


def _drawn(panel: _Panel, left: float, top: float) -> Iterator[str]:
    yield text_at(panel.title, left, top + 10, _NAME, _ACCENT, ' font-weight="600"', "start")
    yield f'<g transform="translate({px(left)} {px(top + 24)})">'
    for route in panel.layout.routes:
        yield from _arrow(route)
    for box, centre in zip(panel.boxes, panel.layout.centres, strict=True):
        yield from _drawn_box(box, centre)
    yield "</g>"


def _arrow(route: Route) -> Iterator[str]:
    x, y = route.end
    yield f'<path d="{path_of(route)}" fill="none" stroke="{_LINE}" stroke-width="1.4"/>'
    yield f'<path d="M{px(x)} {px(y)}l-8 -4v8z" fill="{_LINE}"/>'


def _drawn_box(box: _Box, centre: Point) -> Iterator[str]:
    x, y = centre
    if box.op:
        fill, line = _COLOURS.get(box.op, _PLAIN)
        yield (
            f'<rect x="{px(x - box.width / 2)}" y="{px(y - box.height / 2)}" width="{px(box.width)}" '
            f'height="{px(box.height)}" rx="6" fill="{fill}" stroke="{line}" stroke-width="1.3"/>'
        )
    yield text_at(box.name, x, y + (-2 if box.told else 4), _NAME, _INK, ' font-weight="600"')
    if box.told:
        yield text_at(box.told, x, y + 12, _SMALL, _SOFT)
