"""The commands for what stands in for the world: facts, stubs, parts, sweeps, bundles, and shrinking."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.media.test_bad_media import agent, tessera
from tests.support.media import FIXTURES, MEDIA

FACTS = json.dumps({"*": {"duration_ms": 60_000, "width": 1920, "height": 1080, "fps": "25"}})
REQUEST = '{"video_ids": ["x"]}'


def test_facts_of_a_run_and_a_bundle_of_it_simulate_it_elsewhere(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    done = tessera(
        "run", agent("single"), "--input", MEDIA / "talk.mp4", "--facts-out", "f.json", "--json", cwd=here
    )
    made = json.loads(done.stdout)
    assert tessera("bundle", "latest", "-o", there / "run.zip", cwd=here).returncode == 0
    told = json.loads(tessera("replay", "run.zip", "--json", cwd=there).stdout)
    assert told["items"] == made["items"]
    request = json.dumps(made["request"])
    told = json.loads(
        tessera("simulate", agent("single"), request, "--facts", here / "f.json", "--json", cwd=there).stdout
    )
    assert told["items"] == made["items"]


def test_an_unanswered_question_exits_2_and_assume_answers_it(tmp_path: Path) -> None:
    done = tessera("simulate", agent("single"), REQUEST, "--facts", FACTS, cwd=tmp_path)
    assert done.returncode == 2
    assert '{"speech": [[start_ms, end_ms]' in done.stderr
    assert (
        tessera("simulate", agent("single"), REQUEST, "--facts", FACTS, "--assume", cwd=tmp_path).returncode
        == 0
    )


def test_a_stub_from_a_file_fails_a_tile_and_the_run_exits_1(tmp_path: Path) -> None:
    (tmp_path / "stub.json").write_text('{"fault": "error", "message": "no quota left"}')
    done = tessera(
        *("simulate", agent("single"), REQUEST, "--facts", FACTS, "--assume"),
        *("--stub", "Reframe=stub.json", "--json"),
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert json.loads(done.stdout)["errors"][0]["messages"] == ["no quota left"]
    assert tessera("simulate", agent("single"), REQUEST, "--stub", "Reframe", cwd=tmp_path).returncode == 2


def test_parts_are_simulated_by_themselves(tmp_path: Path) -> None:
    until = tessera(
        *("simulate", agent("single"), REQUEST, "--facts", FACTS, "--assume", "--until", "reframe", "--json"),
        cwd=tmp_path,
    )
    assert [node["node_type_name"] for node in json.loads(until.stdout)["nodes"]] == [
        "Video Input",
        "Clips",
        "Reframe",
    ]
    assert tessera("simulate", agent("single"), REQUEST, "--from", "reframe", cwd=tmp_path).returncode == 2


def test_a_sweep_gives_a_result_a_line_and_says_what_differs(tmp_path: Path) -> None:
    clips = json.loads(agent("single").read_text())["agent_nodes"][1]["agent_node_id"]
    lines = [
        json.dumps({"video_ids": ["x"], "update_params": {clips: {"num_clips": count}}})
        for count in (1, 2, 99)
    ]
    (tmp_path / "requests.jsonl").write_text("\n".join(lines) + "\n")
    done = tessera(
        *("simulate", agent("single"), "--sweep", "requests.jsonl", "--facts", FACTS, "--assume"),
        cwd=tmp_path,
    )
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [result["status"] for result in results] == ["completed", "completed", "refused"]
    assert done.returncode == 1
    assert "1 × completed: 2 outputs" in done.stderr


def test_shrink_leaves_what_still_shows_the_problem(tmp_path: Path) -> None:
    bad = FIXTURES / "agents" / "invalid" / "bad_params.json"
    done = tessera("shrink", bad, "--while", "! python -m tessera.cli validate {agent}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    small = json.loads((tmp_path / "shrunk" / "agent.json").read_text())
    assert len(small["agent_nodes"]) <= 1
    refused = tessera("shrink", agent("single"), "--while", "false", cwd=tmp_path)
    assert refused.returncode == 2
    assert "does not hold" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "hints"),
    [
        ((REQUEST, "--assume"), ("--facts FILE",)),
        (('{"video_urls": ["https://example.com/a.mp4"]}', "--assume"), ("--facts FILE",)),
        ((REQUEST, "--facts", '{"*": {"duration_ms": 1000}}'), ("--facts FILE",)),
        ((REQUEST, "--facts", FACTS), ("--facts FILE", "--assume")),
    ],
)
def test_a_missing_fact_names_the_option_and_no_python(
    arguments: tuple[str, ...], hints: tuple[str, ...], tmp_path: Path
) -> None:
    done = tessera("simulate", agent("single"), *arguments, cwd=tmp_path)
    assert done.returncode == 2
    hint = done.stderr.splitlines()[-1]
    assert hint.startswith("hint: ")
    assert len(hint) <= 90
    assert [word for word in ("--facts FILE", "--assume") if word in hint] == list(hints)
    assert "facts=" not in done.stderr


def test_assume_covers_speech_and_no_other_fact(tmp_path: Path) -> None:
    done = tessera("simulate", agent("single"), REQUEST, "--assume", cwd=tmp_path)
    assert "unknown video_id x" in done.stderr
    assert '"duration_ms"' in done.stderr
