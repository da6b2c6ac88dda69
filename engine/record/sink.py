"""Pass the events of a run to its record, its log and its observer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tessera.record.events import Event, ItemMade, NodeChanged, RunFinished, RunStarted
from tessera.record.record import RunRecord
from tessera.text.masking import mask_urls, masked_prose

if TYPE_CHECKING:
    from tessera.database.interface import Connection
    from tessera.media.algebra.item import Item
    from tessera.record.status import NodeStatus
    from tessera.store.run_store import EventLog

__all__ = ["EventSink"]


_MESSAGES = ("message", "why", "question", "about", "error")
"""The members of events that are sentences: errors and logs of tiles, servers and plug-ins among them."""


def _mask_messages(event: Event) -> None:
    """Mask the URLs in the messages of an event."""
    for name in _MESSAGES:
        text = getattr(event, name, None)
        if isinstance(text, str):
            setattr(event, name, masked_prose(text))
    if isinstance(event, NodeChanged) and event.errors:
        event.errors = tuple(map(masked_prose, event.errors))
    elif isinstance(event, RunFinished) and event.warnings:
        event.warnings = tuple(mask_urls(one) for one in event.warnings)


class EventSink:
    """Receives the events of one run in order.

    Parameters
    ----------
    on_event
        Called with each event after its commit: an observer never sees an event that a crash could undo.
    log
        The log that stores the events, or None to store none.
    record
        The record of a resumed run.
    """

    def __init__(
        self,
        on_event: Callable[[Event], None] | None,
        log: EventLog | None = None,
        record: RunRecord | None = None,
    ) -> None:
        self._on_event, self._log, self._record = on_event, log, record
        self._uncommitted: list[Event] = []
        self._is_observed = on_event is not None or log is not None

    def emit(self, event: Event) -> None:
        """Apply an event to the record, and queue it for the next commit. URLs in its messages are masked.

        Raises
        ------
        ValueError
            If the event is not allowed in the current state of the run.
        """
        _mask_messages(event)
        if self._record is None:
            assert isinstance(event, RunStarted)
            self._record = RunRecord.begin(event)
        else:
            self._record.apply(event)
        if self._log is not None:
            self._log.append(event)
        if self._on_event is not None:
            self._uncommitted.append(event)

    def change_status(
        self,
        at: str,
        node: str,
        status: NodeStatus,
        message: str | None = None,
        errors: tuple[str, ...] = (),
        seconds: float | None = None,
    ) -> None:
        """Emit `NodeChanged`. An event that nothing but the record receives is not made."""
        if self._is_observed:
            self.emit(
                NodeChanged(at=at, node=node, status=status, message=message, errors=errors, seconds=seconds)
            )
        else:
            if message is not None:
                message, errors = masked_prose(message), tuple(map(masked_prose, errors))
            self.record.change_status(node, status, message, errors, seconds)

    def add_items(self, at: str, node: str, items: Sequence[Item]) -> None:
        """Emit `ItemMade` for each item. Events that nothing but the record receives are not made."""
        if self._is_observed:
            for item in items:
                self.emit(ItemMade(at=at, node=node, item=item))
        else:
            self.record.add_items(node, items)

    def add_to_commit(self, is_due: Callable[[], bool], write: Callable[[Connection], None]) -> None:
        """Register a writer to run inside each commit of the log at which `is_due()` is true."""
        if self._log is not None:
            self._log.add_to_commit(is_due, write)

    def commit(self) -> None:
        """Store the queued events, then pass them to the observer."""
        if self._log is not None:
            self._log.commit()
        if self._on_event is not None:
            committed, self._uncommitted = self._uncommitted, []
            for event in committed:
                self._on_event(event)

    @property
    def record(self) -> RunRecord:
        """The current record."""
        assert self._record is not None
        return self._record
