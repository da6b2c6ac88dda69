"""The progress of a run on stderr: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from tessera.cli.display.output import log
from tessera.cli.display.work_done import WorkDone
from tessera.text.masking import masked_prose
from tessera.text.wording import printable, short_ids

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from tessera.forecast.schedule import Task
    from tessera.record.events import Event

__all__ = ["EventFormatter", "Watcher", "watcher"]

_MOST_BARS = 8


class Watcher(AbstractContextManager["Watcher"], Protocol):
    """An observer of a run."""

    def __call__(self, event: Event) -> None:
        """Handle an event."""

    def expect(self, tasks: Callable[[], Iterable[Task]]) -> None:
        """Weigh the work by the tasks of the expected schedule, if the watcher shows how much is done."""

    def write(self, text: str) -> None:
        """Write a line without breaking the display."""

    def stop(self) -> None:
        """Restore the terminal."""


def watcher(*, quiet: bool) -> Watcher:
    """Return the watcher for quiet mode, for a terminal, or for other streams."""
    if quiet:
        return SilentWatcher()
    return BarWatcher() if sys.stderr.isatty() else LineWatcher()


class EventFormatter:
    """Formats events as lines of text."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.items: dict[str, int] = {}
        self.fetching: set[str] = set()
        self.total = 0

    def lines(self, event: Event) -> list[str]:
        """Return the lines for an event; often none."""
        from tessera.record import events

        match event:
            case events.DownloadProgress():
                return self._fetched(event)
            case events.RunStarted():
                short = short_ids(node["original_node_id"] for node in event.nodes)
                self.names = {
                    node["original_node_id"]: f"{node['node_type_name']} {short[node['original_node_id']]}"
                    for node in event.nodes
                }
                self.total = len(event.nodes)
                return [f"run {event.run_id}: {self.total} tile{'s' if self.total != 1 else ''}"]
            case events.ItemMade():
                self.items[event.node] = self.items.get(event.node, 0) + 1
            case events.NodeChanged():
                return self._changed(event)
            case events.OutputMade():
                path = event.output.get("path")
                return [f"{self.names[event.by]}: wrote {path}"] if path else []
            case events.OutputFailed():
                return [f"{self.names[event.by]}: output {event.index + 1} failed: {event.message}"]
            case events.NodeDeviated():
                from tessera.record.deviation_record import deviation_text

                return [f"{self.names[event.node]}: warning: {deviation_text(event.deviation)}"]
            case events.NodeLog():
                if event.message.startswith("Traceback") and not os.environ.get("TESSERA_DEBUG"):
                    return []
                return [f"{self.names[event.node]}: {line}" for line in event.message.splitlines()]
        return []

    def _fetched(self, event: Any) -> list[str]:
        from tessera.text.wording import bytes_of

        if event.done:
            return [f"{event.name}: fetched, {bytes_of(event.received)}"]
        if event.url in self.fetching:
            return []
        self.fetching.add(event.url)
        size = f", {bytes_of(event.total)}" if event.total is not None else ""
        return [f"{event.name}: fetching{size}"]

    def _changed(self, event: Any) -> list[str]:
        if event.status in ("not_started", "queued", "running"):
            return []
        name, count = self.names[event.node], self.items.get(event.node, 0)
        if event.status == "completed":
            made = f", {count} item{'s' if count != 1 else ''}" if count else ""
            return [f"{name}: done in {event.seconds or 0:.1f} s{made}"]
        details = f": {event.message}" if event.message else ""
        return [f"{name}: {event.status.replace('_', ' ')}{details}"]


class SilentWatcher:
    """Ignores events."""

    def __call__(self, event: Event) -> None:
        pass

    def expect(self, tasks: Callable[[], Iterable[Task]]) -> None:
        pass

    def write(self, text: str) -> None:
        log(text)

    def stop(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()


class LineWatcher(SilentWatcher):
    """Writes a line per event."""

    def __init__(self) -> None:
        self.formatter = EventFormatter()

    def __call__(self, event: Event) -> None:
        for line in self.formatter.lines(event):
            self.write(line)


class BarWatcher(LineWatcher):
    """Shows a bar for the run and one per running tile; the lines scroll above them.

    The bar of a tile that has not said yet how far it is moves without a percentage.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bars = _bars()
        self.whole: TaskID = self.bars.add_task("reading inputs", total=None)
        self.tasks: dict[str, TaskID] = {}
        self.downloads: dict[str, TaskID] = {}
        self.work = WorkDone()

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def write(self, text: str) -> None:
        self.bars.console.print(
            masked_prose(printable(text)), markup=False, highlight=False, emoji=False, soft_wrap=True
        )

    def stop(self) -> None:
        self.bars.stop()

    def expect(self, tasks: Callable[[], Iterable[Task]]) -> None:
        self.work = WorkDone(tasks())

    def __call__(self, event: Event) -> None:
        from tessera.record import events

        super().__call__(event)
        self.work(event)
        match event:
            case events.DownloadProgress():
                self._download(event)
            case events.RunStarted():
                self.bars.update(self.whole, description="run", total=1.0)
            case events.NodeChanged(node=node, status="running"):
                name, few = printable(self.formatter.names[node]), len(self.tasks) < _MOST_BARS
                self.tasks[node] = self.bars.add_task(name, total=None, visible=few)
            case events.Progress(node=node, fraction=fraction) if fraction and node in self.tasks:
                self.bars.update(self.tasks[node], total=1.0, completed=fraction)
            case events.NodeChanged(node=node, status=status) if status not in ("not_started", "queued"):
                if node in self.tasks:
                    self.bars.remove_task(self.tasks.pop(node))
                for task in islice(self.tasks.values(), _MOST_BARS):
                    self.bars.update(task, visible=True)
        self.bars.update(self.whole, completed=self.work.fraction)

    def _download(self, event: Any) -> None:
        from tessera.text.wording import bytes_of

        left = f", {event.remaining_s:.0f} s left" if event.remaining_s else ""
        details = (
            f"{printable(event.name)}: {bytes_of(event.received)}, {bytes_of(event.bytes_per_s)}/s{left}"
        )
        if event.url not in self.downloads:
            self.downloads[event.url] = self.bars.add_task(details, total=event.total)
        self.bars.update(
            self.downloads[event.url], description=details, completed=event.received, visible=not event.done
        )


def _bars() -> Bars:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
