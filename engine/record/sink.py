"""The one place where a run's events go: folded into its record, made safe, and shown to others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tessera.record.events import Event, RunStarted
from tessera.record.record import RunRecord

if TYPE_CHECKING:
    from tessera.database.interface import Connection
    from tessera.store.run_store import EventLog

__all__ = ["EventSink"]


class EventSink:
    """Takes in events, in order.

    Parameters
    ----------
    on_event
        Called with each event, once it is safe.
    log
        Where events are made safe; None keeps none.
    record
        The record of a run that goes on.
    """

    def __init__(
        self,
        on_event: Callable[[Event], None] | None,
        log: EventLog | None = None,
        record: RunRecord | None = None,
    ) -> None:
        self._on_event, self._log, self._record = on_event, log, record
        self._unseen: list[Event] = []

    def emit(self, event: Event) -> None:
        """Fold an event into the record.

        Raises
        ------
        ValueError
            The event may not happen now.
        """
        if self._record is None:
            assert isinstance(event, RunStarted)
            self._record = RunRecord.begin(event)
        else:
            self._record.apply(event)
        if self._log is not None:
            self._log.append(event)
        if self._on_event is not None:
            self._unseen.append(event)

    def beside(self, is_due: Callable[[], bool], write: Callable[[Connection], None]) -> None:
        """Have something else made safe together with events, whenever it is due."""
        if self._log is not None:
            self._log.beside(is_due, write)

    def commit(self) -> None:
        """Make safe what was emitted, and only then let others see it."""
        if self._log is not None:
            self._log.commit()
        if self._on_event is not None:
            unseen, self._unseen = self._unseen, []
            for event in unseen:
                self._on_event(event)

    @property
    def record(self) -> RunRecord:
        """The record as it stands."""
        assert self._record is not None
        return self._record
