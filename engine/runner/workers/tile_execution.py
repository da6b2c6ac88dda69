"""The execution of one tile: check its input items, run its code or its stub, and number the items it
makes.
"""

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
    """Run one tile and return its numbered items.

    Raises
    ------
    TileError
        If an input item has the wrong kind, too many items arrive, or the tile fails.
    """
    kind = tile.type
    if len(inputs) > max_items:
        raise TileError(f"{len(inputs):,} items reach {tile.name} {tile.id}; the limit is {max_items:,}")
    if kind.produces is not None:
        for item in inputs:
            if kind_of(item.value) not in kind.accepts:
                takes = " or ".join(sorted(kind.accepts)) or "nothing"
                raise TileError(
                    f"{tile.name} takes {takes}, but received {kind_of(item.value)} from {item.node}"
                )
    if attempt is not None and stub is not None and attempt.makes is not None:
        work: Iterable[Made] = stub.make(attempt, inputs)
    else:
        work = (kind().run if kind.executable() else kind().described)(context, inputs, tile.params)
    return tuple(
        [
            Item(
                tile.id,
                index,
                made.value,
                tuple([(parent.node, parent.index) for parent in made.parents]),
                _checked_why(made),
                _fidelity(made),
            )
            for index, made in enumerate(work)
        ]
    )


def _checked_why(made: Made) -> str:
    if not isinstance(made.why, str):
        raise TileError(f"'why' of an item must be a str, not {type(made.why).__name__}")
    return replace_lone_surrogates(made.why)


_FIDELITIES = ("real", "placeholder", "described", "stubbed")
"""From best to worst. An item is no better than the worst item that it is made of."""


def _fidelity(made: Made) -> str:
    worst = made.fidelity
    for parent in made.parents:
        if parent.fidelity not in ("real", worst):
            worst = max(worst, parent.fidelity, key=_FIDELITIES.index)
    return worst
