"""The requirements that an installed package declares, and those that are not met."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version

__all__ = ["Requirement", "extras_of", "installed_version", "release", "requirements_of", "unmet_reason"]

_REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)\s*(\[(?P<extras>[^]]*)\])?\s*(?P<bounds>[^;]*)(;\s*(?P<marker>.*))?"
)
_ONE_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")


@dataclass(frozen=True, slots=True)
class Requirement:
    """A package that another one needs, with its lower bound (`""`: any version)."""

    name: str
    least: str


def extras_of(package: str) -> list[str]:
    """Return the extras that an installed package offers, in the order of its metadata."""
    return distribution(package).metadata.get_all("Provides-Extra") or []


def requirements_of(package: str, extra: str | None = None) -> Iterator[Requirement]:
    """Yield what an installed package needs, or what one of its extras adds.

    The extras of a requirement are followed (`yt-dlp[deno]`). Requirements under a further condition, such as
    a platform, are left out.
    """
    for line in distribution(package).requires or ():
        found = _REQUIREMENT.fullmatch(line)
        assert found is not None, line
        marker = _ONE_EXTRA.fullmatch((found["marker"] or "").strip())
        if (marker[1] if marker else found["marker"]) != extra:
            continue
        name, least = found["name"], re.search(r"[>=]=\s*([\w.]+)", found["bounds"])
        yield Requirement(name, least[1] if least else "")
        if found["extras"] and installed_version(name) is not None:
            for inner in found["extras"].split(","):
                yield from requirements_of(name, inner.strip())


def unmet_reason(requirement: Requirement) -> str | None:
    """Return why a requirement is not met, or None if it is."""
    there = installed_version(requirement.name)
    if there is None:
        return f"{requirement.name} is not installed"
    if release(there) < release(requirement.least):
        return f"{requirement.name} {there} is older than {requirement.least}"
    return None


def installed_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def release(text: str) -> tuple[int, ...]:
    """Return the leading numbers of a version.

    >>> release("2025.11.12.post1") > release("2025.9"), release("")
    (True, ())
    """
    leading = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in leading[0].split(".")) if leading else ()
