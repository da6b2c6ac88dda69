"""What an option of the command line did is blamed on the option, not on a place in the request."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tessera.cli import main
from tessera.explain.option_places import OptionPlaces, OptionValue
from tessera.testing import agent, node_id
from tests.support.media import MEDIA

TALK = str(MEDIA / "talk.mp4")
AGENT = agent("input > clips > mirror").to_json()
CLIPS = node_id("clips")


def test_a_pointer_belongs_to_the_option_that_filled_it() -> None:
    given = {"update_params": {"a": {"kept": 1, "lost/~": 2}}, "video_ids": ["v"]}
    places = OptionPlaces(
        given,
        {
            "/update_params/a/lost~1~0": [OptionValue("--set a.1", 1), OptionValue("--set a.2", 2)],
            "/update_params/b/new": [OptionValue("--set b.3", 3)],
        },
        inputs=True,
    )
    assert {
        loc: places.option_at(loc)
        for loc in (
            "/update_params/a/kept",
            "/update_params/a",
            "/update_params/a/lost~1~0",
            "/update_params/a/lost~1~0/deeper",
            "/update_params/b",
            "/update_params/c",
            "/video_ids/0",
            "/video_id_inputs/0",
        )
    } == {
        "/update_params/a/kept": None,
        "/update_params/a": None,
        "/update_params/a/lost~1~0": "--set a.2",
        "/update_params/a/lost~1~0/deeper": "--set a.2",
        "/update_params/b": "--set b.3",
        "/update_params/c": None,
        "/video_ids/0": None,
        "/video_id_inputs/0": "--input",
    }


@pytest.mark.parametrize(
    ("args", "start"),
    [
        (("--set", "Clips.num_clips=2", "--set", "Clips.num_clips=99"), "--set Clips.num_clips=99: Clips "),
        (("--set", "Video Input.x=1"), "--set Video Input.x=1: Video Input "),
        (("--clip", "900:"), "--input: Video Input "),
    ],
)
def test_a_fault_of_an_option_names_the_option(
    args: tuple[str, ...],
    start: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", AGENT, "--input", TALK, *args]) == 2
    assert capsys.readouterr().err.startswith(f"error: {start}")
    assert main(["simulate", AGENT, "--input", TALK, *args, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["errors"][0]["loc"] == ""


def test_a_fault_of_the_request_keeps_its_place_beside_options(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    request = json.dumps({"video_ids": ["v"], "update_params": {CLIPS: {"num_clips": 99}}})
    assert main(["plan", AGENT, request, "--set", "Clips.target_duration=5"]) == 2
    assert f"request /update_params/{CLIPS}/num_clips: Clips" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["plan", "simulate"])
def test_a_warning_about_an_option_names_the_option(
    command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ("--set", "Mirror.unheard=1", "--set", "Clips.num_clips=20", "--set", "Clips.target_duration=6")
    assert main([command, AGENT, "--input", TALK, *options]) == 0
    out = capsys.readouterr().out
    assert "request: --set Mirror.unheard=1: Mirror " in out
    assert ("request: --set Clips.num_clips=20: Clips " in out) == (command == "simulate")
    assert "/update_params" not in out
