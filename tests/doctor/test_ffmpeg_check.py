"""`tessera doctor` says what is wrong with a broken ffmpeg, and is not stopped by it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tessera.doctor.ffmpeg_check import check_ffmpeg
from tessera.doctor.finding import Finding
from tessera.media.process.capabilities import REQUIRED_FILTERS
from tessera.media.process.process import ffmpeg_path
from tests.support.package import ROOT
from tests.support.processes import ends_within

Script = str


@pytest.fixture(autouse=True)
def _fresh_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("TESSERA_FFMPEG", raising=False)
    ffmpeg_path.cache_clear()
    yield
    ffmpeg_path.cache_clear()


def findings_with(
    program: str | Path, monkeypatch: pytest.MonkeyPatch, timeout_s: float = 30
) -> list[Finding]:
    monkeypatch.setenv("TESSERA_FFMPEG", str(program))
    ffmpeg_path.cache_clear()
    return list(check_ffmpeg(timeout_s))


def script(folder: Path, text: str) -> Path:
    path = folder / "ffmpeg"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def problem(findings: list[Finding]) -> Finding:
    (found,) = [one for one in findings if one.state == "problem"]
    assert "TESSERA_FFMPEG" in found.advice
    return found


def test_the_shipped_ffmpeg_is_complete_and_encodes() -> None:
    version, parts = check_ffmpeg(60)
    assert (version.state, parts.state) == ("ok", "ok")
    assert "from the package imageio-ffmpeg" in version.found


def test_another_ffmpeg_is_named_with_its_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    version, parts = findings_with(ffmpeg_path(), monkeypatch)
    assert "(from TESSERA_FFMPEG)" in version.found
    assert parts.state == "ok"


def test_a_missing_program(monkeypatch: pytest.MonkeyPatch) -> None:
    found = problem(findings_with("/nowhere/ffmpeg", monkeypatch))
    assert "'/nowhere/ffmpeg', which is not an executable program" in found.found


def test_a_file_that_is_not_executable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ffmpeg").write_text("text")
    assert "not an executable program" in problem(findings_with(tmp_path / "ffmpeg", monkeypatch)).found


def test_an_executable_file_of_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = script(tmp_path, "")
    path.write_bytes(b"\x7fELF\0\0\0\0")
    assert "cannot be started: Exec format error" in problem(findings_with(path, monkeypatch)).found


def test_a_program_that_hangs_with_a_child_that_holds_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = script(tmp_path, "sleep 1000 &\necho $! > child\nwait")
    monkeypatch.chdir(tmp_path)
    found = problem(findings_with(path, monkeypatch, timeout_s=1))
    assert "does not end within 1 s" in found.found
    child = int((tmp_path / "child").read_text())
    # The signal is sent before the finding is returned; the system ends the process a moment later.
    assert ends_within(child, timeout_s=60)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("echo hello world", "is not ffmpeg"),
        ("true", "is not ffmpeg"),
        ("printf '\\377\\376\\000\\001'", "is not ffmpeg"),
        ("yes", "prints more than 1 MiB"),
        ("echo libx.so: not found; exit 127", "exit code 127: libx.so: not found"),
        ("kill -11 $$", "exit code -11"),
    ],
)
def test_a_program_that_prints_rubbish(
    text: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert what in problem(findings_with(script(tmp_path, text), monkeypatch)).found


def test_an_ffmpeg_without_libx264_and_a_filter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = script(tmp_path, f'{ffmpeg_path()} "$@" | grep -v -e libx264 -e zscale')
    found = problem(findings_with(path, monkeypatch))
    assert (found.subject, found.found) == ("ffmpeg parts", "lacks encoder libx264, filter zscale")


def test_an_ffmpeg_that_lists_everything_and_cannot_encode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = script(
        tmp_path, f'case "$*" in *libx264*) echo no licence; exit 1;; esac\nexec {ffmpeg_path()} "$@"'
    )
    assert "fails with exit code 1: no licence" in problem(findings_with(path, monkeypatch)).found


def test_the_required_filters_are_those_that_the_compiler_names() -> None:
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "engine/media/ffmpeg").glob("*.py"))
    named = set(re.findall(r"(?:\.filter|filter_multi_output)\(\s*(?:parts, )?\"(\w+)\"", sources))
    named |= set(re.findall(r"\"(asplit|split)\"", sources)) | set(
        re.findall(r"\.(overlay|concat)\(", sources)
    )
    named |= set(re.findall(r"f\"(anullsrc)=", sources))
    assert sorted(named) == list(REQUIRED_FILTERS)
