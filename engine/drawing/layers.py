"""A directed acyclic graph in layers: which layer each node stands in, and in which order within it.

The first half of Sugiyama's method: longest paths give the layers, chains of dummy cells stand for the
connections that span several, and sweeps with barycentres leave few crossings. `tessera.drawing.coordinates`
does the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

__all__ = ["Layers", "Link", "crossings", "layer"]

Size = tuple[float, float]

_SWEEPS = 24
_PATIENCE = 4
"""Sweeps without a better order after which it is given up."""

_MOST_EXCHANGED = 4_000
"""The most cells of a graph in which neighbours are exchanged too."""

_DUMMIES_PER_NODE = 40
"""Connections beyond this many dummies have none: they are drawn straight."""

_LINE = (0.0, 6.0)
"""The size of a dummy: what a connection takes in a layer that it passes."""


@dataclass(frozen=True, slots=True)
class Link:
    """A connection of nodes, by their places; `label`: the size of what is written on it."""

    source: int
    target: int
    label: Size | None = None


@dataclass(slots=True)
class Layers:
    """Cells in layers: nodes first, with their own numbers, then dummies.

    Attributes
    ----------
    rank, size, dummy
        Of each cell: its layer, its width and height, whether it is a dummy.
    before, after
        Of each cell: those connected to it in the layer before and after.
    layers
        The cells of each layer in order.
    chains
        Of each link: its cells from source to target.
    labels
        Of each link: the dummy that holds its label.
    """

    rank: list[int]
    size: list[Size]
    dummy: list[bool]
    before: list[list[int]]
    after: list[list[int]]
    layers: list[list[int]] = field(default_factory=list)
    chains: list[list[int]] = field(default_factory=list)
    labels: list[int | None] = field(default_factory=list)

    def add(self, rank: int, size: Size) -> int:
        """A new dummy."""
        self.rank.append(rank)
        self.size.append(size)
        self.dummy.append(True)
        self.before.append([])
        self.after.append([])
        return len(self.rank) - 1

    def join(self, source: int, target: int) -> None:
        self.after[source].append(target)
        self.before[target].append(source)


def layer(sizes: Sequence[Size], links: Sequence[Link]) -> Layers:
    """Put nodes into layers and order each; every link leads to a later layer.

    Parameters
    ----------
    sizes
        The width and height of each node.
    links
        Connections without a cycle.
    """
    rank = _ranks(len(sizes), links)
    if any(link.label for link in links):
        rank = [2 * one for one in rank]  # a layer for labels between any two of nodes
    cells = Layers(rank, list(sizes), [False] * len(sizes), [[] for _ in sizes], [[] for _ in sizes])
    left = _DUMMIES_PER_NODE * len(sizes) + 1_000
    for link in links:
        left -= rank[link.target] - rank[link.source] - 1
        _chain(cells, link, straight=left < 0)
    _first_order(cells, len(sizes))
    _sweep(cells)
    return cells


def _ranks(count: int, links: Sequence[Link]) -> list[int]:
    """Longest paths from the sources; then what has more after it than before it moves up to that."""
    after: list[list[int]] = [[] for _ in range(count)]
    before = [0] * count
    for link in links:
        after[link.source].append(link.target)
        before[link.target] += 1
    waiting = list(before)
    order = [node for node in range(count) if not before[node]]
    rank = [0] * count
    for node in order:
        for target in after[node]:
            rank[target] = max(rank[target], rank[node] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                order.append(target)
    for node in reversed(order):
        if len(after[node]) > before[node] or (after[node] and not before[node]):
            rank[node] = max(rank[node], min(rank[target] for target in after[node]) - 1)
    lowest = min(rank, default=0)
    return [one - lowest for one in rank]


def _chain(cells: Layers, link: Link, *, straight: bool) -> None:
    """The cells of one link: its ends and, where it spans several layers, a dummy in each between."""
    first, last = cells.rank[link.source], cells.rank[link.target]
    middle = (first + last) // 2
    at = middle if middle % 2 else middle - 1
    chain, label = [link.source], None
    for rank in range(first + 1, last) if not straight else ():
        labelled = rank == at and link.label is not None
        chain.append(cells.add(rank, link.label if labelled and link.label else _LINE))
        label = chain[-1] if labelled else label
    chain.append(link.target)
    if not straight or last == first + 1:
        for source, target in pairwise(chain):
            cells.join(source, target)
    cells.chains.append(chain)
    cells.labels.append(label)


def _first_order(cells: Layers, nodes: int) -> None:
    """Cells as a search in depth meets them: what hangs together stands together."""
    cells.layers = [[] for _ in range(max(cells.rank, default=-1) + 1)]
    seen = [False] * len(cells.rank)
    starts = sorted(range(nodes), key=lambda node: (bool(cells.before[node]), cells.rank[node], node))
    for start in starts:
        stack = [start]
        while stack:
            cell = stack.pop()
            if seen[cell]:
                continue
            seen[cell] = True
            cells.layers[cells.rank[cell]].append(cell)
            stack.extend(reversed(cells.after[cell]))


# few crossings


def _sweep(cells: Layers) -> None:
    """Order each layer by where its neighbours stand, forwards and backwards in turn; keep the best."""
    place = _places(cells)
    best, fewest, idle = [list(one) for one in cells.layers], crossings(cells), 0
    for number in range(_SWEEPS):
        if not fewest or idle == _PATIENCE:
            break
        forwards, biased = number % 2 == 0, number % 4 >= 2
        ranks = range(1, len(cells.layers)) if forwards else range(len(cells.layers) - 2, -1, -1)
        for rank in ranks:
            _by_barycentre(cells, rank, cells.before if forwards else cells.after, place, biased=biased)
        if len(cells.rank) <= _MOST_EXCHANGED:
            _exchange(cells, place)
        count = crossings(cells)
        idle += 1
        if count < fewest:
            best, fewest, idle = [list(one) for one in cells.layers], count, 0
    cells.layers = best


def _places(cells: Layers) -> list[int]:
    """The place of each cell in its layer."""
    place = [0] * len(cells.rank)
    for one in cells.layers:
        for index, cell in enumerate(one):
            place[cell] = index
    return place


def _by_barycentre(
    cells: Layers, rank: int, near: list[list[int]], place: list[int], *, biased: bool
) -> None:
    """Sort a layer by the mean place of each cell's neighbours; cells without any keep theirs."""
    row = cells.layers[rank]
    movable = [cell for cell in row if near[cell]]
    key = {cell: sum(place[other] for other in near[cell]) / len(near[cell]) for cell in movable}
    if biased:
        movable.reverse()
    ranked = iter(sorted(movable, key=key.__getitem__))
    cells.layers[rank] = [next(ranked) if near[cell] else cell for cell in row]
    for index, cell in enumerate(cells.layers[rank]):
        place[cell] = index


