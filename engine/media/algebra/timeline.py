"""Timelines: the pieces that nested cuts and joins show of the expressions below them.

Lowering reads cuts only through these pieces, so frames and samples are the same whether or not the optimiser
merged the cuts before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import NamedTuple

from tessera.media.algebra.expression import Expr, walk
from tessera.media.algebra.time import Range

__all__ = ["CutPass", "Piece", "cut_passes", "is_timeline", "kept_ranges", "pieces_of"]


class Piece(NamedTuple):
    """A range [start, end) of an expression, in seconds on its own timeline."""

    leaf: Expr
    start: Fraction
    end: Fraction


class CutPass(NamedTuple):
    """Ascending ranges of one expression, which a single decoding pass can cut.

    `at` is their start on the joined timeline, in seconds. `held` is, for each range, the time from which
    it takes pictures: before its start if the picture on screen there is shown first. Empty: no range does.
    """

    leaf: Expr
    ranges: tuple[Range, ...]
    at: Fraction
    held: tuple[Fraction, ...] = ()


def is_timeline(node: Expr) -> bool:
    """Return True if a node is a cut or a join."""
    return node.op in ("keep", "concat")


def kept_ranges(node: Expr) -> tuple[Expr, tuple[Range, ...]] | None:
    """Return the source that a node shows, and the ascending ranges that it keeps (empty: all of it).

    Return None for any node other than a source or an ascending cut of a source.
    """
    if node.op == "source":
        return node, ()
    if node.op != "keep" or node.inputs[0].op != "source":
        return None
    ranges = node.arg("ranges")
    if any(after[0] < before[1] for before, after in pairwise(ranges)):
        return None
    return node.inputs[0], ranges


def pieces_of(root: Expr) -> list[Piece]:
    """Return the pieces that a cut or join shows, in order, with touching pieces merged."""
    made: dict[Expr, list[Piece]] = {}
    for node in walk(root, prune=lambda below: not is_timeline(below)):
        if not is_timeline(node):
            made[node] = [Piece(node, Fraction(0), node.duration)]  # type: ignore[attr-defined]
        elif node.op == "concat":
            made[node] = _merge_touching(piece for part in node.inputs for piece in made[part])
        else:
            made[node] = _merge_touching(_cut(made[node.inputs[0]], node.arg("ranges")))
    return made[root]


def _cut(pieces: Sequence[Piece], ranges: Sequence[Range]) -> Iterable[Piece]:
    """Yield the parts of the pieces that `ranges` of their joined timeline keep."""
    offsets = list(accumulate((end - start for _leaf, start, end in pieces), initial=Fraction(0)))
    for low, high in ranges:
        index = bisect_right(offsets, low) - 1
        while index < len(pieces) and offsets[index] < high:
            leaf, start, end = pieces[index]
            shift = start - offsets[index]
            yield Piece(leaf, max(low + shift, start), min(high + shift, end))
            index += 1


def _merge_touching(pieces: Iterable[Piece]) -> list[Piece]:
    found: list[Piece] = []
    for piece in pieces:
        if found and found[-1].leaf is piece.leaf and found[-1].end == piece.start:
            piece = Piece(piece.leaf, found.pop().start, piece.end)
        found.append(piece)
    return found


def cut_passes(
    pieces: Sequence[Piece], reach: Fraction | None = None, held: Sequence[Fraction] | None = None
) -> list[CutPass]:
    """Group the pieces into passes. With `reach`, no pass skips more than that many seconds at once.

    `held` gives the time from which each piece takes pictures. No pass takes a picture twice.
    """
    passes: list[CutPass] = []
    ranges: list[Range] = []
    taken: list[Fraction] = []
    at = Fraction(0)
    before: Piece | None = None
    begins = [piece.start for piece in pieces] if held is None else held
    for piece, begin in zip(pieces, begins, strict=True):
        ascends = before is not None and before.leaf is piece.leaf and before.end <= begin
        near = reach is None or before is None or begin - before.end <= reach
        if before is not None and not (ascends and near):
            passes.append(CutPass(before.leaf, tuple(ranges), at, tuple(taken)))
            at += sum((end - start for start, end in ranges), Fraction(0))
            ranges, taken = [], []
        ranges.append((piece.start, piece.end))
        if held is not None:
            taken.append(begin)
        before = piece
    assert before is not None
    return [*passes, CutPass(before.leaf, tuple(ranges), at, tuple(taken))]
