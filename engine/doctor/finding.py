"""One line of the result of `tessera doctor`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Finding", "State"]

State = Literal["ok", "absent", "warning", "problem"]
"""`absent`: an optional part is not installed. `problem`: runs fail, or some of them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of one thing.

    Attributes
    ----------
    subject
        What was checked, in one to three words.
    state
        See `State`.
    found
        What is there, or what is wrong with it.
    advice
        What to do about it, or `""`.
    """

    subject: str
    state: State
    found: str
    advice: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
