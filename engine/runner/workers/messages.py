"""The jobs of a run, and the messages that workers send about them.

Both are small values that can be pickled, so that workers may be threads, processes or other machines. Media
never crosses: it stays in the workspace. Nobody changes or compares them once they are made, but they are not
frozen: a frozen dataclass takes twice as long to make, and each tile needs several.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tessera.context import InputMedia
from tessera.deviation import Deviation
from tessera.errors import QuestionError
from tessera.graph.model import Tile
from tessera.media.algebra.item import Item
from tessera.media.process.process import Process
from tessera.record.output import SimulatedOutput
from tessera.runner.answers.fault_injection import InjectedFault
from tessera.runner.answers.stubs import StubbedTile

__all__ = [
    "Failed",
    "Job",
    "JobCancelled",
    "Key",
    "Logged",
    "Message",
    "OutputDelivered",
    "ProcessEnded",
    "Progressed",
    "Put",
    "QuestionAnswered",
    "RenderJob",
    "Started",
    "Stopped",
    "TileJob",
    "Unanswered",
    "Worked",
    "node_of",
]

Key = str | tuple[str, tuple[str, int]]
"""The key of a job in its run: its tile, or the delivering tile and the item to render."""

Stopped = Callable[[], bool]
"""Polled between steps and a few times a second. Once it returns True, a job ends as soon as it can."""


# jobs


@dataclass(slots=True, eq=False)
class TileJob:
    """One tile's own work.

    Attributes
    ----------
    inputs
        The items that reach it.
    sources
        The media of a Video Input.
    known_items
        Items from an earlier run. The tile does not work if they are given.
    priority
        Jobs with a greater priority start first.
    faults
        The faults to inject.
    """

    key: str
    tile: Tile
    inputs: Sequence[Item]
    sources: Sequence[InputMedia] = ()
    stub: StubbedTile | None = None
    known_items: tuple[Item, ...] | None = None
    priority: float = 0.0
    faults: tuple[InjectedFault, ...] = ()


@dataclass(slots=True, eq=False)
class RenderJob:
    """The render of one output. `priority` and `faults` are as in `TileJob`."""

    key: tuple[str, tuple[str, int]]
    item: Item
    priority: float = 0.0
    faults: tuple[InjectedFault, ...] = ()


Job = TileJob | RenderJob


def node_of(job: Job) -> str:
    """Return the id of the tile that a job belongs to."""
    return job.key if isinstance(job, TileJob) else job.key[0]


# messages about a job of either kind


@dataclass(slots=True, eq=False)
class Started:
    """A worker has started the job. It may be reported more than once, by the worker and with its result."""

    key: Key


@dataclass(slots=True, eq=False)
class Progressed:
    """The job is done to this fraction, 0–1."""

    key: Key
    fraction: float


@dataclass(slots=True, eq=False)
class Logged:
    """The job has a line for the log of its tile."""

    key: Key
    text: str


@dataclass(slots=True, eq=False)
class Failed:
    """The job has failed for good."""

    key: Key
    message: str


@dataclass(slots=True, eq=False)
class JobCancelled:
    """The job ended early, since its run was cancelled or the job was abandoned."""

    key: Key


# messages about a tile's own work


@dataclass(slots=True, eq=False)
class QuestionAnswered:
    """The tile got an answer.

    Attributes
    ----------
    question
        Its kind, such as `speech`.
    about
        The id of the asset in question, or "" for all media of the tile.
    origin
        The source of the answer: `real`, `facts`, `stubbed`, `assumed` or `cached`.
    """

    key: str
    question: str
    about: str
    origin: str


@dataclass(slots=True, eq=False)
class Unanswered:
    """The tile failed because nothing could answer its question."""

    key: str
    error: QuestionError


@dataclass(slots=True, eq=False)
class Worked:
    """The tile has made its items. `deviations`: where they are not as its parameters ask."""

    key: str
    items: tuple[Item, ...]
    deviations: tuple[Deviation, ...] = ()


# messages about a render


@dataclass(slots=True, eq=False)
class OutputDelivered:
    """The output is rendered, stored and copied.

    Attributes
    ----------
    output
        Its entry in the record, or what makes it.
    seconds
        The time that the render took.
    """

    key: tuple[str, tuple[str, int]]
    output: dict[str, Any] | SimulatedOutput
    seconds: float


@dataclass(slots=True, eq=False)
class ProcessEnded:
    """An ffmpeg process of the render has ended."""

    key: tuple[str, tuple[str, int]]
    process: Process


Message = (
    Started
    | Progressed
    | Logged
    | Failed
    | JobCancelled
    | QuestionAnswered
    | Unanswered
    | Worked
    | OutputDelivered
    | ProcessEnded
)
Put = Callable[[Message], None]
"""Sends a message to the coordinator, from any thread."""
