"""A long row of layers folded into bands, one below the other, and the lines between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tessera.drawing.layers import Layers

__all__ = ["Bands", "fold"]

_UNFOLDED = (1_700.0, 2.6)
"""The largest width, and the largest ratio of width to height, of a picture that is not folded."""

_SHAPE = 1.7
"""The intended ratio of width to height of a folded picture."""

_MOST_LINES = 3
"""The largest number of lines from one band to the next."""

_LANE = 10.0
_MARGIN = 22.0
"""The distance between two lines beside the bands, and between the bands and the first line."""

Wrap = tuple[float, float, float]
"""A line from one band to the next: down at the first x, back at the y, down at the second x."""


@dataclass(slots=True)
class Bands:
    """The positions of folded layers.

    Attributes
    ----------
    across
        The centre of each cell across its layer, before folding.
    columns
        The left and right edge of each layer, before folding.
    band
        The band of each layer.
    shift
        For each band: the distance by which its cells move to the right and down.
    wraps
        The lines between bands, by their source and target cells.
    """

    cells: Layers
    across: Sequence[float]
    columns: Sequence[tuple[float, float]]
    band: list[int]
    shift: list[tuple[float, float]]
    wraps: dict[tuple[int, int], Wrap]
    width: float
    height: float

    def edges(self, rank: int) -> tuple[float, float]:
        """Return the left and right edge of a layer."""
        right, _down = self.shift[self.band[rank]]
        return self.columns[rank][0] + right, self.columns[rank][1] + right

    def centre(self, cell: int) -> tuple[float, float]:
        rank = self.cells.rank[cell]
        left, right = self.edges(rank)
        return (left + right) / 2, self.across[cell] + self.shift[self.band[rank]][1]

    def wrap_between(self, source: int, target: int) -> Wrap | None:
        """Return the line between two cells in different bands, or None if one band holds both."""
        return self.wraps.get((source, target))


def fold(cells: Layers, across: Sequence[float], columns: Sequence[tuple[float, float]]) -> Bands:
    """Fold a part that is much wider than high at layers that few lines enter; leave any other part."""
    width = columns[-1][1] if columns else 0.0
    height = max((at + cells.size[cell][1] / 2 for cell, at in enumerate(across)), default=0.0)
    starts = _starts(cells, columns, width, height)
    band = [0] * len(columns)
    for number, start in enumerate(starts):
        band[start:] = [number] * (len(band) - start)
    folded = Bands(cells, across, columns, band, [(0.0, 0.0)], {}, width, height)
    if len(starts) > 1:
        _stack(folded, starts)
    return folded


def _starts(cells: Layers, columns: Sequence[tuple[float, float]], width: float, height: float) -> list[int]:
    """Return the first layer of each band."""
    if width <= _UNFOLDED[0] or width <= _UNFOLDED[1] * height:
        return [0]
    entering = _entering(cells)
    target_width = max(_UNFOLDED[0] / 1.2, width / max(1.0, round((width / (_SHAPE * (height + 60))) ** 0.5)))
    starts = [0]
    while columns[-1][1] - columns[starts[-1]][0] > 1.25 * target_width:
        begin = columns[starts[-1]][0]
        candidates = [
            rank
            for rank in range(starts[-1] + 1, len(columns))
            if 0.65 * target_width <= columns[rank - 1][1] - begin <= 1.2 * target_width
            and entering[rank] <= _MOST_LINES
        ]
        if not candidates:
            break
        # Few lines come first, then a layer with nodes, then a width near the target.
        starts.append(
            min(
                candidates,
                key=lambda rank: (
                    entering[rank],
                    columns[rank][0] == columns[rank][1],
                    abs(columns[rank - 1][1] - begin - target_width),
                ),
            )
        )
    return starts


def _entering(cells: Layers) -> list[int]:
    """Return the number of lines that enter each layer.

    A layer that a connection without dummies crosses gets a number above the limit, so no band starts there.
    """
    counts = [sum(len(cells.before[cell]) for cell in row) for row in cells.layers]
    for chain in cells.chains:
        if len(chain) == 2:
            for rank in range(cells.rank[chain[0]] + 2, cells.rank[chain[1]] + 1):
                counts[rank] = counts[rank - 1] = _MOST_LINES + 1
    return counts


def _stack(folded: Bands, starts: Sequence[int]) -> None:
    """Place the bands below each other, with room between them for the lines from one to the next."""
    cells, columns, across = folded.cells, folded.columns, folded.across
    lines = [_lines(cells, across, start) for start in starts[1:]]
    left = _MARGIN + _LANE * max(map(len, lines))
    ends = [*starts[1:], len(columns)]
    folded.shift.clear()
    top = right = 0.0
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        inside = [cell for row in cells.layers[start:end] for cell in row]
        upper = min(across[cell] - cells.size[cell][1] / 2 for cell in inside)
        lower = max(across[cell] + cells.size[cell][1] / 2 for cell in inside)
        folded.shift.append((left - columns[start][0], top - upper))
        top += lower - upper
        right = max(right, left + columns[end - 1][1] - columns[start][0])
        if number < len(lines):
            top += 2 * _MARGIN + _LANE * (len(lines[number]) - 1)
    folded.height = top
    folded.width = right + left
    for number, band_lines in enumerate(lines):
        _wrap(folded, number, band_lines, right, left)


def _lines(cells: Layers, across: Sequence[float], start: int) -> list[tuple[int, int]]:
    """Return the lines that enter the first layer of a band, from the top one down."""
    pairs = [(source, cell) for cell in cells.layers[start] for source in cells.before[cell]]
    return sorted(pairs, key=lambda pair: (across[pair[0]], across[pair[1]]))


def _wrap(folded: Bands, number: int, lines: Sequence[tuple[int, int]], right: float, left: float) -> None:
    """Add the lines from one band to the next, nested so that as few as possible cross."""
    cells = folded.cells
    rank = cells.rank[lines[0][1]]
    edge = folded.edges(rank - 1)[1] if rank else right
    bottom = max(
        folded.centre(cell)[1] + cells.size[cell][1] / 2
        for index, row in enumerate(cells.layers)
        if folded.band[index] == number
        for cell in row
    )
    for index, pair in enumerate(lines):
        inner = len(lines) - 1 - index
        away = _MARGIN / 2 + _LANE * inner
        folded.wraps[pair] = (
            edge + away,
            bottom + _MARGIN + _LANE * inner,
            left - _MARGIN / 2 - _LANE * index,
        )
