"""The type of the optimiser's rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tessera.media.algebra.expression import Expr

__all__ = ["Apply", "Exactness", "Rule", "approximate", "exact"]

Apply = Callable[[Expr], Expr | None]
Exactness = Literal["exact", "approximate"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rewrite of an expression into an equal one.

    Attributes
    ----------
    name
        The name that is shown to users.
    law
        The equation that the rule applies, in one line.
    exactness
        `exact`: frames and samples stay the same. `approximate`: they differ within the bound of the law.
    ops
        The operations of the nodes that the rule can rewrite.
    apply
        The function that returns the equal expression of a node, or None if the rule does not apply.
    unshared
        True if the rule applies only when no other node uses the input. The rule replaces that input, so a
        shared one would be computed twice.
    """

    name: str
    law: str
    exactness: Exactness
    ops: frozenset[str]
    apply: Apply
    unshared: bool = False

    def __str__(self) -> str:
        return self.name


def exact(*ops: str, unshared: bool = False) -> Callable[[Apply], Rule]:
    """Return a decorator that makes an exact rule of a function. The docstring is the law."""
    return lambda apply: _rule(apply, "exact", ops, unshared)


def approximate(*ops: str, unshared: bool = False) -> Callable[[Apply], Rule]:
    """Return a decorator that makes an approximate rule of a function. The docstring is the law."""
    return lambda apply: _rule(apply, "approximate", ops, unshared)


def _rule(apply: Apply, exactness: Exactness, ops: tuple[str, ...], unshared: bool) -> Rule:
    name = getattr(apply, "__name__", "").replace("_", " ")
    return Rule(name, apply.__doc__ or "", exactness, frozenset(ops), apply, unshared)
