"""A newcomer makes each project and pastes the printed lines."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.package import ROOT, build_wheel, environment_with

TALK = ROOT / "fixtures/media/talk.mp4"
OFFLINE = "--no-deps --no-build-isolation --no-index"
"""pip installs with what is there: the tests must not need a network."""


def programs(folder: Path, python: Path) -> str:
    """Return a PATH on which `tessera`, `pytest`, `mypy` and `pip` are those of a Python."""
    folder.mkdir()
    commands = {
        "tessera": '-m tessera.cli "$@"',
        "pytest": '-m pytest -p no:cacheprovider "$@"',
        "mypy": '-m mypy --cache-dir=/dev/null "$@"',
        "pip": f'-m pip "$@" {OFFLINE}',
    }
    for name, arguments in commands.items():
        (folder / name).write_text(f"#!/bin/sh\nexec {python} {arguments}\n")
        (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def pasted(script: str, folder: Path, path: str) -> str:
    """Run lines in a shell, which stops at the first error, and return what they print."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PY", "TESSERA"))
    }
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=folder,
        env={**environment, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def printed_lines(said: str) -> list[str]:
    return [line.strip() for line in said.splitlines() if line.startswith("  ")]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return programs(tmp_path / "bin", Path(sys.executable))


def test_the_lines_of_a_new_agent_run_and_render_a_talk(tmp_path: Path, path: str) -> None:
    lines = printed_lines(pasted("tessera new agent", tmp_path, path))
    assert [line.split()[:2] for line in lines] == [
        ["cd", "my-agent"],
        ["tessera", "validate"],
        ["tessera", "plan"],
        ["tessera", "simulate"],
        ["tessera", "run"],
    ]
    without_media = pasted("\n".join(lines[:-1]), tmp_path, path)
    assert "1 parameter overridden" in without_media
    assert "num_clips: 2 → 3" in without_media
    assert "delivered 3 outputs" in without_media
    assert not (tmp_path / "my-agent/.tessera").exists()
    pasted("\n".join([lines[0], lines[-1].replace("VIDEO.mp4", str(TALK))]), tmp_path, path)
    written = sorted(one.name for one in (tmp_path / "my-agent/out").glob("*.mp4"))
    assert written == ["watermark-1.mp4", "watermark-2.mp4"]


@pytest.mark.parametrize("video", ["silent.mp4", "odd.mp4"])
def test_a_new_agent_runs_on_a_short_video_without_speech(video: str, tmp_path: Path, path: str) -> None:
    lines = printed_lines(pasted("tessera new agent", tmp_path, path))
    shutil.copy(ROOT / "fixtures/media" / video, tmp_path / "my-agent/VIDEO.mp4")
    pasted("\n".join([lines[0], lines[-1]]), tmp_path, path)
    assert list((tmp_path / "my-agent/out").glob("*.mp4"))


def test_the_lines_of_new_rewrite_tests_pass(tmp_path: Path, path: str) -> None:
    lines = printed_lines(pasted("tessera new test", tmp_path, path))
    assert "3 passed" in pasted("\n".join(lines), tmp_path, path)


def test_new_rewrite_tests_fail_once_the_agent_differs(tmp_path: Path, path: str) -> None:
    pasted("tessera new test", tmp_path, path)
    agent = tmp_path / "tests/agent.json"
    agent.write_text(agent.read_text().replace('"num_clips": 2', '"num_clips": 4'))
    said = pasted("pytest tests || true", tmp_path, path)
    assert "1 failed, 2 passed" in said


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("sources"))


def test_the_lines_of_a_new_tile_install_test_and_list_it(wheel: Path, tmp_path: Path) -> None:
    path = programs(tmp_path / "bin", environment_with(wheel, tmp_path / "env"))
    lines = printed_lines(pasted("tessera new tile soft-zoom", tmp_path, path))
    said = pasted("\n".join(lines), tmp_path, path)
    assert "3 passed" in said
    assert "Shows the centre of a video, enlarged to the whole frame." in said
    assert "size of the picture in percent" in said.lower()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["video", "Camera.Shake-2", "item_tile"])
def test_a_new_tile_of_any_name_is_typed_and_formatted(wheel: Path, name: str, tmp_path: Path) -> None:
    path = programs(tmp_path / "bin", environment_with(wheel, tmp_path / "env"))
    lines = printed_lines(pasted(f"tessera new tile {name}", tmp_path, path))
    said = pasted("\n".join([*lines, "mypy"]), tmp_path, path)
    assert "3 passed" in said
    assert "Success: no issues found" in said
    ruff = f"{sys.executable} -m ruff"
    rules = "--no-cache --isolated --line-length 110"
    pasted(
        f"{ruff} check {rules} --select E,F,I,B,UP . && {ruff} format {rules} --check .",
        tmp_path / name,
        path,
    )
