"""`tessera doctor` knows the libraries, their age, and what each extra would add."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from datetime import date
from importlib.metadata import version

import pytest

from tessera.doctor.package_check import EXTRAS, check_extras, check_libraries, check_tessera, check_yt_dlp
from tessera.doctor.requirements import Requirement, release, requirements_of, unmet_reason
from tests.support.package import ROOT


def test_the_version_and_the_libraries_are_there() -> None:
    assert next(check_tessera()).found.startswith(f"{version('tessera-runtime')}, Python 3.")
    (libraries,) = check_libraries()
    assert libraries.state == "ok"
    assert f"pydantic {version('pydantic')}" in libraries.found


def test_every_extra_says_what_it_adds() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert sorted(EXTRAS) == sorted(extras)
    assert [one.subject for one in check_extras()] == [f"extra {name}" for name in sorted(extras)]
    assert all(one.found for one in check_extras())


def test_an_extra_needs_the_extras_of_its_requirements() -> None:
    names = [one.name for one in requirements_of("tessera-runtime", "youtube")]
    assert names[0] == "yt-dlp"
    assert "deno" in names


@pytest.mark.parametrize(
    ("requirement", "reason"),
    [
        (Requirement("pydantic", "2.8"), None),
        (Requirement("pydantic", ""), None),
        (Requirement("pydantic", "99.0"), "is older than 99.0"),
        (Requirement("no-such-package", ""), "no-such-package is not installed"),
    ],
)
def test_a_requirement_is_met_or_not(requirement: Requirement, reason: str | None) -> None:
    found = unmet_reason(requirement)
    assert found is None if reason is None else reason in (found or "")


def test_yt_dlp_grows_old() -> None:
    released = date(*release(version("yt-dlp"))[:3])
    (new,) = check_yt_dlp(released)
    (old,) = check_yt_dlp(date.fromordinal(released.toordinal() + 91))
    assert (new.state, old.state) == ("ok", "warning")
    assert "91 days old" in old.found
    assert old.advice == "pip install --upgrade yt-dlp"


def test_a_library_that_does_not_load_is_a_problem(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("broken")
    (folder / "resvg_py.py").write_text("raise ImportError('wrong ELF class')\n")
    code = "from tessera.doctor.package_check import check_libraries as c; print(list(c()))"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "resvg-py does not load: ImportError: wrong ELF class" in done.stdout
