"""The README's own lines do what it says of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tessera import Catalogue, NodeType, simulate
from tests.support.builders import chain

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
FACTS = json.loads(next(block for block in re.findall(r"```json\n(.*?)```", README, re.DOTALL)))


def _commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [line.split("    #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith(("tessera", "A="))]


def _expected(line: str) -> int:
    if "invalid" in line and "shrink" not in line:
        return 2
    return 1 if line.startswith("tessera diff") else 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("readme")
    (made / "fixtures").symlink_to(ROOT / "fixtures")
    (made / "facts.json").write_text(json.dumps(FACTS))
    (made / "requests.jsonl").write_text('{"video_ids": ["x"]}\n')
    (made / "bin").mkdir()
    program = made / "bin" / "tessera"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m tessera.cli "$@"\n')
    program.chmod(0o755)
    return made


def test_every_command_of_the_readme_works(folder: Path) -> None:
    settings = ""
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    for line in _commands():
        if line.startswith("A="):
            settings = line
            continue
        done = subprocess.run(
            ["bash", "-c", f"{settings}\n{line}"],
            cwd=folder,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == _expected(line), f"{line}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr


def test_the_tile_of_the_readme_cuts_a_trailer() -> None:
    block = next(
        one for one in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "class Trailer" in one
    )
    names: dict[str, Any] = {}
    exec(block, names)
    trailer: type[NodeType] = names["Trailer"]
    catalogue = Catalogue([*Catalogue.installed(), trailer])
    document = chain("in:Video Input", "t:Trailer", "out:Destination")
    record = simulate(document, {"video_ids": ["x"]}, facts=FACTS, catalogue=catalogue)
    assert [output.duration_ms for output in record.outputs] == [3000]
