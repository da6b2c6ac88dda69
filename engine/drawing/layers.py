"""A directed acyclic graph in layers: the layer of each node, and the order within each layer.

The first half of Sugiyama's method: longest paths give the layers, chains of dummy cells represent the
connections that span several layers, and barycentre sweeps reduce the crossings.
`tessera.drawing.coordinates` does the second half.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

__all__ = ["Layers", "Link", "assign_layers", "crossings"]

Size = tuple[float, float]

_SWEEPS = 24
_PATIENCE = 4
"""The number of sweeps without a better order after which the search stops."""

_MOST_EXCHANGED = 4_000
"""The largest number of cells for which neighbours are also exchanged."""

_DUMMIES_PER_NODE = 40
"""The budget of dummies per node. Once it is spent, connections get none and are drawn straight."""

_LINE = (0.0, 6.0)
"""The size of a dummy: the room for a connection in a layer that it crosses."""


@dataclass(frozen=True, slots=True)
class Link:
    """A connection between two nodes, given by their indices; `label` is the size of its label."""

    source: int
    target: int
    label: Size | None = None


@dataclass(slots=True)
class Layers:
    """Cells in layers: first the nodes, with their own indices, then the dummies.

    Attributes
    ----------
    rank, size, dummy
        For each cell: its layer, its width and height, and True if it is a dummy.
    before, after
        For each cell: the cells connected to it in the layer before and after.
    layers
        The cells of each layer in order.
    chains
        For each link: its cells from source to target.
    labels
        For each link: the dummy that holds its label, if it has one.
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
        """Add a dummy and return its index."""
        self.rank.append(rank)
        self.size.append(size)
        self.dummy.append(True)
        self.before.append([])
        self.after.append([])
        return len(self.rank) - 1

    def join(self, source: int, target: int) -> None:
        self.after[source].append(target)
        self.before[target].append(source)


def assign_layers(sizes: Sequence[Size], links: Sequence[Link]) -> Layers:
    """Assign nodes to layers and order each layer; every link leads to a later layer.

    Parameters
    ----------
    sizes
        The width and height of each node.
    links
        The connections, without a cycle.
    """
    rank = _ranks(len(sizes), links)
    if any(link.label for link in links):
        # One extra layer for labels between every two layers of nodes.
        rank = [2 * index for index in rank]
    cells = Layers(rank, list(sizes), [False] * len(sizes), [[] for _ in sizes], [[] for _ in sizes])
    dummies_left = _DUMMIES_PER_NODE * len(sizes) + 1_000
    for link in links:
        dummies_left -= rank[link.target] - rank[link.source] - 1
        _chain(cells, link, straight=dummies_left < 0)
    _first_order(cells, len(sizes))
    _sweep(cells)
    return cells


def _ranks(count: int, links: Sequence[Link]) -> list[int]:
    """Return the layer of each node: the length of the longest path to it from a source.

    A node with more connections after it than before it then moves as near as possible to its targets, which
    shortens the connections.
    """
    after: list[list[int]] = [[] for _ in range(count)]
    before = [0] * count
    for link in links:
        after[link.source].append(link.target)
        before[link.target] += 1
    missing = list(before)
    order = [node for node in range(count) if not before[node]]
    rank = [0] * count
    for node in order:
        for target in after[node]:
            rank[target] = max(rank[target], rank[node] + 1)
            missing[target] -= 1
            if not missing[target]:
                order.append(target)
    for node in reversed(order):
        if len(after[node]) > before[node] or (after[node] and not before[node]):
            rank[node] = max(rank[node], min(rank[target] for target in after[node]) - 1)
    lowest = min(rank, default=0)
    return [index - lowest for index in rank]


def _chain(cells: Layers, link: Link, *, straight: bool) -> None:
    """Add the chain of a link: its ends and, unless it is drawn straight, a dummy in each layer between."""
    # Only odd layers hold labels, since labels double the ranks of nodes.
    first, last = cells.rank[link.source], cells.rank[link.target]
    middle = (first + last) // 2
    label_rank = middle if middle % 2 else middle - 1
    chain, label = [link.source], None
    for rank in range(first + 1, last) if not straight else ():
        labelled = rank == label_rank and link.label is not None
        chain.append(cells.add(rank, link.label if labelled and link.label else _LINE))
        label = chain[-1] if labelled else label
    chain.append(link.target)
    if not straight or last == first + 1:
        for source, target in pairwise(chain):
            cells.join(source, target)
    cells.chains.append(chain)
    cells.labels.append(label)


