"""What went through a run or a simulation: what a tile received and made, where an output came from.

Pure functions of a record, as `RunRecord.to_dict()` gives it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tessera.drawing.model import Flow
from tessera.errors import Fault, RequestError
from tessera.explain.stories import TileRef, members
from tessera.graph.plan import Plan
from tessera.text.wording import count, seconds_of

__all__ = [
    "AnswerStory",
    "InputStory",
    "ItemStory",
    "OutputStory",
    "SourcePiece",
    "TrafficStory",
    "explain_output",
    "explain_traffic",
    "flows_of",
]

ItemKey = tuple[str, int]
"""A tile's id and the place of an item among what it made."""


@dataclass(frozen=True, slots=True)
class SourcePiece:
    """A range of a source, in ms from its first frame, and what the source is called."""

    source: str
    name: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class ItemStory:
    """An item: the tile that made it, why it is as it is, and what it shows.

    Attributes
    ----------
    number
        Its place among what the tile made, from 1.
    changes
        How it differs from what it was made from: `24 s → 6 s`.
    parents
        What it was made from: (tile id, number).
    pieces
        The ranges of sources that it shows, in order.
    """

    tile: TileRef
    number: int
    kind: str
    why: str
    fidelity: str
    duration_ms: float | None
    width: int | None
    height: int | None
    fps: str | None
    has_audio: bool | None
    changes: tuple[str, ...]
    parents: tuple[tuple[str, int], ...]
    pieces: tuple[SourcePiece, ...]


@dataclass(frozen=True, slots=True)
class InputStory:
    """An input that a run was given, and the range of it (ms; None: whole)."""

    tile: TileRef
    name: str
    form: str
    key: str
    origin: str
    duration_ms: float | None
    clip_ms: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class OutputStory:
    """The way from an output back to seconds of its sources.

    Attributes
    ----------
    number, total
        Which output of the run it is, from 1, and how many there are.
    steps
        The item that became the output, then what it was made from, and so on back to the inputs; each once.
    """

    number: int
    total: int
    id: str
    delivered_by: TileRef
    path: str | None
    steps: tuple[ItemStory, ...]
    inputs: tuple[InputStory, ...]

    def to_dict(self) -> dict[str, Any]:
        return members(self)


@dataclass(frozen=True, slots=True)
class AnswerStory:
    """What a tile asked, of which source or asset, and where the answer came from: `facts`, `assumed`, …"""

    question: str
    about: str
    origin: str


@dataclass(frozen=True, slots=True)
class TrafficStory:
    """What a tile received and made.

    Attributes
    ----------
    answers
        What it asked about the content of media.
    outputs
        The outputs of the run that it delivered, by number from 1.
    """

    tile: TileRef
    mode: str
    status: str
    message: str | None
    receives: tuple[ItemStory, ...]
    makes: tuple[ItemStory, ...]
    answers: tuple[AnswerStory, ...]
    outputs: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        return members(self)


def flows_of(record: Mapping[str, Any]) -> dict[str, Flow]:
    """What each tile of a run made, by its id: this goes along every connection that leaves it."""
    kinds: dict[str, Counter[str]] = {}
    durations: dict[str, list[float]] = {}
    for item in record.get("items", ()):
        kinds.setdefault(item["agent_node_id"], Counter())[item["kind"]] += 1
        if item.get("duration_ms") is not None:
            durations.setdefault(item["agent_node_id"], []).append(item["duration_ms"])
    return {
        node: Flow(tuple(kinds.get(node, {}).items()), tuple(durations.get(node, ())), one["status"])
        for one in record["nodes"]
        for node in (one["original_node_id"],)
    }


def explain_traffic(record: Mapping[str, Any], plan: Plan, node: str) -> TrafficStory:
    """What the tile with this id received and made.

    Parameters
    ----------
    plan
        The plan of that run.

    Raises
    ------
    RequestError
        The tile was not in the run.
    """
    reader = _RecordReader(record)
    if node not in reader.nodes or node not in plan.graph:
        raise RequestError([Fault("", "request", f"tile {node} is not in this run")])
    before = sorted(plan.graph.pred[node], key=lambda one: plan.tile(one).index)
    mine = reader.nodes[node]
    return TrafficStory(
        tile=reader.ref(node),
        mode=record["mode"],
        status=mine["status"],
        message=mine["status_message"],
        receives=tuple(story for one in before for story in reader.made_by(one)),
        makes=tuple(reader.made_by(node)),
        answers=tuple(
            AnswerStory(one["question"], reader.names.get(one["about"].lower(), one["about"]), one["origin"])
            for one in mine.get("answers", ())
        ),
        outputs=tuple(
            number for number, one in enumerate(record["outputs"], 1) if one.get("delivered_by") == node
        ),
    )


def explain_output(record: Mapping[str, Any], number: int) -> OutputStory:
    """Where an output of a run came from, back to seconds of its sources.

    Parameters
    ----------
    number
        Which of the record's outputs, from 1.

    Raises
    ------
    RequestError
        The run has no such output; the message says what it has.
    """
    return _RecordReader(record).output_story(number)


