"""What a rule of the optimiser is."""

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
    """A rewriting of an expression into an equal one.

    Attributes
    ----------
    name
        For a person.
    law
        What equals what, in one line.
    exactness
        `exact`: every frame and sample stays as it is. `approximate`: within what the law says.
    ops
        The operations that the outermost node of an expression that it rewrites may have.
    apply
        The equal expression, or None where the rule does not apply to a node.
    unshared
        Whether it is to be used only where the node below is used nowhere else, since it makes that anew.
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
    """Makes an exact rule of a function; its docstring is its law."""
    return lambda apply: _rule(apply, "exact", ops, unshared)


def approximate(*ops: str, unshared: bool = False) -> Callable[[Apply], Rule]:
    """Makes an approximate rule of a function; its docstring is its law."""
    return lambda apply: _rule(apply, "approximate", ops, unshared)


def _rule(apply: Apply, exactness: Exactness, ops: tuple[str, ...], unshared: bool) -> Rule:
    name = getattr(apply, "__name__", "").replace("_", " ")
    return Rule(name, apply.__doc__ or "", exactness, frozenset(ops), apply, unshared)
