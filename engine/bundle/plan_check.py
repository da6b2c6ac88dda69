"""The comparison of a plan with the one that a bundle holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tessera.notice import Notice

__all__ = ["other_plan"]

_DECIDED = ("order", "tiles", "edges", "inputs")
"""The members of a plan that decide what a run does."""
_PLACES = frozenset({"index", "loc"})


def other_plan(
    path: Path, given: Mapping[str, Any], recorded: Mapping[str, Any], used: str
) -> tuple[Notice, ...]:
    """Return a warning if the agent of a bundle gives another plan than the recorded one.

    Parameters
    ----------
    given, recorded
        The plan that the agent gives, and the one in the bundle, as JSON values.
    used
        The end of the message: which of the two is used.
    """
    differing = [name for name in _DECIDED if _placeless(given.get(name)) != _placeless(recorded.get(name))]
    if not differing:
        return ()
    what = " and ".join([", ".join(differing[:-1]), differing[-1]] if differing[1:] else differing)
    message = f"the agent in {path} gives another plan than the one that ran: its {what} differ; {used}"
    return (Notice("other_plan", message, "/agent.json"),)


def _placeless(value: Any) -> Any:
    """Return a member of a plan without places in documents."""
    if isinstance(value, dict):
        return {name: _placeless(part) for name, part in value.items() if name not in _PLACES}
    return [_placeless(part) for part in value] if isinstance(value, list) else value