class _RecordReader:
    """Reads one record."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        self.record = record
        self.nodes = {one["original_node_id"]: one for one in record["nodes"]}
        self.items: dict[ItemKey, Mapping[str, Any]] = {}
        self.of: dict[str, list[ItemKey]] = {}
        for item in record.get("items", ()):
            key = (item["agent_node_id"], item["index"])
            self.items[key] = item
            self.of.setdefault(key[0], []).append(key)
        self.names = {
            str(one[member]).lower(): one["name"] or one["key"]
            for one in record["inputs"]
            for member in ("key", "video_id")
            if one.get(member)
        }

    def ref(self, node: str) -> TileRef:
        known = self.nodes.get(node)
        return TileRef(node, known["node_type_name"] if known else node)

    def made_by(self, node: str) -> Iterator[ItemStory]:
        return (self.story(key) for key in self.of.get(node, ()))

    def story(self, key: ItemKey) -> ItemStory:
        item = self.items[key]
        parents = [(one["agent_node_id"], one["index"]) for one in item["parents"]]
        return ItemStory(
            tile=self.ref(key[0]),
            number=key[1] + 1,
            kind=item["kind"],
            why=item["why"],
            fidelity=item["fidelity"],
            duration_ms=item.get("duration_ms"),
            width=item.get("width"),
            height=item.get("height"),
            fps=item.get("fps"),
            has_audio=item.get("has_audio"),
            changes=tuple(_changes(item, [self.items[one] for one in parents if one in self.items])),
            parents=tuple((node, index + 1) for node, index in parents),
            pieces=tuple(self.pieces(item["sources"])),
        )

    def pieces(self, sources: Iterable[Mapping[str, Any]]) -> Iterator[SourcePiece]:
        for one in sources:
            name = self.names.get(one["source"].lower(), one["source"])
            yield SourcePiece(one["source"], name, one["start_ms"], one["end_ms"])

    def output_story(self, number: int) -> OutputStory:
        outputs = self.record["outputs"]
        if not 1 <= number <= len(outputs):
            raise RequestError([Fault("", "request", self.no_output(number))])
        output = outputs[number - 1]
        key = (output["original_node_id"], output["index"])
        if key not in self.items:
            what = "the record holds no items: `tessera show RUN --items --json` gives one that does"
            raise RequestError([Fault("", "request", what)])
        steps = self.back(key)
        met = {node for node, _index in steps}
        inputs = [one for one in self.record["inputs"] if one.get("agent_node_id") in met]
        return OutputStory(
            number=number,
            total=len(outputs),
            id=output["id"],
            delivered_by=self.ref(output.get("delivered_by") or key[0]),
            path=output.get("path"),
            steps=tuple(self.story(one) for one in steps),
            inputs=tuple(map(self.input, inputs)),
        )

    def no_output(self, number: int) -> str:
        """Why a number is that of no output."""
        there = len(self.record["outputs"])
        if there:
            return f"there is no output {number}: this run makes {there}, numbered from 1"
        why = self.record["status_message"]
        told = "; ".join(message for one in self.record["errors"] for message in one["messages"][:1])
        return "this run makes no outputs" + (f": {why}" if why else "") + (f" ({told})" if told else "")

    def back(self, start: ItemKey) -> list[ItemKey]:
        """An item and everything that it was made from, nearest first."""
        found = [start]
        seen = {start}
        for key in found:
            for parent in self.items[key]["parents"]:
                one = (parent["agent_node_id"], parent["index"])
                if one in self.items and one not in seen:
                    seen.add(one)
                    found.append(one)
        return found

    def input(self, one: Mapping[str, Any]) -> InputStory:
        clip = one.get("clip_ms")
        return InputStory(
            tile=self.ref(one["agent_node_id"]),
            name=one["name"] or one["key"],
            form=one["form"],
            key=one["key"],
            origin=one["origin"],
            duration_ms=one.get("duration_ms"),
            clip_ms=(clip[0], clip[1]) if clip else None,
        )


def _changes(item: Mapping[str, Any], parents: list[Mapping[str, Any]]) -> Iterator[str]:
    """How an item differs from what it was made from."""
    if not parents:
        return
    lengths = [one["duration_ms"] for one in parents if one.get("duration_ms") is not None]
    length = item.get("duration_ms")
    if lengths and length is not None and sum(lengths) != length:
        several = f" of {count(len(lengths), 'item')}" if len(lengths) > 1 else ""
        yield f"{seconds_of(sum(lengths))}{several} → {seconds_of(length)}"
    for say in (_size, _rate, _sound, _kind):
        before = list(dict.fromkeys(said for one in parents if (said := say(one))))
        after = say(item)
        if after and before and before != [after]:
            yield f"{', '.join(before)} → {after}"


def _size(item: Mapping[str, Any]) -> str:
    return f"{item['width']}×{item['height']}" if item.get("width") else ""


def _rate(item: Mapping[str, Any]) -> str:
    return f"{item['fps']} fps" if item.get("fps") else ""


def _sound(item: Mapping[str, Any]) -> str:
    return {True: "sound", False: "no sound"}.get(item.get("has_audio"), "")  # type: ignore[arg-type]


def _kind(item: Mapping[str, Any]) -> str:
    return str(item["kind"])
