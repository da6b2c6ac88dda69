"""Errors, all under one base.

::

    TesseraError
    ├── RequestError      the template or the request is wrong; lists every fault found (exit code 2)
    ├── MediaError        a media file cannot be used: not media, truncated, no picture, …
    │   └── RenderError   ffmpeg failed, timed out or could not be started
    ├── TileError         a tile could not do its work; blocks its descendants
    │   └── TransientError  … this time; another attempt may do it
    ├── QuestionError     a simulation was asked something that it was given no answer to
    ├── WorkspaceError    the workspace cannot be read or written
    │   ├── NotFound      … or holds no such thing
    │   ├── DamagedError  … or what it holds is not what was stored
    │   └── TakenError    another has written what was to be written new
    └── Cancelled         the run was cancelled while this piece of it was under way
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

__all__ = [
    "Cancelled",
    "DamagedError",
    "Document",
    "Fault",
    "MediaError",
    "NotFound",
    "QuestionError",
    "RenderError",
    "RequestError",
    "TakenError",
    "TesseraError",
    "TileError",
    "TransientError",
    "WorkspaceError",
    "pointer",
]

Document = Literal["request", "template"]


def pointer(*parts: str | int) -> str:
    """The JSON pointer (RFC 6901) made of `parts`; no parts give `""`, the whole document."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a document: where (a JSON pointer), in which document, and what."""

    loc: str
    document: Document
    message: str

    def to_dict(self) -> dict[str, str]:
        return {"loc": self.loc, "document": self.document, "message": self.message}


class TesseraError(Exception):
    """Base of every error that this project raises on purpose."""

    code = "internal_server_error"

    def to_dict(self) -> dict[str, Any]:
        """The error object of the contract's section 1."""
        return {"detail": str(self), "error": self.code, "errors": []}


class RequestError(TesseraError):
    """The template or the request is wrong. `errors` holds every fault found, never empty."""

    code = "validation_error"

    def __init__(self, errors: Iterable[Fault]) -> None:
        self.errors: tuple[Fault, ...] = tuple(errors)
        super().__init__(self._detail())

    def _detail(self) -> str:
        first = self.errors[0]
        where = f" ({first.document} {first.loc or 'as a whole'})"
        more = f"; and {len(self.errors) - 1} more" if len(self.errors) > 1 else ""
        return first.message + where + more

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "errors": [fault.to_dict() for fault in self.errors]}

    def __reduce__(self) -> tuple[type[RequestError], tuple[tuple[Fault, ...]]]:
        return (type(self), (self.errors,))


class MediaError(TesseraError):
    """A media file cannot be used as what it was given for. The message names the file."""

    code = "validation_error"


class RenderError(MediaError):
    """ffmpeg failed; the message ends with the last useful line that it wrote."""

    code = "internal_server_error"


class TileError(TesseraError):
    """A tile could not do its work. The message says why and what would help."""


class TransientError(TileError):
    """A tile could not do its work this time; another attempt may."""


class QuestionError(TesseraError):
    """A simulation was asked about content (speech, levels, …) and was given no answer."""

    code = "validation_error"


class WorkspaceError(TesseraError):
    """The workspace cannot be read or written."""


class TakenError(WorkspaceError):
    """What was to be written new stands there already, written by another."""

    code = "conflict"


class NotFound(WorkspaceError):
    """What was asked for by name is not in the workspace, or could be more than one thing."""

    code = "not_found"


class DamagedError(WorkspaceError):
    """What was stored is not what it was: it can be had again from what it was made of, and only so."""


class Cancelled(TesseraError):
    """The run was cancelled."""
