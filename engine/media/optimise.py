"""The optimiser: rewrites an expression into an equal one that costs less to render.

A rule is a named function from a node to an equal node, or None where it does not apply; its law stands
in its docstring. `exact` rules leave every frame and sample as it is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import accumulate

from engine.media.expr import Expr, Picture, rebuild
from engine.media.time import Range

__all__ = ["RULES", "Rule", "optimise"]

Rule = Callable[[Expr], Expr | None]

_MEMORYLESS = frozenset({"crop", "scale", "flip", "blur"})
"""Operations whose every frame depends on one frame of the input, at the same time."""


def merge_cuts(node: Expr) -> Expr | None:
    """exact: keep(keep(x, a), b) = keep(x, the ranges of a that b keeps)."""
    if node.op != "keep" or node.inputs[0].op != "keep":
        return None
    inner = node.inputs[0]
    return inner.inputs[0].keep(_compose(inner.arg("ranges"), node.arg("ranges")))  # type: ignore[attr-defined, no-any-return]


def _compose(inner: Sequence[Range], outer: Sequence[Range]) -> list[Range]:
    """The ranges of the innermost timeline that `outer`, a cut of the timeline that `inner` makes, keeps."""
    found: list[Range] = []
    offsets = _offsets(end - start for start, end in inner)
    for index, first, last in _pieces(offsets, outer):
        start = inner[index][0]
        piece = (start + first, start + last)
        if found and found[-1][1] == piece[0]:
            piece = (found.pop()[0], piece[1])
        found.append(piece)
    return found


def _offsets(durations: Iterable[Fraction]) -> list[Fraction]:
    """Where each of a sequence of parts begins, and where the last one ends."""
    return list(accumulate(durations, initial=Fraction(0)))


def _pieces(offsets: Sequence[Fraction], ranges: Sequence[Range]) -> Iterator[tuple[int, Fraction, Fraction]]:
    """What `ranges` keep of a sequence of parts: (part, start, end), in seconds from the part's beginning."""
    for low, high in ranges:
        index = bisect_right(offsets, low) - 1
        while index < len(offsets) - 1 and offsets[index] < high:
            yield (
                index,
                max(low, offsets[index]) - offsets[index],
                min(high, offsets[index + 1]) - offsets[index],
            )
            index += 1


def cut_before_effects(node: Expr) -> Expr | None:
    """exact: keep(f(x)) = f(keep(x)) for an f without memory; for an overlay both layers are cut."""
    if node.op != "keep":
        return None
    inner, ranges = node.inputs[0], node.arg("ranges")
    if inner.op in _MEMORYLESS:
        return rebuild(inner, (inner.inputs[0].keep(ranges),))  # type: ignore[attr-defined]
    if inner.op == "overlay":
        base, layer = inner.inputs
        cut = layer
        if isinstance(layer, Picture):
            if layer.duration != base.duration:  # type: ignore[attr-defined]
                return None
            cut = layer.keep(ranges)
        return rebuild(inner, (base.keep(ranges), cut))  # type: ignore[attr-defined]
    return None


def cut_parts_of_concat(node: Expr) -> Expr | None:
    """exact: keep(a then b) = keep(a) then keep(b), parts that nothing is kept of left out."""
    if node.op != "keep" or node.inputs[0].op != "concat":
        return None
    parts = node.inputs[0].inputs
    offsets = _offsets(part.duration for part in parts)  # type: ignore[attr-defined]
    kept = [
        parts[index].keep([(first, last)])  # type: ignore[attr-defined]
        for index, first, last in _pieces(offsets, node.arg("ranges"))
    ]
    return kept[0].then(*kept[1:])  # type: ignore[no-any-return]


def fuse_flips(node: Expr) -> Expr | None:
    """exact: two flips are one, and none where they undo each other."""
    if node.op != "flip" or node.inputs[0].op != "flip":
        return None
    inner = node.inputs[0]
    both = {axis: node.arg(axis) != inner.arg(axis) for axis in ("horizontal", "vertical")}
    return inner.inputs[0].flip(**both)  # type: ignore[attr-defined, no-any-return]


RULES: tuple[Rule, ...] = (merge_cuts, cut_before_effects, cut_parts_of_concat, fuse_flips)


def optimise(root: Expr, rules: Sequence[Rule] = RULES) -> Expr:
    """An equal expression to which no rule applies. Shared parts are rewritten once; no recursion."""
    done: dict[Expr, Expr] = {}
    becomes: dict[Expr, Expr] = {}
    stack = [root]
    while stack:
        node = stack[-1]
        if node in done:
            stack.pop()
            continue
        if node in becomes:
            done[node] = done[becomes[node]]
            continue
        waiting = [one for one in node.inputs if one not in done]
        if waiting:
            stack.extend(waiting)
            continue
        rebuilt = rebuild(node, tuple(done[one] for one in node.inputs))
        better = next((new for rule in rules if (new := rule(rebuilt)) is not None), rebuilt)
        if better is node or (better is rebuilt and rebuilt is node):
            done[node] = node
        elif better in done:
            done[node] = done[better]
        else:
            becomes[node] = better
            stack.append(better)
    return done[root]
