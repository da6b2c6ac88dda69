"""A run on a virtual clock: when each tile and each render would start and end on some number of workers.

List scheduling, as the coordinator does it: whenever a worker is free, it takes the piece of work from which
the longest path leads to the end. Times are whole microseconds, so that sums are exact and every schedule of
the same run is the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from heapq import heapify, heappop, heappush
from typing import Any, Literal

from tessera.forecast.cost import DECLARED, NO_LOAD, Cost, CostModel, Load, attempts, load_of
from tessera.forecast.priorities import After, longest_paths
from tessera.graph.plan import Plan
from tessera.record.record import RunRecord
from tessera.record.status import NodeStatus
from tessera.text.wording import short_ids

__all__ = ["Schedule", "Task", "clock", "gantt", "list_schedule", "schedule"]

MICRO = 1_000_000
_WORKED = frozenset({NodeStatus.COMPLETED, NodeStatus.PARTIAL_COMPLETE, NodeStatus.FAILED})


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of work, and when it is done: a tile's own, or the render of one output.

    Attributes
    ----------
    node
        The tile whose work it is.
    output
        The (tile, index) of the item that it renders; None for the tile's own work.
    label
        A name for a person, unique in the schedule.
    start, end
        Microseconds from the start of the run.
    critical
        Whether it lies on the critical path.
    origin
        Where the numbers of its cost come from.
    """

    node: str
    output: tuple[str, int] | None
    label: str
    start: int
    end: int
    worker: int
    critical: bool
    origin: str

    @property
    def kind(self) -> Literal["tile", "render"]:
        return "tile" if self.output is None else "render"

    @property
    def duration(self) -> int:
        return self.end - self.start

    def to_dict(self) -> dict[str, Any]:
        """The task as JSON values, times in seconds."""
        made = self.output and {"agent_node_id": self.output[0], "index": self.output[1]}
        return {
            "agent_node_id": self.node,
            "kind": self.kind,
            "output": made,
            "label": self.label,
            "start": self.start / MICRO,
            "end": self.end / MICRO,
            "seconds": self.duration / MICRO,
            "worker": self.worker,
            "critical": self.critical,
            "cost": self.origin,
        }


