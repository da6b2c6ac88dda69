"""Sweeps: one agent simulated with many requests, on all cores."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

from tessera.errors import TesseraError
from tessera.graph.load import load_agent
from tessera.inputs.facts import read_facts
from tessera.runner.config import SimulateConfig
from tessera.runner.entry import simulate

__all__ = ["differences", "sweep"]

_CHUNK = 16
"""The number of requests that a worker takes at a time."""


def sweep(
    agent: Any,
    requests: Iterable[str | Mapping[str, Any]],
    config: SimulateConfig = SimulateConfig(),
    *,
    processes: int | None = None,
) -> Iterator[dict[str, Any]]:
    """Simulate an agent with each request. Results keep the order of the requests.

    Parameters
    ----------
    requests
        Dicts, or lines of JSON; empty lines are skipped. They may be an endless stream, since only a bounded
        number is held in memory.
    config
        The options of each simulation. With several processes, they must be picklable.
    processes
        The number of processes; by default one per core. With 1, this process does the work.

    Yields
    ------
    dict
        `{"line", "status", "outputs", "items", "metered_ms", "changes", "errors"}`, or `{"line", "status":
        "refused", "error"}` if the request is invalid or a question has no answer. `line` counts from 1. With
        a forecast, also `seconds` and `credits`.

    Raises
    ------
    RequestError
        If the agent or the facts are invalid.
    """
    load_agent(agent, catalogue=config.catalogue, unknown_tiles=config.unknown_tiles)
    config = replace(config, facts=read_facts(config.facts))
    lines = ((number, line) for number, line in enumerate(requests, 1) if _is_request(line))
    chunks = iter(lambda: list(islice(lines, _CHUNK)), [])
    count = processes or os.cpu_count() or 1
    if count == 1:
        _init_worker(agent, config)
        for chunk in chunks:
            yield from _simulate_chunk(chunk)
        return
    # Spawn, since a fork would copy locks that other threads of the caller hold.
    context = multiprocessing.get_context("spawn")
    initializer = partial(_init_process, agent, config)
    with ProcessPoolExecutor(count, mp_context=context, initializer=initializer) as pool:
        pending: list[Future[list[dict[str, Any]]]] = []
        for chunk in chunks:
            pending.append(pool.submit(_simulate_chunk, chunk))
            if len(pending) >= 4 * count:
                yield from pending.pop(0).result()
        for future in pending:
            yield from future.result()


def _is_request(line: str | Mapping[str, Any]) -> bool:
    return not isinstance(line, str) or bool(line.strip())


_worker: dict[str, Any] = {}
"""The state of a worker process: the agent, loaded once, and the options."""


def _init_process(agent: Any, config: SimulateConfig) -> None:
    import warnings

    from tessera.plug_ins import PlugInWarning

    warnings.simplefilter("ignore", PlugInWarning)  # the calling process has shown them
    _init_worker(agent, config)


def _init_worker(agent: Any, config: SimulateConfig) -> None:
    _worker["agent"] = load_agent(agent, catalogue=config.catalogue, unknown_tiles=config.unknown_tiles)
    _worker["config"] = config


def _simulate_chunk(chunk: list[tuple[int, Any]]) -> list[dict[str, Any]]:
    return [_result_of(number, line) for number, line in chunk]


def _result_of(number: int, line: Any) -> dict[str, Any]:
    """Return the result of one request."""
    try:
        request = line.encode() if isinstance(line, str) else line
        record = simulate(_worker["agent"], request, _worker["config"])
    except TesseraError as error:
        return {"line": number, "status": "refused", "error": error.to_dict()}
    # Only what the result shows is described, since most of the time would go into the rest.
    found: dict[str, Any] = {
        "line": number,
        "status": record.status.value,
        "outputs": [output.described() for output in record.outputs],
        "items": {node.id: node.made for node in record.nodes.values() if node.made},
        "metered_ms": sum(media["metered_ms"] for media in record.inputs),
        "changes": record.start.changes,
        "errors": record.errors,
    }
    if record.forecast is not None:
        found["seconds"] = record.forecast.schedule.to_dict()["makespan"]
        found["credits"] = str(record.forecast.bill.total)
    return found


def differences(results: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Group results by outcome: one entry per distinct outcome, the most frequent first.

    An entry has `lines` (all of them), `status`, `outputs` (their number), `seconds` (of all outputs
    together), `sizes`, and `error` if the requests were refused.
    """
    groups: dict[str, dict[str, Any]] = {}
    for result in results:
        outputs = result.get("outputs", [])
        outcome = {
            "status": result["status"],
            "outputs": len(outputs),
            "seconds": round(sum(output["duration_ms"] or 0 for output in outputs) / 1000, 3),
            "sizes": sorted(
                {f"{output['width']}×{output['height']}" for output in outputs if output["width"]}
            ),
            "error": result.get("error", {}).get("detail"),
        }
        groups.setdefault(json.dumps(outcome), {**outcome, "lines": []})["lines"].append(result["line"])
    return sorted(groups.values(), key=lambda group: (-len(group["lines"]), group["lines"][0]))
