"""One table of what graphs cost, beside networkx, dask and Hamilton: `python -m tests.benchmarks.graph`.

Every sample is of a new graph with new ids and of a new input, so that nothing is known from the one before;
what the one before left to the garbage collector is collected first. Our samples come first, in a process
like that of a user; then the other libraries are imported, whose 60,000 objects burden the collector, and get
the very same graphs. Nothing is asserted of time: the table says what was measured. In brackets, and not in
the sum, is what it takes to read `record.items`, which describes every item once it is asked for.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from tessera import SimulateConfig, load_agent, plan, simulate
from tessera.runner.sweep import sweep
from tests.benchmarks.clock import cpu_of_command, machine, measured
from tests.benchmarks.rivals import NoFigure, dask_synchronous, hamilton, networkx_sort, versions
from tests.benchmarks.shapes import Draw, Shape, chains, layers, merging_tree, spreading_tree

FACTS = {"*": {"duration_ms": 90_000, "width": 1920, "height": 1080, "fps": "30000/1001", "has_audio": True}}
RIVALS: Mapping[str, Callable[[Shape], int]] = {
    "networkx": networkx_sort,
    "dask": dask_synchronous,
    "Hamilton": hamilton,
}
STEPS = ("load", "plan", "simulate")
NOWHERE = Path(tempfile.gettempdir()) / "no-such-workspace"


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    tiles: int = 10_000
    requests: int = 1_000
    samples: int = 5
    processes: int = 7

    @classmethod
    def short(cls) -> Size:
        return cls(tiles=1_000, requests=100, samples=3, processes=3)


@dataclass
class Row:
    """One case: its samples in `unit` for each column, and why a column has none."""

    case: str
    unit: str
    target: float
    samples: dict[str, list[float]] = field(default_factory=dict)
    why_not: dict[str, str] = field(default_factory=dict)
    note: str = ""

    def add(self, column: str, figure: float) -> None:
        self.samples.setdefault(column, []).append(figure)

    def add_rivals(self, shape: Shape, times: int, scale: float) -> None:
        """A sample of each other library: seconds for `times` computations of a graph, times `scale`."""
        for name, compute in RIVALS.items():
            if name in self.why_not:
                continue
            gc.collect()
            try:
                seconds, _count = measured(partial(_computed, compute, shape, times))
            except NoFigure as reason:
                self.why_not[name] = f"{name} {reason}"
            else:
                self.add(name, seconds * scale)

    def median(self, column: str) -> float | None:
        return median(self.samples[column]) if column in self.samples else None

    def to_dict(self) -> dict[str, Any]:
        columns = {
            name: {"median": median(figures), "samples": figures} for name, figures in self.samples.items()
        }
        return {
            "case": self.case,
            "unit": self.unit,
            "target": self.target,
            "columns": columns,
            "why_not": self.why_not,
            "note": self.note,
        }


def _computed(compute: Callable[[Shape], int], shape: Shape, times: int) -> None:
    for _ in range(times):
        compute(shape)


# cases


@dataclass(frozen=True)
class GraphCase:
    """A graph that is loaded from JSON text and planned; the plan alone counts, or all with a simulation."""

    name: str
    target: float
    draw: Draw
    share: float = 1.0
    simulated: bool = False
    ignoring: bool = False

    def mirrors(self, size: Size) -> int:
        return int(size.tiles * self.share)

    def row(self, size: Size) -> Row:
        counted = STEPS if self.simulated else ("plan",)
        row = Row(f"{' + '.join(counted)}: {self.name.format(n=self.mirrors(size))}", "µs/tile", self.target)
        for shape, random in self._shapes(size):
            parts = self._parts(shape, random)
            row.add("tessera", sum(parts[step] for step in counted) * 1e6 / len(shape))
            for step, seconds in parts.items():
                row.add(step, seconds * 1e6 / len(shape))
        if self.ignoring:
            row.note = "the other libraries take the whole graph: they ignore nothing"
        return row

    def add_rivals(self, row: Row, size: Size) -> None:
        for shape, _random in self._shapes(size):
            row.add_rivals(shape, 1, 1e6 / len(shape))

    def _shapes(self, size: Size) -> Iterator[tuple[Shape, Random]]:
        """The graph of each sample, the same in every call, and what else of it is drawn from."""
        for sample in range(size.samples):
            random = Random(f"{self.name} {sample}")
            yield self.draw(random, self.mirrors(size)), random

    def _parts(self, shape: Shape, random: Random) -> dict[str, float]:
        """The seconds of each step, all made anew; `items` is what reading the record's items takes after."""
        text = shape.to_json()
        request: dict[str, Any] = {"video_ids": [f"video {random.getrandbits(64):x}"]}
        if self.ignoring:
            request["ignore_nodes"] = shape.half(random)
        parts = {}
        gc.collect()
        parts["load"], template = measured(lambda: load_agent(text))
        parts["plan"], planned = measured(lambda: plan(template, request))
        assert len(planned.order) == len(shape) - len(request.get("ignore_nodes", ()))
        if self.simulated:
            parts["simulate"], record = measured(lambda: simulate(planned, facts=FACTS, workspace=NOWHERE))
            parts["items"], items = measured(lambda: record.items)
            assert record.status == "completed"
            assert len(items) == len(shape)
        return parts


