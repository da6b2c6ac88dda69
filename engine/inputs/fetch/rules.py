"""Limits, progress and errors of fetching."""

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
        The largest size and the longest duration of a source.
    most_redirects
        The most redirects of one request.
    connect_s
        The timeout for a connection.
    stall_s, stall_bytes
        A transfer that receives fewer than `stall_bytes` in `stall_s` is stalled and ends.
    retry_s
        How long transient errors (a drop, a 429, a 5xx) are retried since the last progress.
    pause_s, most_pause_s
        The pause before the first retry, and the longest pause: each is twice the one before.
    parallel
        The number of parallel downloads.
    allow_private
        True allows addresses of this machine and of private networks. Link-local addresses, and with them
        cloud metadata services, are always blocked.
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
        """The socket timeout: longer than stall detection, which therefore reports first."""
        return 2 * self.stall_s


@dataclass(frozen=True, slots=True)
class Transfer:
    """The progress of a download.

    Attributes
    ----------
    url, name
        The masked URL and the name of the source.
    received, total
        Bytes; `total` is None if unknown.
    bytes_per_s, remaining_s
        The mean speed over the last seconds, and the remaining time at that speed, if known.
    done
        True if the media is complete.
    """

    url: str
    name: str
    received: int
    total: int | None
    bytes_per_s: float
    remaining_s: float | None
    done: bool = False


class FetchError(TesseraError):
    """A source cannot be fetched. The message names it, masked, and suggests what to do."""

    code = "validation_error"


class PassingError(FetchError):
    """A transient failure that a retry may solve. `pause_s`: the wait that the server requests."""

    def __init__(self, message: str, pause_s: float | None = None) -> None:
        super().__init__(message)
        self.pause_s = pause_s
