"""What fetching keeps to, what it says of its progress, and how it fails."""

from __future__ import annotations

from dataclasses import dataclass

from tessera.errors import TesseraError

__all__ = ["FetchError", "FetchRules", "PassingError", "Transfer"]


@dataclass(frozen=True, slots=True)
class FetchRules:
    """Limits of fetching (contract, section 3: 5 GB and 5 h). Times are in seconds.

    Attributes
    ----------
    most_bytes, most_seconds
        The size and the duration that a source may have.
    most_redirects
        How many redirects of one request are followed.
    connect_s
        How long a connection may take to come about.
    stall_s, stall_bytes
        A transfer that gains fewer than `stall_bytes` in `stall_s` makes no progress, and is given up.
    retry_s
        How long what may pass (a drop, a 429, a 5xx) is tried again since the last progress.
    pause_s, most_pause_s
        The pause before the first retry, and the longest: each is twice the one before.
    parallel
        How many sources are fetched at a time.
    allow_private
        Whether addresses of this machine and of private networks may be reached. Link-local addresses, and
        with them the metadata services of clouds, never are.
    """

    most_bytes: int = 5 * 10**9
    most_seconds: int = 5 * 3600
    most_redirects: int = 10
    connect_s: float = 15.0
    stall_s: float = 30.0
    stall_bytes: int = 64 * 1024
    retry_s: float = 60.0
    pause_s: float = 0.5
    most_pause_s: float = 8.0
    parallel: int = 4
    allow_private: bool = False

    @property
    def patience_s(self) -> float:
        """How long a socket waits for bytes: longer than it takes to see that there is no progress."""
        return 2 * self.stall_s


@dataclass(frozen=True, slots=True)
class Transfer:
    """How far a download is.

    Attributes
    ----------
    url, name
        The URL, masked, and what the source is called.
    received, total
        Bytes; `total` is None where nobody has said.
    bytes_per_s, remaining_s
        The mean speed of the last seconds, and the time that the rest takes at it, where that is known.
    done
        Whether it is over: the media is there.
    """

    url: str
    name: str
    received: int
    total: int | None
    bytes_per_s: float
    remaining_s: float | None
    done: bool = False


class FetchError(TesseraError):
    """A source cannot be fetched. The message names it, masked, and says what to do."""

    code = "validation_error"


class PassingError(FetchError):
    """… this time. `pause_s`: how long the server asks to wait."""

    def __init__(self, message: str, pause_s: float | None = None) -> None:
        super().__init__(message)
        self.pause_s = pause_s
