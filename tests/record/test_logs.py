"""`tessera logs` shows the events of a run, and its ffmpeg commands can be pasted into a shell."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tessera import run
from tessera.cli import main
from tessera.media.process.process import ffmpeg_path
from tessera.record.logs import Entry, log_of
from tessera.record.shell_commands import shell_commands
from tessera.store.prune import prune
from tessera.store.run_store import RunStore
from tessera.store.store_check import check
from tessera.testing import agent, node_id
from tests.support.media import FIXTURES, MEDIA, take_apart

TALK = str(MEDIA / "talk.mp4")
SHORT = {"num_clips": 2, "target_duration": 2}
CLIPS = agent("input > clips(num_clips=2, target_duration=2) > mirror(horizontal_flip=true)")


def run_and_log(document: Any, workspace: Path, **options: Any) -> tuple[Any, list[Entry]]:
    record = run(document, inputs=[TALK], workspace=workspace, quality="draft", **options)
    return record, list(log_of(RunStore(workspace).events(record.run_id)))


def in_bash(line: str, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["bash"], input=line, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_command_pasted_into_a_shell_makes_the_same_frames(tmp_path: Path) -> None:
    record, entries = run_and_log(CLIPS, tmp_path)
    lines = [(entry, command) for entry in entries for command in entry.commands]
    assert len(lines) == 2
    for entry, command in lines:
        assert command.runs
        assert entry.index is not None
        in_bash(command.line, tmp_path / "again")
        path = record.outputs[entry.index].path
        again = take_apart(tmp_path / "again" / f"again-mirror-{entry.index + 1}-half.mp4")
        assert again.frames == take_apart(path).frames
        assert any("writes again-mirror" in note for note in command.notes)


def test_the_log_of_a_run_is_in_order_and_includes_cached_work(tmp_path: Path) -> None:
    run_and_log(CLIPS, tmp_path)
    record, entries = run_and_log(CLIPS, tmp_path)
    assert [entry.elapsed for entry in entries] == sorted(entry.elapsed for entry in entries)
    texts = [entry.text for entry in entries if entry.node == node_id("clips")]
    assert texts[0] == "queued"
    assert texts[-1] == "completed"
    assert any(text.startswith("cached: as in run") for text in texts)
    assert any("query speech of" in text for text in texts)
    outputs = [entry for entry in entries if entry.event == "output_made"]
    assert [entry.text.split(":")[0] for entry in outputs] == [f"output #{n} reused" for n in (1, 2)]
    assert all(entry.commands[0].runs for entry in outputs)
    assert entries[-1].text == "run completed"
    assert record.run_id in entries[0].text


def test_a_command_that_overlays_a_drawn_picture_can_be_pasted(tmp_path: Path) -> None:
    """Tessera copies the sound without ffmpeg, and the log says so at the output."""
    record, entries = run_and_log(agent("input > watermark"), tmp_path)
    [(command, entry)] = [(command, entry) for entry in entries for command in entry.commands]
    assert command.runs
    in_bash(command.line, tmp_path / "again")
    again = take_apart(tmp_path / "again" / "again-watermark-1-half.mp4")
    path = record.outputs[0].path
    assert again.frames == take_apart(path).frames
    assert len(again.samples) == 0
    [made] = [one.text for one in entries if one.event == "output_made"]
    assert made.endswith(
        "; its sound was copied from the source without ffmpeg and muxed with the output of ffmpeg"
    )
    assert entry.event == "process_ran"


def test_a_command_for_several_outputs_is_logged_once_and_writes_each_under_its_own_name(
    tmp_path: Path,
) -> None:
    agent_of_two = agent('input > {mirror, reframe(aspect_ratio="1:1")} > watermark')
    record, entries = run_and_log(agent_of_two, tmp_path)
    [(entry, command)] = [(entry, command) for entry in entries for command in entry.commands]
    assert entry.text == "ffmpeg for #1, #2"
    in_bash(command.line, tmp_path / "again")
    for output in record.outputs:
        again = tmp_path / "again" / f"again-watermark-{output.raw['index'] + 1}-half.mp4"
        assert take_apart(again).frames == take_apart(output.path).frames


def test_the_command_of_a_reused_render_can_be_pasted_and_has_its_own_name(tmp_path: Path) -> None:
    """One of two outputs that share a decoder has its sound levelled first, by a command of its own."""
    diamond = json.loads((FIXTURES / "agents" / "diamond.json").read_text())
    run_and_log(diamond, tmp_path)
    record, entries = run_and_log(diamond, tmp_path)
    made = [entry for entry in entries if entry.event == "output_made"]
    assert len(made) == 2
    for entry, output in zip(made, record.outputs, strict=True):
        assert entry.text.startswith(f"output #{output.raw['index'] + 1} reused")
        folder = tmp_path / f"again-{entry.index}"
        assert entry.commands
        for command in entry.commands:
            assert command.runs, command.notes
            in_bash(command.line, folder)
        [own] = folder.glob(f"again-watermark-{output.raw['index'] + 1}[-.][hm]*")
        assert take_apart(own).frames == take_apart(output.path).frames


def test_a_command_for_several_tiles_is_logged_for_each(tmp_path: Path) -> None:
    shapes = agent('input > {reframe(aspect_ratio="1:1"), mirror(horizontal_flip=true)}')
    record, _entries = run_and_log(shapes, tmp_path)
    events = list(RunStore(tmp_path).events(record.run_id))
    for tile in ("reframe", "mirror"):
        assert "ffmpeg for #1, Mirror #1" in [entry.text for entry in log_of(events, node_id(tile))]


def test_drawn_pictures_are_checked_and_pruned(tmp_path: Path) -> None:
    run_and_log(agent("input > watermark"), tmp_path)
    run_and_log(agent("input > mirror > watermark"), tmp_path)
    [drawn] = (tmp_path / "drawn").iterdir()
    assert check(tmp_path).problems == []
    drawn.write_bytes(b"else")
    assert [(one.what, one.where) for one in check(tmp_path).problems] == [("corrupt", str(drawn))]
    run_and_log(agent("input > mirror(vertical_flip=true) > watermark"), tmp_path)
    assert check(tmp_path).problems == [], "it was drawn again"
    assert prune(tmp_path, 0).drawn == [], "it was used in the last hour"
    os.utime(drawn, (0, 0))
    assert prune(tmp_path, 0, dry=True).drawn == [drawn.name]
    assert drawn.exists()
    assert prune(tmp_path, 0).drawn == [drawn.name]
    assert not drawn.exists()


def test_a_missing_file_is_noted_beside_the_command() -> None:
    [gone] = shell_commands([("ffmpeg", "-i", "file:/not/there.mp4", "/x/out.mp4", "-y")], {}, "again")
    assert not gone.runs
    assert gone.notes[0] == "reads /not/there.mp4, which no longer exists"
    [fed] = shell_commands([("ffmpeg", "-f", "f32le", "-i", "pipe:7", "/x/out.mp4", "-y")], {}, "again")
    assert not fed.runs
    assert fed.notes[0] == "reads pipe:7, which Tessera fed during the render: it cannot run alone"


def test_a_filter_graph_from_a_file_is_inlined_in_the_command(tmp_path: Path) -> None:
    for length in (100, 300_000):
        graph = f"[0:v]{' ' * length}select='gte(n,5)'[v]"
        argv = (
            *(ffmpeg_path(), "-nostdin", "-f", "lavfi", "-i", "testsrc2=s=64x36:d=1:r=10"),
            *("-/filter_complex", "graph-1.txt", "-map", "[v]", "/gone/folder/out.nut", "-y"),
        )
        [command] = shell_commands([argv], {"graph-1.txt": graph}, f"again-{length}")
        assert command.runs
        in_bash(command.line, tmp_path)
        assert len(take_apart(tmp_path / f"again-{length}.nut").frames) == 5


def test_a_command_reads_the_output_of_the_one_before() -> None:
    first, second = shell_commands(
        [
            ("ffmpeg", "-i", "pipe.wav", "/gone/a.w64", "-y"),
            ("ffmpeg", "-i", "file:/gone/a.w64", "/gone/out.m4a", "-y"),
        ],
        {},
        "again",
    )
    assert first.line.endswith("a.w64 -y")
    assert second.line == "ffmpeg -i file:a.w64 again.m4a -y"
    assert second.runs


def test_the_logs_command_shows_one_tile_and_refuses_an_unknown_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_and_log(CLIPS, tmp_path)
    assert main(["logs", "latest", "mirror", "--json", "--workspace", str(tmp_path)]) == 0
    entries = json.loads(capsys.readouterr().out)["entries"]
    assert {entry["agent_node_id"] for entry in entries} == {node_id("mirror")}
    assert sum(len(entry["commands"]) for entry in entries) == 2
    assert main(["logs", "latest", "--workspace", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "run completed" in out
    assert sum(line.startswith(ffmpeg_path()) for line in out.splitlines()) == 2
    assert main(["logs", "latest", "mirorr", "--workspace", str(tmp_path)]) == 2
    assert "did you mean 'Mirror'" in capsys.readouterr().err
