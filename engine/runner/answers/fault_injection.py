"""Injected faults, for testing how a run or a simulation handles them.

A fault is written `NODE[:item][=error|hang|crash|transient][@attempt]`. It applies to one run, regardless of
the cache; a resume does not repeat it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

from tessera.errors import Cancelled, Fault, RequestError, TileError, TransientError
from tessera.graph.model import Tile
from tessera.graph.plan import Plan
from tessera.runner.answers.stubs import find_tile
from tessera.text.nearest import suggestion
from tessera.text.wording import count as plural

__all__ = [
    "FaultKind",
    "InjectedFault",
    "fault_at",
    "faults_for",
    "inject",
    "parse_faults",
    "unmatched_faults",
]

FaultKind = Literal["error", "hang", "crash", "transient"]

_FORM = "NODE[:item][=error|hang|crash|transient][@attempt]"
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """A fault to inject.

    Attributes
    ----------
    text
        The fault as written.
    item
        The index, from 0, of the item whose render fails, or None for the tile's own work.
    attempt
        The attempt, from 1, that fails, or None for all attempts.
    """

    text: str
    node: str
    item: int | None
    fault: FaultKind
    attempt: int | None

    @property
    def cause(self) -> str:
        """Return the cause as messages name it."""
        return f"--fail {self.text}"


def parse_faults(texts: Iterable[str], plan: Plan) -> tuple[InjectedFault, ...]:
    """Parse faults and check them against a plan.

    Raises
    ------
    RequestError
        If a fault has the wrong form, names no tile of the plan, or an item that is not an output: with all
        of them.

    Examples
    --------
    `Clips` (each attempt fails), `Clips=transient@1` (only the first attempt fails), `Reframe:2=crash` (the
    ffmpeg of the second item's render is killed).
    """
    found: list[InjectedFault] = []
    faults: list[Fault] = []
    for text in texts:
        try:
            found.append(_parse_fault(text, plan))
        except RequestError as refusal:
            faults += [Fault("", "request", f"--fail {text}: {error.message}") for error in refusal.errors]
    if faults:
        raise RequestError(faults)
    return tuple(found)


def _parse_fault(text: str, plan: Plan) -> InjectedFault:
    rest, at, attempt = text.rpartition("@") if "@" in text else (text, "", "")
    rest, equals, fault = rest.partition("=")
    name, colon, item = rest.partition(":")
    if not name or (at and not _is_positive_integer(attempt)) or (colon and not _is_positive_integer(item)):
        raise _refusal(f"write {_FORM}, with item and attempt counted from 1, as in Clips:2=error@1")
    if equals and fault not in get_args(FaultKind):
        near = suggestion(fault, get_args(FaultKind))
        raise _refusal(f"{fault!r} is not one of {', '.join(get_args(FaultKind))}{near}")
    tile = find_tile(plan, name, "")
    if item:
        _check_item(tile, plan)
    return InjectedFault(
        text,
        tile.id,
        int(item) - 1 if item else None,
        cast(FaultKind, fault or "error"),
        int(attempt) if attempt else None,
    )


def _is_positive_integer(text: str) -> bool:
    return re.fullmatch(r"[1-9][0-9]{0,8}", text) is not None


def _check_item(tile: Tile, plan: Plan) -> None:
    """Check that items of a tile are rendered, since only a render can fail by item."""
    after = [plan.tile(node) for node in plan.graph.successors(tile.id)]
    if tile.type.is_output():
        makers = ", ".join(plan.tile(node).name for node in plan.graph.predecessors(tile.id))
        raise _refusal(f"{tile.name} makes no items, but delivers those of {makers}: name one of these")
    if after and not any(tile.type.is_output() for tile in after):
        raise _refusal(f"no item of {tile.name} is an output, so none is rendered: leave out the item")


def _refusal(message: str) -> RequestError:
    return RequestError([Fault("", "request", message)])


def faults_for(
    faults: Sequence[InjectedFault], node: str, index: int | None = None
) -> tuple[InjectedFault, ...]:
    """Return the faults of a tile's own work, or of the render of one of its items."""
    return tuple(fault for fault in faults if (fault.node, fault.item) == (node, index)) if faults else ()


def unmatched_faults(faults: Iterable[InjectedFault], node: str, count: int) -> list[str]:
    """Return a message for each fault of an item that does not exist, since the tile made only `count`
    items.
    """
    return [
        f"{fault.cause} has no effect: {plural(count, 'item')} made"
        for fault in faults
        if fault.node == node and fault.item is not None and fault.item >= count
    ]


def fault_at(faults: Sequence[InjectedFault], attempt: int) -> InjectedFault | None:
    """Return the fault of this attempt, or None."""
    if not faults:
        return None
    return next((fault for fault in faults if fault.attempt in (None, attempt)), None)


def inject(
    fault: FaultKind, cause: str, stopped: Callable[[], bool], *, live: bool, message: str = ""
) -> None:
    """Inject a fault by raising the matching error. `hang` waits until the job is stopped.

    Parameters
    ----------
    cause
        The origin of the fault, for the message.
    live
        False in a simulation, where a hang raises at once.
    message
        Replaces the default message.
    """
    match fault:
        case "transient":
            raise TransientError(message or f"transient fault, injected by {cause}")
        case "crash":
            raise RuntimeError(message or f"crash, injected by {cause}")
        case "hang":
            while live:
                if stopped():
                    raise Cancelled("the run was cancelled")
                time.sleep(_POLL_S)
            raise TileError(message or f"hang, injected by {cause}: a run would wait until it is cancelled")
        case "error":
            raise TileError(message or f"error, injected by {cause}")
