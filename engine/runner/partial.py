"""Parts of a plan: up to a tile, from a tile on, or one tile alone, with what reaches it given.

In a simulation what reaches it are descriptions, made of a record; in a run the items of an earlier run.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from tessera.database.statements import decoding
from tessera.errors import Fault, RequestError, pointer
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
from tessera.store.run_store import RunStore

__all__ = [
    "Part",
    "from_tile",
    "given_again",
    "only_tile",
    "part_of_record",
    "part_of_run",
    "until_tile",
]


@dataclass(frozen=True)
class Part:
    """A part of a plan, and the items of those tiles whose work is taken as done.

    Attributes
    ----------
    told
        What the record says of it: `{"part": "until" | "from" | "only", "agent_node_id", "of"}`, `of` being
        the run that the items are of. None: the part is the whole.
    """

    plan: Plan
    given: Mapping[str, tuple[Item, ...]]
    told: dict[str, Any] | None = None

    def to_json(self) -> str:
        """What a resume needs to know of it."""
        return json.dumps({**(self.told or {}), "given": [*self.given]})


def part_of_record(
    plan: Plan,
    facts: Mapping[str, MediaFacts],
    until: str | None,
    since: str | None,
    only: str | None,
    of: Mapping[str, Any] | RunRecord | None,
) -> Part:
    """The part of a plan that a simulation is asked for; the whole where none is.

    Raises
    ------
    RequestError
        More than one is asked for, there is no such tile, or nothing tells what reaches it.
    """
    record = of.to_dict() if isinstance(of, RunRecord) else of
    kind, node = _asked(plan, until, since, only)
    if kind is None:
        return Part(plan, {})
    run_id = record.get("run_id") if record is not None and kind != "until" else None
    if kind == "until":
        part = until_tile(plan, node)
    elif kind == "only":
        part = only_tile(plan, node, record, facts)
    elif record is None:
        raise RequestError([Fault("", "request", "since a tile: of which run? Give its record")])
    else:
        part = from_tile(plan, node, record)
    return replace(part, told={"part": kind, "agent_node_id": node, "of": run_id})


def part_of_run(
    plan: Plan,
    store: RunStore,
    until: str | None,
    since: str | None,
    only: str | None,
    of: str | RunRecord | None,
) -> Part:
    """The part of a plan that a run is asked for; the whole where none is.

    Raises
    ------
    RequestError
        As of a simulation.
    WorkspaceError
        There is no such run.
    """
    kind, node = _asked(plan, until, since, only)
    if of is not None and kind in (None, "until"):
        raise RequestError(
            [Fault("", "request", "an earlier run is given, but not from which tile on, nor only which tile")]
        )
    if kind is None:
        return Part(plan, {})
    if kind == "until":
        return replace(until_tile(plan, node), told={"part": kind, "agent_node_id": node, "of": None})
    if of is None:
        raise RequestError([Fault("", "request", f"{kind} a tile: of which run?")])
    run_id = of.run_id if isinstance(of, RunRecord) else store.resolve_run_id(of)
    kept = set(reachable(plan.graph, [node])) if kind == "from" else {node}
    # Their own parents are in that run, not in this one.
    items = {
        maker: tuple(replace(one, parents=()) for one in made) for maker, made in store.items(run_id).items()
    }
    part = _with_given(plan, kept, items, store.record(run_id))
    return replace(part, told={"part": kind, "agent_node_id": node, "of": run_id})


def given_again(text: str | None, store: RunStore, done: Container[str]) -> dict[str, tuple[Item, ...]]:
    """The items that a part was given, for a run that goes on; `text` is what `Part.to_json` wrote.

    Raises
    ------
    RequestError
        Those of a tile that is not `done` are no longer there.
    WorkspaceError
        They, or what tells of them, cannot be read.
    """
    with decoding("what a part of a run was given"):
        told = json.loads(text) if text is not None else {"given": []}
        wanted: list[str] = [*told["given"]]
        of = str(told["of"]) if wanted else ""
    if not wanted:
        return {}
    items = store.items(of)
    lacking = [node for node in wanted if node not in items and node not in done]
    if lacking:
        what = f"the run is part of {of}, which holds no items of {', '.join(lacking)} any more"
        raise RequestError([Fault("", "request", what)])
    return {node: tuple(replace(one, parents=()) for one in items[node]) for node in wanted if node in items}


def _asked(plan: Plan, until: str | None, since: str | None, only: str | None) -> tuple[str | None, str]:
    """Which part is asked for, and its tile."""
    named = {"until": until, "from": since, "only": only}
    asked = [(kind, name) for kind, name in named.items() if name is not None]
    if len(asked) > 1:
        what = "only one part can be asked for: give one of until, from and only"
        raise RequestError([Fault("", "request", what)])
    if not asked:
        return None, ""
    kind, name = asked[0]
    return kind, find_tile(plan, name, "").id


def until_tile(plan: Plan, node: str) -> Part:
    """Everything that `node` needs, and itself."""
    needed, stack = {node}, [node]
    while stack:
        for before in plan.graph.pred[stack.pop()]:
            if before not in needed:
                needed.add(before)
                stack.append(before)
    return Part(_sliced(plan, needed), {})


def from_tile(plan: Plan, node: str, record: Mapping[str, Any]) -> Part:
    """`node` and everything downstream of it, with what reaches them taken from the record of an earlier run.

    Raises
    ------
    RequestError
        The record holds no items of a tile that feeds this part.
    """
    return _with_given(plan, reachable(plan.graph, [node]), items_of(record), record)


def only_tile(
    plan: Plan, node: str, record: Mapping[str, Any] | None, facts: Mapping[str, MediaFacts]
) -> Part:
    """`node` alone, with what reaches it taken from a record, or from the facts for `"*"`: one video per tile
    that feeds it.

    Raises
    ------
    RequestError
        There is neither a record with the items nor a fact for `"*"`.
    """
    if record is not None:
        return _with_given(plan, {node}, items_of(record), record)
    stated = facts.get("*")
    given = {}
    for before in plan.graph.pred[node]:
        if stated is None or not (stated.seconds and stated.width and stated.height and stated.fps):
            what = (
                f"nothing tells what reaches {node}: give a run, or facts for '*' with duration, size and fps"
            )
            raise RequestError([Fault("", "request", what)])
        described = {
            "kind": "video",
            "duration": stated.seconds,
            "width": stated.width,
            "height": stated.height,
            "fps": str(stated.fps),
            "has_audio": stated.has_audio,
            "sources": [],
        }
        given[before] = (Item(before, 0, _value(f"facts:{before}", described), (), "from facts"),)
    return Part(_sliced(plan, {node, *given}, given), given)


def _with_given(
    plan: Plan, kept: Iterable[str], items: Mapping[str, tuple[Item, ...]], record: Mapping[str, Any]
) -> Part:
    """These tiles with what reaches them, which are items of the run with this record."""
    kept = set(kept)
    feeding = {before for node in kept for before in plan.graph.pred[node]} - kept
    missing = [node for node in plan.order if node in feeding and node not in items]
    if missing:
        names = ", ".join(f"{plan.tile(node).name} {node}" for node in missing)
        raise RequestError([Fault("", "request", f"run {record.get('run_id')} holds no items of {names}")])
    given = {node: items[node] for node in feeding}
    sliced = _sliced(plan, kept | feeding, given)
    return Part(replace(sliced, warnings=(*sliced.warnings, *_unheeded(plan, kept, record))), given)


def _unheeded(plan: Plan, kept: Container[str], record: Mapping[str, Any]) -> Iterator[Notice]:
    """A warning of every override that the part does not heed, nor the earlier run has heeded."""
    with decoding(f"what run {record.get('run_id')} changed"):
        overridden = record.get("changes", {}).get("overridden", ())
        before = {(one["agent_node_id"], one["parameter"]): [one["new"]] for one in overridden}
    for one in plan.changes.overridden:
        if one.node in kept or before.get((one.node, one.parameter)) == [one.new]:
            continue
        yield Notice(
            "unheeded_override",
            f"{plan.tile(one.node).name} {one.node} does not work in this part of the agent: "
            f"{one.parameter!r} is not what its items were made with",
            pointer("update_params", one.node, one.parameter),
            "request",
        )


def _sliced(plan: Plan, nodes: set[str], given: Container[str] = ()) -> Plan:
    """These tiles alone; those whose items are given need no inputs."""
    return replace(
        plan,
        graph=copy_graph(plan.graph, nodes),
        order=tuple(node for node in plan.order if node in nodes),
        inputs=tuple(
            binding for binding in plan.inputs if binding.node in nodes and binding.node not in given
        ),
    )


def items_of(record: Mapping[str, Any]) -> dict[str, tuple[Item, ...]]:
    """The items of a record by tile, as descriptions that show the same ranges of the same sources."""
    found: dict[str, list[Item]] = {}
    for one in record.get("items", ()):
        node, index = one["agent_node_id"], one["index"]
        value = _value(f"run:{record.get('run_id')}:{node}:{index}", one)
        found.setdefault(node, []).append(Item(node, index, value, (), one["why"], one["fidelity"]))
    return {node: tuple(sorted(items, key=lambda item: item.index)) for node, items in found.items()}


def _value(key: str, one: Mapping[str, Any]) -> Value:
    """A value that is described as this item is."""
    match one["kind"]:
        case Kind.IMAGE:
            return Image.source(key, width=one["width"], height=one["height"])
        case Kind.PROJECT:
            return Project(())
        case Kind.AUDIO:
            return Audio(Sound.silence(_seconds(one)))
    width, height, rate = even(one["width"]), even(one["height"]), Fraction(one["fps"])
    ranges = [
        (piece["source"], Fraction(str(piece["start_ms"])) / 1000, Fraction(str(piece["end_ms"])) / 1000)
        for piece in one["sources"]
    ] or [(key, Fraction(0), _seconds(one))]
    pictures, sounds = [], []
    for source, start, end in ranges:
        cut = [(start, end)]
        picture = Picture.source(source, width=width, height=height, rate=rate, duration=end)
        pictures.append(picture.keep(cut))
        sounds.append(Sound.source(source, rate=48_000, channels=2, duration=end).keep(cut))
    sound = sounds[0].then(*sounds[1:]) if one["has_audio"] else None
    return Video(pictures[0].then(*pictures[1:]), sound)


def _seconds(one: Mapping[str, Any]) -> Fraction:
    exact = one.get("duration")
    return exact if isinstance(exact, Fraction) else Fraction(one["duration_ms"], 1000)
