"""The request of a test: names in place of ids, and an input for every Video Input that runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from tessera.agent import AgentTemplate, Tile, read_json
from tessera.request import SOURCE_FIELDS, RunRequest
from tessera.testing.notation.names import Names, NotationError

__all__ = ["DUMMY", "build_request", "dummies", "running", "starting", "with_dummy_facts"]

DUMMY: Mapping[str, Any] = {
    "duration_ms": 60_000,
    "width": 1920,
    "height": 1080,
    "fps": "30",
    "has_audio": True,
    "speech": [[0, 60_000]],
}
"""What is stated of an input that a test does not name: one minute of speech, 1920×1080, 30 frames/s."""

Inputs = str | Sequence[Any] | Mapping[str, Any] | None


def running(agent: AgentTemplate, ignored: Collection[str] = ()) -> list[str]:
    """The tiles that run when `ignored` (ids) are left out, in the order of the template.

    Worked out from the rules alone, by another way than the planner's.
    """
    feeds: dict[str, list[str]] = {tile.id: [] for tile in agent.nodes}
    for edge in agent.connections:
        feeds[edge.source].append(edge.target)
    seen = set(starting(agent, ignored))
    stack = list(seen)
    while stack:
        for after in feeds[stack.pop()]:
            if after not in seen:
                seen.add(after)
                stack.append(after)
    return [tile.id for tile in agent.nodes if tile.id in seen and tile.id not in ignored]


def starting(agent: AgentTemplate, ignored: Collection[str] = ()) -> list[str]:
    """What a run starts from when `ignored` (ids) are left out: its inputs, then unconnected generators."""
    fed: dict[str, list[str]] = {tile.id: [] for tile in agent.nodes}
    for edge in agent.connections:
        fed[edge.target].append(edge.source)
    kept = [tile for tile in agent.nodes if tile.id not in ignored]
    generators = [tile for tile in kept if tile.type.is_generator() and not _led_to(tile, fed, ignored)]
    return [tile.id for tile in (*_entries(kept), *generators)]


def _entries(tiles: Iterable[Tile]) -> list[Tile]:
    """The Video Inputs among tiles, or the triggers where there is none."""
    tiles = list(tiles)
    inputs = [tile for tile in tiles if tile.type.is_input()]
    return inputs or [tile for tile in tiles if tile.type.is_trigger()]


def _led_to(tile: Tile, fed: Mapping[str, Sequence[str]], gone: Collection[str]) -> bool:
    """Whether a tile that is not left out leads to this one past nothing but tiles that are."""
    stack, seen = [tile.id], {tile.id}
    while stack:
        for before in fed[stack.pop()]:
            if before not in gone:
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
    """The request that a test means; what is no object is handed on as it is, for the planner to refuse."""
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
        raw["update_params"] = _overridden(names, raw.get("update_params") or {}, overrides)
    if inputs is not None:
        return {**raw, **_given(names, raw, inputs)}
    if not any(raw.get(field) for field in (*SOURCE_FIELDS, "video_inputs")):
        raw |= _dummy_inputs(names, raw)
    return raw


def _with_ids(names: Names, raw: Mapping[str, Any]) -> dict[str, Any]:
    """A request with ids where it has names in angle brackets (`<clips>`), wherever an id stands."""
    copy = dict(raw)
    if isinstance(raw.get("ignore_nodes"), list):
        copy["ignore_nodes"] = [_id_of(names, node) for node in raw["ignore_nodes"]]
    if isinstance(raw.get("update_params"), dict):
        copy["update_params"] = {_id_of(names, node): own for node, own in raw["update_params"].items()}
    if isinstance(raw.get("video_inputs"), list):
        copy["video_inputs"] = [
            {**entry, "agent_node_id": _id_of(names, entry["agent_node_id"])}
            if isinstance(entry, dict) and "agent_node_id" in entry
            else entry
            for entry in raw["video_inputs"]
        ]
    return copy


def _id_of(names: Names, node: Any) -> Any:
    return names.filled(node) if isinstance(node, str) else node


def _overridden(names: Names, given: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    found = {node: dict(values) if isinstance(values, dict) else values for node, values in given.items()}
    for name, value in overrides.items():
        tile, dot, parameter = name.partition(".")
        values = {parameter: value} if dot else value
        if not isinstance(values, Mapping):
            what = f"{name!r} is no parameter: write 'tile.parameter', or give an object of parameters"
            raise NotationError(what)
        found.setdefault(names.id(tile), {}).update(values)
    return found


def _given(names: Names, raw: Mapping[str, Any], inputs: Inputs) -> dict[str, Any]:
    """The members of a request for the inputs that a test names: for its only Video Input, or of each."""
    if isinstance(inputs, Mapping):
        return {
            "video_inputs": [
                {"agent_node_id": names.id(tile), **_sources(own)} for tile, own in inputs.items()
            ]
        }
    return _sources(inputs)


def _sources(given: Any) -> dict[str, Any]:
    """`"v"`, `["v", "https://…"]` or an entry of the request → its source members."""
    if isinstance(given, Mapping):
        return dict(given)
    found: dict[str, Any] = {}
    for one in [given] if isinstance(given, str) else given:
        url = isinstance(one, str) and one.startswith(("http://", "https://"))
        found.setdefault("video_urls" if url else "video_ids", []).append(one)
    return found


def dummies(names: Names, ignored: Collection[str]) -> list[str]:
    """The tiles that need an input when `ignored` are left out."""
    runs = set(running(names.template, ignored))
    return [tile.id for tile in _entries(tile for tile in names.template if tile.id in runs)]


def _dummy_inputs(names: Names, raw: Mapping[str, Any]) -> dict[str, Any]:
    """A video for each Video Input that runs; its id is the tile's name."""
    ignored = raw.get("ignore_nodes")
    gone = {node.lower() for node in ignored if isinstance(node, str)} if isinstance(ignored, list) else set()
    wanted = dummies(names, [tile.id for tile in names.template if tile.id.lower() in gone])
    if len(wanted) == 1:
        return {"video_ids": [names.of[wanted[0]]]}
    entries = [{"agent_node_id": node, "video_ids": [names.of[node]]} for node in wanted]
    return {"video_inputs": entries} if entries else {}


def with_dummy_facts(names: Names, facts: Any) -> Any:
    """Facts, with `DUMMY` for the inputs that a test leaves to us, unless it says something of them."""
    known = {} if facts is None else read_json(facts, "request")
    if not isinstance(known, Mapping) or "*" in known:
        return known
    ours = {names.of[tile.id]: DUMMY for tile in names.template if tile.type.category in ("input", "trigger")}
    return {**ours, **known}
