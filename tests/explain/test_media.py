"""`tessera plan --explain-media` and `--media-graph`: the expression of each output and its commands."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tessera import run
from tessera.explain.expressions import text_of
from tessera.media.algebra.expression import load
from tests.media.test_bad_media import agent, tessera
from tests.media.test_optimise import LOGO, TALK, VOICE, seconds
from tests.support.media import MEDIA

TALK_MP4 = MEDIA / "talk.mp4"


def explanation(name: str, folder: Path, *options: str | Path) -> dict[str, Any]:
    done = tessera("plan", agent(name), "--explain-media", "--json", *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def text(**roots: Any) -> list[str]:
    return text_of(roots, lambda asset: f"{asset}.mp4")


def test_an_expression_reads_as_a_chain_of_operations() -> None:
    picture = TALK.keep(seconds((1, 4))).crop(656, 0, 608, 1080).flip(horizontal=True)
    picture = picture.overlay(LOGO.scale(20, 10), 5, 6)
    assert text(picture=picture) == [
        "picture = talk.mp4",
        "    .keep(1–4 s)",
        "    .crop(608×1080 at 656, 0)",
        "    .flip(left to right)",
        "    .overlay(logo.mp4.scale(20×10) at 5, 6)",
    ]
    assert text(sound=VOICE.denoise()) == ["sound = talk.mp4.denoise()"]


def test_an_expression_used_twice_is_written_once_and_named() -> None:
    tall = TALK.crop(656, 0, 608, 1080).scale(1080, 1920)
    assert text(picture=tall.blur(20).overlay(tall.scale(540, 960), 0, 0)) == [
        "a = talk.mp4.crop(608×1080 at 656, 0).scale(1080×1920)",
        "picture = a.blur(radius 20).overlay(a.scale(540×960) at 0, 0)",
    ]


def test_many_parts_and_ranges_are_counted_instead_of_listed() -> None:
    cuts = seconds(*((second, second + 3) for second in range(0, 700, 7)))
    parts = [TALK.keep([cut]) for cut in cuts]
    assert text(picture=TALK.keep(cuts)) == ["picture = talk.mp4.keep(100 ranges of 0–696 s, 300 s in all)"]
    (line,) = (one for one in text(picture=parts[0].then(*parts[1:])) if "join" in one)
    assert line.endswith("and 94 more)")


def test_a_chain_of_ten_thousand_operations_is_written() -> None:
    picture = TALK
    for number in range(10_000):
        picture = picture.flip(horizontal=True) if number % 2 else picture.blur(3)
    assert len(text(picture=picture)) == 10_001


def test_the_explanation_lists_expressions_rules_and_commands(tmp_path: Path) -> None:
    line = ["--input", TALK_MP4, "--clip", "2:20", "--explain-media"]
    done = tessera("plan", agent("social"), *line, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for words in ("\n  before\n", "\n  after\n", "\n  rules\n", "merge cuts", "picture = talk.mp4"):
        assert words in done.stdout
    assert "-filter_complex" in done.stdout
    assert not (tmp_path / ".tessera").exists()


def test_the_commands_are_those_that_a_run_executes(tmp_path: Path) -> None:
    planned = explanation("single", tmp_path, "--input", TALK_MP4)
    record = run(agent("single"), inputs=[TALK_MP4], workspace=tmp_path / "ws").to_dict()
    shown = [command for one in planned["outputs"] for command in one["commands"]]
    executed = [command for one in record["outputs"] for command in one["commands"]]
    assert [stable_words(command) for command in shown] == [stable_words(command) for command in executed]


def stable_words(command: list[str]) -> list[str]:
    """Return the words of a command without file paths and without the options that report progress."""
    begin = command.index("pipe:1") + 1 if "pipe:1" in command else 1
    return [word for word in command[begin:] if not word.startswith("file:/") and not word.endswith(".mp4")]


def test_the_expressions_are_in_the_json(tmp_path: Path) -> None:
    planned = explanation("pad", tmp_path, "--input", MEDIA / "portrait.mp4")
    (output,) = planned["outputs"]
    before, after = (load(output[side]["picture"]) for side in ("before", "after"))
    assert (before.width, before.height, before.duration) == (after.width, after.height, after.duration)
    assert {"name", "law", "exactness", "count"} == set(output["rules"][0])
    assert planned["missing"] == []


def test_missing_media_has_a_placeholder_with_its_id(tmp_path: Path) -> None:
    facts = {"*": {"duration_ms": 60_000, "width": 1920, "height": 1080, "fps": 25, "speech": [[0, 50_000]]}}
    (tmp_path / "facts.json").write_text(json.dumps(facts))
    asset = "0f8fad5b-d9cb-469f-a165-70867728950e"
    request = json.dumps({"video_ids": [asset]})
    done = tessera(
        "plan", agent("single"), request, "--facts", "facts.json", "--explain-media", "--json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    planned = json.loads(done.stdout)
    assert planned["missing"] == [asset]
    assert f"file:/path/to/{asset}" in planned["outputs"][0]["commands"][0]


def test_a_command_can_be_pasted_into_a_shell(tmp_path: Path) -> None:
    line = ["--input", MEDIA / "portrait.mp4", "--explain-media"]
    done = tessera("plan", agent("pad"), *line, cwd=tmp_path)
    (command,) = (line.strip() for line in done.stdout.splitlines() if "-filter_complex" in line)
    subprocess.run(["sh", "-c", f"{command} -v error"], check=True, cwd=tmp_path, stdin=subprocess.DEVNULL)
    assert list(tmp_path.glob("*.mp4"))


def test_a_loudness_is_measured_before_it_is_used(tmp_path: Path) -> None:
    planned = explanation("enhance", tmp_path, "--input", TALK_MP4)
    (output,) = planned["outputs"]
    *measures, render = output["commands"]
    assert output["measures"]
    assert output["ways"] == {"picture": "copied", "sound": "encoded"}
    assert measures
    assert all(any("ebur128" in word for word in measure) for measure in measures)
    assert any("volume=" in word for word in render)


def test_the_graph_draws_both_expressions(tmp_path: Path) -> None:
    done = tessera(
        "plan", agent("pad"), "--input", MEDIA / "portrait.mp4", "--media-graph", "media.svg", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    root = ElementTree.parse(tmp_path / "media.svg").getroot()
    words = [element.text or "" for element in root.iter() if element.tag.endswith("text")]
    assert any(word.startswith("as the tiles define it") for word in words)
    assert any(word.startswith("as it is rendered") for word in words)
    assert words.count("overlay") == 2
    assert words.count("picture") >= 2


@pytest.mark.parametrize("option", [["--assume"], ["--facts", "facts.json"]])
def test_options_of_a_simulation_need_explain_media(option: list[str], tmp_path: Path) -> None:
    done = tessera("plan", agent("single"), "--input", TALK_MP4, *option, cwd=tmp_path)
    assert done.returncode == 2
    assert "--explain-media" in done.stderr
