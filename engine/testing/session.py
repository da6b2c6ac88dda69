"""What the pytest plug-in tells assertions of the session that they run in; none outside of it."""

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
        Whether snapshots are written, not compared.
    coverage
        What counts the exercised parts of agents, if anything does.
    test
        The file of the test that runs.
    refused
        Of the test that runs: requests that were refused, and no assertion has looked at it yet.
    written
        The snapshots written so far.
    """

    update_snapshots: bool = False
    coverage: GraphCoverage | None = None
    test: Path | None = None
    refused: dict[int, str] = field(default_factory=dict)
    written: dict[Path, str] = field(default_factory=dict)


CURRENT: ContextVar[Session | None] = ContextVar("tessera_session", default=None)


def current_session() -> Session | None:
    """The session that this test belongs to, where the plug-in is active."""
    return CURRENT.get()
