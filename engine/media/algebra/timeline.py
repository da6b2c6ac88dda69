"""Timelines: what cuts and joins, however nested, make of the expressions below them.

Lowering sees the cuts of an expression through these pieces alone, so that it makes no difference to a
frame or a sample whether cuts were merged before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import NamedTuple

from tessera.media.algebra.expression import Expr, walk
from tessera.media.algebra.time import Range

__all__ = ["Piece", "Run", "is_timeline", "kept_ranges", "pieces_of", "runs_of"]


class Piece(NamedTuple):
    """The range [start, end) of an expression, in seconds of its own timeline."""

    leaf: Expr
    start: Fraction
    end: Fraction


class Run(NamedTuple):
    """Ranges of one expression in ascending order, that a single pass over it can cut; `at` is where they
    begin on the timeline that they are part of, in seconds.
    """

    leaf: Expr
    ranges: tuple[Range, ...]
    at: Fraction


def is_timeline(node: Expr) -> bool:
    """Whether a node cuts or joins what lies below it."""
    return node.op in ("keep", "concat")


def kept_ranges(node: Expr) -> tuple[Expr, tuple[Range, ...]] | None:
    """The source that a node shows, and the ranges of it that it keeps, ascending (none: it shows all); None
    for any other node.
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
    """The pieces that a cut or join shows, one after another; touching ones joined to one."""
    made: dict[Expr, list[Piece]] = {}
    for node in walk(root, prune=lambda one: not is_timeline(one)):
        if not is_timeline(node):
            made[node] = [Piece(node, Fraction(0), node.duration)]  # type: ignore[attr-defined]
        elif node.op == "concat":
            made[node] = _joined(piece for one in node.inputs for piece in made[one])
        else:
            made[node] = _joined(_kept(made[node.inputs[0]], node.arg("ranges")))
    return made[root]


def _kept(pieces: Sequence[Piece], ranges: Sequence[Range]) -> Iterable[Piece]:
    """What `ranges` of the timeline that the pieces make keep of them."""
    offsets = list(accumulate((end - start for _leaf, start, end in pieces), initial=Fraction(0)))
    for low, high in ranges:
        index = bisect_right(offsets, low) - 1
        while index < len(pieces) and offsets[index] < high:
            leaf, start, end = pieces[index]
            shift = start - offsets[index]
            yield Piece(leaf, max(low + shift, start), min(high + shift, end))
            index += 1


def _joined(pieces: Iterable[Piece]) -> list[Piece]:
    found: list[Piece] = []
    for piece in pieces:
        if found and found[-1].leaf is piece.leaf and found[-1].end == piece.start:
            piece = Piece(piece.leaf, found.pop().start, piece.end)
        found.append(piece)
    return found


def runs_of(pieces: Sequence[Piece], reach: Fraction | None = None) -> list[Run]:
    """The pieces as runs. With `reach`, no more than so many seconds are skipped within a run."""
    runs: list[Run] = []
    ranges: list[Range] = []
    at = Fraction(0)
    before: Piece | None = None
    for piece in pieces:
        ascends = before is not None and before.leaf is piece.leaf and before.end <= piece.start
        near = reach is None or before is None or piece.start - before.end <= reach
        if before is not None and not (ascends and near):
            runs.append(Run(before.leaf, tuple(ranges), at))
            at += sum((end - start for start, end in ranges), Fraction(0))
            ranges = []
        ranges.append((piece.start, piece.end))
        before = piece
    assert before is not None
    return [*runs, Run(before.leaf, tuple(ranges), at)]
