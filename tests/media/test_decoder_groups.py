"""Outputs that share a decoder: one ffmpeg renders them, each as if alone, and none affects the others."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tessera import Catalogue, NodeType, RunRecord, run
from tessera.cli import main
from tessera.context import Context
from tessera.media.algebra.expression import Image
from tessera.media.algebra.item import Item, Video
from tessera.media.process.process import ffmpeg_path
from tessera.node import Made, ours_id
from tessera.record.events import Event, OutputMade, ProcessRan, Progress
from tessera.record.logs import log_of
from tessera.store.run_store import RunStore
from tessera.testing import agent, node_id
from tests.support.media import MEDIA, take_apart

SHAPES = agent(
    'input > {tall:Reframe(aspect_ratio="9:16"), square:Reframe(aspect_ratio="1:1"),'
    " mirror(horizontal_flip=true)}"
)
CLIP = str(MEDIA / "talk.mp4")


class Brief(NodeType):
    """A tile that keeps less than the duration of a frame, which cannot be rendered."""

    name = "Brief"
    type_id = ours_id(name)
    category = "edit"
    source = "ours"

    def run(self, ctx: Context, inputs: Sequence[Item], params: Any) -> Iterable[Made]:
        for item in inputs:
            assert isinstance(item.value, Video)
            kept = item.value.keep([(Fraction(1, 1000), Fraction(2, 1000))])
            yield Made(kept.with_picture(kept.picture.flip(vertical=True)), (item,), "between two frames")


def events(record: RunRecord, workspace: Path) -> list[Event]:
    return list(RunStore(workspace).events(record.run_id))


def encodes(record: RunRecord, workspace: Path) -> list[ProcessRan]:
    return [one for one in events(record, workspace) if isinstance(one, ProcessRan)]


def test_shapes_of_one_video_share_one_ffmpeg_and_equal_separate_renders(tmp_path: Path) -> None:
    record = run(SHAPES, inputs=[CLIP], workspace=tmp_path / "ws", quality="draft")
    assert record.status == "completed"
    assert len(encodes(record, tmp_path / "ws")) == 1
    assert [output.raw["reused"] for output in record.outputs] == [False] * 3
    for output in record.outputs:
        others = [node_id(name) for name in ("tall", "square", "mirror") if node_id(name) != output.node]
        alone = run(
            SHAPES, {"ignore_nodes": others}, inputs=[CLIP], workspace=tmp_path / output.node, quality="draft"
        )
        assert alone.outputs[0].path is not None
        assert output.path is not None
        assert output.path.read_bytes() == alone.outputs[0].path.read_bytes()


def test_a_later_run_renders_only_the_shape_that_changed(tmp_path: Path) -> None:
    run(SHAPES, inputs=[CLIP], workspace=tmp_path, quality="draft")
    changed = {"update_params": {node_id("mirror"): {"horizontal_flip": False, "vertical_flip": True}}}
    record = run(SHAPES, changed, inputs=[CLIP], workspace=tmp_path, quality="draft")
    assert {output.node: output.raw["reused"] for output in record.outputs} == {
        node_id("tall"): True,
        node_id("square"): True,
        node_id("mirror"): False,
    }
    assert len(encodes(record, tmp_path)) == 1
    fresh = run(SHAPES, inputs=[CLIP], workspace=tmp_path, quality="draft", cache=False)
    assert len(encodes(fresh, tmp_path)) == 1
    assert [output.raw["reused"] for output in fresh.outputs] == [False] * 3


def check_fails_alone(tiles: Sequence[str], bad: type[NodeType], says: str, tmp_path: Path) -> None:
    """Check that of two outputs that share a decoder only the one of `bad` fails."""
    catalogue = Catalogue([*Catalogue.installed(), bad])
    doc = agent(f"input > {{{', '.join(tiles)}}}", catalogue=catalogue)
    record = run(doc, inputs=[CLIP], workspace=tmp_path, quality="draft", catalogue=catalogue)
    made, failed = sorted(tiles, key=lambda name: name == bad.name)
    assert record.status == "partial_complete"
    assert [output.node for output in record.outputs] == [node_id(made)]
    assert says in record.node(node_id(failed)).errors[0]
    assert not list(tmp_path.rglob(".part-*"))


def test_an_unrenderable_output_does_not_affect_the_others(tmp_path: Path) -> None:
    check_fails_alone(["Brief", "Mirror"], Brief, "no frame", tmp_path)


def smear(*_args: Any, **_values: Any) -> Any:
    raise ValueError("the paint is bad")


class Smeared(NodeType):
    """A tile whose painter raises."""

    name = "Smeared"
    type_id = ours_id(name)
    category = "edit"
    source = "ours"
    painters: ClassVar[Mapping[str, Callable[..., Any]]] = {"smear": smear}

    def run(self, ctx: Context, inputs: Sequence[Item], params: Any) -> Iterable[Made]:
        for item in inputs:
            assert isinstance(item.value, Video)
            picture = item.value.picture.overlay(Image.drawn(self.type_id, "smear", width=8, height=8), 0, 0)
            yield Made(item.value.with_picture(picture), (item,), "smeared")


def test_a_painter_that_raises_fails_only_its_own_output(tmp_path: Path) -> None:
    check_fails_alone(["Mirror", "Smeared"], Smeared, "the paint is bad", tmp_path)


def test_an_injected_fault_fails_one_output_and_the_others_are_rendered_together(tmp_path: Path) -> None:
    options: dict[str, Any] = {"inputs": [CLIP], "workspace": tmp_path, "quality": "draft"}
    record = run(SHAPES, **options, faults=["Mirror:1=crash"])
    assert record.status == "partial_complete"
    assert {output.node for output in record.outputs} == {node_id("tall"), node_id("square")}
    assert len(encodes(record, tmp_path)) == 2


def test_outputs_with_a_time_limit_are_rendered_separately(tmp_path: Path) -> None:
    record = run(SHAPES, inputs=[CLIP], workspace=tmp_path, quality="draft", tile_timeout_s=60)
    assert record.status == "completed"
    assert len(encodes(record, tmp_path)) == 3


def test_cancelling_ends_a_shared_render_and_leaves_nothing_behind(tmp_path: Path) -> None:
    long = tmp_path / "long.mp4"
    loop = ["-stream_loop", "40", "-i", CLIP, "-c", "copy", str(long)]
    subprocess.run([ffmpeg_path(), "-nostdin", "-v", "error", *loop], check=True)
    stop = threading.Event()

    def watch(event: Event) -> None:
        if isinstance(event, Progress) and 0 < event.fraction < 0.5 and not stop.is_set():
            stop.set()

    options: dict[str, Any] = {"on_event": watch, "cancelled": stop.is_set, "out": tmp_path / "out"}
    record = run(SHAPES, inputs=[str(long)], workspace=tmp_path / "ws", **options)
    assert record.status == "cancelled"
    assert not list((tmp_path / "ws").rglob(".part-*"))
    assert not list((tmp_path / "out").iterdir())
    found = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True, check=False)
    assert not found.stdout.strip()


def test_two_concurrent_runs_render_each_shape_once(tmp_path: Path) -> None:
    records: list[RunRecord] = []

    def one() -> None:
        records.append(run(SHAPES, inputs=[CLIP], workspace=tmp_path, quality="draft"))

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert [record.status for record in records] == ["completed"] * 2
    assert sum(len(encodes(record, tmp_path)) for record in records) == 1
    assert (
        sorted(output.raw["reused"] for record in records for output in record.outputs)
        == [False] * 3 + [True] * 3
    )


def test_a_resumed_run_renders_the_remaining_outputs(tmp_path: Path) -> None:
    from tessera import resume

    def fails(event: Event) -> None:
        if isinstance(event, OutputMade):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(SHAPES, inputs=[CLIP], workspace=tmp_path, quality="draft", on_event=fails)
    [broken] = RunStore(tmp_path).run_ids()
    record = resume(broken, workspace=tmp_path)
    assert record.status == "completed"
    assert len(record.outputs) == 3
    assert len(encodes(record, tmp_path)) == 1  # the others were stored although no event reported them


def test_the_log_shows_the_shared_command_and_it_runs_when_pasted(tmp_path: Path) -> None:
    record = run(SHAPES, inputs=[CLIP], workspace=tmp_path / "ws", quality="draft")
    entries = list(log_of(events(record, tmp_path / "ws")))
    [command] = [one for entry in entries if entry.event == "process_ran" for one in entry.commands]
    assert command.runs
    pasted = tmp_path / "pasted"
    pasted.mkdir()
    subprocess.run(["bash", "-c", command.line], cwd=pasted, check=True, capture_output=True)
    made = sorted(pasted.iterdir())
    assert len(made) == 3
    frames = {tuple(take_apart(path).frames) for path in made}
    assert frames == {tuple(take_apart(output.path).frames) for output in record.outputs if output.path}


def test_explain_media_names_the_outputs_that_share_a_decoder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "shapes.json"
    path.write_text(SHAPES.to_json(), "utf-8")
    line = ["plan", str(path), "--input", CLIP, "--workspace", str(tmp_path / "ws"), "--explain-media"]
    assert main(line) == 0
    said = capsys.readouterr().out
    assert said.count("one decoder for this and") == 3
    assert said.count("-filter_complex") == 1
    assert main([*line, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [output["together"] for output in result["outputs"]] == [[0, 1, 2]] * 3
    assert len({json.dumps(output["commands"]) for output in result["outputs"]}) == 1