CASES = (
    GraphCase("{n:,} tiles in 100 chains behind one input", 60, chains(100), simulated=True),
    GraphCase("one chain of {n:,}", 80, chains(1), simulated=True),
    GraphCase("one chain of {n:,}", 80, chains(1), share=0.5, simulated=True),
    GraphCase("{n:,} tiles in layers, 3 parents each", 40, layers(100, 3)),
    GraphCase("one chain of {n:,}, half ignored", 50, chains(1), ignoring=True),
    GraphCase("100 chains, {n:,} tiles, half ignored", 50, chains(100), ignoring=True),
    GraphCase("a spreading tree of {n:,}, half ignored", 50, spreading_tree, ignoring=True),
    GraphCase("a merging tree of {n:,}, half ignored", 50, merging_tree, ignoring=True),
)
SMALL = 19
"""The Mirrors of the agent of 20 tiles."""


def sweep_row(size: Size) -> Row:
    """One agent, many requests: other inputs, tiles ignored and parameters overridden in each."""
    random = Random("requests")
    row = Row(f"sweep of {size.requests:,} requests over 20 tiles", "ms/request", 5)
    row.note = f"on {machine()['cores']} cores; the start of the worker processes is in it"
    for shape in _small_shapes(size):
        text = shape.to_json()
        requests = [_small_request(shape, random) for _ in range(size.requests)]
        gc.collect()
        seconds, results = measured(partial(_swept, text, requests))
        assert all(result["status"] == "completed" for result in results)
        row.add("tessera", seconds * 1e3 / size.requests)
    return row


def _small_shapes(size: Size) -> Iterator[Shape]:
    for sample in range(size.samples):
        yield spreading_tree(Random(f"sweep {sample}"), SMALL)


