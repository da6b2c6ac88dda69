"""Builds the request of a test: ids for names, and a placeholder input for every Video Input that runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from tessera.agent import AgentTemplate, Tile, read_json
from tessera.request import SOURCE_FIELDS, RunRequest
from tessera.testing.notation.names import Names, NotationError

__all__ = ["DUMMY", "build_request", "input_tiles", "running_tiles", "start_tiles", "with_dummy_facts"]

DUMMY: Mapping[str, Any] = {
    "duration_ms": 60_000,
    "width": 1920,
    "height": 1080,
    "fps": "30",
    "has_audio": True,
    "speech": [[0, 60_000]],
}
"""The facts of a placeholder input: 60,000 ms of speech, 1920×1080 pixels, 30 frames/s."""

Inputs = str | Sequence[Any] | Mapping[str, Any] | None


def running_tiles(agent: AgentTemplate, ignored: Collection[str] = ()) -> list[str]:
    """Return the tiles that run without `ignored` (ids), in the order of the template.

    The function does not use the planner, so that tests can check one against the other.
    """
    targets: dict[str, list[str]] = {tile.id: [] for tile in agent.nodes}
    for edge in agent.connections:
        targets[edge.source].append(edge.target)
    seen = set(start_tiles(agent, ignored))
    stack = list(seen)
    while stack:
        for after in targets[stack.pop()]:
            if after not in seen:
                seen.add(after)
                stack.append(after)
    return [tile.id for tile in agent.nodes if tile.id in seen and tile.id not in ignored]


def start_tiles(agent: AgentTemplate, ignored: Collection[str] = ()) -> list[str]:
    """Return the tiles that start a run without `ignored` (ids): its inputs, then unconnected generators."""
    feeders: dict[str, list[str]] = {tile.id: [] for tile in agent.nodes}
    for edge in agent.connections:
        feeders[edge.target].append(edge.source)
    kept = [tile for tile in agent.nodes if tile.id not in ignored]
    generators = [tile for tile in kept if tile.type.is_generator() and not _is_fed(tile, feeders, ignored)]
    return [tile.id for tile in (*_entries(kept), *generators)]


def _entries(tiles: Iterable[Tile]) -> list[Tile]:
    """Return the Video Inputs among tiles, or else the triggers."""
    tiles = list(tiles)
    inputs = [tile for tile in tiles if tile.type.is_input()]
    return inputs or [tile for tile in tiles if tile.type.is_trigger()]


def _is_fed(tile: Tile, feeders: Mapping[str, Sequence[str]], ignored: Collection[str]) -> bool:
    """Return True if a kept tile feeds this one, directly or through ignored tiles only."""
    stack, seen = [tile.id], {tile.id}
    while stack:
        for before in feeders[stack.pop()]:
            if before not in ignored:
                return True
            if before not in seen:
                seen.add(before)
                stack.append(before)
    return False


def build_request(
    names: Names,
    request: Any,
    ignore: Iterable[str],
    overrides: Mapping[str, Any],
    inputs: Inputs,
) -> Any:
    """Build the request of a test.

    Parameters
    ----------
    names
        The names of the agent's tiles.
    request
        A request as `plan` takes it, with `<name>` for ids. A value that is no object is returned unchanged:
        the planner rejects it.
    ignore, overrides, inputs
        Additions to the request by tile name, as in `assert_plan`.
    """
    if isinstance(request, RunRequest):
        request = request.model_dump(exclude_unset=True)
    raw = {} if request is None else read_json(request, "request")
    if not isinstance(raw, dict):
        return raw
    raw = _with_ids(names, raw)
    ignore = [ignore] if isinstance(ignore, str) else list(ignore)
    if ignore:
        raw["ignore_nodes"] = [*(raw.get("ignore_nodes") or ()), *(names.id(name) for name in ignore)]
    if overrides:
        raw["update_params"] = _merged_overrides(names, raw.get("update_params") or {}, overrides)
    if inputs is not None:
        return {**raw, **_input_members(names, raw, inputs)}
    if not any(raw.get(field) for field in (*SOURCE_FIELDS, "video_inputs")):
        raw |= _dummy_inputs(names, raw)
    return raw


def _with_ids(names: Names, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request with ids in place of names in angle brackets (`<clips>`)."""
    copy = dict(raw)
    if isinstance(raw.get("ignore_nodes"), list):
        copy["ignore_nodes"] = [_resolve_id(names, node) for node in raw["ignore_nodes"]]
    if isinstance(raw.get("update_params"), dict):
        params = raw["update_params"]
        copy["update_params"] = {_resolve_id(names, node): values for node, values in params.items()}
    if isinstance(raw.get("video_inputs"), list):
        copy["video_inputs"] = [
            {**entry, "agent_node_id": _resolve_id(names, entry["agent_node_id"])}
            if isinstance(entry, dict) and "agent_node_id" in entry
            else entry
            for entry in raw["video_inputs"]
        ]
    return copy


