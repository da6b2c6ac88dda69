"""A run on a virtual clock: the start and end of each tile and each render on a number of workers.

The algorithm is list scheduling, as in the coordinator: a free worker takes the ready piece of work with the
highest priority, which is the longest path from it to the end. Times are integer microseconds, so that sums
are exact and the schedule of a run is deterministic.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from heapq import heapify, heappop, heappush
from typing import Any, Literal

from tessera.forecast.cost import DECLARED, NO_LOAD, Cost, CostModel, Load, attempts, load_of
from tessera.forecast.priorities import Successors, longest_paths
from tessera.graph.plan import Plan
from tessera.record.record import RunRecord
from tessera.record.status import NodeStatus
from tessera.text.wording import short_ids

__all__ = ["Schedule", "Task", "clock", "gantt", "list_schedule", "schedule"]

MICRO = 1_000_000
_WORKED = frozenset({NodeStatus.COMPLETED, NodeStatus.PARTIAL_COMPLETE, NodeStatus.FAILED})


@dataclass(frozen=True, slots=True)
class Task:
    """One scheduled piece of work: a tile's own work, or the render of one output.

    Attributes
    ----------
    node
        The tile to which the work belongs.
    output
        The (tile, index) of the rendered item; None for the tile's own work.
    label
        A display name, unique in the schedule.
    start, end
        Microseconds from the start of the run.
    critical
        True if the task is on the critical path.
    origin
        The origin of the task's cost.
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
        """Return the task as JSON data, with times in seconds."""
        output = self.output and {"agent_node_id": self.output[0], "index": self.output[1]}
        return {
            "agent_node_id": self.node,
            "kind": self.kind,
            "output": output,
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
    """The schedule of a run. Times are in microseconds, except in `to_dict`, which uses seconds.

    Attributes
    ----------
    workers
        The number of pieces of work that can run at the same time.
    tasks
        The tasks in topological order; the renders of a tile's outputs follow the tile.
    path
        The critical path, as indices into `tasks`.
    """

    workers: int
    tasks: tuple[Task, ...]
    path: tuple[int, ...]

    @cached_property
    def makespan(self) -> int:
        """The end of the last task."""
        return max((task.end for task in self.tasks), default=0)

    @cached_property
    def work(self) -> int:
        """The total duration of all tasks, which is the makespan of a single worker."""
        return sum(task.duration for task in self.tasks)

    @property
    def critical_path(self) -> tuple[Task, ...]:
        """The longest path of tasks that wait for each other. No number of workers is faster than it."""
        return tuple(self.tasks[index] for index in self.path)

    @cached_property
    def busy(self) -> tuple[int, ...]:
        """The busy time of each worker."""
        total = [0] * self.workers
        for task in self.tasks:
            total[task.worker] += task.duration
        return tuple(total)

    @property
    def utilisation(self) -> float:
        """The fraction, 0–1, of the workers' time in which they are busy."""
        return self.work / (self.makespan * self.workers) if self.makespan else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the schedule as JSON data, with times in seconds."""
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
    excluded: Collection[str | tuple[str, int]] = (),
) -> Schedule:
    """Schedule the work of a run on a virtual clock.

    A failed tile takes the modelled time for the media that it received. A tile that was blocked, cancelled
    or never started takes no time. A retried tile takes its time once per attempt. A failed render takes its
    whole time.

    Parameters
    ----------
    record
        The record of a simulation or a run of `plan`, with the items and outputs of each tile.
    workers
        The number of pieces of work that can run at the same time.
    model
        The cost of each piece of work.
    excluded
        Tiles, and outputs as (tile, index), that were refused before they started, for example for lack of
        credits. They take no time.

    Raises
    ------
    ValueError
        If `workers` is less than 1.
    """
    work = _WorkGraph(plan, record, model, frozenset(excluded))
    starts, assigned = list_schedule(work.durations, work.successors, workers)
    path = _critical_path(work.durations, work.successors)
    critical = frozenset(path)
    labels = _labels(plan, work.pieces)
    tasks = tuple(
        Task(
            node, output, labels[index], start, start + work.durations[index], worker, index in critical, cost
        )
        for index, ((node, output, cost), start, worker) in enumerate(
            zip(work.pieces, starts, assigned, strict=True)
        )
    )
    return Schedule(workers, tasks, path)


Piece = tuple[str, tuple[str, int] | None, str]
"""The tile, the item that is rendered, and the origin of the cost."""


@dataclass(slots=True)
class _WorkGraph:
    """The pieces of work of a run with their durations and their successors, in topological order."""

    plan: Plan
    record: RunRecord
    model: CostModel
    excluded: frozenset[str | tuple[str, int]]
    pieces: list[Piece] = field(default_factory=list)
    durations: list[int] = field(default_factory=list)
    successors: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        made: dict[str, Load] = {}
        for item in self.record.items:
            node = item["agent_node_id"]
            made[node] = made.get(node, NO_LOAD).plus(load_of(item))
        renders = self._renders()
        costs: dict[tuple[str, str], Cost] = {}
        index: dict[str, int] = {}
        for node in self.plan.order:
            if node in self.excluded or self.record.nodes[node].status not in _WORKED:
                continue
            kind = self.plan.tile(node).type
            key = (kind.name, kind.category)
            cost = costs.get(key) or costs.setdefault(key, self.model.of(kind.name, kind.category))
            received = NO_LOAD
            index[node] = self._add((node, None, cost.origin), 0)
            for before in self.plan.graph.pred[node]:
                received = received.plus(made.get(before, NO_LOAD))
                if before in index:
                    self.successors[index[before]].append(index[node])
            seconds = cost.seconds(received, made.get(node, NO_LOAD))
            self.durations[index[node]] = _micro(seconds * attempts(self.record.nodes[node].logs))
            for ref, load in renders.get(node, ()):
                if ref in self.excluded:
                    continue
                seconds = self.model.render.seconds(NO_LOAD, load)
                render = self._add((node, ref, self.model.render.origin), _micro(seconds))
                self.successors[index[node]].append(render)

    def _add(self, piece: Piece, duration: int) -> int:
        """Add a piece of work and return its index."""
        self.pieces.append(piece)
        self.durations.append(duration)
        self.successors.append([])
        return len(self.pieces) - 1

    def _renders(self) -> dict[str, list[tuple[tuple[str, int], Load]]]:
        """Return the renders of each tile: its outputs, and those that failed to render."""
        renders: dict[str, list[tuple[tuple[str, int], Load]]] = {}
        for output in self.record.outputs:
            ref = (output.node, output.raw["index"])
            by = output.raw.get("delivered_by", output.node)
            renders.setdefault(by, []).append((ref, load_of(output.raw)))
        if self.record.failures:
            items = {(item["agent_node_id"], item["index"]): item for item in self.record.items}
            for failure in self.record.failures:
                ref = (failure.node, failure.index)
                load = load_of(items[ref]) if ref in items else NO_LOAD
                renders.setdefault(failure.by, []).append((ref, load))
        return renders


def _micro(seconds: float) -> int:
    return round(seconds * MICRO)


StartsAndWorkers = tuple[list[int], list[int]]
"""The start and the worker of each piece of work."""


def list_schedule(durations: Sequence[int], successors: Successors, workers: int) -> StartsAndWorkers:
    """Return the start and the worker of each piece of work by list scheduling.

    Ready work starts by priority, which is the longest path from it to the end, and then by index. No ready
    work waits while a worker is free. So the makespan is at most (work + (workers − 1) × longest path) ÷
    workers, and at most 2 − 1 ÷ workers times that of the best schedule (Graham 1969).

    Raises
    ------
    ValueError
        If `workers` is less than 1.
    """
    if workers < 1:
        raise ValueError(f"at least one worker is needed, not {workers}")
    priority = longest_paths(durations, successors)
    missing = _predecessor_counts(successors)
    # The heap pops its smallest entry first, so priorities are negated.
    ready = [(-priority[index], index) for index, count in enumerate(missing) if not count]
    heapify(ready)
    free = list(range(min(workers, len(durations))))
    running: list[tuple[int, int]] = []
    starts, assigned = [0] * len(durations), [0] * len(durations)
    now = 0
    while ready or running:
        while ready and free:
            index = heappop(ready)[1]
            starts[index], assigned[index] = now, heappop(free)
            heappush(running, (now + durations[index], index))
        now = running[0][0]
        # All work that ends at this time frees its worker before new work starts.
        while running and running[0][0] == now:
            index = heappop(running)[1]
            heappush(free, assigned[index])
            for later in successors[index]:
                missing[later] -= 1
                if not missing[later]:
                    heappush(ready, (-priority[later], later))
    return starts, assigned


def _predecessor_counts(successors: Successors) -> list[int]:
    """Return the number of predecessors of each piece of work."""
    counts = [0] * len(successors)
    for later in successors:
        for index in later:
            counts[index] += 1
    return counts


def _critical_path(durations: Sequence[int], successors: Successors) -> tuple[int, ...]:
    """Return a longest path; of several, one that starts at the first possible piece."""
    longest = longest_paths(durations, successors)
    if not longest:
        return ()
    at: int | None = max(range(len(longest)), key=longest.__getitem__)
    path = []
    while at is not None:
        path.append(at)
        at = max(successors[at], key=longest.__getitem__, default=None)
    return tuple(path)


# text


def _labels(plan: Plan, pieces: Sequence[Piece]) -> list[str]:
    """Return a label for each piece: its tile's name, with the short id if several tiles share the name."""
    name_counts = Counter(plan.tile(node).name for node in plan.order)
    short = short_ids(plan.order)
    names = {
        node: name if name_counts[name] == 1 else f"{name} {short[node]}"
        for node, name in ((node, plan.tile(node).name) for node in plan.order)
    }
    return [
        names[node] if output is None else f"→ {names[output[0]]} #{output[1] + 1}"
        for node, output, _origin in pieces
    ]


def clock(micro: int) -> str:
    """Return a time in microseconds as readable text.

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


def gantt(timetable: Schedule, width: int = 100, *, rows: int = 40) -> str:
    """Return a Gantt chart of at most `rows` tasks, one per line, in the order of their starts.

    Critical tasks have a `*` and a solid bar. If there are more tasks than rows, the chart shows the critical
    tasks first and then the longest others.
    """
    from rich.cells import cell_len, set_cell_size

    drawn = _selected(timetable.tasks, rows)
    if not drawn:
        return "nothing to do\n"
    names = ["".join(c if c.isprintable() else "�" for c in task.label) for task in drawn]
    room = min(max(map(cell_len, names)), max(8, width // 3))
    tails = [f"{clock(task.duration):>9}  w{task.worker + 1}" for task in drawn]
    bars = max(10, width - room - max(map(len, tails)) - 4)
    lines = [
        f"{mark} {set_cell_size(name, room)} {_bar(task, timetable.makespan, bars)} {tail}"
        for task, name, tail in zip(drawn, names, tails, strict=True)
        for mark in "* "[not task.critical]
    ]
    end = clock(timetable.makespan)
    lines.append(f"{' ' * (room + 3)}0 s{end:>{bars - 3}}")
    if len(drawn) < len(timetable.tasks):
        lines.append(f"  … and {len(timetable.tasks) - len(drawn):,} more")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _selected(tasks: Sequence[Task], rows: int) -> list[Task]:
    """Return the tasks of the chart, in the order of their starts."""
    selected: Sequence[int] = range(len(tasks))
    if len(tasks) > rows:
        selected = sorted(selected, key=lambda at: (not tasks[at].critical, -tasks[at].duration, at))[:rows]
    return [tasks[at] for at in sorted(selected, key=lambda at: (tasks[at].start, at))]


def _bar(task: Task, makespan: int, cells: int) -> str:
    """Return the task's bar on a line of `cells`; the bar is thin if the task is shorter than a cell."""
    if not makespan:
        return "▏".ljust(cells)
    first = min(cells - 1, task.start * cells // makespan)
    last = max(first + 1, task.end * cells // makespan)
    thin = task.duration * cells < makespan
    ink = "▏" if thin else "█" if task.critical else "▒"
    return (" " * first + ink * (1 if thin else last - first)).ljust(cells)