def _first_order(cells: Layers, nodes: int) -> None:
    """Order the cells of each layer by a depth-first search, which keeps connected cells together."""
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


# crossings


def _sweep(cells: Layers) -> None:
    """Order each layer by the positions of its neighbours, forwards and backwards in turn; keep the best."""
    position = _positions(cells)
    best, fewest, idle = [list(row) for row in cells.layers], crossings(cells), 0
    for number in range(_SWEEPS):
        if not fewest or idle == _PATIENCE:
            break
        forwards, biased = number % 2 == 0, number % 4 >= 2
        ranks = range(1, len(cells.layers)) if forwards else range(len(cells.layers) - 2, -1, -1)
        for rank in ranks:
            _by_barycentre(cells, rank, cells.before if forwards else cells.after, position, biased=biased)
        if len(cells.rank) <= _MOST_EXCHANGED:
            _exchange(cells, position)
        count = crossings(cells)
        idle += 1
        if count < fewest:
            best, fewest, idle = [list(row) for row in cells.layers], count, 0
    cells.layers = best


def _positions(cells: Layers) -> list[int]:
    """Return the position of each cell within its layer."""
    position = [0] * len(cells.rank)
    for row in cells.layers:
        for index, cell in enumerate(row):
            position[cell] = index
    return position


def _by_barycentre(
    cells: Layers, rank: int, neighbours: list[list[int]], position: list[int], *, biased: bool
) -> None:
    """Sort a layer by the mean position of each cell's neighbours; cells without neighbours keep theirs.

    Parameters
    ----------
    biased
        Reverse the order of cells with equal means.
    """
    row = cells.layers[rank]
    movable = [cell for cell in row if neighbours[cell]]
    key = {
        cell: sum(position[other] for other in neighbours[cell]) / len(neighbours[cell]) for cell in movable
    }
    if biased:
        movable.reverse()
    sorted_cells = iter(sorted(movable, key=key.__getitem__))
    cells.layers[rank] = [next(sorted_cells) if neighbours[cell] else cell for cell in row]
    for index, cell in enumerate(cells.layers[rank]):
        position[cell] = index


def _exchange(cells: Layers, position: list[int]) -> None:
    """Swap adjacent cells of a layer wherever that removes crossings, until no swap does."""
    for row in cells.layers:
        better = True
        while better:
            better = False
            for index in range(len(row) - 1):
                upper, lower = row[index], row[index + 1]
                if _pair_crossings(cells, upper, lower, position) > _pair_crossings(
                    cells, lower, upper, position
                ):
                    row[index], row[index + 1] = lower, upper
                    position[upper], position[lower] = index + 1, index
                    better = True


def _pair_crossings(cells: Layers, upper: int, lower: int, position: list[int]) -> int:
    """Return the number of crossings between the connections of two cells, one above the other."""
    count = 0
    for neighbours in (cells.before, cells.after):
        above = sorted(position[cell] for cell in neighbours[upper])
        below = sorted(position[cell] for cell in neighbours[lower])
        at = 0
        for end in above:
            while at < len(below) and below[at] < end:
                at += 1
            count += at
    return count


def crossings(cells: Layers) -> int:
    """Return the number of pairs of connections that cross between adjacent layers."""
    position = _positions(cells)
    return sum(_inversions(list(_targets(cells, row, position))) for row in cells.layers)


def _targets(cells: Layers, row: Sequence[int], position: list[int]) -> Iterator[int]:
    """Yield the position at which each connection of a layer ends, from the top connection down."""
    for cell in row:
        yield from sorted(position[target] for target in cells.after[cell])


def _inversions(values: list[int]) -> int:
    """Return the number of pairs in the wrong order, counted with a Fenwick tree."""
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
