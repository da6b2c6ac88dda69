"""What scheduling costs, beside dask (threads), Hamilton and Prefect: `python -m tests.benchmarks.scheduler`.

Tiles that do nothing are taken through their lives on the pool's threads; four events of each (queued,
running, what it did, completed) are safe in SQLite before anything acts on them. The others keep nothing:
they are there for scale, but for Prefect, which keeps states in a server that it starts, whose time is not
counted; it is measured once, with 500 tiles. A graph is planned before it is measured; each
sample is a new graph in a new workspace. CPU of this process with all its threads, in µs per tile.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from random import Random
from statistics import median
from typing import Any

from tessera import Catalogue, NodeType, load_agent, plan, run
from tessera.context import Context
from tessera.graph.plan import Plan
from tessera.media.algebra.item import Item
from tessera.node import Made, ours_id
from tessera.runner.scheduling.coordinator import Coordinator
from tests.benchmarks.clock import machine, measured
from tests.benchmarks.rivals import NoFigure, dask_threads, hamilton, prefect_threads, versions
from tests.benchmarks.shapes import Draw, Shape, chains, layers, merging_tree

AIM = 100
_FEW = 500
"""Tiles for Prefect, of which 10,000 would take a quarter of an hour."""
COLUMNS = ("scheduling", "the whole run", "dask threads", "Hamilton", "Prefect")


class NoOp(NodeType):
    """A tile that makes nothing, and whose work is never kept for another run."""

    name = "No-op"
    type_id = ours_id(name)
    category = "edit"
    source = "ours"
    optional_input = True
    cacheable = False

    def run(self, ctx: Context, inputs: Sequence[Item], params: Any) -> Iterable[Made]:
        return ()


CATALOGUE = Catalogue([*Catalogue.installed(), NoOp])


def planned(shape: Shape) -> Plan:
    """The plan of a graph all of whose tiles do nothing."""
    kind = {"node_type_id": NoOp.type_id, "node_type_name": NoOp.name}
    document = {
        "agent_nodes": [{"agent_node_id": node, "node_type": kind, "params_used": {}} for node in shape.ids],
        "connections": [
            {"source_agent_node_id": source, "target_agent_node_id": target} for source, target in shape.edges
        ],
    }
    return plan(load_agent(document, catalogue=CATALOGUE), {}, catalogue=CATALOGUE)


@contextmanager
def _timed() -> Iterator[list[float]]:
    """The CPU seconds of each coordinator, from the first tile to the last event."""
    found: list[float] = []
    work = Coordinator.run

    def timed(self: Coordinator) -> None:
        found.append(measured(lambda: work(self))[0])

    Coordinator.run = timed  # type: ignore[method-assign]
    try:
        yield found
    finally:
        Coordinator.run = work  # type: ignore[method-assign]


def ours(shape: Shape) -> tuple[float, float]:
    """The CPU seconds of scheduling a graph, and of the whole run with what it keeps."""
    decided = planned(shape)
    gc.collect()
    with _timed() as found, tempfile.TemporaryDirectory() as workspace:
        whole, record = measured(lambda: run(decided, workspace=workspace))
    assert record.status == "completed", record.message
    assert len(record.nodes) == len(shape)
    return found[0], whole


def row(name: str, draw: Draw, tiles: int, samples: int) -> list[str]:
    """One line of the table: medians."""
    found: dict[str, list[float]] = {column: [] for column in COLUMNS}
    for sample in range(samples):
        shape = draw(Random(f"{name} {sample}"), tiles)
        scale = 1e6 / len(shape)
        for column, seconds in zip(COLUMNS, ours(shape), strict=False):
            found[column].append(seconds * scale)
        for column, compute in (("dask threads", dask_threads), ("Hamilton", hamilton)):
            gc.collect()
            with suppress(NoFigure):
                found[column].append(measured(partial(compute, shape))[0] * scale)
    few = draw(Random(name), _FEW)
    with suppress(NoFigure):
        prefect_threads(few)  # so that its server is there
        found["Prefect"].append(measured(partial(prefect_threads, few))[0] * 1e6 / len(few))
    figures = [f"{median(found[one]):.0f}" if found[one] else "–" for one in COLUMNS]
    aim = f"≤ {AIM}{'' if median(found['scheduling']) <= AIM else ', missed'}"
    return [name.format(n=tiles), figures[0], aim, *figures[1:]]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.scheduler", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--short", action="store_true", help="a tenth of the tiles, 3 samples each")
    wanted = parser.parse_args(argv)
    tiles, samples = (1_000, 3) if wanted.short else (10_000, 5)
    ours(chains(2)(Random("warm"), 20))  # so that all is imported
    facts = machine()
    with_them = ", ".join(f"{name} {number}" for name, number in versions().items())
    print(f"{facts['cpu']}, {facts['cores']} cores, {facts['python']}; {with_them}; µs of CPU per tile")
    print(f"\n| case | scheduling | aim | {' | '.join(COLUMNS[1:])} |\n|---|--:|---|--:|--:|--:|--:|")
    cases: tuple[tuple[str, Draw, int], ...] = (
        ("{n:,} tiles in 100 chains", chains(100), tiles),
        ("{n:,} tiles in layers of 100, 3 parents each", layers(100, 3), tiles),
        ("a merging tree of {n:,}", merging_tree, tiles),
        ("one chain of {n:,}: a commit a tile", chains(1), tiles // 10),
    )
    for name, draw, count in cases:
        print(f"| {' | '.join(row(name, draw, count, samples))} |", flush=True)


if __name__ == "__main__":
    main()
