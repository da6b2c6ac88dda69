"""Coordinates for the cells of ordered layers, by the method of Brandes and Köpf.

Four passes, one from each corner, join cells with their median neighbours into straight blocks and pack
the blocks. The coordinate of a cell is the mean of the two middle ones of its four. Long connections and
chains of nodes become straight. The time is linear in cells and connections.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tessera.drawing.layers import Layers

__all__ = ["assign_coordinates"]

NODE_GAP = 26.0
LINE_GAP = 12.0
"""The distance between two nodes of a layer, and between a dummy and its neighbours."""

_Pair = tuple[int, int]


def assign_coordinates(cells: Layers) -> list[float]:
    """Return the centre of each cell across its layer, with the topmost edge at 0."""
    conflicts = _conflicts(cells)
    candidates = []
    for backwards in (False, True):
        for flipped in (False, True):
            layers = cells.layers[::-1] if backwards else cells.layers
            if flipped:
                layers = [row[::-1] for row in layers]
            neighbours = cells.after if backwards else cells.before
            root = _align(cells, layers, neighbours, conflicts)
            at = _compact(cells, layers, root)
            candidates.append([-y for y in at] if flipped else at)
    centres = _balanced(cells, candidates)
    _separate(cells, centres)
    top = min((centres[cell] - cells.size[cell][1] / 2 for cell in range(len(centres))), default=0.0)
    return [y - top for y in centres]


def _conflicts(cells: Layers) -> set[_Pair]:
    """Return the connections that cross one between two dummies, which must stay straight."""
    conflicts: set[_Pair] = set()
    position = {cell: index for row in cells.layers for index, cell in enumerate(row)}
    for row, following in pairwise(cells.layers):
        begun, first = 0, 0
        for index, cell in enumerate(following):
            inner = _inner(cells, cell)
            if inner is None and index < len(following) - 1:
                continue
            # The nearest inner connections on both sides bound the sources that do not cross one.
            last = position[inner] if inner is not None else len(row)
            for target in following[begun : index + 1]:
                for source in cells.before[target]:
                    both = cells.dummy[target] and cells.dummy[source]
                    if not first <= position[source] <= last and not both:
                        conflicts.add((source, target))
            begun, first = index + 1, last
    return conflicts


def _inner(cells: Layers, cell: int) -> int | None:
    """Return the dummy that precedes a dummy, or None if the cell or its predecessor is a node."""
    if cells.dummy[cell]:
        for other in cells.before[cell]:
            if cells.dummy[other]:
                return other
    return None


def _align(
    cells: Layers, layers: Sequence[Sequence[int]], neighbours: list[list[int]], conflicts: set[_Pair]
) -> list[int]:
    """Return the root of each cell's block; a block is a straight run through the layers."""
    root = list(range(len(cells.rank)))
    joined = [False] * len(root)
    position = {cell: index for row in layers for index, cell in enumerate(row)}
    for row in layers:
        last = -1
        for cell in row:
            sorted_neighbours = sorted(neighbours[cell], key=position.__getitem__)
            if not sorted_neighbours:
                continue
            # Both medians, which are the same cell if the number of neighbours is odd.
            for at in {(len(sorted_neighbours) - 1) // 2: None, len(sorted_neighbours) // 2: None}:
                other = sorted_neighbours[at]
                free = root[cell] == cell and not joined[other] and position[other] > last
                # Joining only beyond `last` keeps the blocks of a layer from crossing.
                if free and (other, cell) not in conflicts and (cell, other) not in conflicts:
                    root[cell], joined[other], last = root[other], True, position[other]
    return root


def _compact(cells: Layers, layers: Sequence[Sequence[int]], root: list[int]) -> list[float]:
    """Return the packed coordinate of each cell's block.

    Each block moves as near as possible to the blocks above it, and then to the blocks below it.
    """
    count = len(root)
    below: list[dict[int, float]] = [{} for _ in range(count)]
    above: list[dict[int, float]] = [{} for _ in range(count)]
    for row in layers:
        for upper, lower in pairwise(row):
            first, second = root[upper], root[lower]
            distance = max(below[first].get(second, 0.0), _distance(cells, upper, lower))
            below[first][second] = above[second][first] = distance
    missing = [len(blocks) for blocks in above]
    order = [cell for cell in range(count) if root[cell] == cell and not missing[cell]]
    at = [0.0] * count
    for block in order:
        for other, distance in below[block].items():
            at[other] = max(at[other], at[block] + distance)
            missing[other] -= 1
            if not missing[other]:
                order.append(other)
    for block in reversed(order):
        if below[block]:
            at[block] = max(at[block], min(at[other] - distance for other, distance in below[block].items()))
    return [at[root[cell]] for cell in range(count)]


def _distance(cells: Layers, upper: int, lower: int) -> float:
    """Return the least distance between the centres of two adjacent cells of a layer."""
    gap = LINE_GAP if cells.dummy[upper] or cells.dummy[lower] else NODE_GAP
    return (cells.size[upper][1] + cells.size[lower][1]) / 2 + gap


def _balanced(cells: Layers, candidates: list[list[float]]) -> list[float]:
    """Return the mean of each cell's two middle coordinates, after aligning all four with the narrowest."""
    if not cells.rank:
        return []
    narrow = min(candidates, key=lambda at: max(at) - min(at))
    low, high = min(narrow), max(narrow)
    moved = []
    for number, at in enumerate(candidates):
        # Every second candidate is flipped: its blocks are packed against the other side.
        shift = high - max(at) if number % 2 else low - min(at)
        moved.append([y + shift for y in at])
    return [sum(sorted(four)[1:3]) / 2 for four in zip(*moved, strict=True)]


def _separate(cells: Layers, centres: list[float]) -> None:
    """Move down each cell that taking the mean has put too near to the one above it."""
    for row in cells.layers:
        for upper, lower in pairwise(row):
            centres[lower] = max(centres[lower], centres[upper] + _distance(cells, upper, lower))
