"""The same graphs in other libraries, each through its public interface; a tile counts what reaches it.

Each function takes a graph and gives how many results it got. Where a library is not installed, or cannot
take the graph, it raises `NoFigure`, which says why.
"""

from __future__ import annotations

import atexit
import graphlib
import inspect
import logging
import os
import sys
import tempfile
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from tests.benchmarks.shapes import Shape

__all__ = [
    "NoFigure",
    "dask_synchronous",
    "dask_threads",
    "hamilton",
    "networkx_sort",
    "prefect_threads",
    "versions",
]


class NoFigure(Exception):
    """There is nothing to measure, and why."""


def versions() -> dict[str, str]:
    """The versions of the libraries that are installed."""
    found = {}
    for name in ("networkx", "dask", "sf-hamilton", "prefect"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _tile(*inputs: int) -> int:
    return len(inputs)


def networkx_sort(shape: Shape) -> int:
    """Build a `DiGraph` and sort it."""
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_nodes_from(shape.ids)
    graph.add_edges_from(shape.edges)
    return len(list(nx.topological_sort(graph)))


def dask_synchronous(shape: Shape) -> int:
    """Build a graph of tasks and compute its leaves in this thread."""
    try:
        from dask.local import get_sync
    except ImportError:
        raise NoFigure("not installed: pip install '.[bench]'") from None
    return _dask(shape, get_sync)


def dask_threads(shape: Shape) -> int:
    """The same on a pool of threads."""
    try:
        from dask.threaded import get
    except ImportError:
        raise NoFigure("not installed: pip install '.[bench]'") from None
    return _dask(shape, get)


def _dask(shape: Shape, get: Any) -> int:
    tasks = {
        ("Mirror", node): (_tile, *(("Mirror", parent) for parent in parents))
        for node, parents in shape.parents().items()
    }
    return len(get(tasks, [("Mirror", node) for node in shape.leaves()]))


def hamilton(shape: Shape) -> int:
    """Make a function of each tile, build a driver of them and execute its leaves."""
    try:
        from hamilton.ad_hoc_utils import create_temporary_module
        from hamilton.driver import Builder
    except ImportError:
        raise NoFigure("not installed: pip install '.[bench]'") from None
    logging.getLogger("hamilton").setLevel(logging.CRITICAL + 1)
    names = {node: f"tile_{node.replace('-', '_')}" for node in shape.ids}
    functions = [
        _function(names[node], [names[parent] for parent in parents])
        for node, parents in shape.parents().items()
    ]
    module = create_temporary_module(*functions)
    try:
        driver = Builder().with_modules(module).build()
        return len(driver.execute([names[node] for node in shape.leaves()]))
    except RecursionError:
        raise NoFigure("recurses once a tile of a chain, past Python's limit of 1,000") from None
    finally:
        del sys.modules[module.__name__]


def prefect_threads(shape: Shape) -> int:
    """Submit each tile to a flow's pool of threads, with the futures of those that it waits for.

    Prefect keeps what happens in a server that it starts: a process whose time is not this one's.
    """
    _quiet_prefect()
    try:
        from prefect import flow, task
        from prefect.task_runners import ThreadPoolTaskRunner
    except ImportError:
        raise NoFigure("not installed: pip install prefect") from None

    @task
    def tile(*inputs: int) -> int:
        return len(inputs)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=4))
    def agent() -> int:
        futures: dict[str, Any] = {}
        parents = shape.parents()
        for node in graphlib.TopologicalSorter(parents).static_order():
            futures[node] = tile.submit(*(futures[parent] for parent in parents[node]))
        return len([futures[node].result() for node in shape.leaves()])

    return int(agent())


@cache
def _quiet_prefect() -> None:
    """Have it keep its database in a folder that goes with this process, say little, and report to nobody."""
    home = tempfile.TemporaryDirectory(prefix="prefect-")
    atexit.register(home.cleanup)
    os.environ |= {
        "PREFECT_HOME": home.name,
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


def _function(name: str, parents: list[str]) -> Any:
    """A function with these parameters, made without compiling source text."""

    def tile(**inputs: int) -> int:
        return len(inputs)

    made: Any = tile
    made.__name__ = name
    made.__annotations__ = {**dict.fromkeys(parents, int), "return": int}
    made.__signature__ = inspect.Signature(
        [inspect.Parameter(one, inspect.Parameter.KEYWORD_ONLY, annotation=int) for one in parents],
        return_annotation=int,
    )
    return made
