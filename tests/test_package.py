"""The package installs whole, as `tessera` alone, beside a project with its own `engine` and `nodes`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {"engine": "tessera", "nodes": "tessera/nodes"}

USERS_PROJECT = {
    "engine/__init__.py": "NAME = 'the engine of a car'\n",
    "nodes/__init__.py": "NAME = 'the nodes of a cluster'\n",
    "tests/test_own.py": (
        "import engine, nodes\n\n\n"
        "def test_own_packages():\n"
        "    assert (engine.NAME, nodes.NAME) == ('the engine of a car', 'the nodes of a cluster')\n"
    ),
    "tests/test_rewrite.py": (
        "import tessera.nodes\n"
        "from tessera.testing import assert_plan\n\n\n"
        "def test_bypassing_captions(agent):\n"
        "    a = agent('input > captions > mirror')\n"
        "    assert_plan(a, ignore=['captions']).edges('input > mirror via captions')\n"
        "    assert len(tessera.nodes.tiles) > 20\n"
    ),
    "pyproject.toml": "[tool.pytest.ini_options]\npythonpath = ['.']\n",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the sources, so that the checkout stays as it is."""
    copy = tmp_path_factory.mktemp("sources")
    for name in ("engine", "nodes"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    build = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=copy, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return copy / "dist" / done.stdout.split()[-1]


def test_the_wheel_holds_every_module_and_no_other_package(wheel: Path) -> None:
    built = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    sources = {
        f"{package}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, package in FOLDERS.items()
        for path in (ROOT / folder).rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    assert built == sources


def test_pyproject_lists_every_folder_of_modules() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    folders = {
        ".".join((package.replace("/", "."), *path.parent.relative_to(ROOT / folder).parts))
        for folder, package in FOLDERS.items()
        for path in (ROOT / folder).rglob("__init__.py")
    }
    assert sorted(listed) == sorted(folders)


def test_a_project_with_an_engine_of_its_own_tests_with_the_plug_in(wheel: Path, tmp_path: Path) -> None:
    python = _environment_with(wheel, tmp_path / "env")
    _write(tmp_path / "project", USERS_PROJECT)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PY")}
    where = subprocess.run(
        [python, "-c", "import tessera; print(tessera.__file__)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=environment,
    ).stdout
    assert str(tmp_path / "env") in where
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path / "project",
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def _environment_with(wheel: Path, folder: Path) -> Path:
    """Make a virtual environment that holds the wheel, and this environment's packages behind it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    install = ["-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-compile", "--target", str(site)]
    subprocess.run([sys.executable, *install, str(wheel)], check=True, capture_output=True)
    behind = [path for path in sys.path if path.endswith("site-packages")]
    (site / "behind.pth").write_text("\n".join(behind) + "\n", "utf-8")
    return python


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
