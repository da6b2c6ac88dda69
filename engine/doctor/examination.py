"""All checks, one after another. None of them can hang or stop the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tessera.doctor.ffmpeg_check import check_ffmpeg
from tessera.doctor.finding import Finding
from tessera.doctor.machine_check import check_machine
from tessera.doctor.package_check import check_extras, check_libraries, check_tessera, check_yt_dlp
from tessera.doctor.tile_check import check_catalogue, plug_in_checks
from tessera.doctor.workspace_check import check_database, check_settings, check_store, check_workspace

__all__ = ["Check", "bounded", "examine"]

Check = Callable[[], Iterator[Finding]]

_TIMEOUT_S = 10.0
_MARGIN_S = 5.0
"""Seconds that a check may take besides its waits for programs and servers."""
_FFMPEG_STARTS = 4


def examine(workspace: Path | None = None, *, timeout_s: float = _TIMEOUT_S) -> Iterator[Finding]:
    """Yield the findings of all checks, as they are made.

    Parameters
    ----------
    workspace
        The folder of `--workspace`, or None for the default.
    timeout_s
        Seconds that one start of ffmpeg, or the connection to a database server, may take.
    """
    checks: list[tuple[str, Check]] = [
        ("Tessera", check_tessera),
        ("libraries", check_libraries),
        ("yt-dlp", check_yt_dlp),
        ("ffmpeg", partial(check_ffmpeg, timeout_s)),
        ("tiles", check_catalogue),
        *plug_in_checks(),
        ("settings", check_settings),
        ("workspace", partial(check_workspace, workspace)),
        ("database", partial(check_database, workspace, timeout_s)),
        ("shared store", check_store),
        ("machine", check_machine),
        ("extras", check_extras),
    ]
    for subject, check in checks:
        waits = _FFMPEG_STARTS if subject == "ffmpeg" else 1
        yield from bounded(subject, check, waits * timeout_s + _MARGIN_S)


def bounded(subject: str, check: Check, timeout_s: float) -> list[Finding]:
    """Return the findings of a check, and a problem in their place if it raises or does not end in time."""
    found: list[Finding] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            found.extend(check())  # keeps the findings before an error
        except BaseException as error:  # SystemExit of foreign code included
            failed.append(error)

    # A daemon thread does not keep the process from ending if it hangs.
    thread = threading.Thread(target=work, name=f"check of {subject}", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if thread.is_alive():
        late = f"the check does not end within {timeout_s:g} s"
        return [*found, Finding(subject, "problem", late, "see what blocks it, e.g. a network drive")]
    if failed:
        reason = f"the check fails: {type(failed[0]).__name__}: {failed[0]}".splitlines()[0]
        return [*found, Finding(subject, "problem", reason, "please report this")]
    return found
