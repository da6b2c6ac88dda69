"""`tessera new`: what it prints, and one clear error for each bad folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tessera.cli import main
from tests.support.rights import read_only_folder


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_json_lists_the_files_and_the_next_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "test", "checks of mine", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {
        "kind": "test",
        "folder": "checks of mine",
        "files": ["checks of mine/agent.json", "checks of mine/test_rewrites.py"],
        "next": ["cd 'checks of mine'", "pytest test_rewrites.py"],
    }
    assert all(Path(name).is_file() for name in said["files"])


def test_the_current_folder_needs_no_cd(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "agent", "."]) == 0
    said = capsys.readouterr().out
    assert "wrote agent.json" in said
    assert "cd " not in said


def test_an_existing_file_ends_with_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "tile"]) == 0
    assert main(["new", "tile"]) == 2
    assert "error: my-tile/pyproject.toml exists already, and 5 more" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("folder", "code", "what"),
    [
        ("taken", 2, "taken is not a folder"),
        ("taken/agent", 2, "taken is not a folder"),
        ("a\nb", 2, "characters that cannot be printed"),
        ("/proc/new-agent", 1, "cannot write /proc/new-agent"),
        ("x" * 300, 1, "File name too long"),
    ],
)
def test_a_bad_folder_is_one_clear_error(
    folder: str, code: int, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("taken").write_text("mine")
    assert main(["new", "agent", folder]) == code
    said = capsys.readouterr()
    assert what in said.err
    assert said.out == ""
    assert said.err.count("error:") == 1
    assert os.listdir() == ["taken"]


@pytest.mark.parametrize("name", [".", "new/agent"])
def test_a_folder_that_cannot_be_written_ends_with_code_1(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with read_only_folder() as folder:
        code = main(["new", "agent", str(folder / name)])
        left = os.listdir(folder)
    assert (code, left) == (1, [])
    said = capsys.readouterr().err
    assert said.startswith(f"error: cannot write {folder}")
    assert said.endswith("Permission denied\n")


@pytest.mark.parametrize("kind", ["agent", "tile", "test"])
def test_a_folder_whose_name_is_not_utf8_is_refused(kind: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tessera.cli", "new", kind, b"caf\xe9"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "is not UTF-8" in done.stderr
    assert os.listdir() == []


def test_an_unknown_kind_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "agents"]) == 2
    assert "'agents' is not one of 'agent', 'tile', 'test'" in capsys.readouterr().err
