"""A check that raises or hangs becomes a line, and so does a broken plug-in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tessera.doctor.examination import bounded
from tessera.doctor.finding import Finding

GOOD = Finding("thing", "ok", "there")


def test_a_check_that_raises_keeps_what_it_found() -> None:
    def check() -> Iterator[Finding]:
        yield GOOD
        raise ZeroDivisionError("by zero\nsecond line")

    first, second = bounded("thing", check, 10)
    assert first == GOOD
    assert (second.state, second.found) == ("problem", "the check fails: ZeroDivisionError: by zero")


def test_a_check_that_hangs_is_left_behind() -> None:
    end = threading.Event()

    def check() -> Iterator[Finding]:
        yield GOOD
        end.wait()

    first, second = bounded("thing", check, 0.2)
    end.set()
    assert first == GOOD
    assert second.found == "the check does not end within 0.2 s"


def doctor(folder: Path, *args: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TESSERA")}
    return subprocess.run(
        [sys.executable, "-m", "tessera.cli", "doctor", *args],
        cwd=folder,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def plug_in(folder: Path, code: str, name: str = "broken") -> None:
    """Install a package with tiles, as pip leaves it in a folder."""
    about = folder / f"{name}_tiles-1.2.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-tiles\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text(f"[tessera.nodes]\n{name} = {name}_tiles:tiles\n")
    (folder / f"{name}_tiles.py").write_text(code)


TILE = """
from tessera.node import NodeType
print("hello from a plug-in")

class Soft(NodeType):
    type_id, name, category = "{type_id}", "{name}", "edit"

tiles = [Soft]
"""


def checks_by_subject(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    return {one["subject"]: one for one in json.loads(done.stdout)["checks"]}


def test_a_healthy_installation_ends_with_code_0_and_leaves_nothing(tmp_path: Path) -> None:
    done = doctor(tmp_path, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["healthy"], found["problems"]) == (True, 0)
    assert {"Tessera", "ffmpeg", "libraries", "tiles", "workspace", "database", "machine", "encodes"} <= set(
        checks_by_subject(done)
    )
    assert os.listdir(tmp_path) == []


def test_a_plug_in_that_works_is_listed(tmp_path: Path) -> None:
    plug_in(
        tmp_path / "site", TILE.format(type_id="69bc240d-63f7-44c7-80e8-6a3a812ac88c", name="Soft"), "soft"
    )
    done = doctor(tmp_path, "--json", PYTHONPATH=str(tmp_path / "site"))
    assert done.returncode == 0
    assert checks_by_subject(done)["plug-in soft"]["found"] == "Soft, from soft-tiles 1.2"
    assert done.stderr == "hello from a plug-in\n"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("other = []", "AttributeError: module 'broken_tiles' has no attribute 'tiles'"),
        ("tiles = 3", "TypeError: 'int' object is not iterable"),
        ("tiles = [int]", "is not a subclass of tessera.node.NodeType"),
        ("syntax error", "SyntaxError: invalid syntax"),
    ],
)
def test_a_plug_in_that_cannot_be_loaded_is_named_with_the_reason(
    code: str, reason: str, tmp_path: Path
) -> None:
    plug_in(tmp_path / "site", code)
    done = doctor(tmp_path, PYTHONPATH=str(tmp_path / "site"))
    assert done.returncode == 1
    assert "broken-tiles 1.2 cannot be loaded: " in done.stdout
    assert reason in done.stdout
    assert "pip uninstall broken-tiles" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert "machine" in done.stdout


def test_other_commands_name_a_broken_plug_in_and_point_here(tmp_path: Path) -> None:
    plug_in(tmp_path / "site", "import no_such_module")
    done = subprocess.run(
        [sys.executable, "-m", "tessera.cli", "nodes"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stderr == (
        "warning: plug-in broken (broken_tiles:tiles) of broken-tiles 1.2 is left out: ModuleNotFoundError: "
        "No module named 'no_such_module'; try `tessera doctor`\n"
    )


def test_two_plug_ins_with_one_id_are_a_problem(tmp_path: Path) -> None:
    for name in ("one", "two"):
        plug_in(
            tmp_path / "site", TILE.format(type_id="69bc240d-63f7-44c7-80e8-6a3a812ac88c", name=name), name
        )
    done = doctor(tmp_path, "--json", PYTHONPATH=str(tmp_path / "site"))
    assert done.returncode == 1
    assert checks_by_subject(done)["plug-in one"]["state"] == "ok"
    assert "takes '69bc240d-63f7-44c7-80e8-6a3a812ac88c'" in checks_by_subject(done)["plug-in two"]["found"]


def test_everything_broken_at_once_is_one_table(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "tessera.toml").write_text("encodes = [")
    done = doctor(
        tmp_path,
        TESSERA_FFMPEG=str(tmp_path / "file"),
        TESSERA_WORKSPACE="file",
        TESSERA_DATABASE_URL="mysql://me:hunter2@host/runs",
    )
    assert done.returncode == 1
    assert "4 problems" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
