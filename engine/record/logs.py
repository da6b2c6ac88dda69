"""Convert the events of a run to readable log entries, with the ffmpeg commands of its renders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tessera.node import ID_PATTERN, derived_id
from tessera.record.deviation_record import deviation_text
from tessera.record.events import (
    Answered,
    Event,
    ItemMade,
    NodeChanged,
    NodeDeviated,
    NodeLog,
    NodeWork,
    OutputFailed,
    OutputMade,
    ProcessRan,
    RunFinished,
    RunResumed,
    RunStarted,
)
from tessera.record.shell_commands import ShellCommand, shell_commands
from tessera.text.wording import count, file_names, partial_run_text, seconds_of

__all__ = ["Entry", "log_of"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One log entry.

    Attributes
    ----------
    at
        The time as ISO 8601 text.
    elapsed
        Seconds since the run started.
    event
        The kind of the event.
    node, name, index
        The id and type of the tile, and the index of the item (from 0), if the entry concerns one.
    text
        A description of the event.
    seconds
        The duration, if known.
    """

    at: str
    elapsed: float
    event: str
    text: str
    node: str | None = None
    name: str | None = None
    index: int | None = None
    seconds: float | None = None
    commands: tuple[ShellCommand, ...] = ()

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
            "commands": [command.to_dict() for command in self.commands],
        }


def log_of(events: Iterable[Event], node: str | None = None) -> Iterator[Entry]:
    """Yield the log entries of a run.

    Parameters
    ----------
    node
        Yield only the entries about this tile: its work, its items, and its outputs, made or delivered.
    """
    builder = _EntryBuilder()
    for event in events:
        entry = builder.add(event)
        if entry is not None and (node is None or node in builder.nodes):
            yield entry