def _exchange(cells: Layers, place: list[int]) -> None:
    """Exchange neighbours in a layer wherever that takes crossings away."""
    for row in cells.layers:
        better = True
        while better:
            better = False
            for index in range(len(row) - 1):
                one, other = row[index], row[index + 1]
                if _between(cells, one, other, place) > _between(cells, other, one, place):
                    row[index], row[index + 1] = other, one
                    place[one], place[other] = index + 1, index
                    better = True


def _between(cells: Layers, upper: int, lower: int, place: list[int]) -> int:
    """How often the connections of two cells cross when one stands above the other."""
    count = 0
    for near in (cells.before, cells.after):
        above = sorted(place[cell] for cell in near[upper])
        below = sorted(place[cell] for cell in near[lower])
        at = 0
        for one in above:
            while at < len(below) and below[at] < one:
                at += 1
            count += at
    return count


def crossings(cells: Layers) -> int:
    """How many pairs of connections cross between neighbouring layers."""
    place = _places(cells)
    return sum(_inversions(list(_targets(cells, row, place))) for row in cells.layers)


def _targets(cells: Layers, row: Sequence[int], place: list[int]) -> Iterator[int]:
    """Where the connections of a layer end, from the top one on."""
    for cell in row:
        yield from sorted(place[target] for target in cells.after[cell])


def _inversions(values: list[int]) -> int:
    """How many pairs stand in the wrong order, counted with a Fenwick tree."""
    size = max(values, default=-1) + 2
    tree = [0] * (size + 1)
    total = 0
    for seen, value in enumerate(values):
        at, lower = value + 1, 0
        while at:
            lower += tree[at]
            at &= at - 1
        total += seen - lower
        at = value + 1
        while at <= size:
            tree[at] += 1
            at += at & -at
    return total