@dataclass(frozen=True)
class Schedule:
    """When everything of a run is done. Times are in microseconds, but for those of `to_dict`: seconds.

    Attributes
    ----------
    workers
        How many pieces of work are done at a time.
    tasks
        In topological order; the renders of a tile's outputs follow it.
    path
        The critical path: places in `tasks`.
    """

    workers: int
    tasks: tuple[Task, ...]
    path: tuple[int, ...]

    @cached_property
    def makespan(self) -> int:
        """When the last piece of work ends."""
        return max((task.end for task in self.tasks), default=0)

    @cached_property
    def work(self) -> int:
        """All work together: how long one worker would take."""
        return sum(task.duration for task in self.tasks)

    @property
    def critical_path(self) -> tuple[Task, ...]:
        """The longest path of work that waits for each other: no number of workers is faster."""
        return tuple(self.tasks[index] for index in self.path)

    @cached_property
    def busy(self) -> tuple[int, ...]:
        """How long each worker works."""
        total = [0] * self.workers
        for task in self.tasks:
            total[task.worker] += task.duration
        return tuple(total)

    @property
    def utilisation(self) -> float:
        """The part, 0–1, of the workers' time that they work."""
        return self.work / (self.makespan * self.workers) if self.makespan else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The schedule as JSON values, times in seconds."""
        path = self.critical_path
        return {
            "workers": self.workers,
            "makespan": self.makespan / MICRO,
            "work": self.work / MICRO,
            "utilisation": round(self.utilisation, 4),
            "worker_utilisation": [
                round(busy / self.makespan, 4) if self.makespan else 0.0 for busy in self.busy
            ],
            "critical_path": {
                "seconds": sum(task.duration for task in path) / MICRO,
                "steps": [
                    {"agent_node_id": task.node, "kind": task.kind, "seconds": task.duration / MICRO}
                    for task in path
                ],
            },
            "tasks": [task.to_dict() for task in self.tasks],
        }


def schedule(
    plan: Plan,
    record: RunRecord,
    *,
    workers: int = 2,
    model: CostModel = DECLARED,
    without: Collection[str | tuple[str, int]] = (),
) -> Schedule:
    """Put the work of a run on a virtual clock.

    A tile that failed takes what the model says for the media that reached it; a tile that was blocked,
    cancelled or never started takes nothing. One that was tried again takes its time once more for each
    attempt. A render that failed takes its whole time.

    Parameters
    ----------
    record
        The record of a simulation or a run of `plan`: what each tile made, and which outputs there are.
    workers
        How many pieces of work are done at a time.
    model
        What each takes.
    without
        Tiles, and outputs as (tile, index), that were refused before they began, such as those that credits
        are lacking for: they take nothing.

    Raises
    ------
    ValueError
        There is no worker.
    """
    work = _Work(plan, record, model, frozenset(without))
    starts, where = list_schedule(work.durations, work.after, workers)
    path = _critical_path(work.durations, work.after)
    critical = frozenset(path)
    labels = _labels(plan, work.pieces)
    tasks = tuple(
        Task(
            node, output, labels[index], start, start + work.durations[index], worker, index in critical, cost
        )
        for index, ((node, output, cost), start, worker) in enumerate(
            zip(work.pieces, starts, where, strict=True)
        )
    )
    return Schedule(workers, tasks, path)


Piece = tuple[str, tuple[str, int] | None, str]
"""The tile, the item that is rendered, and the origin of the cost."""


@dataclass(slots=True)
class _Work:
    """The pieces of work of a run, how long each takes, and which wait for which."""

    plan: Plan
    record: RunRecord
    model: CostModel
    without: frozenset[str | tuple[str, int]]
    pieces: list[Piece] = field(default_factory=list)
    durations: list[int] = field(default_factory=list)
    after: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        made: dict[str, Load] = {}
        for item in self.record.items:
            node = item["agent_node_id"]
            made[node] = made.get(node, NO_LOAD).plus(load_of(item))
        renders = self._renders()
        costs: dict[tuple[str, str], Cost] = {}
        place: dict[str, int] = {}
        for node in self.plan.order:
            if node in self.without or self.record.nodes[node].status not in _WORKED:
                continue
            kind = self.plan.tile(node).type
            key = (kind.name, kind.category)
            cost = costs.get(key) or costs.setdefault(key, self.model.of(kind.name, kind.category))
            received = NO_LOAD
            place[node] = self._add((node, None, cost.origin), 0)
            for before in self.plan.graph.pred[node]:
                received = received.plus(made.get(before, NO_LOAD))
                if before in place:
                    self.after[place[before]].append(place[node])
            seconds = cost.seconds(received, made.get(node, NO_LOAD))
            self.durations[place[node]] = _micro(seconds * attempts(self.record.nodes[node].logs))
            for ref, load in renders.get(node, ()):
                if ref in self.without:
                    continue
                seconds = self.model.render.seconds(NO_LOAD, load)
                index = self._add((node, ref, self.model.render.origin), _micro(seconds))
                self.after[place[node]].append(index)

    def _add(self, piece: Piece, duration: int) -> int:
        self.pieces.append(piece)
        self.durations.append(duration)
        self.after.append([])
        return len(self.pieces) - 1

    def _renders(self) -> dict[str, list[tuple[tuple[str, int], Load]]]:
        """What each tile delivers: the outputs that there are, and those that could not be rendered."""
        found: dict[str, list[tuple[tuple[str, int], Load]]] = {}
        for output in self.record.outputs:
            ref = (output.node, output.raw["index"])
            found.setdefault(output.raw.get("delivered_by", output.node), []).append(
                (ref, load_of(output.raw))
            )
        if self.record.failures:
            items = {(item["agent_node_id"], item["index"]): item for item in self.record.items}
            for failure in self.record.failures:
                ref = (failure.node, failure.index)
                load = load_of(items[ref]) if ref in items else NO_LOAD
                found.setdefault(failure.by, []).append((ref, load))
        return found


def _micro(seconds: float) -> int:
    return round(seconds * MICRO)


def list_schedule(durations: Sequence[int], after: After, workers: int) -> tuple[list[int], list[int]]:
    """List scheduling: the start and the worker of each piece of work.

    Work is begun in the order of the longest path from it to the end, then by number. Nothing waits while a
    worker is free, so that all ends by (work + (workers − 1) × longest path) ÷ workers: at most
    2 − 1 ÷ workers times as late as in the best schedule that there is (Graham 1969).

    Raises
    ------
    ValueError
        There is no worker.
    """
    if workers < 1:
        raise ValueError(f"there must be a worker, not {workers}")
    rank = longest_paths(durations, after)
    waiting = _waiting(after)
    ready = [(-rank[index], index) for index, count in enumerate(waiting) if not count]
    heapify(ready)
    free = list(range(min(workers, len(durations))))
    running: list[tuple[int, int]] = []
    starts, where = [0] * len(durations), [0] * len(durations)
    now = 0
    while ready or running:
        while ready and free:
            index = heappop(ready)[1]
            starts[index], where[index] = now, heappop(free)
            heappush(running, (now + durations[index], index))
        now = running[0][0]
        while running and running[0][0] == now:
            index = heappop(running)[1]
            heappush(free, where[index])
            for later in after[index]:
                waiting[later] -= 1
                if not waiting[later]:
                    heappush(ready, (-rank[later], later))
    return starts, where


def _waiting(after: After) -> list[int]:
    """For how many others each piece of work waits."""
    waiting = [0] * len(after)
    for later in after:
        for index in later:
            waiting[index] += 1
    return waiting


def _critical_path(durations: Sequence[int], after: After) -> tuple[int, ...]:
    """One longest path; of several, the one through the first."""
    longest = longest_paths(durations, after)
    if not longest:
        return ()
    at: int | None = max(range(len(longest)), key=longest.__getitem__)
    path = []
    while at is not None:
        path.append(at)
        at = max(after[at], key=longest.__getitem__, default=None)
    return tuple(path)


# for people


def _labels(plan: Plan, pieces: Sequence[Piece]) -> list[str]:
    """A name for each piece: the tile's type, and the beginning of its id where several are of that type."""
    called = Counter(plan.tile(node).name for node in plan.order)
    short = short_ids(plan.order)
    names = {
        node: name if called[name] == 1 else f"{name} {short[node]}"
        for node, name in ((node, plan.tile(node).name) for node in plan.order)
    }
    return [
        names[node] if output is None else f"→ {names[output[0]]} #{output[1] + 1}"
        for node, output, _origin in pieces
    ]


