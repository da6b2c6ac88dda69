"""The differences between a template and one run: tiles removed, connections rewired, values overridden."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Change", "Changes", "Rewire"]


@dataclass(frozen=True, slots=True)
class Change:
    """A parameter that the request overrides: its old value (None if it was unset) and its new value."""

    node: str
    parameter: str
    old: Any
    new: Any

    def to_dict(self) -> dict[str, Any]:
        return {"agent_node_id": self.node, "parameter": self.parameter, "old": self.old, "new": self.new}


@dataclass(frozen=True, slots=True)
class Rewire:
    """A connection that the template does not have, and the removed tiles that it replaces (`via`)."""

    source: str
    target: str
    via: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"source": self.source, "target": self.target, "via": list(self.via)}


@dataclass(frozen=True, slots=True)
class Changes:
    """The differences between the template and the graph of one run."""

    removed: tuple[str, ...] = ()
    rewired: tuple[Rewire, ...] = ()
    overridden: tuple[Change, ...] = ()
    skipped: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.removed or self.rewired or self.overridden)

    def to_dict(self) -> dict[str, Any]:
        return {
            "removed": list(self.removed),
            "rewired": [edge.to_dict() for edge in self.rewired],
            "overridden": [change.to_dict() for change in self.overridden],
            "skipped": list(self.skipped),
        }
