"""The ffmpeg in use: its place, its version, its encoders and filters, and an encode."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from tessera.doctor.child_output import ChildFailed, output_of
from tessera.doctor.finding import Finding
from tessera.errors import RenderError
from tessera.media.process.capabilities import TRIAL, missing_capabilities
from tessera.media.process.process import ffmpeg_path

__all__ = ["check_ffmpeg"]

_OWN = "correct TESSERA_FFMPEG, or unset it to use the ffmpeg that pip installed"
_SHIPPED = "reinstall it: pip install --force-reinstall imageio-ffmpeg"
_MOST_LISTED = 6


def check_ffmpeg(timeout_s: float) -> Iterator[Finding]:
    """Yield the state of ffmpeg. Each of four starts of it may take `timeout_s` seconds."""
    advice = _OWN if os.environ.get("TESSERA_FFMPEG") else _SHIPPED
    try:
        path = ffmpeg_path()
    except RenderError as error:
        yield Finding("ffmpeg", "problem", str(error), advice)
        return
    place = f"{path} ({_origin(path)})"
    try:
        words = output_of([path, "-version"], timeout_s).split(maxsplit=3)
        if words[:2] != ["ffmpeg", "version"] or len(words) < 3:
            yield Finding("ffmpeg", "problem", f"{place} does not report a version: it is not ffmpeg", advice)
            return
        yield Finding("ffmpeg", "ok", f"{words[2]}, {place}")
        missing = missing_capabilities(lambda args: output_of([path, "-hide_banner", *args], timeout_s))
        if missing:
            more = f" and {len(missing) - _MOST_LISTED} more" if len(missing) > _MOST_LISTED else ""
            found = f"lacks {', '.join(missing[:_MOST_LISTED])}{more}"
            yield Finding("ffmpeg parts", "problem", found, advice)
            return
        output_of([path, "-hide_banner", "-nostdin", *TRIAL.split()], timeout_s)
        yield Finding("ffmpeg parts", "ok", "all encoders and filters that renders use; a trial encode works")
    except ChildFailed as error:
        yield Finding("ffmpeg", "problem", f"{place} {error}", advice)


def _origin(path: str) -> str:
    for variable in ("TESSERA_FFMPEG", "IMAGEIO_FFMPEG_EXE"):
        if os.environ.get(variable):
            return f"from {variable}"
    spec = find_spec("imageio_ffmpeg")
    folders = spec.submodule_search_locations if spec is not None else None
    shipped = any(Path(path).is_relative_to(folder) for folder in folders or ())
    return "from the package imageio-ffmpeg" if shipped else "found on this machine"
