"""A long row of layers folded into bands, one below the other; lines lead from the end of one to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tessera.drawing.layers import Layers

__all__ = ["Bands", "fold"]

_UNFOLDED = (1_700.0, 2.6)
"""The width, and the times its height, up to which a picture stays as it is."""

_SHAPE = 1.7
"""How many times as wide as high a folded picture shall be."""

_MOST_CARRIED = 3
"""The most lines that may lead from one band to the next."""

_LANE = 10.0
_MARGIN = 22.0
"""The distance of two lines beside the bands, and of the first from them."""

Wrap = tuple[float, float, float]


@dataclass(slots=True)
class Bands:
    """Where layers stand once they are folded.

    Attributes
    ----------
    band
        The band of each layer.
    shift
        Of each band: how far its cells are moved to the right and down.
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
        """The left and right edge of a layer."""
        right, _down = self.shift[self.band[rank]]
        return self.columns[rank][0] + right, self.columns[rank][1] + right

    def centre(self, cell: int) -> tuple[float, float]:
        rank = self.cells.rank[cell]
        left, right = self.edges(rank)
        return (left + right) / 2, self.across[cell] + self.shift[self.band[rank]][1]

    def around(self, one: int, other: int) -> Wrap | None:
        """How a line from one band to the next goes: down at this x, back at this y, down at this x."""
        return self.wraps.get((one, other))


def fold(cells: Layers, across: Sequence[float], columns: Sequence[tuple[float, float]]) -> Bands:
    """Fold a part that is much wider than high, where few lines have to be carried on; else leave it."""
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
    """The first layer of each band."""
    if width <= _UNFOLDED[0] or width <= _UNFOLDED[1] * height:
        return [0]
    carried = _carried(cells)
    wanted = max(_UNFOLDED[0] / 1.2, width / max(1.0, round((width / (_SHAPE * (height + 60))) ** 0.5)))
    starts = [0]
    while columns[-1][1] - columns[starts[-1]][0] > 1.25 * wanted:
        begin = columns[starts[-1]][0]
        near = [
            rank
            for rank in range(starts[-1] + 1, len(columns))
            if 0.65 * wanted <= columns[rank - 1][1] - begin <= 1.2 * wanted
            and carried[rank] <= _MOST_CARRIED
        ]
        if not near:
            break
        starts.append(
            min(
                near,
                key=lambda rank: (
                    carried[rank],
                    columns[rank][0] == columns[rank][1],
                    abs(columns[rank - 1][1] - begin - wanted),
                ),
            )
        )
    return starts


def _carried(cells: Layers) -> list[int]:
    """How many lines lead into each layer; more than may be where one leads past it without a dummy."""
    found = [sum(len(cells.before[cell]) for cell in row) for row in cells.layers]
    for chain in cells.chains:
        if len(chain) == 2:
            for rank in range(cells.rank[chain[0]] + 2, cells.rank[chain[1]] + 1):
                found[rank] = found[rank - 1] = _MOST_CARRIED + 1
    return found


def _stack(folded: Bands, starts: Sequence[int]) -> None:
    """Put the bands below each other, with room between for the lines that lead on."""
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
    for number, carried in enumerate(lines):
        _wrap(folded, number, carried, right, left)


def _lines(cells: Layers, across: Sequence[float], start: int) -> list[tuple[int, int]]:
    """The lines that lead into the first layer of a band, from the top one on."""
    pairs = [(one, cell) for cell in cells.layers[start] for one in cells.before[cell]]
    return sorted(pairs, key=lambda pair: (across[pair[0]], across[pair[1]]))


def _wrap(folded: Bands, number: int, lines: Sequence[tuple[int, int]], right: float, left: float) -> None:
    """The ways of the lines from one band to the next: nested, so that they cross only where they must."""
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
