"""No text of a document, a file or a server sends commands to a terminal or turns the writing direction."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tessera import RequestError, load_agent
from tessera.cli import main
from tessera.errors import TileError
from tessera.testing import agent
from tests.support.media import MEDIA

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202etxt.exe\u2066"
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return an agent, a broken one, a request and a clip that all hold control characters."""
    monkeypatch.chdir(tmp_path)
    document: dict[str, Any] = json.loads(
        agent(f"input > rough_cut(prompt={json.dumps(HOSTILE)}) > watermark > destination").to_json()
    )
    document["agent"] = {**document.get("agent", {}), "name": f"Agent {HOSTILE}"}
    (tmp_path / "agent.json").write_text(json.dumps(document))
    document["agent_nodes"][1]["node_type"] = {"node_type_id": "", "node_type_name": HOSTILE}
    document["agent_nodes"][1].setdefault("params_used", {})[HOSTILE] = HOSTILE
    (tmp_path / "broken.json").write_text(json.dumps(document))
    (tmp_path / "request.json").write_text(json.dumps({HOSTILE: 1, "video_ids": [HOSTILE]}))
    clip = tmp_path / f"clip{HOSTILE.replace('/', '')}.mp4"
    clip.write_bytes((MEDIA / "silent.mp4").read_bytes())
    return {"CLIP": str(clip), "TEXT": HOSTILE}


@pytest.mark.parametrize(
    "line",
    [
        ["plan", "agent.json", "--input", "CLIP"],
        ["plan", "agent.json", "--input", "CLIP", "--json"],
        ["plan", "broken.json"],
        ["plan", "agent.json", "request.json"],
        ["validate", "broken.json", "request.json", "--json"],
        ["validate", "agent.json", "request.json"],
        ["simulate", "agent.json", "--input", "CLIP"],
        ["simulate", "agent.json", "--input", "CLIP", "--json"],
        ["run", "agent.json", "--input", "CLIP"],
        ["run", "agent.json", "--input", "CLIP", "--ignore", "Rough Cut", "--quality", "draft"],
        ["explain", "agent.json", "--input", "CLIP", "--node", "Rough Cut"],
        ["explain", "agent.json", "--input", "CLIP", "--node", "Rough Cut.prompt"],
        ["explain", "agent.json", "--input", "CLIP", "--output", "1"],
        ["explain", "agent.json", "--node", "TEXT"],
        ["graph", "agent.json"],
        ["graph", "agent.json", "--format", "mermaid"],
        ["diff", "agent.json", "broken.json"],
        ["upload", "CLIP"],
        ["upload", "TEXT"],
        ["show", "TEXT"],
        ["nodes", "TEXT"],
        ["plan", "agent.json", "--set", "TEXT=1"],
    ],
    ids=" ".join,
)
def test_no_command_prints_control_characters(
    line: list[str], hostile: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    main([hostile.get(word, word.replace("TEXT", HOSTILE)) for word in line])
    shown = capsys.readouterr()
    said = shown.out + shown.err
    assert said
    assert not CONTROL.search(said), CONTROL.findall(said)


def test_json_keeps_the_characters_as_escapes(
    hostile: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "agent.json", "--input", hostile["CLIP"], "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    (prompt,) = [tile["parameters"]["prompt"] for tile in plan["tiles"] if "prompt" in tile["parameters"]]
    assert prompt in (HOSTILE, {"value": HOSTILE, "origin": "template"})


def test_exceptions_have_none_either() -> None:
    with pytest.raises(RequestError) as raised:
        load_agent({"agent_nodes": HOSTILE, HOSTILE: 1})
    assert not CONTROL.search(str(raised.value))
    assert not CONTROL.search(str(TileError(HOSTILE)))
