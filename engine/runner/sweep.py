"""Sweeps: one agent simulated with many requests, on all cores."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from itertools import islice
from typing import Any

from tessera.errors import TesseraError
from tessera.graph.load import UnknownTiles, load_agent
from tessera.inputs.facts import read_facts
from tessera.runner.entry import simulate

__all__ = ["differences", "sweep"]

_CHUNK = 16
"""Requests that a worker takes at a time."""


def sweep(
    agent: Any,
    requests: Iterable[str | Mapping[str, Any]],
    *,
    workers: int | None = None,
    facts: Any = None,
    stubs: Mapping[str, Any] | None = None,
    assume: bool = False,
    workspace: str | None = None,
    unknown_tiles: UnknownTiles = "error",
) -> Iterator[dict[str, Any]]:
    """Simulate an agent with each request; results come in the order of the requests.

    Parameters
    ----------
    requests
        Dicts, or lines of JSON; empty lines are passed over. They may be a stream: a bounded number is held.
    workers
        Processes; by default one per core. 1 works in this process.
    facts, stubs, assume, workspace, unknown_tiles
        As in `simulate`.

    Yields
    ------
    dict
        `{"line", "status", "outputs", "items", "metered_ms", "changes"}`, or `{"line", "status": "refused",
        "error"}` where the request is wrong or a question has no answer. `line` counts from 1.

    Raises
    ------
    RequestError
        The agent or the facts are wrong.
    """
    load_agent(agent, unknown_tiles=unknown_tiles)
    options = {
        "facts": read_facts(facts),
        "stubs": dict(stubs or {}),
        "assume": assume,
        "workspace": workspace,
        "unknown_tiles": unknown_tiles,
    }
    lines = ((number, line) for number, line in enumerate(requests, 1) if _given(line))
    chunks = iter(lambda: list(islice(lines, _CHUNK)), [])
    count = workers or os.cpu_count() or 1
    if count == 1:
        _begin(agent, options)
        for chunk in chunks:
            yield from _work(chunk)
        return
    # Spawned, not forked: a fork would copy the locks of whatever threads the caller has.
    context = multiprocessing.get_context("spawn")
    begin = partial(_begin, agent, options)
    with ProcessPoolExecutor(count, mp_context=context, initializer=begin) as pool:
        under_way: list[Future[list[dict[str, Any]]]] = []
        for chunk in chunks:
            under_way.append(pool.submit(_work, chunk))
            if len(under_way) >= 4 * count:
                yield from under_way.pop(0).result()
        for future in under_way:
            yield from future.result()


def _given(line: str | Mapping[str, Any]) -> bool:
    return not isinstance(line, str) or bool(line.strip())


_worker: dict[str, Any] = {}
"""What a worker process holds: the agent, loaded once, and the options."""


def _begin(agent: Any, options: dict[str, Any]) -> None:
    _worker["agent"] = load_agent(agent, unknown_tiles=options["unknown_tiles"])
    _worker["options"] = options


def _work(chunk: list[tuple[int, Any]]) -> list[dict[str, Any]]:
    return [_one(number, line) for number, line in chunk]


def _one(number: int, line: Any) -> dict[str, Any]:
    """The result of one request."""
    try:
        request = line.encode() if isinstance(line, str) else line
        record = simulate(_worker["agent"], request, **_worker["options"]).to_dict()
    except TesseraError as error:
        return {"line": number, "status": "refused", "error": error.to_dict()}
    items: dict[str, int] = {}
    for item in record["items"]:
        items[item["agent_node_id"]] = items.get(item["agent_node_id"], 0) + 1
    shown = ("original_node_id", "index", "kind", "duration_ms", "width", "height", "fps", "has_audio")
    return {
        "line": number,
        "status": record["status"],
        "outputs": [{name: output.get(name) for name in shown} for output in record["outputs"]],
        "items": items,
        "metered_ms": sum(one["metered_ms"] for one in record["inputs"]),
        "changes": record["changes"],
        "errors": record["errors"],
    }


def differences(results: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The results grouped by what came out: one entry for each different outcome, the commonest first.

    An entry has `lines` (all of them), `status`, `outputs` (how many), `seconds` (of all outputs), `sizes`,
    and `error` where the requests were refused.
    `error` where the requests were refused.
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