@dataclass
class _EntryBuilder:
    """Converts events to entries. It keeps the facts of earlier events that later entries mention.

    Attributes
    ----------
    nodes
        The tiles that the last event concerns.
    calls
        The ffmpeg commands and scripts that have run for each item (node, index).
    renders, items
        The file name and the item (node, index) of each render, by render id.
    logged
        The ids of the renders whose commands are in an entry of a process.
    """

    started_at: str = ""
    names: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    nodes: tuple[str, ...] = ()
    calls: dict[tuple[str, int], tuple[list[tuple[str, ...]], dict[str, str]]] = field(default_factory=dict)
    run_id: str = ""
    renders: dict[str, str] = field(default_factory=dict)
    items: dict[str, tuple[str, int]] = field(default_factory=dict)
    logged: set[str] = field(default_factory=set)

    def add(self, event: Event) -> Entry | None:
        self.started_at = self.started_at or event.at
        self.nodes = tuple({getattr(event, "by", None), getattr(event, "node", None)} - {None})  # type: ignore[arg-type]
        match event:
            case RunStarted():
                self.run_id = event.run_id
                self.names = {node["original_node_id"]: node["node_type_name"] for node in event.nodes}
                self.files = file_names(self.names.items())
                return self._entry(event, None, _start_text(event))
            case RunResumed():
                # Renders start again in new folders, so no later command can read what earlier ones wrote.
                self.calls.clear()
                self.logged.clear()
                return self._entry(event, None, "run resumed")
            case RunFinished():
                return self._entry(event, None, _join(f"run {_words(event.status)}", event.message))
            case NodeChanged():
                text = _join(_words(event.status), event.message)
                return self._entry(event, event.node, text, seconds=event.seconds)
            case NodeWork():
                return self._entry(event, event.node, f"{event.how}: {event.why}")
            case ItemMade():
                index = event.item["index"]
                render_id = derived_id(self.run_id, event.node, index)
                self.renders[render_id] = self._file_name(event.node, index)
                self.items[render_id] = (event.node, index)
                text = f"item #{index + 1}: {event.item['why']}"
                return self._entry(event, event.node, text, index=index)
            case NodeLog():
                return self._entry(event, event.node, event.message)
            case NodeDeviated():
                return self._entry(event, event.node, f"warning: {deviation_text(event.deviation)}")
            case Answered():
                text = f"query {event.question} of {event.about}: {event.origin}"
                return self._entry(event, event.node, text)
        return self._render_entry(event)

    def _render_entry(self, event: Event) -> Entry | None:
        match event:
            case ProcessRan():
                others = self._other_items(event)
                self.nodes = (*self.nodes, *(node for node, _index in others))
                labels = "".join(f", {self._label(event.node, *item)}" for item in others)
                text = _join(f"ffmpeg for #{event.index + 1}{labels}", event.error)
                return self._entry(
                    event,
                    event.node,
                    text,
                    index=event.index,
                    seconds=event.seconds,
                    commands=self._process_command(event),
                )
            case OutputMade(output=output):
                node, index = output["original_node_id"], output["index"]
                self.nodes = (*self.nodes, node)
                how = "reused" if output.get("reused") else "rendered"
                text = f"output #{index + 1} {how}: {output['path']}{_copy_note(output.get('render'))}"
                return self._entry(
                    event,
                    node,
                    text,
                    index=index,
                    seconds=event.seconds,
                    commands=self._output_commands(node, index, output),
                )
            case OutputFailed():
                text = f"output #{event.index + 1} failed: {event.message}"
                return self._entry(event, event.node, text, index=event.index, seconds=event.seconds)
        return None

    def _entry(self, event: Event, node: str | None, text: str, **more: Any) -> Entry:
        elapsed = datetime.fromisoformat(event.at) - datetime.fromisoformat(self.started_at)
        name = self.names.get(node) if node is not None else None
        kind: str = event.event  # type: ignore[attr-defined]
        return Entry(event.at, round(elapsed.total_seconds(), 6), kind, text, node, name, **more)

    def _file_name(self, node: str, index: int) -> str:
        return f"again-{self.files.get(node, 'output')}-{index + 1}"

    def _process_command(self, event: ProcessRan) -> tuple[ShellCommand, ...]:
        # The command may read files that earlier commands of the render wrote: convert all, take the last.
        commands, scripts = self.calls.setdefault((event.node, event.index), ([], {}))
        commands.append(tuple(event.command))
        scripts |= event.scripts
        return shell_commands(commands, scripts, self._file_name(event.node, event.index), self.renders)[-1:]

    def _other_items(self, event: ProcessRan) -> list[tuple[str, int]]:
        """Return the other items whose outputs the command also writes: its arguments contain render ids."""
        ids = {name for arg in event.command for name in ID_PATTERN.findall(arg) if name in self.items}
        self.logged |= ids
        return sorted({self.items[render_id] for render_id in ids} - {(event.node, event.index)})

    def _label(self, current_node: str, node: str, index: int) -> str:
        return f"#{index + 1}" if node == current_node else f"{self.names.get(node, node)} #{index + 1}"

    def _output_commands(self, node: str, index: int, output: Mapping[str, Any]) -> tuple[ShellCommand, ...]:
        """Return the commands of a reused output. Those of a new one are in the entries of its processes."""
        if (node, index) in self.calls or derived_id(self.run_id, node, index) in self.logged:
            return ()
        commands, scripts = output.get("commands", ()), output.get("scripts", {})
        return shell_commands(commands, scripts, self._file_name(node, index), self.renders)


def _words(status: str) -> str:
    return status.replace("_", " ")


def _join(text: str, detail: str | None) -> str:
    return f"{text}: {detail}" if detail else text


def _copy_note(render: Mapping[str, Any] | None) -> str:
    """Return a note on the streams that were copied from the source without ffmpeg: no command shows them."""
    ways = {name: render[name] for name in ("picture", "sound") if render[name]} if render else {}
    copied = " and ".join(f"its {name} was {way}" for name, way in ways.items() if way != "encoded")
    if not copied:
        return ""
    muxed = " and muxed with the output of ffmpeg" if "encoded" in ways.values() else ""
    return f"; {copied} from the source without ffmpeg{muxed}"


def _start_text(event: RunStarted) -> str:
    name = f" of {event.agent['name']}" if event.agent["name"] else ""
    text = f"run {event.run_id}{name} started: {count(len(event.nodes), 'tile')}"
    for source in event.inputs:
        text += f", {source['name']} ({seconds_of(source['duration_ms'])})"
    if event.part is not None:
        text += f"; {partial_run_text(event.part)}"
    return text + "".join(f"; --fail {fault}" for fault in event.faults)
