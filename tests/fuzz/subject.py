"""What is done with an input of each kind: the commands of a user who was sent it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tests.fuzz.server import read_script, serving_script
from tests.support.media import FIXTURES

__all__ = ["KINDS", "SUBJECTS"]

SINGLE = str(FIXTURES / "agents" / "single.json")


def _media(file: Path) -> list[int]:
    from tessera.cli import main

    return [main(["upload", str(file)]), main(["simulate", SINGLE, "--input", str(file), "--json"])]


def _documents(file: Path) -> list[int]:
    """Plan and simulate documents. A line is `agent`, `request`, `facts` or `stub`, a space, and the JSON."""
    from tessera.cli import main

    paths: dict[str, str] = {}
    for line in file.read_bytes().split(b"\n"):
        name, _, text = line.partition(b" ")
        if name in (b"agent", b"request", b"facts", b"stub"):
            path = file.parent / f"{name.decode()}.json"
            path.write_bytes(text)
            paths[name.decode()] = str(path)
    given = [paths[name] for name in ("agent", "request") if name in paths]
    codes = [main(["validate", *given]), main(["plan", *given, "--json"]), main(["graph", *given])]
    options = ["--facts", paths["facts"]] if "facts" in paths else []
    options += ["--stub", f"Clips={paths['stub']}"] if "stub" in paths else []
    codes += [main(["simulate", *given, *options, "--json"]), main(["estimate", *given, *options])]
    return codes


def _archive(file: Path) -> list[int]:
    from tessera.cli import main

    return [main(["replay", str(file)]), main(["run", "--replay", str(file), "--json"])]


def _server(file: Path) -> list[int]:
    from tessera import run
    from tessera.cli.display.output import failed
    from tessera.inputs.fetch.rules import FetchRules

    rules = FetchRules(
        allow_private=True, stall_s=0.4, retry_s=0.4, pause_s=0.02, most_pause_s=0.1, most_bytes=3_000_000
    )
    with serving_script(read_script(file.read_bytes())) as url:
        try:
            run(SINGLE, {"video_urls": [url]}, workspace="ws", fetch_rules=rules)
            return [0]
        except Exception as error:
            return [failed(error, as_json=False)]


SUBJECTS: Mapping[str, Callable[[Path], list[int]]] = {
    "media": _media,
    "documents": _documents,
    "archives": _archive,
    "servers": _server,
}
KINDS = tuple(SUBJECTS)
