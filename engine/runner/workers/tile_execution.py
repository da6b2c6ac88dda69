"""One tile at work: what reaches it checked, its own work or a stub's, what it makes numbered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tessera.errors import TileError
from tessera.graph.model import Tile
from tessera.media.algebra.item import Item, kind_of
from tessera.node import Made
from tessera.runner.answers.stubs import Attempt, StubbedTile
from tessera.runner.answers.tile_context import TileContext
from tessera.text.wording import replace_lone_surrogates

__all__ = ["run_tile"]


def run_tile(
    tile: Tile,
    context: TileContext,
    inputs: Sequence[Item],
    *,
    max_items: int,
    stub: StubbedTile | None = None,
    attempt: Attempt | None = None,
) -> tuple[Item, ...]:
    """Run one tile: check what reaches it, let it work, number what it makes.

    Raises
    ------
    TileError
        Something reaches it that it does not take, too much reaches it, or it fails.
    """
    kind = tile.type
    if len(inputs) > max_items:
        raise TileError(f"{len(inputs):,} items reach {tile.name} {tile.id}; at most {max_items:,} may")
    if kind.produces is not None:
        for item in inputs:
            if kind_of(item.value) not in kind.accepts:
                takes = " or ".join(sorted(kind.accepts)) or "nothing"
                raise TileError(
                    f"{tile.name} takes {takes}; it was given {kind_of(item.value)} by {item.node}"
                )
    if attempt is not None and stub is not None and attempt.makes is not None:
        work: Iterable[Made] = stub.make(attempt, inputs)
    else:
        work = (kind().run if kind.executable() else kind().described)(context, inputs, tile.params)
    return tuple(
        Item(
            tile.id,
            index,
            made.value,
            tuple(parent.ref for parent in made.parents),
            _why(made),
            _fidelity(made),
        )
        for index, made in enumerate(work)
    )


def _why(made: Made) -> str:
    if not isinstance(made.why, str):
        raise TileError(f"why an item was made is told in words, not by {type(made.why).__name__}")
    return replace_lone_surrogates(made.why)


_FIDELITIES = ("real", "placeholder", "described", "stubbed")
"""From the best to the worst; what is made of something worse is no better."""


def _fidelity(made: Made) -> str:
    if all(parent.fidelity == "real" for parent in made.parents):
        return made.fidelity
    return max((made.fidelity, *(parent.fidelity for parent in made.parents)), key=_FIDELITIES.index)