def _swept(text: str, requests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return list(sweep(text, requests, SimulateConfig(facts=FACTS, workspace=NOWHERE)))


def _small_request(shape: Shape, random: Random) -> dict[str, Any]:
    chosen = random.sample(shape.ids[1:], random.randint(1, 6))
    return {
        "video_ids": [f"video {random.getrandbits(64):x}"],
        "ignore_nodes": chosen[1:],
        "update_params": {chosen[0]: {"horizontal_flip": random.random() < 0.5, "vertical_flip": True}},
    }


def processes(size: Size) -> Iterator[Row]:
    """Whole processes, less a bare interpreter."""
    rows = [
        Row("`tessera --help`, whole process", "s", 0.15, note="less a bare `python -c pass`"),
        Row("`tessera plan` of 20 tiles, whole process", "s", 0.5, note="less a bare `python -c pass`"),
    ]
    for row in rows:
        row.why_not = dict.fromkeys(RIVALS, "the libraries have no such command")
    script = Path(sys.executable).with_name("tessera")
    tessera = [str(script)] if script.exists() else [sys.executable, "-m", "tessera.cli"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shape = spreading_tree(Random("process"), SMALL)
        (folder / "agent.json").write_text(shape.to_json(), "utf-8")
        request = _small_request(shape, Random("process"))
        (folder / "request.json").write_text(json.dumps(request), "utf-8")
        commands = [
            [sys.executable, "-c", "pass"],
            [*tessera, "--help"],
            [*tessera, "plan", "agent.json", "request.json"],
        ]
        for command in commands:  # so that every file is in the cache
            cpu_of_command(command, folder)
        samples = [[cpu_of_command(command, folder) for command in commands] for _ in range(size.processes)]
    bare = median(sample[0] for sample in samples)
    for place, row in enumerate(rows, 1):
        row.samples["tessera"] = [sample[place] - bare for sample in samples]
    yield from rows


# the table


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table that is aligned for a terminal too, and its footnotes."""
    notes: dict[str, int] = {}

    def mark(text: str) -> str:
        return f" [{notes.setdefault(text, len(notes) + 1)}]" if text else ""

    lines = [
        ["case", "CPU, median", "load + plan + simulate (items)", "target", *_TITLES.values()],
    ]
    for row in rows:
        own = row.median("tessera")
        assert own is not None
        steps = " + ".join(f"{found:.1f}" for step in STEPS if (found := row.median(step)) is not None)
        items = row.median("items")
        lines.append(
            [
                row.case + mark(row.note),
                _figure(own, row.unit),
                steps + (f" (+ {items:.1f})" if items is not None else ""),
                f"≤ {row.target:g}{'' if own <= row.target else ', missed'}",
                *(
                    _figure(found, row.unit)
                    if (found := row.median(name)) is not None
                    else f"–{mark(row.why_not[name])}"
                    for name in _TITLES
                ),
            ]
        )
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    drawn = [_line(line, widths) for line in lines]
    drawn.insert(
        1, "|" + "|".join([f":{'-' * (widths[0] + 1)}", *(f"{'-' * (w + 1)}:" for w in widths[1:])]) + "|"
    )
    return "\n".join([*drawn, "", *(f"[{number}] {text}" for text, number in notes.items())])


_TITLES = {
    "networkx": "networkx build + topological_sort",
    "dask": "dask synchronous",
    "Hamilton": "Hamilton",
}


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = (
        cell.rjust(width) if at else cell.ljust(width)
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return f"| {' | '.join([first, *rest])} |"


def _figure(value: float, unit: str) -> str:
    return f"{value:.1f} {unit}" if unit == "µs/tile" else f"{value:.2f} {unit}"


def machine_line(facts: Mapping[str, Any], libraries: Mapping[str, str]) -> str:
    with_them = ", ".join(f"{name} {number}" for name, number in libraries.items())
    return f"{facts['cpu']}, {facts['cores']} cores, {facts['python']}; {with_them}"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.graph", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "--short", action="store_true", help="a tenth of the tiles and requests, 3 samples each"
    )
    parser.add_argument("--json", action="store_true", help="all samples as one JSON document")
    wanted = parser.parse_args(argv)
    size = Size.short() if wanted.short else Size()
    whole = list(processes(size))  # first, while this process is small and quickly forked
    graphs, swept = [case.row(size) for case in CASES], sweep_row(size)
    rows = [*graphs, swept, *whole]
    for case, row in zip(CASES, graphs, strict=True):
        case.add_rivals(row, size)
    for shape in _small_shapes(size):
        swept.add_rivals(shape, size.requests, 1e3 / size.requests)
    facts, libraries = machine(), versions()
    if wanted.json:
        document = {
            "machine": facts,
            "libraries": libraries,
            "short": wanted.short,
            "cases": [row.to_dict() for row in rows],
        }
        print(json.dumps(document, ensure_ascii=False, indent=1))
        return
    print(machine_line(facts, libraries))
    if wanted.short:
        print("Short: a tenth of the sizes that the targets are for.")
    print(f"\n{table(rows)}")


if __name__ == "__main__":
    main()
