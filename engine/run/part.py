"""Parts of a plan: up to a tile, from a tile on, or one tile alone, with what reaches it given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from engine.errors import Fault, RequestError
from engine.graph.model import copy_graph
from engine.graph.plan import Plan
from engine.graph.rewrite import reachable
from engine.inputs.facts import MediaFacts
from engine.media.expr import Image, Picture, Sound, even
from engine.media.item import Audio, Item, Project, Value, Video
from engine.node import Kind

__all__ = ["Part", "from_tile", "only_tile", "until_tile"]


@dataclass(frozen=True)
class Part:
    """A part of a plan, and the items of those tiles whose work is taken as done."""

    plan: Plan
    given: Mapping[str, tuple[Item, ...]]


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
    kept = reachable(plan.graph, [node])
    return _with_given(plan, kept, record)


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
        return _with_given(plan, {node}, record)
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
    return Part(_sliced(plan, {node, *given}), given)


def _with_given(plan: Plan, kept: Iterable[str], record: Mapping[str, Any]) -> Part:
    kept = set(kept)
    feeding = {before for node in kept for before in plan.graph.pred[node]} - kept
    items = items_of(record)
    missing = [node for node in feeding if node not in items]
    if missing:
        names = ", ".join(f"{plan.tile(node).name} {node}" for node in missing)
        raise RequestError([Fault("", "request", f"run {record.get('run_id')} holds no items of {names}")])
    given = {node: items[node] for node in feeding}
    return Part(_sliced(plan, kept | feeding), given)


def _sliced(plan: Plan, nodes: set[str]) -> Plan:
    return replace(
        plan,
        graph=copy_graph(plan.graph, nodes),
        order=tuple(node for node in plan.order if node in nodes),
        inputs=tuple(binding for binding in plan.inputs if binding.node in nodes),
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