def _resolve_id(names: Names, node: Any) -> Any:
    return names.with_ids(node) if isinstance(node, str) else node


def _merged_overrides(names: Names, base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    found = {node: dict(values) if isinstance(values, dict) else values for node, values in base.items()}
    for name, value in overrides.items():
        tile, dot, parameter = name.partition(".")
        values = {parameter: value} if dot else value
        if not isinstance(values, Mapping):
            message = f"{name!r} is not a parameter: write 'tile.parameter' or give an object of parameters"
            raise NotationError(message)
        found.setdefault(names.id(tile), {}).update(values)
    return found


def _input_members(names: Names, raw: Mapping[str, Any], inputs: Inputs) -> dict[str, Any]:
    """Return the members of a request for the `inputs` of a test: for its only Video Input, or for each."""
    if isinstance(inputs, Mapping):
        return {
            "video_inputs": [
                {"agent_node_id": names.id(tile), **_sources(value)} for tile, value in inputs.items()
            ]
        }
    return _sources(inputs)


def _sources(value: Any) -> dict[str, Any]:
    """Return the source members for `"v"`, `["v", "https://…"]` or an entry of a request."""
    if isinstance(value, Mapping):
        return dict(value)
    found: dict[str, Any] = {}
    for source in [value] if isinstance(value, str) else value:
        url = isinstance(source, str) and source.startswith(("http://", "https://"))
        found.setdefault("video_urls" if url else "video_ids", []).append(source)
    return found


def input_tiles(names: Names, ignored: Collection[str]) -> list[str]:
    """Return the tiles that need an input when `ignored` (ids) do not run."""
    runs = set(running_tiles(names.template, ignored))
    return [tile.id for tile in _entries(tile for tile in names.template if tile.id in runs)]


def _dummy_inputs(names: Names, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a placeholder video for each Video Input that runs; its id is the tile's name."""
    ids = raw.get("ignore_nodes")
    ignored = {node.lower() for node in ids if isinstance(node, str)} if isinstance(ids, list) else set()
    tiles = input_tiles(names, [tile.id for tile in names.template if tile.id.lower() in ignored])
    if len(tiles) == 1:
        return {"video_ids": [names.name_of[tiles[0]]]}
    entries = [{"agent_node_id": node, "video_ids": [names.name_of[node]]} for node in tiles]
    return {"video_inputs": entries} if entries else {}


def with_dummy_facts(names: Names, facts: Any) -> Any:
    """Return facts with `DUMMY` added for every placeholder input that the test has no facts about."""
    known = {} if facts is None else read_json(facts, "request")
    if not isinstance(known, Mapping) or "*" in known:
        return known
    inputs = (tile for tile in names.template if tile.type.category in ("input", "trigger"))
    return {**{names.name_of[tile.id]: DUMMY for tile in inputs}, **known}
