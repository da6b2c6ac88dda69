"""Rules about time: they move cuts to the sources, so that discarded parts are never decoded.

The rewriting terminates: each rule moves a cut nearer to the leaves, or reduces the number of cuts or joins.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby, pairwise
from typing import Any

from tessera.media.algebra.expression import Expr, Picture, rebuild
from tessera.media.algebra.ranges import compose, join_touching, offsets_of, split_ranges
from tessera.media.algebra.rule import Rule, exact
from tessera.media.algebra.time import Range

__all__ = ["CUTS"]

_EFFECTS = frozenset({"crop", "scale", "flip", "blur"})


def _is_effect(node: Any) -> bool:
    """Return True if each frame depends only on the frame of the first input at the same time."""
    return node.op in _EFFECTS or (node.op == "overlay" and node.inputs[1].medium == "image")


@exact("keep")
def merge_cuts(node: Any) -> Expr | None:
    """keep(keep(x, a), b) = keep(x, the ranges of a that b keeps)"""
    inner = node.inputs[0]
    if inner.op != "keep":
        return None
    return _keep(inner.inputs[0], compose(inner.arg("ranges"), node.arg("ranges")))


@exact("keep")
def join_touching_ranges(node: Any) -> Expr | None:
    """keep(x, [a, b) and [b, c)) = keep(x, [a, c))"""
    ranges = node.arg("ranges")
    joined = join_touching(ranges)
    return _keep(node.inputs[0], joined) if len(joined) < len(ranges) else None


@exact("keep")
def cut_before_effects(node: Any) -> Expr | None:
    """keep(f(x), a) = f(keep(x, a)) for effects f without memory: crop, scale, flip, blur, an image over x"""
    effects, below = [], node.inputs[0]
    while _is_effect(below):
        effects.append(below)
        below = below.inputs[0]
    if not effects:
        return None
    made = _keep(below, node.arg("ranges"))
    for effect in reversed(effects):
        made = rebuild(effect, (made, *effect.inputs[1:]))
    return made


@exact("keep")
def cut_both_pictures(node: Any) -> Expr | None:
    """keep(overlay(x, y), a) = overlay(keep(x, a), keep(y, a)) where x and y have frames at the same times"""
    inner = node.inputs[0]
    if inner.op != "overlay" or not isinstance(inner.inputs[1], Picture):
        return None
    base, layer = inner.inputs
    if base.clock != layer.clock:
        return None
    ranges = node.arg("ranges")
    return rebuild(inner, (_keep(base, ranges), _keep(layer, ranges)))


@exact("keep")
def cut_parts(node: Any) -> Expr | None:
    """keep(x then y, a) = keep(x, the part of a in x) then keep(y, the part of a in y)"""
    inner = node.inputs[0]
    if inner.op != "concat":
        return None
    offsets = offsets_of(part.duration for part in inner.inputs)
    pieces = groupby(split_ranges(offsets, node.arg("ranges")), key=lambda piece: piece[0])
    kept = [
        _keep(inner.inputs[index], [(first, last) for _index, first, last in group])
        for index, group in pieces
    ]
    return _join(kept)


@exact("concat")
def flatten_joins(node: Any) -> Expr | None:
    """(x then y) then z = x then y then z"""
    if all(part.op != "concat" for part in node.inputs):
        return None
    parts, stack = [], list(reversed(node.inputs))
    while stack:
        part = stack.pop()
        if part.op == "concat":
            stack.extend(reversed(part.inputs))
        else:
            parts.append(part)
    return _join(parts)


@exact("concat")
def join_cuts(node: Any) -> Expr | None:
    """keep(x, a) then keep(x, b) = keep(x, a and b), where b starts no earlier than a ends"""
    runs: list[tuple[Any, list[Range]]] = []
    # A run can grow only while its ranges ascend: a single pass cannot go back.
    open_ended = False
    for part in node.inputs:
        below, ranges = _split_cut(part)
        ascending = all(before[1] <= after[0] for before, after in pairwise(ranges))
        if open_ended and ascending and runs[-1][0] is below and runs[-1][1][-1][1] <= ranges[0][0]:
            runs[-1][1].extend(ranges)
        else:
            runs.append((below, list(ranges)))
        open_ended = ascending
    if len(runs) == len(node.inputs):
        return None
    return _join([_keep(below, join_touching(ranges)) for below, ranges in runs])


def _split_cut(part: Any) -> tuple[Any, tuple[Range, ...]]:
    """Return the input and the ranges of a cut; for any other node, the node and its whole duration."""
    if part.op == "keep":
        return part.inputs[0], part.arg("ranges")
    return part, ((Fraction(0), part.duration),)


@exact("concat")
def join_before_effects(node: Any) -> Expr | None:
    """f(x) then f(y) = f(x then y) for effects f without memory and x and y of equal size"""
    parts: list[Any] = []
    for key, group in groupby(node.inputs, key=_effect_key):
        equal = list(group)
        if key is None or len(equal) == 1:
            parts.extend(equal)
        else:
            below = _join([part.inputs[0] for part in equal])
            parts.append(rebuild(equal[0], (below, *equal[0].inputs[1:])))
    return _join(parts) if len(parts) < len(node.inputs) else None


def _effect_key(part: Any) -> Any:
    """Return the key that parts must share for one effect to replace theirs, or None for any other node."""
    if not _is_effect(part):
        return None
    below = part.inputs[0]
    return part.op, part.args, part.inputs[1:], below.width, below.height


def _keep(node: Any, ranges: Sequence[Range]) -> Expr:
    kept: Expr = node.keep(ranges)
    return kept


def _join(parts: Sequence[Any]) -> Expr:
    joined: Expr = parts[0].then(*parts[1:])
    return joined


CUTS: tuple[Rule, ...] = (
    merge_cuts,
    join_touching_ranges,
    cut_before_effects,
    cut_both_pictures,
    cut_parts,
    flatten_joins,
    join_cuts,
    join_before_effects,
)
