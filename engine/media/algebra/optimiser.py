"""The optimiser: rewrites an expression into an equal one that costs less to render."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tessera.media.algebra.expression import Expr, rebuild, walk
from tessera.media.algebra.rules import CUTS, FRAMES, Rule

__all__ = ["RULES", "Rule", "optimise"]

RULES: tuple[Rule, ...] = (*CUTS, *FRAMES)


def optimise(root: Expr, rules: Sequence[Rule] = RULES, fired: Counter[str] | None = None) -> Expr:
    """An equal expression to which no rule applies. Shared parts are rewritten once; nothing recurses.

    Parameters
    ----------
    fired
        Counts how often each rule was used, by its name.
    """
    counted = fired if fired is not None else Counter()
    # Cuts come first: only when they are where they stay is it known what is shared within a frame.
    cuts, frames = [rule for rule in rules if rule not in FRAMES], [rule for rule in rules if rule in FRAMES]
    while True:
        cut = _Rewriter(root, cuts, counted).rewritten()
        root = _Rewriter(cut, frames, counted).rewritten()
        if root is cut:
            return root


class _Rewriter:
    """Takes the rules to every node of an expression, from the root down and again on the way up.

    Downwards a chain of cuts is merged on its way to the source, in one step a node; upwards what became of
    the inputs may let a rule apply that did not before.
    """

    def __init__(self, root: Expr, rules: Iterable[Rule], fired: Counter[str]) -> None:
        self.root, self.fired = root, fired
        self.by_op: dict[str, list[Rule]] = {}
        for rule in rules:
            for op in rule.ops:
                self.by_op.setdefault(op, []).append(rule)
        self.uses = Counter(one for node in walk(root) for one in node.inputs)
        self.done: dict[Expr, Expr] = {}

    def rewritten(self) -> Expr:
        done, becomes = self.done, dict[Expr, Expr]()
        entered: set[Expr] = set()
        stack = [self.root]
        while stack:
            node = stack[-1]
            if node in done:
                stack.pop()
            elif node in becomes:
                self._settle(node, done[becomes[node]])
            elif node not in entered:
                entered.add(node)
                better = self._better(node)
                if better is not None:
                    becomes[node] = better
                    stack.append(better)
                else:
                    stack.extend(one for one in reversed(node.inputs) if one not in done)
            else:
                rebuilt = rebuild(node, tuple(done[one] for one in node.inputs))
                better = self._better(rebuilt) if rebuilt is not node else None
                if better is None:
                    self._settle(rebuilt, rebuilt)
                    self._settle(node, rebuilt)
                else:
                    becomes[node] = better
                    stack.append(better)
        return done[self.root]

    def _better(self, node: Expr) -> Expr | None:
        for rule in self.by_op.get(node.op, ()):
            if rule.unshared and self.uses[node.inputs[0]] > 1:
                continue
            better = rule.apply(node)
            if better is not None and better is not node:
                self.fired[rule.name] += 1
                return better
        return None

    def _settle(self, node: Expr, final: Expr) -> None:
        self.done[node] = final
        self.uses[final] = max(self.uses[final], self.uses[node])
