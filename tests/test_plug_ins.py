"""A broken package of tiles is named and left out; it stops no command and no agent that does not need it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tessera.node import Catalogue
from tessera.testing import agent
from tests.support.media import MEDIA

TALK = str(MEDIA / "talk.mp4")
MIRROR = agent("input > mirror").to_json()
MIRROR_ID = Catalogue.installed().find("mirror").type_id  # type: ignore[union-attr]
FRESH = "69bc240d-63f7-44c7-80e8-6a3a812ac88c"
FACTS = json.dumps({"*": {"duration_ms": 9000, "width": 640, "height": 360, "fps": "30"}})

TILE = """
from tessera.node import *
from typing import ClassVar
from pydantic import Field

class Sepia(NodeType):
    type_id, name, category = "{type_id}", "{name}", "edit"
    {member}

    def run(self, ctx, inputs, params):
        for item in inputs:
            yield Made(item.value, (item,), "unchanged")

{before}
tiles = {tiles}
"""


def tile(
    *, type_id: str = FRESH, name: str = "Sepia", member: str = "", before: str = "", tiles: str = "[Sepia]"
) -> str:
    return TILE.format(type_id=type_id, name=name, member=member, before=before, tiles=tiles)


BROKEN = {
    "raises": (tile(before="raise RuntimeError('no licence\\nfound')"), "RuntimeError: no licence found"),
    "raises an error without a text": (
        tile(before="class E(Exception):\n  def __str__(s): return 1\nraise E"), "E"
    ),
    "exits": (tile(before="import sys; sys.exit(0)"), "SystemExit: 0"),
    "raises a base exception": (
        tile(before="class Stop(BaseException): pass\nraise Stop('now')"), "Stop: now"
    ),
    "raises a kind of interrupt": (tile(before="class Stop(KeyboardInterrupt): pass\nraise Stop"), "Stop"),
    "recurses": (tile(before="def f(): f()\nf()"), "RecursionError: maximum recursion depth exceeded"),
    "syntax error": (tile(before="def"), "SyntaxError: invalid syntax"),
    "null bytes": (tile() + "\0", "SyntaxError: source code string cannot contain null bytes"),
    "lacks the object": (tile().replace("tiles =", "other ="), "AttributeError"),
    "no iterable": (tile(tiles="3"), "TypeError: 'int' object is not iterable"),
    "an endless iterable": (
        tile(before="from itertools import repeat", tiles="repeat(Sepia)"), "more than 10,000"
    ),
    "fails midway": (tile(tiles="(1 / n for n in (1, 0))"), "ZeroDivisionError"),
    "no tile": (tile(tiles="[Sepia, int]"), "is not a subclass of tessera.node.NodeType"),
    "an instance": (tile(tiles="[Sepia()]"), "is not a subclass of tessera.node.NodeType"),
    "no id": (tile(type_id="sepia"), "not an 8-4-4-4-12 hex id"),
    "a number as name": (tile(member="name = 3"), "must be texts"),
    "an unknown category": (tile(member="category = 'x'"), "category is 'x'"),
    "a text as kind": (tile(member="produces = 'film'"), "must be members of tessera.node.Kind"),
    "no kinds": (tile(member="accepts = 3"), "TypeError"),
    "parameters of another kind": (tile(member="Params = 3"), "Params is not a pydantic model"),
    "an unknown annotation": (
        tile(member="class Params(Params):\n        how: 'Nowhere' = 1"), "PydanticUndefinedAnnotation"
    ),
    "a default that raises": (
        tile(member="class Params(Params):\n        how: int = Field(default_factory=lambda: 1 / 0)"),
        "ZeroDivisionError",
    ),
    "takes an id": (tile(type_id=MIRROR_ID.upper()), "which is the tile Mirror"),
    "takes a name": (tile(name="mIr ror"), "which is the tile Mirror"),
    "takes an alias": (tile(member="aliases = ('Mirror',)"), "which is the tile Mirror"),
}  # fmt: skip


def install(folder: Path, code: str, name: str = "odd", entry: str | None = None) -> None:
    """Install a package with tiles, as pip leaves it in a folder."""
    about = folder / f"{name}_tiles-1.2.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-tiles\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text(f"[tessera.nodes]\n{entry or name} = {name}_tiles:tiles\n")
    (folder / f"{name}_tiles.py").write_text(code)


def tessera(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tessera.cli", *args],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "TESSERA_WORKSPACE": "ws"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """A simulation beside one plug-in of each broken kind."""
    folder = tmp_path_factory.mktemp("plug_ins")
    for number, (code, _reason) in enumerate(BROKEN.values()):
        install(folder, code, f"odd{number}")
    return tessera(folder, "simulate", MIRROR, "--facts", FACTS, "--input", TALK, "--json")


def test_broken_plug_ins_stop_no_command(simulated: subprocess.CompletedProcess[str]) -> None:
    assert simulated.returncode == 0
    assert json.loads(simulated.stdout)["status"] == "completed"
    assert "Traceback" not in simulated.stderr


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plug_in_is_named_with_its_package_and_left_out(
    kind: str, simulated: subprocess.CompletedProcess[str]
) -> None:
    name = f"odd{[*BROKEN].index(kind)}"
    said = f"warning: plug-in {name} ({name}_tiles:tiles) of {name}-tiles 1.2 is left out: "
    [line] = [line for line in simulated.stderr.splitlines() if line.startswith(said)]
    assert BROKEN[kind][1] in line


def test_an_agent_that_needs_a_tile_of_a_broken_plug_in_says_so(tmp_path: Path) -> None:
    needs = agent("input > sepia:Sepia", unknown_tiles="opaque").to_json()
    for kind in ("raises", "syntax error", "no kinds", "takes an alias"):
        folder = tmp_path / kind
        install(folder, BROKEN[kind][0])
        done = tessera(folder, "validate", needs, "--json")
        assert done.returncode == 2
        [fault] = json.loads(done.stdout)["errors"]
        said = "'Sepia'; it is given by plug-in odd (odd_tiles:tiles) of odd-tiles 1.2, which failed: "
        assert said in fault["message"]
        assert BROKEN[kind][1] in fault["message"]
    other = agent("input > nobody:Nobody", unknown_tiles="opaque").to_json()
    assert "plug-in" not in tessera(tmp_path / "raises", "validate", other, "--json").stdout


def test_a_plug_in_that_prints_leaves_standard_output_to_the_command(tmp_path: Path) -> None:
    install(tmp_path, tile(before="print('hello')"))
    done = tessera(tmp_path, "nodes", "Sepia", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["node_types"][0]["node_type_name"] == "Sepia"
    assert done.stderr == "hello\n"


def test_one_broken_plug_in_leaves_the_others_and_our_own(tmp_path: Path) -> None:
    install(tmp_path, BROKEN["exits"][0], "first", entry="tessera")
    install(tmp_path, tile(), "second")
    install(tmp_path, tile(), "third")
    done = tessera(tmp_path, "nodes", "--json")
    assert done.returncode == 0
    assert {"Sepia", "Mirror"} <= {one["node_type_name"] for one in json.loads(done.stdout)["node_types"]}
    assert "plug-in tessera (first_tiles:tiles) of first-tiles 1.2 is left out: SystemExit: 0" in done.stderr
    assert f"of third-tiles 1.2 is left out: ValueError: Sepia takes '{FRESH}'" in done.stderr
    checks = {
        one["subject"]: one for one in json.loads(tessera(tmp_path, "doctor", "--json").stdout)["checks"]
    }
    assert checks["plug-in second"]["state"] == "ok"
    assert {checks[f"plug-in {name}"]["state"] for name in ("tessera", "third")} == {"problem"}


def test_the_warning_comes_once_whatever_the_number_of_processes(tmp_path: Path) -> None:
    install(tmp_path, BROKEN["raises"][0])
    (tmp_path / "requests.jsonl").write_text("{}\n" * 4)
    generation = agent("image-generation").to_json()
    done = tessera(tmp_path, "simulate", generation, "--sweep", "requests.jsonl", "--workers", "2")
    assert done.stderr.count("plug-in odd") == 1


def test_python_gets_a_warning_that_it_can_catch(tmp_path: Path) -> None:
    install(tmp_path, BROKEN["raises"][0])
    code = """
import warnings
from tessera.node import Catalogue
from tessera.plug_ins import PlugInWarning
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    found = Catalogue.installed()
print([one.category is PlugInWarning for one in caught], found.failures[0].package)
"""
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[True] odd-tiles 1.2\n"
