"""Explanations of the media in a run or a simulation: a tile's items, and the origin of an output.

Pure functions of a record in the form of `RunRecord.to_dict()`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tessera.errors import Document, Fault, RequestError
from tessera.explain.option_places import NO_OPTIONS, OptionPlaces
from tessera.explain.stories import TileRef, members
from tessera.graph.plan import Plan
from tessera.record.deviation_record import deviation_values
from tessera.text.wording import count, seconds_of

__all__ = [
    "AnswerStory",
    "DeviationStory",
    "InputStory",
    "ItemStory",
    "OutputStory",
    "SourcePiece",
    "TrafficStory",
    "WorkStory",
    "explain_output",
    "explain_traffic",
]

ItemKey = tuple[str, int]
"""A tile's id and the index of an item among those that it made."""


@dataclass(frozen=True, slots=True)
class SourcePiece:
    """A range of a source, in ms from its first frame, and the source's display name."""

    source: str
    name: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class ItemStory:
    """An item: the tile that made it, the reason for its content, and the ranges that it shows.

    Attributes
    ----------
    number
        The number of the item among those that the tile made, from 1.
    changes
        The differences from its parents: `24 s → 6 s`.
    parents
        The items that it was made from: (tile id, number).
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
    """An input of a run, and the range of it in ms that the run uses (None: all of it)."""

    tile: TileRef
    name: str
    form: str
    key: str
    origin: str
    duration_ms: float | None
    clip_ms: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class DeviationStory:
    """A parameter that a tile could not follow: what it asks for, what the tile made, and the reason.

    `loc` is a JSON pointer into `document`, to the value that asks; `option` asks instead of a document.
    """

    tile: TileRef
    parameter: str
    asked: Any
    made: str
    why: str
    loc: str
    document: Document | None
    option: str = ""

    @property
    def values(self) -> str:
        """The parameter with both values: `num_clips 2, but 1 made`."""
        return deviation_values(self.parameter, self.asked, self.made)


@dataclass(frozen=True, slots=True)
class WorkStory:
    """How a tile of a run got its items: `ran` or `cached`, and why."""

    tile: TileRef
    how: str
    why: str


@dataclass(frozen=True, slots=True)
class OutputStory:
    """The derivation of an output from ranges of its sources.

    Attributes
    ----------
    number, total
        The number of the output in the run, from 1, and the number of all outputs.
    steps
        The item that became the output, then its parents, and so on back to the inputs; each item once.
    reused
        True if an equal output was rendered before, so that nothing was rendered for this one.
    work
        Why the tiles of the steps ran or came from the cache; empty in a simulation.
    not_as_asked
        Where these tiles made fewer, shorter or smaller than asked, or something else.
    """

    number: int
    total: int
    id: str
    delivered_by: TileRef
    path: str | None
    steps: tuple[ItemStory, ...]
    inputs: tuple[InputStory, ...]
    reused: bool = False
    work: tuple[WorkStory, ...] = ()
    not_as_asked: tuple[DeviationStory, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return members(self)


@dataclass(frozen=True, slots=True)
class AnswerStory:
    """A tile's question about a source or asset, and the origin of the answer: `facts`, `assumed`, …"""

    question: str
    about: str
    origin: str