def clock(micro: int) -> str:
    """Microseconds as a person reads them.

    Examples
    --------
    >>> clock(1_500), clock(1_500_000), clock(75_000_000), clock(3_675_000_000)
    ('0.002 s', '1.50 s', '1:15', '1:01:15')
    """
    if micro < 10_000:
        return f"{micro / MICRO:.3f} s"
    if micro < 59_995_000:
        return f"{micro / MICRO:.2f} s"
    minutes, seconds = divmod(round(micro / MICRO), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def gantt(made: Schedule, width: int = 100, *, rows: int = 40) -> str:
    """The schedule as a drawing of at most `rows` tasks: one line each, in the order of their starts.

    Critical tasks have a `*` and a full bar. Where there are more tasks than rows, the longest are drawn,
    critical ones first.
    """
    from rich.cells import cell_len, set_cell_size

    drawn = _drawn(made.tasks, rows)
    if not drawn:
        return "nothing to do\n"
    names = ["".join(c if c.isprintable() else "�" for c in task.label) for task in drawn]
    room = min(max(map(cell_len, names)), max(8, width // 3))
    tails = [f"{clock(task.duration):>9}  w{task.worker + 1}" for task in drawn]
    bars = max(10, width - room - max(map(len, tails)) - 4)
    lines = [
        f"{mark} {set_cell_size(name, room)} {_bar(task, made.makespan, bars)} {tail}"
        for task, name, tail in zip(drawn, names, tails, strict=True)
        for mark in "* "[not task.critical]
    ]
    end = clock(made.makespan)
    lines.append(f"{' ' * (room + 3)}0 s{end:>{bars - 3}}")
    if len(drawn) < len(made.tasks):
        lines.append(f"  … and {len(made.tasks) - len(drawn):,} more")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _drawn(tasks: Sequence[Task], rows: int) -> list[Task]:
    places = range(len(tasks))
    if len(tasks) > rows:
        urgent = sorted(places, key=lambda at: (not tasks[at].critical, -tasks[at].duration, at))
        places = urgent[:rows]  # type: ignore[assignment]
    return [tasks[at] for at in sorted(places, key=lambda at: (tasks[at].start, at))]


def _bar(task: Task, makespan: int, cells: int) -> str:
    """The task as a bar on a line of `cells`; a thin one where it is shorter than a cell."""
    if not makespan:
        return "▏".ljust(cells)
    first = min(cells - 1, task.start * cells // makespan)
    last = max(first + 1, task.end * cells // makespan)
    thin = task.duration * cells < makespan
    ink = "▏" if thin else "█" if task.critical else "▒"
    return (" " * first + ink * (1 if thin else last - first)).ljust(cells)
