"""The optimiser: rewrite an expression into an equal one that costs less to render."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tessera.media.algebra.cut_rules import CUTS
from tessera.media.algebra.expression import Expr, rebuild, walk
from tessera.media.algebra.frame_rules import FRAMES
from tessera.media.algebra.rule import Rule

__all__ = ["RULES", "Rule", "optimise"]

RULES: tuple[Rule, ...] = (*CUTS, *FRAMES)


def optimise(root: Expr, rules: Sequence[Rule] = RULES, fired: Counter[str] | None = None) -> Expr:
    """Return an equal expression to which no rule applies.

    Shared parts are rewritten once. The traversal is iterative, so depth is not limited by the stack.

    Parameters
    ----------
    fired
        A counter that receives the number of applications of each rule, by its name.
    """
    counter = fired if fired is not None else Counter()
    # Cut rules run first: the sharing that frame rules depend on is known only when cuts have moved.
    cuts, frames = [rule for rule in rules if rule not in FRAMES], [rule for rule in rules if rule in FRAMES]
    while True:
        cut = _Rewriter(root, cuts, counter).rewrite()
        root = _Rewriter(cut, frames, counter).rewrite()
        if root is cut:
            return root


class _Rewriter:
    """Apply rules to every node of an expression, from the root down and again on the way up.

    On the way down, a chain of cuts is merged towards the source, in one step per node. On the way up,
    rewritten inputs may allow a rule that did not apply before.
    """

    def __init__(self, root: Expr, rules: Iterable[Rule], fired: Counter[str]) -> None:
        self.root, self.fired = root, fired
        self.by_op: dict[str, list[Rule]] = {}
        for rule in rules:
            for op in rule.ops:
                self.by_op.setdefault(op, []).append(rule)
        self.uses = Counter(below for node in walk(root) for below in node.inputs)
        self.done: dict[Expr, Expr] = {}

    def rewrite(self) -> Expr:
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
                better = self._apply_rules(node)
                if better is not None:
                    becomes[node] = better
                    stack.append(better)
                else:
                    stack.extend(below for below in reversed(node.inputs) if below not in done)
            else:
                rebuilt = rebuild(node, tuple(done[below] for below in node.inputs))
                better = self._apply_rules(rebuilt) if rebuilt is not node else None
                if better is None:
                    self._settle(rebuilt, rebuilt)
                    self._settle(node, rebuilt)
                else:
                    becomes[node] = better
                    stack.append(better)
        return done[self.root]

    def _apply_rules(self, node: Expr) -> Expr | None:
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
        # The replacement is shared at least as much as the node, which matters to rules on unshared inputs.
        self.uses[final] = max(self.uses[final], self.uses[node])
