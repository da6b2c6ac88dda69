"""Every table fits the width of the display, and no name, type or id is broken within a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from tessera.cli import main
from tests.support.media import FIXTURES, MEDIA

AGENT = str(FIXTURES / "agents" / "social.json")
RENDERED = str(FIXTURES / "agents" / "single.json")
SIZE = "Watermark.logo_size=50"
TALK = ["--input", str(MEDIA / "talk.mp4")]
LINES = {
    "plan": ["plan", AGENT, *TALK, "--ignore", "Reframe", "--set", SIZE],
    "simulate": ["simulate", AGENT, *TALK],
    "estimate": ["estimate", AGENT, *TALK],
    "tile": ["explain", AGENT, *TALK, "--node", "Watermark"],
    "parameter": [
        "explain",
        AGENT,
        *TALK,
        "--node",
        "Watermark.logo_size",
        "--set",
        "Watermark.logo_size=50",
    ],
    "edge": ["explain", AGENT, *TALK, "--edge", "Clips:Captions", "--ignore", "Reframe"],
    "output": ["explain", AGENT, *TALK, "--output", "1"],
    "what-if": ["diff", AGENT, *TALK, "--ignore", "Reframe"],
    "nodes": ["nodes"],
    "type": ["nodes", "Watermark"],
    "doctor": ["doctor"],
}
WORDS = ("Video Input", "Watermark", "a330b43d", "completed", "360×640", "top-left", "logo_position")


def shown(line: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    main(line)
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_output_fits_the_width_of_the_display(
    line: list[str],
    width: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    whole = shown(line, capsys)
    monkeypatch.setenv("COLUMNS", str(width))
    fitted = shown(line, capsys)
    # A path or id longer than the line itself stays whole.
    assert [text for text in fitted.splitlines() if len(text) > width and " " in text.strip()] == []
    for word in WORDS:
        for part in word.split():
            assert (part in fitted) == (part in whole), part


@pytest.mark.parametrize("columns", ["", "wide", "-3", "0"])
def test_without_a_width_a_pipe_gets_whole_lines(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    rows = [row for row in shown(["nodes"], capsys).splitlines() if row.startswith("Audio Generation")]
    assert rows[0].endswith("Generates a voiceover or music from text and its connected inputs.")


def test_the_tables_of_a_run_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    clip = str(MEDIA / "silent.mp4")
    assert main(["run", RENDERED, "--input", clip, "--quality", "draft", "--out", "out"]) == 0
    for line in (["runs"], ["show", "latest"], ["store", "check"], ["preview", "--of", "latest", "Mirror"]):
        for text in shown(line, capsys).splitlines():
            assert len(text) <= 80, (line, text)


def test_the_summary_of_a_sweep_warns_of_what_failed_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    requests = tmp_path / "requests.jsonl"
    requests.write_text('{"video_ids": ["a"]}\n{"video_ids": 3}\n')
    facts = tmp_path / "facts.json"
    facts.write_text('{"*": {"duration_ms": 5000, "width": 640, "height": 360, "fps": "25"}}')
    main(
        ["simulate", RENDERED, "--sweep", str(requests), "--facts", str(facts), "--workspace", str(tmp_path)]
    )
    said = capsys.readouterr().err.splitlines()
    assert any(line.startswith("1 × completed: 1 output, 5.0 s") for line in said), said
    assert any(line.startswith("warning: 1 × refused:") for line in said), said
