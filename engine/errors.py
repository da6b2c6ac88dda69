"""The exceptions that Tessera raises on purpose.

::

    TesseraError            base class: catch this one to catch all
    ├── RequestError        the template or the request is invalid; lists every fault (exit code 2)
    ├── ConfigError         an option of a run or a simulation has a value that is not allowed (exit code 2)
    ├── MediaError          a media file cannot be used: not media, truncated, no picture, …
    │   └── RenderError     ffmpeg fails, times out or cannot be started
    ├── TileError           a tile cannot do its work; its descendants are blocked
    │   └── TransientError  a tile fails for a temporary reason; another attempt may succeed
    ├── QuestionError       a simulation has no answer to a question about content
    ├── WorkspaceError      the workspace cannot be read or written
    │   ├── NotFound        no object in the workspace has this name, or several match it
    │   ├── DamagedError    a stored object differs from what was written
    │   └── TakenError      another process has already written the object
    ├── PlugInError         the tiles of Tessera itself cannot be loaded
    └── Cancelled           the run is cancelled during the current operation
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from tessera.text.wording import printable

__all__ = [
    "NO_FACTS",
    "Cancelled",
    "ConfigError",
    "DamagedError",
    "Document",
    "Fault",
    "MediaError",
    "NotFound",
    "PlugInError",
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

NO_FACTS = "no_facts"
"""The code of a fault that stated facts would mend: a simulation has neither media nor facts."""

Document = Literal["request", "template"]
"""The document that a fault is in."""

_LONGEST_VALUE = 80
"""The most characters of a wrong value that an error message repeats."""


def pointer(*parts: str | int) -> str:
    """Return the JSON pointer (RFC 6901) of `parts`. Without parts it is `""`, the whole document."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


@dataclass(frozen=True, slots=True)
class Fault:
    """One problem in a document.

    Attributes
    ----------
    loc
        The JSON pointer to the wrong value; `""` is the whole document.
    document
        The document that `loc` points into.
    message
        The problem, in one sentence.
    code
        The kind of problem, a stable name for reports: `unknown_node`, `cycle`, …
    """

    loc: str
    document: Document
    message: str
    code: str = "invalid"

    def to_dict(self) -> dict[str, str]:
        return {"loc": self.loc, "document": self.document, "message": self.message}


class TesseraError(Exception):
    """Base of every exception that Tessera raises on purpose. It is not raised itself."""

    code = "internal_server_error"

    def __str__(self) -> str:
        """Return the message without control characters: it may quote a file, a URL or a server."""
        return printable(super().__str__())

    def to_dict(self) -> dict[str, Any]:
        """Return the error as the JSON object of the contract, section 1."""
        return {"detail": str(self), "error": self.code, "errors": []}


class RequestError(TesseraError):
    """Raised before a run starts, if the template, the request or the command line is invalid.

    `errors` holds every fault found and is never empty.
    """

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


class ConfigError(TesseraError, ValueError):
    """Raised if an option of a run or a simulation has a value that is not allowed.

    Attributes
    ----------
    option
        The name of the option, a field of `RunConfig` or `SimulateConfig`.
    allowed
        The values that it may have, in words.
    """

    code = "validation_error"

    def __init__(self, option: str, value: Any, allowed: str) -> None:
        from tessera.text.masking import mask_urls

        self.option, self.value, self.allowed = option, value, allowed
        # Masked before it is cut: half a URL may end within its password.
        shown = repr(mask_urls(value))
        shown = shown if len(shown) <= _LONGEST_VALUE else shown[:_LONGEST_VALUE] + "…"
        super().__init__(f"{option} must be {allowed}, not {shown}")

    def __reduce__(self) -> tuple[type[ConfigError], tuple[str, Any, str]]:
        return (type(self), (self.option, self.value, self.allowed))


class MediaError(TesseraError):
    """Raised if a media file cannot be used for its purpose. The message names the file."""

    code = "validation_error"


class RenderError(MediaError):
    """Raised if ffmpeg fails, times out or cannot be started. The message ends with its last useful line."""

    code = "internal_server_error"


class TileError(TesseraError):
    """Raised by a tile that cannot do its work. The message gives the reason and a remedy."""


class TransientError(TileError):
    """Raised by a tile that fails for a temporary reason. Another attempt may succeed."""


class QuestionError(TesseraError):
    """Raised if a tile asks a simulation about content (speech, levels, …) and there is no answer."""

    code = "validation_error"


class WorkspaceError(TesseraError):
    """Raised if the workspace, or a file next to it, cannot be read or written."""


class TakenError(WorkspaceError):
    """Raised if another process has already written the object that is to be created."""

    code = "conflict"


class NotFound(WorkspaceError):
    """Raised if no object in the workspace has the given name, or if several match it."""

    code = "not_found"


class DamagedError(WorkspaceError):
    """Raised if a stored object differs from what was written. Only making it again repairs it."""


class PlugInError(TesseraError):
    """Raised if the tiles of Tessera itself cannot be loaded. A plug-in is left out with a warning."""


class Cancelled(TesseraError):
    """Raised by the operation in progress when its run is cancelled."""