@dataclass(frozen=True, slots=True)
class TrafficStory:
    """The items that a tile received and made.

    Attributes
    ----------
    answers
        The answers to its questions about the content of media.
    outputs
        The numbers, from 1, of the run's outputs that the tile delivered.
    work
        Why it ran or came from the cache; None in a simulation.
    not_as_asked
        Where it made fewer, shorter or smaller than asked, or something else.
    """

    tile: TileRef
    mode: str
    status: str
    message: str | None
    receives: tuple[ItemStory, ...]
    makes: tuple[ItemStory, ...]
    answers: tuple[AnswerStory, ...]
    outputs: tuple[int, ...]
    work: WorkStory | None = None
    not_as_asked: tuple[DeviationStory, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return members(self)


def explain_traffic(
    record: Mapping[str, Any], plan: Plan, node: str, options: OptionPlaces = NO_OPTIONS
) -> TrafficStory:
    """Explain the items that the tile with this id received and made.

    Parameters
    ----------
    plan
        The plan of the recorded run.
    options
        The options of a command line that changed the request of the record.

    Raises
    ------
    RequestError
        If the tile was not in the run.
    """
    index = _RecordIndex(record, options)
    if node not in index.nodes or node not in plan.graph:
        raise RequestError([Fault("", "request", f"tile {node} is not in this run")])
    predecessors = sorted(plan.graph.pred[node], key=lambda source: plan.tile(source).index)
    entry = index.nodes[node]
    return TrafficStory(
        tile=index.tile_ref(node),
        mode=record["mode"],
        status=entry["status"],
        message=entry["status_message"],
        receives=tuple(item for source in predecessors for item in index.item_stories(source)),
        makes=tuple(index.item_stories(node)),
        answers=tuple(
            AnswerStory(answer["question"], index.source_name(answer["about"]), answer["origin"])
            for answer in entry.get("answers", ())
        ),
        outputs=tuple(
            number for number, output in enumerate(record["outputs"], 1) if output.get("delivered_by") == node
        ),
        work=next(index.work([node]), None),
        not_as_asked=tuple(index.deviations([node])),
    )


def explain_output(record: Mapping[str, Any], number: int, options: OptionPlaces = NO_OPTIONS) -> OutputStory:
    """Explain how an output of a run derives from ranges of its sources.

    Parameters
    ----------
    number
        The number of the output in the record, from 1.
    options
        The options of a command line that changed the request of the record.

    Raises
    ------
    RequestError
        If the run has no such output; the message gives the number of outputs, or the reason why it has none.
    """
    return _RecordIndex(record, options).output_story(number)


class _RecordIndex:
    """Indexes the tiles, items and inputs of a record."""

    def __init__(self, record: Mapping[str, Any], options: OptionPlaces) -> None:
        self.record, self.options = record, options
        self.nodes = {entry["original_node_id"]: entry for entry in record["nodes"]}
        self.items: dict[ItemKey, Mapping[str, Any]] = {}
        self.keys_of: dict[str, list[ItemKey]] = {}
        for item in record.get("items", ()):
            key = (item["agent_node_id"], item["index"])
            self.items[key] = item
            self.keys_of.setdefault(key[0], []).append(key)
        # Items name a source by its key or by its video id, in either case of letters.
        self.names: dict[str, str] = {
            str(source[member]).lower(): source["name"] or source["key"]
            for source in record["inputs"]
            for member in ("key", "video_id")
            if source.get(member)
        }

    def source_name(self, source: str) -> str:
        """Return the display name of a source, or its key if it is not an input of the run."""
        return self.names.get(source.lower(), source)

    def tile_ref(self, node: str) -> TileRef:
        entry = self.nodes.get(node)
        return TileRef(node, entry["node_type_name"] if entry else node)

    def item_stories(self, node: str) -> Iterator[ItemStory]:
        """Yield the items that a tile made."""
        return (self.item_story(key) for key in self.keys_of.get(node, ()))

    def item_story(self, key: ItemKey) -> ItemStory:
        item = self.items[key]
        parents = [(parent["agent_node_id"], parent["index"]) for parent in item["parents"]]
        return ItemStory(
            tile=self.tile_ref(key[0]),
            number=key[1] + 1,
            kind=item["kind"],
            why=item["why"],
            fidelity=item["fidelity"],
            duration_ms=item.get("duration_ms"),
            width=item.get("width"),
            height=item.get("height"),
            fps=item.get("fps"),
            has_audio=item.get("has_audio"),
            changes=tuple(_changes(item, [self.items[parent] for parent in parents if parent in self.items])),
            parents=tuple((node, index + 1) for node, index in parents),
            pieces=tuple(self.pieces(item["sources"])),
        )

    def pieces(self, ranges: Iterable[Mapping[str, Any]]) -> Iterator[SourcePiece]:
        for span in ranges:
            name = self.source_name(span["source"])
            yield SourcePiece(span["source"], name, span["start_ms"], span["end_ms"])

    def output_story(self, number: int) -> OutputStory:
        outputs = self.record["outputs"]
        if not 1 <= number <= len(outputs):
            raise RequestError([Fault("", "request", self.no_output(number))])
        output = outputs[number - 1]
        key = (output["original_node_id"], output["index"])
        if key not in self.items:
            message = "this record holds no items; `tessera show RUN --items --json` prints one with items"
            raise RequestError([Fault("", "request", message)])
        steps = self.ancestry(key)
        nodes = list(dict.fromkeys(node for node, _index in steps))
        inputs = [source for source in self.record["inputs"] if source.get("agent_node_id") in nodes]
        return OutputStory(
            number=number,
            total=len(outputs),
            id=output["id"],
            delivered_by=self.tile_ref(output.get("delivered_by") or key[0]),
            path=output.get("path"),
            steps=tuple(map(self.item_story, steps)),
            inputs=tuple(map(self.input_story, inputs)),
            reused=bool(output.get("reused")),
            work=tuple(self.work(nodes)),
            not_as_asked=tuple(self.deviations(nodes)),
        )

    def work(self, nodes: Iterable[str]) -> Iterator[WorkStory]:
        """Yield how each of these tiles got its items, as far as the record says so."""
        for node in nodes:
            work = self.nodes[node].get("work") if node in self.nodes else None
            if work:
                yield WorkStory(self.tile_ref(node), work["how"], work["why"])

    def deviations(self, nodes: Iterable[str]) -> Iterator[DeviationStory]:
        """Yield where these tiles did not follow their parameters."""
        for node in nodes:
            # Records of earlier versions have no such member.
            for found in self.nodes.get(node, {}).get("not_as_asked", ()):
                story = DeviationStory(self.tile_ref(node), **found)
                option = self.options.option_at(story.loc) if story.document == "request" else None
                yield replace(story, loc="", document=None, option=option) if option else story

    def no_output(self, number: int) -> str:
        """Return the reason why the run has no output of this number."""
        total = len(self.record["outputs"])
        if total:
            return f"there is no output {number}: this run makes {total}, numbered from 1"
        status = self.record["status_message"]
        errors = "; ".join(message for error in self.record["errors"] for message in error["messages"][:1])
        details = (f": {status}" if status else "") + (f" ({errors})" if errors else "")
        return f"this run makes no outputs{details}"

    def ancestry(self, start: ItemKey) -> list[ItemKey]:
        """Return an item, its parents, their parents and so on, nearest first."""
        # Several items may share a parent.
        queue = [start]
        seen = {start}
        for key in queue:
            for parent in self.items[key]["parents"]:
                parent_key = (parent["agent_node_id"], parent["index"])
                if parent_key in self.items and parent_key not in seen:
                    seen.add(parent_key)
                    queue.append(parent_key)
        return queue

    def input_story(self, source: Mapping[str, Any]) -> InputStory:
        clip = source.get("clip_ms")
        return InputStory(
            tile=self.tile_ref(source["agent_node_id"]),
            name=source["name"] or source["key"],
            form=source["form"],
            key=source["key"],
            origin=source["origin"],
            duration_ms=source.get("duration_ms"),
            clip_ms=(clip[0], clip[1]) if clip else None,
        )


def _changes(item: Mapping[str, Any], parents: list[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the differences between an item and its parents."""
    if not parents:
        return
    lengths = [parent["duration_ms"] for parent in parents if parent.get("duration_ms") is not None]
    length = item.get("duration_ms")
    if lengths and length is not None and sum(lengths) != length:
        several = f" of {count(len(lengths), 'item')}" if len(lengths) > 1 else ""
        yield f"{seconds_of(sum(lengths))}{several} → {seconds_of(length)}"
    for describe in (_size, _rate, _sound, _kind):
        before = list(dict.fromkeys(text for parent in parents if (text := describe(parent))))
        after = describe(item)
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
