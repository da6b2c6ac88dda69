"""Tessera, Python, the libraries, and the extras."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from importlib import import_module
from importlib.metadata import version

from tessera.doctor.finding import Finding
from tessera.doctor.requirements import (
    extras_of,
    installed_version,
    release,
    requirements_of,
    unmet_reason,
)
from tessera.text.wording import count

__all__ = ["EXTRAS", "check_extras", "check_libraries", "check_tessera", "check_yt_dlp"]

PACKAGE = "tessera-runtime"

EXTRAS = {
    "bench": "compares Tessera with other schedulers (tests/benchmarks)",
    "dask": "runs tiles on a Dask cluster (--executor dask)",
    "postgres": "keeps runs in PostgreSQL, for several machines (TESSERA_DATABASE_URL)",
    "store": "shares media between machines (TESSERA_STORE_URL)",
    "test": "brings what Tessera's own tests need, among it pytest",
    "youtube": "brings the JavaScript runtime that YouTube downloads need",
}
"""What each extra adds."""

_SHOWN = ("av", "networkx", "numpy", "pydantic", "typer")
_NATIVE = {
    "av": "av",
    "numpy": "numpy",
    "PIL.Image": "pillow",
    "pydantic": "pydantic",
    "resvg_py": "resvg-py",
}
"""Modules with native code and their packages: they can be installed without working."""
_REINSTALL = "pip install --force-reinstall"
_OLD_DAYS = 90
"""The age in days at which yt-dlp probably fails on YouTube; it is released about twice a month."""


def check_tessera() -> Iterator[Finding]:
    system = f"{platform.system()} {platform.machine()}"
    yield Finding("Tessera", "ok", f"{version(PACKAGE)}, Python {platform.python_version()}, {system}")
    yield Finding("Python", "ok", sys.executable)


def check_libraries() -> Iterator[Finding]:
    needed = list(requirements_of(PACKAGE))
    unmet = {one.name: reason for one in needed if (reason := unmet_reason(one))}
    if unmet:
        advice = f"pip install --upgrade {' '.join(unmet)}"
        yield Finding("libraries", "problem", "; ".join(unmet.values()), advice)
        return
    for module in _NATIVE:
        try:
            import_module(module)
        except Exception as error:  # a library that is built for another machine may raise anything
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            name = _NATIVE[module]
            yield Finding("libraries", "problem", f"{name} does not load: {reason}", f"{_REINSTALL} {name}")
            return
    named = ", ".join(f"{name} {installed_version(name)}" for name in _SHOWN)
    yield Finding("libraries", "ok", f"all {len(needed)} there: {named}, …")


def check_yt_dlp(today: date | None = None) -> Iterator[Finding]:
    """Yield the age of yt-dlp, whose version is its date of release. Sites break old versions."""
    there = installed_version("yt-dlp")
    if there is None:
        return  # the check of libraries reports it
    age = -1
    with suppress(TypeError, ValueError):  # a version that is no date
        age = ((today or date.today()) - date(*release(there)[:3])).days
    if age < 0:
        yield Finding("yt-dlp", "ok", there)
        return
    found = f"{there}, {count(age, 'day')} old"
    if age > _OLD_DAYS:
        yield Finding("yt-dlp", "warning", f"{found}: sites may refuse it", "pip install --upgrade yt-dlp")
    else:
        yield Finding("yt-dlp", "ok", found)


def check_extras() -> Iterator[Finding]:
    for extra in sorted(extras_of(PACKAGE)):
        unmet = [reason for one in requirements_of(PACKAGE, extra) if (reason := unmet_reason(one))]
        adds = EXTRAS.get(extra, "")
        if unmet:
            yield Finding(f"extra {extra}", "absent", adds, f"pip install '{PACKAGE}[{extra}]'")
        else:
            yield Finding(f"extra {extra}", "ok", adds)
