"""The places in a request that options of a command line filled, such as `--set` and `--ignore`.

A request as it runs may hold more than the document that the user wrote. An explanation points into that
document only where it holds the value; it names the option otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tessera.notice import Notice

__all__ = ["NO_OPTIONS", "OptionPlaces", "OptionValue"]

_MISSING = object()
_OF_OPTIONS = ("/update_params", "/ignore_nodes")
"""The members of a request that options other than `--input` fill."""


@dataclass(frozen=True, slots=True)
class OptionValue:
    """An option as typed, `--set Clips.num_clips=3`, and the value that it gives."""

    option: str
    value: Any


@dataclass(frozen=True, slots=True)
class OptionPlaces:
    """The options of a command line by the place that they fill.

    Attributes
    ----------
    given
        The request before any option, as JSON values; None if there was none.
    filled
        By JSON pointer into the request as it runs: the options that gave a value there, in order. The last
        one counts.
    inputs
        True if options added inputs, whose places are all that `given` lacks.
    """

    given: Any = None
    filled: Mapping[str, Sequence[OptionValue]] = field(default_factory=dict)
    inputs: bool = False

    def option_at(self, loc: str) -> str | None:
        """Return the option that gave the value at a pointer; None if the request itself holds it.

        A pointer above such a value, as to the parameters of a tile, stands for the first option below it.
        """
        place = loc
        while place:
            if place in self.filled:
                return self.filled[place][-1].option
            place = place.rpartition("/")[0]
        if self.holds(loc):
            return None
        below = next((typed for place, typed in self.filled.items() if place.startswith(f"{loc}/")), None)
        if below is not None:
            return below[-1].option
        return "--input" if self.inputs and not loc.startswith(_OF_OPTIONS) else None

    def place(self, notice: Notice) -> Notice:
        """Return a warning that names the option it is about, if it is about one."""
        option = self.option_at(notice.loc) if notice.document == "request" and notice.loc else None
        return replace(notice, loc="", message=f"{option}: {notice.message}") if option else notice

    def holds(self, loc: str) -> bool:
        """Return True if the request before any option has a value at this pointer."""
        return self.given_at(loc) is not _MISSING

    def given_at(self, loc: str) -> Any:
        """Return the value at this pointer before any option. Call it only if `holds` is True."""
        value = self.given if self.given is not None else {}
        for part in loc.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(value, Mapping) and name in value:
                value = value[name]
            elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
                value = value[int(name)]
            else:
                return _MISSING
        return value


NO_OPTIONS = OptionPlaces()
"""The places of a request that no option changed."""
