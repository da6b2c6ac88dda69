"""Every block of every README runs when it is pasted into a clean clone, one after another."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
READMES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("README.md") if "build" not in path.parts)
CLONED = ("engine", "nodes", "tests", "fixtures", "pyproject.toml", "README.md")

SKIPPED = re.compile(
    r"pip install|^pytest( -n auto)?$|pytest -m slow|python -m tests\.benchmarks|python -m venv|mypy"
)
"""Lines that install, run the whole suite or take minutes: nobody wants them within a test."""

PUBLIC = re.compile(r"https?://(?!127\.0\.0\.1|localhost)|postgresql://|s3://|tcp://")
"""Lines that reach another machine."""

EXIT_CODE = re.compile(r"# .*\bexit code (\d)")
"""A comment behind a command that ends with another code than 0."""


def blocks(readme: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / readme).read_text("utf-8"), re.DOTALL)


def commands(readme: Path) -> list[str]:
    """The lines of the shell blocks; one that ends with a backslash goes on in the next."""
    text = "".join(blocks(readme, "sh")).replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [line for line in lines if not SKIPPED.search(line) and not PUBLIC.search(line)]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the checkout, and `tessera` and `python` of this environment on the path."""
    for name in CLONED:
        source, target = ROOT / name, tmp_path / "clone" / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "build"))
        else:
            shutil.copy(source, target)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, module in (("tessera", " -m tessera.cli"), ("pytest", " -m pytest"), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable}{module} "$@"\n')
        (programs / name).chmod(0o755)
    return tmp_path / "clone"


def environment(clone: Path) -> dict[str, str]:
    return {**os.environ, "PATH": f"{clone.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize("readme", [one for one in READMES if commands(one)], ids=str)
def test_every_command_of_a_readme_runs(readme: Path, clone: Path) -> None:
    lines = commands(readme)
    # A setting (`A=…`) holds for the lines after it, as in a shell.
    settings = ""
    for line in lines:
        if re.fullmatch(r"[A-Z]+=\S+", line):
            settings += f"{line}\n"
            continue
        done = subprocess.run(
            ["bash", "-c", f"{settings}{line}"],
            cwd=clone,
            env=environment(clone),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        expected = EXIT_CODE.search(line)
        code = int(expected[1]) if expected else 0
        assert done.returncode == code, f"{readme}: {line}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("readme", [one for one in READMES if blocks(one, "python")], ids=str)
def test_every_python_block_of_a_readme_runs(readme: Path, clone: Path) -> None:
    for number, block in enumerate(blocks(readme, "python")):
        is_test = "def test_" in block
        path = clone / f"{'test_' if is_test else ''}block_{number}.py"
        path.write_text(block, "utf-8")
        line = ["-m", "pytest", "-q", path.name] if is_test else [path.name]
        done = subprocess.run(
            [sys.executable, *line],
            cwd=clone,
            env=environment(clone),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{readme}, block {number}:\n{done.stdout}\n{done.stderr}"


def test_the_top_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150


@pytest.mark.parametrize("readme", READMES, ids=str)
def test_links_of_a_readme_lead_to_files(readme: Path) -> None:
    text = (ROOT / readme).read_text("utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if not link.startswith("http")]
    missing = [link for link in links if not (ROOT / readme).parent.joinpath(link).exists()]
    assert not missing


def test_the_example_of_a_tile_passes_mypy_strict(tmp_path: Path) -> None:
    (example,) = blocks(Path("nodes/README.md"), "python")
    (tmp_path / "trailer.py").write_text(example, "utf-8")
    line = [sys.executable, "-m", "mypy", "--strict", "--config-file", "pyproject.toml"]
    done = subprocess.run(
        [*line, str(tmp_path / "trailer.py")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
