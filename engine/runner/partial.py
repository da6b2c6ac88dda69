"""Parts of a plan: all tiles up to one, all from one on, or one alone, with known items at its edge.

In a simulation the known items are descriptions built from a record; in a run they are items of an earlier
run.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from tessera.database.statements import decoding
from tessera.errors import NO_FACTS, Fault, RequestError, pointer
from tessera.graph.model import copy_graph
from tessera.graph.plan import Plan
from tessera.graph.rewrite import reachable
from tessera.inputs.facts import MediaFacts
from tessera.media.algebra.expression import Image, Picture, Sound, even
from tessera.media.algebra.item import Audio, Item, Project, Value, Video
from tessera.node import Kind
from tessera.notice import Notice
from tessera.record.record import RunRecord
from tessera.runner.answers.stubs import find_tile
from tessera.runner.config import PlannedConfig, RunConfig, SimulateConfig
from tessera.store.run_store import RunStore
from tessera.text.checked import exact_number, json_object

__all__ = ["Part", "from_tile", "only_tile", "part_of_record", "part_of_run", "restored_items", "until_tile"]


@dataclass(frozen=True)
class Part:
    """A part of a plan, and the items of tiles whose work counts as done.

    Attributes
    ----------
    summary
        The entry of the record: `{"part": "until" | "from" | "only", "agent_node_id", "of"}`, where `of` is
        the run that the items come from. None if the part is the whole plan.
    """

    plan: Plan
    known_items: Mapping[str, tuple[Item, ...]]
    summary: dict[str, Any] | None = None

    def to_json(self) -> str:
        """Return the document that a resume needs to restore this part."""
        return json.dumps({**(self.summary or {}), "given": [*self.known_items]})


def part_of_record(plan: Plan, facts: Mapping[str, MediaFacts], config: SimulateConfig) -> Part:
    """Return the requested part of a plan for a simulation, or the whole plan if none is requested.

    Raises
    ------
    RequestError
        If more than one part is requested, the tile does not exist, or the items that reach it are unknown.
    """
    record = config.of.to_dict() if isinstance(config.of, RunRecord) else config.of
    kind, node = _selected_part(plan, config)
    if kind is None:
        return Part(plan, {})
    run_id = record.get("run_id") if record is not None and kind != "until" else None
    if kind == "until":
        part = until_tile(plan, node)
    elif kind == "only":
        part = only_tile(plan, node, record, facts)
    elif record is None:
        raise RequestError([Fault("", "request", "`since` a tile of which run? Give its record as `of`")])
    else:
        part = from_tile(plan, node, record)
    return replace(part, summary={"part": kind, "agent_node_id": node, "of": run_id})


def part_of_run(plan: Plan, store: RunStore, config: RunConfig) -> Part:
    """Return the requested part of a plan for a run, or the whole plan if none is requested.

    Raises
    ------
    RequestError
        If more than one part is requested, the tile does not exist, or the items that reach it are unknown.
    WorkspaceError
        If there is no such run.
    """
    of = config.of
    kind, node = _selected_part(plan, config)
    if of is not None and kind in (None, "until"):
        raise RequestError(
            [Fault("", "request", "an earlier run also needs a tile: from which one on, or only which one")]
        )
    if kind is None:
        return Part(plan, {})
    if kind == "until":
        return replace(until_tile(plan, node), summary={"part": kind, "agent_node_id": node, "of": None})
    if of is None:
        raise RequestError([Fault("", "request", f"`{kind}` a tile of which run? Give an earlier run")])
    run_id = of.run_id if isinstance(of, RunRecord) else store.resolve_run_id(of)
    nodes = set(reachable(plan.graph, [node])) if kind == "from" else {node}
    # The parents of these items are in the earlier run, so this run has no lineage for them.
    items = {
        maker: tuple(replace(item, parents=()) for item in made)
        for maker, made in store.items(run_id).items()
    }
    part = _with_known(plan, nodes, items, store.record(run_id))
    return replace(part, summary={"part": kind, "agent_node_id": node, "of": run_id})


def restored_items(
    text: str | None, store: RunStore, plan: Plan, done: Container[str]
) -> dict[str, tuple[Item, ...]]:
    """Return the known items of a part, for a resumed run. `text` is the output of `Part.to_json`.

    Raises
    ------
    RequestError
        If the items of a tile that is not `done` are missing.
    WorkspaceError
        If the items or their document cannot be read.
    """
    with decoding("the known items of a partial run"):
        summary = json_object(text) if text is not None else {"given": []}
        wanted: list[str] = [*summary["given"]]
        of = str(summary["of"]) if wanted else ""
    if not wanted:
        return {}
    items = store.items(of)
    missing = [node for node in wanted if node not in items and node not in done]
    if missing:
        names = ", ".join(
            f"{plan.tile(node).name} {node}" if node in plan.graph else node for node in missing
        )
        raise RequestError([Fault("", "request", f"run {of} no longer holds items of {names}")])
    return {
        node: tuple(replace(item, parents=()) for item in items[node]) for node in wanted if node in items
    }


def _selected_part(plan: Plan, config: PlannedConfig) -> tuple[str | None, str]:
    """Return the kind of the requested part, and its tile."""
    named = {"until": config.until, "from": config.since, "only": config.only}
    choices = [(kind, name) for kind, name in named.items() if name is not None]
    if len(choices) > 1:
        message = "several parts are requested: give one of until, from and only"
        raise RequestError([Fault("", "request", message)])
    if not choices:
        return None, ""
    kind, name = choices[0]
    return kind, find_tile(plan, name, "").id


def until_tile(plan: Plan, node: str) -> Part:
    """Return a tile and everything that it depends on."""
    needed, stack = {node}, [node]
    while stack:
        for before in plan.graph.pred[stack.pop()]:
            if before not in needed:
                needed.add(before)
                stack.append(before)
    return Part(_slice(plan, needed), {})


def from_tile(plan: Plan, node: str, record: Mapping[str, Any]) -> Part:
    """Return a tile and everything downstream, with the items that reach them from an earlier run's record.

    Raises
    ------
    RequestError
        If the record lacks the items of a tile that feeds this part.
    """
    return _with_known(plan, reachable(plan.graph, [node]), items_of(record), record)


def only_tile(
    plan: Plan, node: str, record: Mapping[str, Any] | None, facts: Mapping[str, MediaFacts]
) -> Part:
    """Return one tile alone. The items that reach it come from a record, or from the facts for `"*"`: then
    one video per tile that feeds it.

    Raises
    ------
    RequestError
        If there is neither a record with the items nor a complete fact for `"*"`.
    """
    if record is not None:
        return _with_known(plan, {node}, items_of(record), record)
    stated = facts.get("*")
    known = {}
    for before in plan.graph.pred[node]:
        if stated is None or not (stated.seconds and stated.width and stated.height and stated.fps):
            message = (
                f"the input of {plan.tile(node).name} {node} is unknown: "
                "give the run that made it, or facts for '*' with duration, size and fps"
            )
            raise RequestError([Fault("", "request", message, NO_FACTS)])
        described = {
            "kind": "video",
            "duration": stated.seconds,
            "width": stated.width,
            "height": stated.height,
            "fps": str(stated.fps),
            "has_audio": stated.has_audio,
            "sources": [],
        }
        known[before] = (Item(before, 0, _value(f"facts:{before}", described), (), "from facts"),)
    return Part(_slice(plan, {node, *known}, known), known)


def _with_known(
    plan: Plan, nodes: Iterable[str], items: Mapping[str, tuple[Item, ...]], record: Mapping[str, Any]
) -> Part:
    """Return these tiles with the items that reach them, taken from the run with this record."""
    nodes = set(nodes)
    feeding = {before for node in nodes for before in plan.graph.pred[node]} - nodes
    missing = [node for node in plan.order if node in feeding and node not in items]
    if missing:
        names = ", ".join(f"{plan.tile(node).name} {node}" for node in missing)
        raise RequestError([Fault("", "request", f"run {record.get('run_id')} holds no items of {names}")])
    known = {node: items[node] for node in feeding}
    sliced = _slice(plan, nodes | feeding, known)
    return Part(replace(sliced, warnings=(*sliced.warnings, *_ignored_overrides(plan, nodes, record))), known)


def _ignored_overrides(plan: Plan, nodes: Container[str], record: Mapping[str, Any]) -> Iterator[Notice]:
    """Yield a warning for each override that neither this part nor the earlier run uses."""
    with decoding(f"the changes of run {record.get('run_id')}"):
        overridden = record.get("changes", {}).get("overridden", ())
        before = {
            (override["agent_node_id"], override["parameter"]): [override["new"]] for override in overridden
        }
    for override in plan.changes.overridden:
        if override.node in nodes or before.get((override.node, override.parameter)) == [override.new]:
            continue
        yield Notice(
            "unheeded_override",
            f"{plan.tile(override.node).name} {override.node} does not run in this part of the agent: "
            f"its items were made with another value of {override.parameter!r}",
            pointer("update_params", override.node, override.parameter),
            "request",
        )


def _slice(plan: Plan, nodes: set[str], known: Container[str] = ()) -> Plan:
    """Return the plan of these tiles alone. Tiles with known items need no inputs."""
    return replace(
        plan,
        graph=copy_graph(plan.graph, nodes),
        order=tuple(node for node in plan.order if node in nodes),
        inputs=tuple(
            binding for binding in plan.inputs if binding.node in nodes and binding.node not in known
        ),
    )


def items_of(record: Mapping[str, Any]) -> dict[str, tuple[Item, ...]]:
    """Return the items of a record by tile, as descriptions that show the same ranges of the same sources."""
    found: dict[str, list[Item]] = {}
    for entry in record.get("items", ()):
        node, index = entry["agent_node_id"], entry["index"]
        value = _value(f"run:{record.get('run_id')}:{node}:{index}", entry)
        found.setdefault(node, []).append(Item(node, index, value, (), entry["why"], entry["fidelity"]))
    return {node: tuple(sorted(items, key=lambda item: item.index)) for node, items in found.items()}


def _value(key: str, entry: Mapping[str, Any]) -> Value:
    """Return a value with the properties that a record states for an item."""
    match entry["kind"]:
        case Kind.IMAGE:
            return Image.source(key, width=entry["width"], height=entry["height"])
        case Kind.PROJECT:
            return Project(())
        case Kind.AUDIO:
            return Audio(Sound.silence(_seconds(entry)))
    width, height, rate = even(entry["width"]), even(entry["height"]), exact_number(entry["fps"])
    ranges = [
        (piece["source"], exact_number(piece["start_ms"]) / 1000, exact_number(piece["end_ms"]) / 1000)
        for piece in entry["sources"]
    ] or [(key, Fraction(0), _seconds(entry))]
    pictures, sounds = [], []
    for source, start, end in ranges:
        cut = [(start, end)]
        picture = Picture.source(source, width=width, height=height, rate=rate, duration=end)
        pictures.append(picture.keep(cut))
        sounds.append(Sound.source(source, rate=48_000, channels=2, duration=end).keep(cut))
    sound = sounds[0].then(*sounds[1:]) if entry["has_audio"] else None
    return Video(pictures[0].then(*pictures[1:]), sound)


def _seconds(entry: Mapping[str, Any]) -> Fraction:
    exact = entry.get("duration")
    return exact if isinstance(exact, Fraction) else exact_number(entry["duration_ms"]) / 1000
