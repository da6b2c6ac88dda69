"""Where the nodes and connections of a directed acyclic graph stand in a picture.

From left to right in layers; a long picture is folded into bands, one below the other, as text is into lines.
Parts that nothing connects stand beside or below each other. Pure, and the same for the same graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from tessera.drawing.coordinates import place
from tessera.drawing.layers import Layers, Link, Size, layer
from tessera.drawing.wrap import Bands, fold

__all__ = ["Layout", "Link", "Point", "Route", "RouteSegment", "lay_out"]

Point = tuple[float, float]

_GAPS = (58.0, 150.0)
"""The least and the greatest distance of two layers of nodes: the steeper the lines between, the greater."""

_LABEL_GAP = 18.0
"""The distance of a label from the nodes on both sides."""

_PART_GAP = 34.0
_WIDEST_ROW = 1_400.0
"""Parts stand beside each other up to this width."""


@dataclass(frozen=True, slots=True)
class RouteSegment:
    """A piece of a route: a straight `line`, a `curve` that begins and ends level, or `corners` to be
    rounded.
    """

    form: Literal["line", "curve", "corners"]
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """The way of a connection, from the right of its source to the left of its target.

    Attributes
    ----------
    label
        The centre of its label, where it has one.
    """

    pieces: tuple[RouteSegment, ...]
    label: Point | None = None

    @property
    def end(self) -> Point:
        return self.pieces[-1].points[-1]


@dataclass(frozen=True, slots=True)
class Layout:
    """The centre of each node, the route of each link, and the size of the whole."""

    width: float
    height: float
    centres: tuple[Point, ...]
    routes: tuple[Route, ...]


def lay_out(sizes: Sequence[Size], links: Sequence[Link]) -> Layout:
    """Lay out nodes of the given sizes (width, height) and the links between them.

    Parameters
    ----------
    links
        Connections without a cycle, by the places of their ends in `sizes`.
    """
    centres: list[Point] = [(0.0, 0.0)] * len(sizes)
    routes: list[Route] = [Route(())] * len(links)
    shelf = _Shelf()
    for nodes, own in _parts(len(sizes), links):
        number = {node: index for index, node in enumerate(nodes)}
        part = _part(
            [sizes[node] for node in nodes],
            [Link(number[links[at].source], number[links[at].target], links[at].label) for at in own],
        )
        left, top = shelf.put(part.width, part.height)
        for node, (x, y) in zip(nodes, part.centres, strict=True):
            centres[node] = (x + left, y + top)
        for at, route in zip(own, part.routes, strict=True):
            routes[at] = _moved(route, left, top)
    return Layout(shelf.width, shelf.height, tuple(centres), tuple(routes))


class _Shelf:
    """Places for parts: beside the one before while the row is not full, else below."""

    def __init__(self) -> None:
        self.width = self.height = 0.0
        self._left = self._top = 0.0

    def put(self, width: float, height: float) -> Point:
        if self._left and self._left + width > _WIDEST_ROW:
            self._left, self._top = 0.0, self.height + _PART_GAP
        at = (self._left, self._top)
        self._left += width + _PART_GAP
        self.width = max(self.width, at[0] + width)
        self.height = max(self.height, at[1] + height)
        return at


def _moved(route: Route, right: float, down: float) -> Route:
    pieces = tuple(
        RouteSegment(piece.form, tuple((x + right, y + down) for x, y in piece.points))
        for piece in route.pieces
    )
    label = (route.label[0] + right, route.label[1] + down) if route.label else None
    return Route(pieces, label)


def _parts(count: int, links: Sequence[Link]) -> Iterator[tuple[list[int], list[int]]]:
    """The nodes and the links (by place) of each connected part, in the order of its first node."""
    part = list(range(count))

    def root(node: int) -> int:
        while part[node] != node:
            part[node] = part[part[node]]
            node = part[node]
        return node

    for link in links:
        one, other = sorted((root(link.source), root(link.target)))
        part[other] = one
    found: dict[int, tuple[list[int], list[int]]] = {}
    for node in range(count):
        found.setdefault(root(node), ([], []))[0].append(node)
    for at, link in enumerate(links):
        found[root(link.source)][1].append(at)
    yield from found.values()


def _part(sizes: Sequence[Size], links: Sequence[Link]) -> Layout:
    """Lay out one connected part."""
    cells = layer(sizes, links)
    across = place(cells)
    columns = _columns(cells, across, labelled=any(link.label for link in links))
    bands = fold(cells, across, columns)
    centres = [bands.centre(cell) for cell in range(len(cells.rank))]
    drawer = _Drawer(cells, bands, centres)
    routes = [drawer.route(index) for index in range(len(links))]
    return Layout(bands.width, bands.height, tuple(centres[: len(sizes)]), tuple(routes))


def _columns(cells: Layers, across: Sequence[float], *, labelled: bool) -> list[tuple[float, float]]:
    """The left and right edge of each layer."""
    found: list[tuple[float, float]] = []
    left = 0.0
    for row in cells.layers:
        width = max((cells.size[cell][0] for cell in row), default=0.0)
        found.append((left, left + width))
        steep = max(
            (abs(across[one] - across[cell]) for cell in row for one in cells.after[cell]), default=0.0
        )
        gap = min(_GAPS[0] + steep / 8, _GAPS[1])
        left += width + (max(_LABEL_GAP, gap / 2) if labelled else gap)
    return found


class _Drawer:
    """Draws the links of one part."""

    def __init__(self, cells: Layers, bands: Bands, centres: Sequence[Point]) -> None:
        self.cells, self.bands, self.centres = cells, bands, centres

    def route(self, index: int) -> Route:
        chain, label = self.cells.chains[index], self.cells.labels[index]
        pieces = []
        for one, other in pairwise(chain):
            pieces.append(self.step(one, other))
            if other != chain[-1]:
                pieces.append(self.through(other))
        return Route(tuple(pieces), self.centres[label] if label is not None else None)

    def through(self, cell: int) -> RouteSegment:
        """The line through a layer that a connection passes."""
        y = self.centres[cell][1]
        left, right = self.bands.edges(self.cells.rank[cell])
        return RouteSegment("line", ((left, y), (right, y)))

    def step(self, one: int, other: int) -> RouteSegment:
        """From the right of one cell to the left of the next."""
        begin = (self.right(one), self.centres[one][1])
        end = (self.left(other), self.centres[other][1])
        wrapped = self.bands.around(one, other)
        if wrapped is not None:
            right, level, left = wrapped
            corners = ((right, begin[1]), (right, level), (left, level), (left, end[1]))
            return RouteSegment("corners", (begin, *corners, end))
        return RouteSegment("line" if begin[1] == end[1] else "curve", (begin, end))

    def right(self, cell: int) -> float:
        if self.cells.dummy[cell]:
            return self.bands.edges(self.cells.rank[cell])[1]
        return self.centres[cell][0] + self.cells.size[cell][0] / 2

    def left(self, cell: int) -> float:
        if self.cells.dummy[cell]:
            return self.bands.edges(self.cells.rank[cell])[0]
        return self.centres[cell][0] - self.cells.size[cell][0] / 2
