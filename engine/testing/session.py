"""The state that the pytest plug-in shares with the assertions of a session."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tessera.testing.coverage import GraphCoverage

__all__ = ["CURRENT", "Session", "current_session"]


@dataclass(slots=True)
class Session:
    """One pytest session.

    Attributes
    ----------
    update_snapshots
        True if snapshots are written instead of compared.
    coverage
        The counter of exercised parts of agents; None if coverage is off.
    test
        The file of the running test.
    unchecked
        The rejected requests of the running test that no assertion has checked: object id → message.
    written
        The snapshots written so far: path → text.
    """

    update_snapshots: bool = False
    coverage: GraphCoverage | None = None
    test: Path | None = None
    unchecked: dict[int, str] = field(default_factory=dict)
    written: dict[Path, str] = field(default_factory=dict)


CURRENT: ContextVar[Session | None] = ContextVar("tessera_session", default=None)


def current_session() -> Session | None:
    """Return the session of the running test, or None if the plug-in is not active."""
    return CURRENT.get()
