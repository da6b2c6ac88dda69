"""The package installs whole, as `tessera` alone, beside a project with its own `engine` and `nodes`."""

from __future__ import annotations

import os
import subprocess
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.package import ROOT, build_wheel, environment_with

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
    return build_wheel(tmp_path_factory.mktemp("sources"))


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
    python = environment_with(wheel, tmp_path / "env")
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


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
