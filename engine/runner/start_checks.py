"""The checks that precede a run: ffmpeg, tiles that cannot run yet, too many items."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import TYPE_CHECKING

from tessera.errors import Fault, RenderError, RequestError
from tessera.graph.plan import Plan, static_items
from tessera.media.process.process import ffmpeg_path
from tessera.settings import settings

if TYPE_CHECKING:
    from tessera.runner.answers.stubs import StubbedTile

__all__ = ["check_executable", "check_ffmpeg", "check_items"]


def check_ffmpeg() -> None:
    """Check that ffmpeg is available.

    Raises
    ------
    RequestError
        If `TESSERA_FFMPEG` names no executable, or ffmpeg is not installed.
    """
    try:
        ffmpeg_path()
    except RenderError as error:
        raise RequestError([Fault("", "request", str(error))]) from None


def check_executable(
    planned: Plan, stubbed: Mapping[str, StubbedTile], known_items: Container[str] = ()
) -> None:
    """Raise `RequestError` if a plan has tiles that cannot be run yet and have neither a stub nor known
    items.
    """
    faults = []
    for node in planned.order:
        tile = planned.tile(node)
        if (
            node not in known_items
            and not tile.type.executable()
            and not (node in stubbed and stubbed[node].replaces_work())
        ):
            message = (
                f"{tile.name} {node} cannot be run yet, only planned and simulated; ignore it to run the rest"
            )
            faults.append(Fault(tile.loc, "template", message))
    if faults:
        raise RequestError(faults)


def check_items(planned: Plan, limit: int | None) -> int:
    """Return the item limit in force.

    Raises
    ------
    RequestError
        If more items than the limit are certain to reach a tile.
    """
    item_limit = limit if limit is not None else settings().max_items
    for node, count in static_items(planned):
        if count > item_limit:
            tile = planned.tile(node)
            # Items multiply with every path between two tiles, so a small template can exceed the limit.
            message = f"at least {count:,} items would reach {tile.name} {node}: every path to it adds some"
            raise RequestError([Fault(tile.loc, "template", f"{message}; the limit is {item_limit:,}")])
    return item_limit
