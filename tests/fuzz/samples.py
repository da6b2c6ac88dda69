"""Sound inputs of each kind, from which hostile ones are made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tessera.request import SOURCE_FIELDS
from tests.support.media import FIXTURES, MEDIA

__all__ = ["bundle", "document_lines", "documents", "media", "unchanged"]


def unchanged(kind: str) -> bytes:
    """Return an input of a kind that passes."""
    if kind == "archives":
        return bundle()
    if kind == "media":
        return media()[0]
    if kind == "servers":
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(media()[0])}\r\n\r\n"
        return json.dumps([{"media": True, "head": head}]).encode()
    return document_lines({name: json.dumps(value).encode() for name, value in documents()[0].items()})


def document_lines(parts: Mapping[str, bytes]) -> bytes:
    """Return documents in one file: each on a line, after its name and a space."""
    return b"\n".join(name.encode() + b" " + text for name, text in parts.items())


@cache
def media() -> list[bytes]:
    """Return small files of each kind that can be uploaded."""
    names = ("silent.mp4", "vfr.mkv", "logo.png", "logo.jpg", "tiny.png", "sound.wav", "cover.m4a", "odd.mp4")
    made = [(MEDIA / name).read_bytes() for name in names]
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="36"><rect width="9"/></svg>'
    cube = 'TITLE "x"\nLUT_3D_SIZE 2\n' + "0.1 0.2 0.3\n" * 8
    return [*made, svg.encode(), cube.encode()]


@cache
def documents() -> list[dict[str, Any]]:
    agents = {path.stem: json.loads(path.read_text()) for path in (FIXTURES / "agents").glob("*.json")}
    facts = {
        "*": {"duration_ms": 9000, "width": 640, "height": 360, "fps": "30000/1001", "speech": [[0, 4000]]}
    }
    exact = {"*": {"duration": "9", "width": 640, "height": 360, "fps": 30, "has_audio": True}}
    stub = {"answers": {"speech": [[0, 1000]]}}
    made = []
    for path in sorted((FIXTURES / "requests").glob("*.json")):
        agent = agents.get(path.name.split(".")[0])
        if agent is not None:
            request = json.loads(path.read_text())
            if not any(name in request for name in (*SOURCE_FIELDS, "video_inputs")):
                request["video_urls"] = ["https://h.example/film.mp4"]
            made.append({"agent": agent, "request": request, "facts": facts})
            made.append({"agent": agent, "request": request, "facts": exact})
            made.append({"agent": agent, "request": request, "facts": facts, "stub": stub})
    return made


@cache
def bundle() -> bytes:
    """Return the bundle of a run, with its media."""
    from tessera import run

    with TemporaryDirectory() as folder:
        bundle = Path(folder) / "run.zip"
        media = str(MEDIA / "silent.mp4")
        run(FIXTURES / "agents" / "single.json", inputs=[media], workspace=Path(folder) / "ws", record=bundle)
        return bundle.read_bytes()
