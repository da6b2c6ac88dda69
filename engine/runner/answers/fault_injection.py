"""Drills: faults that a run, or a simulation, is made to suffer, to see what becomes of it.

A drill is written `NODE[:item][=error|hang|crash|transient][@attempt]`. It holds for the run that it is given
to, whatever is kept of runs before; a resume does not know of it.
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
    """A fault to come.

    Attributes
    ----------
    text
        As it was written.
    item
        The index, from 0, of the item whose render suffers it; None: the tile's own work does.
    attempt
        The attempt, from 1, that suffers it; None: each does.
    """

    text: str
    node: str
    item: int | None
    fault: FaultKind
    attempt: int | None

    @property
    def by(self) -> str:
        """Who is to blame, in the record's words."""
        return f"--fail {self.text}"


def parse_faults(texts: Iterable[str], plan: Plan) -> tuple[InjectedFault, ...]:
    """Drills as they are written, checked against a plan.

    Raises
    ------
    RequestError
        Every one that is not in the form, names no tile that runs, or an item that no output is made of.

    Examples
    --------
    `Clips` (each attempt fails), `Clips=transient@1` (the first does, the next is fine), `Reframe:2=crash`
    (the ffmpeg of the second item's render is killed).
    """
    found: list[InjectedFault] = []
    faults: list[Fault] = []
    for text in texts:
        try:
            found.append(_drill(text, plan))
        except RequestError as error:
            faults += [Fault("", "request", f"--fail {text}: {one.message}") for one in error.errors]
    if faults:
        raise RequestError(faults)
    return tuple(found)


def _drill(text: str, plan: Plan) -> InjectedFault:
    rest, at, attempt = text.rpartition("@") if "@" in text else (text, "", "")
    rest, equals, fault = rest.partition("=")
    name, colon, item = rest.partition(":")
    if not name or (at and not _counted(attempt)) or (colon and not _counted(item)):
        raise _refused(f"give {_FORM}, item and attempt counted from 1, as in Clips:2=error@1")
    if equals and fault not in get_args(FaultKind):
        near = suggestion(fault, get_args(FaultKind))
        raise _refused(f"{fault!r} is none of {', '.join(get_args(FaultKind))}{near}")
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


def _counted(text: str) -> bool:
    return re.fullmatch(r"[1-9][0-9]{0,8}", text) is not None


def _check_item(tile: Tile, plan: Plan) -> None:
    """An item can fail where it is rendered: it is an output, as nothing else is."""
    after = [plan.tile(node) for node in plan.graph.successors(tile.id)]
    if tile.type.is_output():
        makers = ", ".join(plan.tile(node).name for node in plan.graph.predecessors(tile.id))
        raise _refused(f"{tile.name} makes no items, it delivers those of {makers}: name one of these")
    if after and not any(one.type.is_output() for one in after):
        raise _refused(f"no item of {tile.name} is rendered, as none is an output: leave out the item")


def _refused(message: str) -> RequestError:
    return RequestError([Fault("", "request", message)])


def faults_for(
    drills: Sequence[InjectedFault], node: str, index: int | None = None
) -> tuple[InjectedFault, ...]:
    """What a tile's own work, or the render of one of its items, is to suffer."""
    return tuple(one for one in drills if (one.node, one.item) == (node, index)) if drills else ()


def unmatched_faults(drills: Iterable[InjectedFault], node: str, count: int) -> list[str]:
    """What is to be said of drills for items of a tile that it does not make: it makes `count`."""
    return [
        f"{one.by} does not strike: {plural(count, 'item')} made"
        for one in drills
        if one.node == node and one.item is not None and one.item >= count
    ]


def fault_at(drills: Iterable[InjectedFault], attempt: int) -> InjectedFault | None:
    """The drill that this attempt suffers."""
    return next((one for one in drills if one.attempt in (None, attempt)), None)


def inject(fault: FaultKind, by: str, stopped: Callable[[], bool], *, waits: bool, message: str = "") -> None:
    """Suffer a fault. One that hangs does so until it is stopped; a simulation does not wait for that.

    Parameters
    ----------
    by
        Who is to blame.
    waits
        Whether time passes: False in a simulation.
    message
        What is said of it, in place of our own words.
    """
    match fault:
        case "transient":
            raise TransientError(message or f"a fault for this time, by {by}")
        case "crash":
            raise RuntimeError(message or f"crashes, by {by}")
        case "hang":
            while waits:
                if stopped():
                    raise Cancelled("the run was cancelled")
                time.sleep(_POLL_S)
            raise TileError(message or f"hangs, by {by}: a run would wait until it is cancelled")
        case "error":
            raise TileError(message or f"fails, by {by}")
