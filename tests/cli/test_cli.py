"""The `tessera` command: its exit codes, what it prints, and that no error comes as a traceback."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tessera.cli import main
from tessera.cli.request_args import _value
from tessera.testing import agent, node_id
from tests.support.media import FIXTURES, MEDIA

AGENTS = FIXTURES / "agents"
TALK = str(MEDIA / "talk.mp4")
STREET = str(MEDIA / "street.mp4")
LOGO = str(MEDIA / "logo.png")
FACTS = json.dumps(
    {"*": {"duration_ms": 9000, "width": 640, "height": 360, "fps": "30000/1001", "speech": [[1000, 4000]]}}
)


MIRROR = agent("input > mirror(horizontal_flip=true)").to_json()
CLIPS = agent("input > clips(num_clips=2, target_duration=1) > reframe > destination").to_json()
CLIPS_ID = node_id("clips")
CAPTIONS = agent("input > captions").to_json()
UNKNOWN = agent("input > nobody:Nobody", unknown_tiles="opaque").to_json()


@dataclass(frozen=True)
class Said:
    """What a command line printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Tessera:
    """Runs command lines in this process, each in the test's own folder."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *args: str) -> Said:
        self.capsys.readouterr()
        code = main(args)
        out, err = self.capsys.readouterr()
        assert "Traceback" not in out + err
        return Said(code, out, err)


@pytest.fixture
def tessera(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tessera:
    monkeypatch.chdir(tmp_path)
    for name in ("TESSERA_WORKSPACE", "TESSERA_CONFIG", "TESSERA_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    return Tessera(capsys)


def process(*args: str, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tessera.cli", *args]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.Popen(command, **options)


# the whole way


def test_a_run_writes_files_and_tells_what_it_did(tessera: Tessera, tmp_path: Path) -> None:
    said = tessera("run", CLIPS, "--input", TALK, "--clip", "1:6", "--out", "out")
    assert said.code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"reframe-{number}.{suffix}" for number in (1, 2) for suffix in ("mp4", "jpg")
    }
    for told in (
        "completed",
        "Clips",
        "out/reframe-1.mp4",
        "out/reframe-2.jpg",
        "29.97",
        "1 s",
        "from 1 s to 6 s",
    ):
        assert told in said.out
    assert f"Clips {CLIPS_ID[:8]}: done in " in said.err
    assert "\x1b" not in said.out + said.err


def test_a_runs_json_is_its_record_and_nothing_else(tessera: Tessera) -> None:
    said = tessera("run", MIRROR, "--input", TALK, "--clip", ":1", "--json")
    assert (said.code, said.err) == (0, "")
    record = said.json
    assert record["status"] == "completed"
    assert record["node_status_counts"] == {"completed": 2, "in_progress": 0, "failed": 0}
    assert record["inputs"][0]["metered_ms"] == 1000
    (output,) = record["outputs"]
    assert Path(output["path"]).stat().st_size > 1000
    assert output["original_node_id"] == node_id("mirror")
    assert {"run_id", "agent_id", "started_at", "updated_at", "needs_credits", "triggered_by"} <= set(record)


def test_runs_and_show(tessera: Tessera) -> None:
    assert tessera("runs", "--json").json == {"runs": [], "next_cursor": None}
    assert tessera("runs").code == 0
    made = [
        tessera("run", MIRROR, "--input", TALK, "--clip", ":0.2", "--json").json["run_id"] for _ in range(2)
    ]
    first = tessera("runs", "--limit", "1", "--json").json
    assert [run["run_id"] for run in first["runs"]] == [made[1]]
    rest = tessera("runs", "--limit", "1", "--cursor", first["next_cursor"], "--json").json
    assert [run["run_id"] for run in rest["runs"]] == [made[0]]
    assert rest["next_cursor"] is None
    assert {"run_id", "agent_id", "status", "node_status_counts", "inputs", "outputs"} <= set(rest["runs"][0])
    assert made[0] in tessera("runs").out
    assert tessera("show", "latest", "--json").json["run_id"] == made[1]
    assert "items" not in tessera("show", made[0], "--json").json
    assert len(tessera("show", made[0], "--items", "--json").json["items"]) == 2
    assert "flipped" in tessera("show", made[0][:12], "--items").out
    assert tessera("show", "0000", "--json").code == 2
    assert tessera("runs", "--cursor", "x").code == 2
    assert tessera("runs", "--limit", "0").code == 2


def test_a_plan_is_written_and_run_later(tessera: Tessera, tmp_path: Path) -> None:
    planned = tessera("plan", CLIPS, "--input", TALK, "--clip", ":4", "--set", "Clips.num_clips=1", "--json")
    assert planned.code == 0
    Path("plan.json").write_text(planned.out)
    record = tessera("run", "--plan", "plan.json", "--json").json
    assert record["status"] == "completed"
    assert len(record["outputs"]) == 1
    assert record["changes"]["overridden"][0]["new"] == 1
    refused = tessera("run", MIRROR, "--plan", "plan.json")
    assert refused.code == 2
    assert tessera("run", "--plan", "nowhere.json").code == 2
    Path("no_plan.json").write_text(MIRROR)
    assert tessera("run", "--plan", "no_plan.json").code == 2


def test_a_plans_json_is_the_plans_own(tessera: Tessera) -> None:
    from tessera import plan

    request = json.dumps({"video_ids": ["v"], "update_params": {node_id("clips"): {"num_clips": 3}}})
    assert tessera("plan", CLIPS, request, "--json").out == plan(CLIPS, request).to_json()


def test_a_plan_tells_what_is_not_default(tessera: Tessera, tmp_path: Path) -> None:
    said = tessera(
        "plan", CLIPS, "--input", TALK, "--clip", "1.5:", "--set", "Clips.num_clips=3", "--ignore", "Reframe"
    )
    assert said.code == 0
    for told in (
        "num_clips = 3 (override)",
        "target_duration = 1 (template)",
        "num_clips: 2 → 3",
        "via Reframe",
        "1.5 s to the end",
    ):
        assert told in said.out
    assert not (tmp_path / ".tessera").exists()


def test_a_simulation_says_that_it_is_one(tessera: Tessera, tmp_path: Path) -> None:
    said = tessera("simulate", CLIPS, "--input", TALK)
    assert said.code == 0
    assert "SIMULATION" in said.out
    assert "Reframe" in said.out
    assert not (tmp_path / ".tessera").exists()


def test_a_simulation_of_facts(tessera: Tessera, tmp_path: Path) -> None:
    request = '{"video_urls": ["https://example.org/a.mp4"]}'
    Path("facts.json").write_text(FACTS)
    for facts in (FACTS, "facts.json"):
        record = tessera("simulate", CLIPS, request, "--facts", facts, "--json").json
        assert (record["mode"], len(record["outputs"])) == ("simulate", 2)
    unknown = tessera("simulate", CLIPS, request, "--json")
    assert unknown.code == 2
    assert unknown.json["errors"][0]["loc"] == "/video_urls/0"


def test_a_request_comes_from_a_file_from_text_and_from_stdin(
    tessera: Tessera, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = '{"video_ids": ["v"]}'
    Path("request.json").write_text(request)
    for given in (request, "request.json"):
        assert tessera("validate", MIRROR, given).code == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(request.encode())))
    assert "1 input" in tessera("validate", MIRROR, "-").out
    assert tessera("validate", "-", "-").code == 2


# options


def test_set_takes_json_else_text(tessera: Tessera) -> None:
    assert [_value(text) for text in ("3", "1:1", "true", "null", '"3"', '{"a": 1}', "NaN", "")] == [
        *(3, "1:1", True, None, "3", {"a": 1}, "NaN", "")
    ]
    said = tessera(
        *("plan", CLIPS, '{"video_ids": ["v"]}', "--json"),
        *(
            "--set",
            "Reframe.aspect_ratio=1:1",
            "--set",
            f"{node_id('clips')[:8]}.num_clips=5",
            "--set",
            "clips.prompt=a=b.c",
        ),
    )
    changes = {
        (one["agent_node_id"], one["parameter"]): one["new"] for one in said.json["changes"]["overridden"]
    }
    assert changes == {
        (node_id("reframe"), "aspect_ratio"): "1:1",
        (node_id("clips"), "num_clips"): 5,
        (node_id("clips"), "prompt"): "a=b.c",
    }


def test_set_and_ignore_join_what_the_request_has(tessera: Tessera) -> None:
    request = {
        "video_ids": ["v"],
        "update_params": {node_id("clips").upper(): {"num_clips": 4}},
        "ignore_nodes": [node_id("reframe").upper()],
    }
    said = tessera(
        *("plan", CLIPS, json.dumps(request), "--json"),
        *("--set", "Clips.prompt=best", "--ignore", "Reframe", "--ignore", "Destination"),
    )
    assert said.json["changes"]["removed"] == [node_id("reframe"), node_id("destination")]
    assert {one["parameter"]: one["new"] for one in said.json["changes"]["overridden"]} == {
        "num_clips": 4,
        "prompt": "best",
    }


def test_digits_that_should_be_text_are_explained(tessera: Tessera) -> None:
    template = CAPTIONS
    said = tessera("validate", template, '{"video_ids": ["v"]}', "--set", "Captions.caption_font_weight=700")
    assert said.code == 2
    assert """'Captions.caption_font_weight="700"'""" in said.err
    fine = tessera(
        "validate", template, '{"video_ids": ["v"]}', "--set", 'Captions.caption_font_weight="700"'
    )
    assert fine.code == 0


def test_inputs_go_to_the_node_that_is_named(tessera: Tessera) -> None:
    template = agent("{host:Video Input, guest:Video Input} > mirror").to_json()
    said = tessera(
        *("simulate", template, "--json", "--clip", "0.5:1"),
        *("--input", f"{node_id('host')[:8]}={TALK}", "--input", f"{node_id('guest')}={STREET}"),
    )
    assert said.code == 0
    assert [(one["agent_node_id"], one["name"]) for one in said.json["inputs"]] == [
        (node_id("host"), "talk.mp4"),
        (node_id("guest"), "street.mp4"),
    ]
    assert {one["metered_ms"] for one in said.json["inputs"]} == {500}
    assert tessera("simulate", template, "--input", TALK).code == 2
    assert tessera("simulate", template, "--input", f"Video Input={TALK}").code == 2


# faults

BAD = [
    ("run",),
    ("nonsense",),
    ("run", MIRROR, "--nonsense"),
    ("run", "nowhere.json"),
    ("run", "{not json"),
    ("run", MIRROR),
    ("run", MIRROR, "--input", "nowhere.mp4"),
    ("run", MIRROR, "--clip", "1:2"),
    ("run", MIRROR, "--input", TALK, "--clip", "3:2"),
    ("run", MIRROR, "--input", TALK, "--clip", "x"),
    ("run", MIRROR, "--input", TALK, "--clip", "90:"),
    ("run", MIRROR, "--input", TALK, "--set", "Mirror"),
    ("run", MIRROR, "--input", TALK, "--set", "Nobody.x=1"),
    ("run", MIRROR, "--input", TALK, "--set", "Mirror.horizontal_flip=3"),
    ("run", MIRROR, "--input", TALK, "--ignore", "Nobody"),
    ("run", MIRROR, "--input", f"Nobody={TALK}"),
    ("run", MIRROR, "[]"),
    ("run", MIRROR, '{"video_ids": ["nobody"]}'),
    ("run", MIRROR, '{"update_params": 3, "ignore_nodes": 4}', "--set", "Mirror.x=1", "--ignore", "Mirror"),
    ("run", CAPTIONS, "--input", TALK),
    ("simulate", MIRROR, '{"video_ids": ["v"]}', "--facts", '{"*": {"width": "x"}}'),
    ("validate", UNKNOWN),
    ("plan", MIRROR, '{"video_id": ["v"]}'),
    ("graph", MIRROR, "--ignore", "Nobody"),
    ("graph", MIRROR, "--simulate"),
    ("graph", MIRROR, "--format", "png"),
    ("explain", MIRROR),
    ("explain", MIRROR, "--node", "Nobody"),
    ("diff", MIRROR, "nowhere.json"),
    ("nodes", "Nobody"),
    ("upload", "nowhere.mp4"),
    ("upload", str(MEDIA / "broken" / "text.mp4")),
    ("show", "latest"),
]


@pytest.mark.parametrize("args", BAD, ids=lambda args: " ".join(args)[:60])
def test_what_is_wrong_ends_with_2_as_lines_and_as_an_object(tessera: Tessera, args: tuple[str, ...]) -> None:
    said = tessera(*args)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: ")
    told = tessera(*args, "--json")
    assert (told.code, told.err) == (2, "")
    assert set(told.json) == {"detail", "error", "errors"}
    assert told.json["detail"]
    assert told.json["error"] in ("validation_error", "not_found")


def test_every_fault_has_a_line_with_its_place(tessera: Tessera) -> None:
    request = json.dumps({"video_ids": ["v"], "video_urlz": [], "ignore_nodes": [node_id("nowhere")]})
    said = tessera("validate", MIRROR, request)
    assert said.err.splitlines()[0] == "error: 2 errors in the request"
    assert "  request /video_urlz: " in said.err
    assert "  request /ignore_nodes/0: " in said.err


def test_faults_of_agent_and_request_come_together(tessera: Tessera) -> None:
    said = tessera("validate", UNKNOWN, '{"video_urlz": []}', "--json")
    assert {one["document"] for one in said.json["errors"]} == {"template", "request"}


def test_a_run_that_fails_ends_with_1(tmp_path: Path) -> None:
    env = {**os.environ, "TESSERA_FFMPEG": "/bin/false"}
    args = ("run", MIRROR, "--input", TALK, "--clip", ":1", "--out", "out")
    with process(*args, "--json", cwd=tmp_path, env=env) as running:
        out, err = running.communicate()
    assert (running.returncode, err) == (1, "")
    record = json.loads(out)
    assert record["status"] == "failed"
    assert record["errors"][0]["original_node_id"] == node_id("mirror")
    assert list((tmp_path / "out").iterdir()) == []
    with process(*args, cwd=tmp_path, env=env) as running:
        out, err = running.communicate()
    assert running.returncode == 1
    assert "failed" in out
    assert "Traceback" not in out + err


def test_what_cannot_be_written_ends_with_1(tessera: Tessera) -> None:
    Path("file").write_text("")
    said = tessera("run", MIRROR, "--input", TALK, "--out", "file/out", "--json")
    assert said.code == 1
    assert said.json["detail"]


def test_an_unexpected_error_is_one_line(tessera: Tessera, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: Any, **_options: Any) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr("tessera.graph.load.load_agent", broken)
    monkeypatch.setattr("tessera.load_agent", broken, raising=False)
    said = tessera("validate", MIRROR)
    assert said.code == 1
    assert said.err.startswith("internal error: KeyError: 'surprise'\n")
    assert "TESSERA_DEBUG=1" in said.err
    assert tessera("validate", MIRROR, "--json").json["error"] == "internal_server_error"


# validate, graph, nodes, upload


def test_validate_is_one_line(tessera: Tessera) -> None:
    assert tessera("validate", MIRROR).out == "ok: 2 tiles, 1 connection, 1 Video Input\n"
    said = tessera(
        "validate", CLIPS, '{"video_ids": ["v"]}', "--ignore", "Reframe", "--set", "Clips.num_clips=3"
    )
    assert said.out.startswith("ok: 3 tiles, 2 connections, 1 input; 1 ignored, 1 parameter overridden")
    facts = tessera("validate", MIRROR, '{"video_ids": ["v"]}', "--json").json
    assert facts["valid"] is True
    assert (facts["tiles"], facts["connections"], facts["inputs"], facts["warnings"]) == (2, 1, 1, [])


def test_unknown_tiles_pass_where_they_may(tessera: Tessera) -> None:
    template = UNKNOWN
    assert tessera("validate", template).code == 2
    said = tessera("validate", template, "--unknown-tiles", "opaque")
    assert said.code == 0
    assert "warning: " in said.err
    request = '{"video_ids": ["v"]}'
    for args in (("plan",), ("graph",), ("simulate", "--facts", FACTS)):
        command, *more = args
        assert tessera(command, template, request, "--unknown-tiles", "opaque", *more).code == 0


@pytest.mark.parametrize("path", sorted(AGENTS.glob("*.json")), ids=lambda path: path.stem)
def test_every_fixture_agent_validates_and_can_be_drawn(tessera: Tessera, path: Path) -> None:
    assert tessera("validate", str(path)).out.startswith("ok: ")
    assert tessera("graph", str(path), "--format", "mermaid").out.startswith("flowchart LR\n")
    assert "Tiles:" in tessera("graph", str(path)).out


@pytest.mark.parametrize("path", sorted((AGENTS / "invalid").glob("*.json")), ids=lambda path: path.stem)
def test_every_invalid_fixture_agent_is_refused(tessera: Tessera, path: Path) -> None:
    assert tessera("validate", str(path)).code == 2


def test_graph_draws_the_rewrites(tessera: Tessera) -> None:
    said = tessera("graph", CLIPS, "--ignore", "Clips", "--set", "Reframe.aspect_ratio=1:1")
    assert "Video Input ═(skips Clips)═▶ Reframe ─▶ Destination" in said.out
    assert "Video Input ┄▶ ~Clips~ ┄▶ Reframe" in said.out
    assert '→ "1:1"' in said.out
    drawn = tessera(
        "graph", CLIPS, '{"video_ids": ["v"]}', "--ignore", "Clips", "--format", "mermaid", "--json"
    ).json
    assert drawn["edges"][1] == {
        "source": node_id("input"),
        "target": node_id("reframe"),
        "state": "rewired",
        "via": [node_id("clips")],
    }
    assert 'n0 ==>|"skips Clips"| n2' in drawn["drawing"]
    assert "n0 -.-> n1" in drawn["drawing"]
    assert ":::removed" in drawn["drawing"]


def test_a_long_chain_is_drawn_and_simulated(tessera: Tessera) -> None:
    Path("long.json").write_text(
        agent(" > ".join(["input", *(f"mirror_{number}" for number in range(2000))])).to_json()
    )
    assert tessera("graph", "long.json").code == 0
    said = tessera("simulate", "long.json", '{"video_ids": ["v"]}', "--facts", FACTS)
    assert said.code == 0


def test_nodes(tessera: Tessera) -> None:
    assert "Cinematic Captions" in tessera("nodes").out
    every = tessera("nodes", "--json").json["node_types"]
    assert {"node_type_id", "node_type_name", "docs_url", "params_docs_url"} <= set(every[0])
    (clips,) = tessera("nodes", "clips", "--json").json["node_types"]
    assert clips["param_schema"]["properties"]["num_clips"]["default"] is None
    told = tessera("nodes", "Clips").out
    assert "num_clips" in told
    assert "≥ 1, ≤ 20" in told
    assert "caption_style" in tessera("nodes", "Captions").out
    for one in every:
        assert tessera("nodes", one["node_type_id"]).code == 0
    assert "did you mean 'Clips'" in tessera("nodes", "Clip").err


@pytest.mark.parametrize(
    ("name", "kind"), [("talk.mp4", "video"), ("logo.png", "image"), ("sound.wav", "audio")]
)
def test_upload_answers_the_id_of_its_kind(tessera: Tessera, name: str, kind: str) -> None:
    said = tessera("upload", str(MEDIA / name), "--json").json
    assert list(said) == [f"{kind}_id", "status"]
    assert said["status"] == "ok"
    assert said[f"{kind}_id"] in tessera("upload", str(MEDIA / name)).out


def test_an_uploaded_image_is_a_parameter(tessera: Tessera) -> None:
    image = tessera("upload", LOGO, "--json").json["image_id"]
    said = tessera(
        *("run", agent("input > watermark").to_json(), "--input", TALK, "--clip", ":0.2", "--json"),
        *("--set", "Watermark.use_custom_logo=custom", "--set", f"Watermark.image_id={image}"),
    )
    assert said.code == 0


# the process


def test_the_faults_of_an_agent_from_a_pipe_are_those_of_the_agent(tmp_path: Path) -> None:
    agent_file = tmp_path / "agent.json"
    agent_file.write_text(json.dumps({"agent_nodes": [{"agent_node_id": "x"}], "connections": []}))
    line = f"cat {agent_file} | {sys.executable} -m tessera.cli validate /dev/stdin"
    piped = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
    direct = subprocess.run(
        [sys.executable, "-m", "tessera.cli", "validate", str(agent_file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (piped.returncode, piped.stderr) == (2, direct.stderr)
    assert "/agent_nodes/0" in piped.stderr


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from tessera.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stderr.split()
    assert not {"pydantic", "networkx", "rich", "numpy", "av", "tessera.node", "tessera.runner.entry"} & set(
        loaded
    )


def test_help_and_version(tessera: Tessera) -> None:
    for command in (
        "run",
        "simulate",
        "plan",
        "validate",
        "graph",
        "explain",
        "diff",
        "nodes",
        "runs",
        "show",
        "upload",
    ):
        said = tessera(command, "--help")
        assert said.code == 0
        assert "--json" in said.out
        assert f"  {command} " in tessera("--help").out
    assert tessera("--version").out.startswith("tessera ")
    assert tessera().code == 2


def test_a_terminal_sees_bars(tmp_path: Path) -> None:
    theirs, ours = os.openpty()
    with process("run", MIRROR, "--input", TALK, "--clip", ":1", cwd=tmp_path, stderr=ours) as running:
        os.close(ours)
        seen = b""
        with contextlib.suppress(OSError):  # how a terminal says that its other end is closed
            while part := os.read(theirs, 65536):
                seen += part
        os.close(theirs)
        out, _err = running.communicate()
    assert running.returncode == 0
    assert b"\x1b[?25l" in seen
    assert b"\x1b[?25h" in seen
    assert "wrote" in seen.decode()
    assert "\x1b" not in out


def test_a_reader_that_stops_is_no_error() -> None:
    started = process("nodes", "--json")
    assert started.stdout is not None
    assert started.stderr is not None
    started.stdout.close()
    assert started.stderr.read() == ""
    started.stderr.close()
    assert started.wait() == 0


@pytest.fixture
def long_run(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run with more to render than fits into a test, under way."""
    flips = ("horizontal_flip=false, vertical_flip=true", "horizontal_flip=true, vertical_flip=true")
    mirrors = ", ".join(f"mirror_{number}({flips[number % 2]})" for number in range(40))
    (tmp_path / "agent.json").write_text(agent(f"input > {{{mirrors}}}").to_json())
    running = process("run", "agent.json", "--input", TALK, cwd=tmp_path)
    assert running.stderr is not None
    for line in running.stderr:
        if line.startswith("run "):
            break
    time.sleep(0.3)
    yield running
    if running.poll() is None:
        running.kill()
    running.communicate()


