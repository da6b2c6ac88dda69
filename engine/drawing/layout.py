"""The positions of the nodes and connections of a directed acyclic graph in a picture.

Layers run from left to right. A long picture is folded into bands, one below the other, like text into
lines. Parts that no connection joins are placed beside or below each other. The functions are pure and
deterministic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from tessera.drawing.coordinates import assign_coordinates
from tessera.drawing.layers import Layers, Link, Size, assign_layers
from tessera.drawing.wrap import Bands, fold

__all__ = ["Layout", "Link", "Point", "Route", "RouteSegment", "lay_out"]

Point = tuple[float, float]

_GAPS = (58.0, 150.0)
"""The least and the greatest distance between two layers of nodes; steeper lines need more."""

_LABEL_GAP = 18.0
"""The distance between a label and the nodes on both sides."""

_PART_GAP = 34.0
_WIDEST_ROW = 1_400.0
"""The width up to which parts are placed beside each other."""


@dataclass(frozen=True, slots=True)
class RouteSegment:
    """A segment of a route: a straight `line`, a `curve` that begins and ends horizontally, or `corners` to
    round.
    """

    form: Literal["line", "curve", "corners"]
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """The path of a connection, from the right of its source to the left of its target.

    Attributes
    ----------
    label
        The centre of the connection's label, if it has one.
    """

    pieces: tuple[RouteSegment, ...]
    label: Point | None = None

    @property
    def end(self) -> Point:
        return self.pieces[-1].points[-1]


@dataclass(frozen=True, slots=True)
class Layout:
    """The centre of each node, the route of each link, and the size of the picture."""

    width: float
    height: float
    centres: tuple[Point, ...]
    routes: tuple[Route, ...]


def lay_out(sizes: Sequence[Size], links: Sequence[Link]) -> Layout:
    """Lay out nodes of the given sizes (width, height) and the links between them.

    Parameters
    ----------
    links
        The connections, without a cycle; their ends are indices into `sizes`.
    """
    centres: list[Point] = [(0.0, 0.0)] * len(sizes)
    routes: list[Route] = [Route(())] * len(links)
    packer = _RowPacker()
    for nodes, own in _parts(len(sizes), links):
        number = {node: index for index, node in enumerate(nodes)}
        part = _part(
            [sizes[node] for node in nodes],
            [Link(number[links[at].source], number[links[at].target], links[at].label) for at in own],
        )
        left, top = packer.reserve(part.width, part.height)
        for node, (x, y) in zip(nodes, part.centres, strict=True):
            centres[node] = (x + left, y + top)
        for at, route in zip(own, part.routes, strict=True):
            routes[at] = _moved(route, left, top)
    return Layout(packer.width, packer.height, tuple(centres), tuple(routes))


class _RowPacker:
    """Places parts in rows: beside the previous part while the row has room, otherwise below."""

    def __init__(self) -> None:
        self.width = self.height = 0.0
        self._left = self._top = 0.0

    def reserve(self, width: float, height: float) -> Point:
        """Reserve room for a part and return its top left corner."""
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
    """Yield the nodes and the links (by index) of each connected part, in the order of its first node."""
    parent = list(range(count))

    def root(node: int) -> int:
        # Halving the path keeps the search near constant time.
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for link in links:
        lower, higher = sorted((root(link.source), root(link.target)))
        parent[higher] = lower
    parts: dict[int, tuple[list[int], list[int]]] = {}
    for node in range(count):
        parts.setdefault(root(node), ([], []))[0].append(node)
    for at, link in enumerate(links):
        parts[root(link.source)][1].append(at)
    yield from parts.values()


def _part(sizes: Sequence[Size], links: Sequence[Link]) -> Layout:
    """Lay out one connected part."""
    cells = assign_layers(sizes, links)
    across = assign_coordinates(cells)
    columns = _columns(cells, across, labelled=any(link.label for link in links))
    bands = fold(cells, across, columns)
    centres = [bands.centre(cell) for cell in range(len(cells.rank))]
    router = _Router(cells, bands, centres)
    routes = [router.route(index) for index in range(len(links))]
    return Layout(bands.width, bands.height, tuple(centres[: len(sizes)]), tuple(routes))


def _columns(cells: Layers, across: Sequence[float], *, labelled: bool) -> list[tuple[float, float]]:
    """Return the left and right edge of each layer."""
    columns: list[tuple[float, float]] = []
    left = 0.0
    for row in cells.layers:
        width = max((cells.size[cell][0] for cell in row), default=0.0)
        columns.append((left, left + width))
        steep = max(
            (abs(across[target] - across[cell]) for cell in row for target in cells.after[cell]), default=0.0
        )
        gap = min(_GAPS[0] + steep / 8, _GAPS[1])
        left += width + (max(_LABEL_GAP, gap / 2) if labelled else gap)
    return columns


class _Router:
    """Routes the links of one part."""

    def __init__(self, cells: Layers, bands: Bands, centres: Sequence[Point]) -> None:
        self.cells, self.bands, self.centres = cells, bands, centres

    def route(self, index: int) -> Route:
        chain, label = self.cells.chains[index], self.cells.labels[index]
        pieces = []
        for source, target in pairwise(chain):
            pieces.append(self.between(source, target))
            if target != chain[-1]:
                pieces.append(self.across(target))
        return Route(tuple(pieces), self.centres[label] if label is not None else None)

    def across(self, cell: int) -> RouteSegment:
        """Return the line across a layer that a connection crosses at this dummy."""
        y = self.centres[cell][1]
        left, right = self.bands.edges(self.cells.rank[cell])
        return RouteSegment("line", ((left, y), (right, y)))

    def between(self, source: int, target: int) -> RouteSegment:
        """Return the segment from the right of one cell to the left of the next."""
        begin = (self.right(source), self.centres[source][1])
        end = (self.left(target), self.centres[target][1])
        wrap = self.bands.wrap_between(source, target)
        if wrap is not None:
            right, level, left = wrap
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
