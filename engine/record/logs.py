"""What happened in a run, in order, with the ffmpeg commands of its renders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tessera.node import ID_PATTERN, derived_id
from tessera.record.events import (
    Answered,
    Event,
    ItemMade,
    NodeChanged,
    NodeLog,
    NodeWork,
    OutputFailed,
    OutputMade,
    ProcessRan,
    RunFinished,
    RunResumed,
    RunStarted,
)
from tessera.record.shell_commands import Pasted, paste
from tessera.text.wording import count, file_names, partial_run_text, seconds_of

__all__ = ["Entry", "log_of"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened.

    Attributes
    ----------
    elapsed
        Seconds since the run began.
    event
        What kind of event it was.
    node, name, index
        The tile, and the item (from 0), where it is about one.
    text
        What happened, in words.
    seconds
        How long it took, where that is known.
    """

    at: str
    elapsed: float
    event: str
    text: str
    node: str | None = None
    name: str | None = None
    index: int | None = None
    seconds: float | None = None
    commands: tuple[Pasted, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "at": self.at,
            "elapsed_s": self.elapsed,
            "event": self.event,
            "agent_node_id": self.node,
            "node_type_name": self.name,
            "index": self.index,
            "text": self.text,
            "seconds": self.seconds,
            "commands": [one.to_dict() for one in self.commands],
        }


def log_of(events: Iterable[Event], node: str | None = None) -> Iterator[Entry]:
    """What happened in a run, from its events.

    Parameters
    ----------
    node
        Only what is about this tile: its work, its items, and the outputs that it made or delivered.
    """
    log = _Log()
    for event in events:
        entry = log.take(event)
        if entry is not None and (node is None or node in log.about):
            yield entry