def test_an_interrupted_run_is_cancelled_and_kept(
    long_run: subprocess.Popen[str], tessera: Tessera, tmp_path: Path
) -> None:
    long_run.send_signal(signal.SIGINT)
    out, err = long_run.communicate(timeout=30)
    assert long_run.returncode == 130
    assert "cancelled" in out
    assert "once more to abort" in err
    assert "Traceback" not in out + err
    assert tessera("show", "latest", "--json").json["status"] == "cancelled"


def test_a_wrong_choice_is_reported_without_the_prefix_of_the_library(tessera: Tessera) -> None:
    done = tessera("graph", "agent.json", "--format", "json")
    assert "'json' is not one of 'ascii'" in done.err
    assert "Value error" not in done.err


def test_a_second_interrupt_ends_the_program() -> None:
    code = (
        "import signal, time\n"
        "from tessera.cli.interrupt import cancel_on_interrupt\n"
        "with cancel_on_interrupt(lambda text: None) as cancelled:\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    assert cancelled()\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    time.sleep(30)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, env=os.environ).returncode == 130


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("line", [("nodes",), ("nodes", "--json")])
def test_a_result_that_cannot_be_written_is_one_clear_error(line: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            (sys.executable, "-m", "tessera.cli", *line),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "error: cannot write to standard output: No space left on device\n"
