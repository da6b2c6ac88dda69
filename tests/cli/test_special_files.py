"""Named pipes, devices, sockets and folders are refused wherever a file is read, at once and by name."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tessera.cli import main
from tests.support.media import FIXTURES, MEDIA

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="these files exist on POSIX only")

AGENT = str(FIXTURES / "agents" / "single.json")
CLIP = str(MEDIA / "silent.mp4")

LINES = {
    "agent": ["plan", "FILE"],
    "agent-validate": ["validate", "FILE"],
    "agent-graph": ["graph", "FILE"],
    "agent-explain": ["explain", "FILE", "--node", "mirror"],
    "agent-diff": ["diff", AGENT, "FILE"],
    "request": ["plan", AGENT, "FILE"],
    "input": ["simulate", AGENT, "--input", "FILE"],
    "input-run": ["run", AGENT, "--input", "FILE"],
    "facts": ["simulate", AGENT, "--facts", "FILE"],
    "costs": ["simulate", AGENT, "--input", CLIP, "--costs", "FILE"],
    "prices": ["estimate", AGENT, "--input", CLIP, "--prices", "FILE"],
    "sweep": ["simulate", AGENT, "--sweep", "FILE"],
    "upload": ["upload", "FILE"],
    "replay": ["replay", "FILE"],
    "avatar": ["avatar", "create", "Ada", "--image", "FILE"],
}


@pytest.fixture
def special(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Return a file of each kind, by kind."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
        yield {
            "named pipe": str(tmp_path / "pipe"),
            "device": "/dev/zero",
            "socket": str(tmp_path / "socket"),
            "folder": str(tmp_path / "folder"),
        }


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_no_command_reads_what_is_no_file(
    line: list[str],
    special: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TESSERA_WORKSPACE", str(tmp_path / "ws"))
    for kind, path in special.items():
        assert main([path if word == "FILE" else word for word in line]) == 2, kind
        said = capsys.readouterr().err
        assert kind in said
        assert "internal error" not in said


def test_settings_are_not_read_from_a_device(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TESSERA_CONFIG", "/dev/zero")
    assert main(["plan", AGENT]) == 2
    assert "is a device" in capsys.readouterr().err


def test_a_pipe_with_a_writer_is_read_however_late_it_writes(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = f"'{sys.executable}' -m tessera.cli validate '{pipe}'"
    line = f"(sleep 3; cat '{AGENT}') > '{pipe}' & exec {reader}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_document_has_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tessera.input_files.MAX_DOCUMENT_BYTES", 1_000)
    (tmp_path / "large.json").write_text("[" + " " * 2_000 + "]")
    assert main(["plan", str(tmp_path / "large.json")]) == 2
    assert "more than 1,000 bytes" in capsys.readouterr().err