@dataclass
class _Log:
    """Turns events into entries, knowing those before. `about`: the tiles that the last one is about.
    `renders`, `items`, `told`: what the file of a render is called, what item it is of, and whether a command
    that writes it was told of; all by the render's id.
    """

    begun: str = ""
    names: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    about: tuple[str, ...] = ()
    written: dict[tuple[str, int], tuple[list[tuple[str, ...]], dict[str, str]]] = field(default_factory=dict)
    run_id: str = ""
    renders: dict[str, str] = field(default_factory=dict)
    items: dict[str, tuple[str, int]] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)

    def take(self, event: Event) -> Entry | None:
        self.begun = self.begun or event.at
        self.about = tuple({getattr(event, "by", None), getattr(event, "node", None)} - {None})  # type: ignore[arg-type]
        match event:
            case RunStarted():
                self.run_id = event.run_id
                self.names = {one["original_node_id"]: one["node_type_name"] for one in event.nodes}
                self.files = file_names(self.names.items())
                return self._entry(event, None, _began(event))
            case RunResumed():
                self.written.clear()
                self.told.clear()
                return self._entry(event, None, "the run goes on")
            case RunFinished():
                return self._entry(event, None, _with(f"the run is {_words(event.status)}", event.message))
            case NodeChanged():
                return self._entry(
                    event, event.node, _with(_words(event.status), event.message), seconds=event.seconds
                )
            case NodeWork():
                return self._entry(event, event.node, f"{event.how}: {event.why}")
            case ItemMade():
                one = event.item
                render_id = derived_id(self.run_id, event.node, one["index"])
                self.renders[render_id] = self._file(event.node, one["index"])
                self.items[render_id] = (event.node, one["index"])
                told = f"item #{one['index'] + 1}: {one['why']}"
                return self._entry(event, event.node, told, index=one["index"])
            case NodeLog():
                return self._entry(event, event.node, event.message)
            case Answered():
                told = f"was told of {event.question} of {event.about}: {event.origin}"
                return self._entry(event, event.node, told)
        return self._rendered(event)

    def _rendered(self, event: Event) -> Entry | None:
        match event:
            case ProcessRan():
                others = self._written_beside(event)
                self.about = (*self.about, *(node for node, _index in others))
                beside = "".join(f", {self._named(event.node, *one)}" for one in others)
                told = _with(f"ffmpeg for #{event.index + 1}{beside}", event.error)
                return self._entry(
                    event,
                    event.node,
                    told,
                    index=event.index,
                    seconds=event.seconds,
                    commands=self._command(event),
                )
            case OutputMade(output=output):
                node, index = output["original_node_id"], output["index"]
                self.about = (*self.about, node)
                how = "was rendered before" if output.get("reused") else "rendered"
                told = f"output #{index + 1} {how}: {output['path']}{_copied(output.get('render'))}"
                return self._entry(
                    event,
                    node,
                    told,
                    index=index,
                    seconds=event.seconds,
                    commands=self._told(node, index, output),
                )
            case OutputFailed():
                told = f"output #{event.index + 1} failed: {event.message}"
                return self._entry(event, event.node, told, index=event.index, seconds=event.seconds)
        return None

    def _entry(self, event: Event, node: str | None, text: str, **more: Any) -> Entry:
        passed = datetime.fromisoformat(event.at) - datetime.fromisoformat(self.begun)
        name = self.names.get(node) if node is not None else None
        kind: str = event.event  # type: ignore[attr-defined]
        return Entry(event.at, round(passed.total_seconds(), 6), kind, text, node, name, **more)

    def _file(self, node: str, index: int) -> str:
        return f"again-{self.files.get(node, 'output')}-{index + 1}"

    def _command(self, event: ProcessRan) -> tuple[Pasted, ...]:
        """The command of a process; it may read what those before it of the same render have written."""
        before, scripts = self.written.setdefault((event.node, event.index), ([], {}))
        before.append(tuple(event.command))
        scripts |= event.scripts
        return paste(before, scripts, self._file(event.node, event.index), self.renders)[-1:]

    def _written_beside(self, event: ProcessRan) -> list[tuple[str, int]]:
        """The other items whose outputs a command writes as well."""
        found = {one for arg in event.command for one in ID_PATTERN.findall(arg) if one in self.items}
        self.told |= found
        return sorted({self.items[one] for one in found} - {(event.node, event.index)})

    def _named(self, beside: str, node: str, index: int) -> str:
        """An item of a tile, or of another."""
        return f"#{index + 1}" if node == beside else f"{self.names.get(node, node)} #{index + 1}"

    def _told(self, node: str, index: int, output: Mapping[str, Any]) -> tuple[Pasted, ...]:
        """The commands that an output names, where none of them was told of as it ran."""
        if (node, index) in self.written or derived_id(self.run_id, node, index) in self.told:
            return ()
        commands, scripts = output.get("commands", ()), output.get("scripts", {})
        return paste(commands, scripts, self._file(node, index), self.renders)


def _words(status: str) -> str:
    return status.replace("_", " ")


def _with(text: str, more: str | None) -> str:
    return f"{text}: {more}" if more else text


def _copied(made: Mapping[str, Any] | None) -> str:
    """What of an output no command tells of, as it was copied from its source without ffmpeg."""
    ways = {name: made[name] for name in ("picture", "sound") if made[name]} if made else {}
    copied = " and ".join(f"its {name} was {way}" for name, way in ways.items() if way != "encoded")
    if not copied:
        return ""
    beside = " and put beside what ffmpeg wrote" if "encoded" in ways.values() else ""
    return f"; {copied} from the source by Tessera itself{beside}"


def _began(event: RunStarted) -> str:
    name = f" of {event.agent['name']}" if event.agent["name"] else ""
    told = f"run {event.run_id}{name} began: {count(len(event.nodes), 'tile')}"
    for one in event.inputs:
        told += f", {one['name']} ({seconds_of(one['duration_ms'])})"
    if event.part is not None:
        told += f"; {partial_run_text(event.part)}"
    return told + "".join(f"; --fail {one}" for one in event.faults)
