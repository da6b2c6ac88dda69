"""Coordinates for the cells of ordered layers: Brandes and Köpf's method.

Four times, from each corner, cells are joined into straight blocks with their median neighbours and the
blocks packed; a cell stands at the mean of the two middle ones of its four coordinates. Long connections
come out straight, and chains of nodes too. Linear in cells and connections.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tessera.drawing.layers import Layers

__all__ = ["place"]

NODE_GAP = 26.0
LINE_GAP = 12.0
"""How far apart two nodes stand in a layer, and a dummy from whatever is beside it."""

_Pair = tuple[int, int]


def place(cells: Layers) -> list[float]:
    """The centre of each cell across its layer; the least edge of all is at 0."""
    conflicts = _conflicts(cells)
    found = []
    for backwards in (False, True):
        for flipped in (False, True):
            layers = cells.layers[::-1] if backwards else cells.layers
            if flipped:
                layers = [row[::-1] for row in layers]
            near = cells.after if backwards else cells.before
            root = _align(cells, layers, near, conflicts)
            at = _compact(cells, layers, root)
            found.append([-one for one in at] if flipped else at)
    centres = _balanced(cells, found)
    _part(cells, centres)
    top = min((centres[cell] - cells.size[cell][1] / 2 for cell in range(len(centres))), default=0.0)
    return [one - top for one in centres]


def _conflicts(cells: Layers) -> set[_Pair]:
    """Connections that cross one between two dummies, which is to stay straight."""
    found: set[_Pair] = set()
    where = {cell: index for row in cells.layers for index, cell in enumerate(row)}
    for row, following in pairwise(cells.layers):
        begun, first = 0, 0
        for index, cell in enumerate(following):
            inner = _inner(cells, cell)
            if inner is None and index < len(following) - 1:
                continue
            last = where[inner] if inner is not None else len(row)
            for one in following[begun : index + 1]:
                for other in cells.before[one]:
                    both = cells.dummy[one] and cells.dummy[other]
                    if not first <= where[other] <= last and not both:
                        found.add((other, one))
            begun, first = index + 1, last
    return found


def _inner(cells: Layers, cell: int) -> int | None:
    """The dummy before a dummy."""
    if cells.dummy[cell]:
        for other in cells.before[cell]:
            if cells.dummy[other]:
                return other
    return None


def _align(
    cells: Layers, layers: Sequence[Sequence[int]], near: list[list[int]], conflicts: set[_Pair]
) -> list[int]:
    """The root of the block that each cell is joined to: a straight run through the layers."""
    root = list(range(len(cells.rank)))
    joined = [False] * len(root)
    where = {cell: index for row in layers for index, cell in enumerate(row)}
    for row in layers:
        last = -1
        for cell in row:
            ranked = sorted(near[cell], key=where.__getitem__)
            if not ranked:
                continue
            for at in {(len(ranked) - 1) // 2: None, len(ranked) // 2: None}:
                other = ranked[at]
                free = root[cell] == cell and not joined[other] and where[other] > last
                if free and (other, cell) not in conflicts and (cell, other) not in conflicts:
                    root[cell], joined[other], last = root[other], True, where[other]
    return root


def _compact(cells: Layers, layers: Sequence[Sequence[int]], root: list[int]) -> list[float]:
    """Pack the blocks: each as near as can be to the ones above it, then to the ones below."""
    count = len(root)
    below: list[dict[int, float]] = [{} for _ in range(count)]
    above: list[dict[int, float]] = [{} for _ in range(count)]
    for row in layers:
        for one, other in pairwise(row):
            mine, theirs = root[one], root[other]
            apart = max(below[mine].get(theirs, 0.0), _apart(cells, one, other))
            below[mine][theirs] = above[theirs][mine] = apart
    waiting = [len(one) for one in above]
    order = [cell for cell in range(count) if root[cell] == cell and not waiting[cell]]
    at = [0.0] * count
    for block in order:
        for other, apart in below[block].items():
            at[other] = max(at[other], at[block] + apart)
            waiting[other] -= 1
            if not waiting[other]:
                order.append(other)
    for block in reversed(order):
        if below[block]:
            at[block] = max(at[block], min(at[other] - apart for other, apart in below[block].items()))
    return [at[root[cell]] for cell in range(count)]


def _apart(cells: Layers, one: int, other: int) -> float:
    """How far apart the centres of two neighbours in a layer must be."""
    gap = LINE_GAP if cells.dummy[one] or cells.dummy[other] else NODE_GAP
    return (cells.size[one][1] + cells.size[other][1]) / 2 + gap


def _balanced(cells: Layers, found: list[list[float]]) -> list[float]:
    """The mean of the two middle coordinates, once all four are moved onto the narrowest."""
    if not cells.rank:
        return []
    narrow = min(found, key=lambda at: max(at) - min(at))
    low, high = min(narrow), max(narrow)
    moved = []
    for number, at in enumerate(found):
        shift = high - max(at) if number % 2 else low - min(at)
        moved.append([one + shift for one in at])
    return [sum(sorted(four)[1:3]) / 2 for four in zip(*moved, strict=True)]


def _part(cells: Layers, centres: list[float]) -> None:
    """Move apart what the mean has brought too near."""
    for row in cells.layers:
        for one, other in pairwise(row):
            centres[other] = max(centres[other], centres[one] + _apart(cells, one, other))
