"""The contract of a run: statuses, events, fan-out and fan-in, failure, cancelling, and cleaning up."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tessera import Catalogue, NodeType, RequestError, RunRecord, TileError, run, simulate
from tessera.context import Context
from tessera.inputs.local import LocalInput
from tessera.media.algebra.item import Item, Video
from tessera.media.probe.probe import probe
from tessera.media.process.process import ffmpeg_path
from tessera.node import Made, ours_id
from tessera.record.events import Event, NodeChanged, Progress, RunFinished, RunStarted, read_event
from tessera.record.record import fold
from tessera.store.run_store import RunStore
from tessera.testing import agent, node_id
from tests.support.media import FIXTURES, MEDIA

FACTS = {
    "*": {"duration_ms": 20_000, "width": 1280, "height": 720, "fps": "25", "has_audio": True, "speech": []}
}


class Broken(NodeType):
    """A tile that always fails."""

    name = "Broken"
    type_id = ours_id(name)
    category = "edit"
    source = "ours"

    def run(self, ctx: Context, inputs: Sequence[Item], params: Any) -> Iterable[Made]:
        raise TileError("this tile is broken on purpose")


class Buggy(NodeType):
    """A tile with a bug in its code."""

    name = "Buggy"
    type_id = ours_id(name)
    category = "edit"
    source = "ours"

    def run(self, ctx: Context, inputs: Sequence[Item], params: Any) -> Iterable[Made]:
        raise ZeroDivisionError("division by zero")


class Unrenderable(NodeType):
    """A tile whose second item cannot be rendered: the kept range contains no frame."""

    name = "Unrenderable"
    type_id = ours_id(name)
    category = "edit"
    source = "ours"

    def run(self, ctx: Context, inputs: Sequence[Item], params: Any) -> Iterable[Made]:
        for item in inputs:
            assert isinstance(item.value, Video)
            yield Made(item.value.keep([(Fraction(0), Fraction(1, 2))]), (item,), "fine")
            yield Made(
                item.value.keep([(Fraction(1, 1000), Fraction(2, 1000))]), (item,), "between two frames"
            )


CATALOGUE = Catalogue([*Catalogue.installed(), Broken, Buggy, Unrenderable])
CLIP = str(MEDIA / "silent.mp4")


def statuses(record: RunRecord) -> dict[str, str]:
    return {node.id: node.status.value for node in record.nodes.values()}


def test_a_failing_tile_blocks_its_descendants_only_and_the_other_branch_finishes(tmp_path: Path) -> None:
    doc = agent("input > {broken > after:Mirror, ok:Mirror}", catalogue=CATALOGUE)
    record = run(doc, inputs=[CLIP], workspace=tmp_path, catalogue=CATALOGUE)
    assert record.status == "partial_complete"
    assert statuses(record) == {
        node_id("input"): "completed",
        node_id("broken"): "failed",
        node_id("after"): "blocked",
        node_id("ok"): "completed",
    }
    document = record.to_dict()
    assert document["node_status_counts"] == {"completed": 2, "in_progress": 0, "failed": 2}
    assert document["errors"] == [
        {"original_node_id": node_id("broken"), "messages": ["this tile is broken on purpose"]}
    ]
    assert [output.node for output in record.outputs] == [node_id("ok")]


def test_a_run_without_any_output_has_failed(tmp_path: Path) -> None:
    doc = agent("input > broken > destination", catalogue=CATALOGUE)
    record = run(doc, inputs=[CLIP], workspace=tmp_path, catalogue=CATALOGUE)
    assert record.status == "failed"
    assert statuses(record)[node_id("destination")] == "blocked"
    assert "Broken" in str(record.message)


def test_a_bug_in_a_tile_fails_that_tile_with_a_one_line_message(tmp_path: Path) -> None:
    doc = agent("input > buggy", catalogue=CATALOGUE)
    record = run(doc, inputs=[CLIP], workspace=tmp_path, catalogue=CATALOGUE)
    assert record.node(node_id("buggy")).errors == ("ZeroDivisionError: division by zero",)
    assert "Traceback" in record.node(node_id("buggy")).logs[0]


def test_a_run_with_some_unrenderable_outputs_is_partly_complete(tmp_path: Path) -> None:
    doc = agent("input > unrenderable", catalogue=CATALOGUE)
    record = run(doc, inputs=[CLIP], workspace=tmp_path / "ws", out=tmp_path / "out", catalogue=CATALOGUE)
    assert record.status == "partial_complete"
    assert record.node(node_id("unrenderable")).status == "partial_complete"
    assert "no frame" in record.node(node_id("unrenderable")).errors[0]
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".jpg", ".mp4"]


def test_a_simulation_fails_like_the_run() -> None:
    doc = agent("input > {broken > after:Mirror, ok:Mirror}", catalogue=CATALOGUE)
    record = simulate(doc, {"video_ids": ["x"]}, facts=FACTS, catalogue=CATALOGUE)
    assert record.status == "partial_complete"
    assert statuses(record)[node_id("after")] == "blocked"


def test_a_diamond_delivers_two_videos_in_the_order_of_the_template() -> None:
    doc = agent("input; mirror; reframe; input > {reframe, mirror} > watermark > destination")
    record = simulate(doc, {"video_ids": ["x"]}, facts=FACTS)
    made = [item for item in record.items if item["agent_node_id"] == node_id("watermark")]
    assert [item["parents"][0]["agent_node_id"] for item in made] == [
        node_id("mirror"),
        node_id("reframe"),
    ]
    assert [output.node for output in record.outputs] == [node_id("watermark")] * 2


def test_items_of_leaf_tiles_and_of_tiles_before_a_destination_are_output_once() -> None:
    doc = agent("input > a:Mirror > {b:Mirror, destination, destination_2}")
    record = simulate(doc, {"video_ids": ["x"]}, facts=FACTS)
    assert [output.node for output in record.outputs] == [node_id("a"), node_id("b")]


def test_too_many_items_are_refused_before_the_run_starts_and_the_tile_is_named(tmp_path: Path) -> None:
    diamonds = [f"{{a{step}:Mirror, b{step}:Mirror}} > join{step}:Watermark" for step in range(14)]
    doc = agent(" > ".join(["input", *diamonds]))
    with pytest.raises(RequestError, match=r"16,384 items would reach Watermark") as caught:
        simulate(doc, {"video_ids": ["x"]}, facts=FACTS)
    assert caught.value.errors[0].document == "template"
    with pytest.raises(RequestError, match="16,384"):
        run(doc, inputs=[CLIP], workspace=tmp_path)
    assert not list(tmp_path.glob("runs/*"))


def test_a_tile_that_cannot_run_yet_is_refused_by_name_before_the_run_starts(tmp_path: Path) -> None:
    doc = agent("input > captions")
    with pytest.raises(RequestError, match="Captions") as caught:
        run(doc, inputs=[CLIP], workspace=tmp_path)
    assert caught.value.errors[0].loc == "/agent_nodes/1"
    assert not list(tmp_path.glob("runs/*"))
    record = simulate(doc, {"video_ids": ["x"]}, facts=FACTS)
    assert [item["fidelity"] for item in record.items] == ["real", "described"]


def test_simulated_generators_make_items_as_their_parameters_state() -> None:
    doc = agent("video:Video Generation; audio:Audio Generation; avatar:AI Avatar")
    words = " ".join(["word"] * 300)
    request = {
        "update_params": {
            node_id("video"): {
                "duration": "7.5",
                "resolution": "1080p",
                "aspect_ratio": "9:16",
                "generate_audio": False,
            },
            node_id("audio"): {"script": words},
            node_id("avatar"): {"script": words},
        }
    }
    video, audio, avatar = simulate(doc, request).outputs
    assert (video.width, video.height, video.duration_ms, video.has_audio) == (1080, 1920, 7500, False)
    assert (audio.kind, audio.duration_ms) == ("audio", 120_000)
    assert (avatar.kind, avatar.duration_ms) == ("video", 120_000)


def test_a_chain_of_10_000_tiles_simulates() -> None:
    doc = agent(" > ".join(["input", *(f"m{step}:Mirror" for step in range(9_999))]))
    record = simulate(doc, {"video_ids": ["x"]}, facts=FACTS)
    assert record.status == "completed"
    assert len(record.items) == 10_000


def test_the_events_of_a_run_fold_into_its_record(tmp_path: Path) -> None:
    seen: list[Event] = []
    record = run(
        FIXTURES / "agents" / "diamond.json",
        inputs=[CLIP],
        workspace=tmp_path,
        on_event=seen.append,
    )
    assert isinstance(seen[0], RunStarted)
    assert isinstance(seen[-1], RunFinished)
    kept = [event for event in seen if not isinstance(event, Progress)]
    log = RunStore(tmp_path).event_lines(record.run_id)
    assert [read_event(line).event for line in log] == [event.event for event in kept]  # type: ignore[attr-defined]
    assert fold(read_event(line) for line in log).to_dict() == record.to_dict()
    for node in record.nodes:
        changes = [
            event.status.value for event in seen if isinstance(event, NodeChanged) and event.node == node
        ]
        assert changes == ["queued", "running", "completed"]


def test_cancelling_ends_ffmpeg_and_leaves_no_partial_files(tmp_path: Path) -> None:
    long = tmp_path / "long.mp4"
    loop = ["-stream_loop", "40", "-i", str(MEDIA / "talk.mp4"), "-c", "copy", str(long)]
    subprocess.run([ffmpeg_path(), "-nostdin", "-v", "error", *loop], check=True)
    stop = threading.Event()

    def watch(event: Event) -> None:
        if isinstance(event, Progress) and 0 < event.fraction < 0.5 and not stop.is_set():
            stop.set()

    record = run(
        FIXTURES / "agents" / "fan_in.json",
        inputs=[str(long)],
        workspace=tmp_path / "ws",
        out=tmp_path / "out",
        on_event=watch,
        cancelled=stop.is_set,
    )
    assert record.status == "cancelled"
    assert not list((tmp_path / "out").iterdir())
    assert not list((tmp_path / "ws").rglob(".part-*"))
    found = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True, check=False)
    assert not found.stdout.strip()


def test_a_render_that_takes_too_long_fails_and_names_its_time_limit(tmp_path: Path) -> None:
    record = run(
        FIXTURES / "agents" / "diamond.json",
        inputs=[str(MEDIA / "talk.mp4")],
        workspace=tmp_path,
        render_timeout_s=0.05,
    )
    assert record.status == "failed"
    assert "longer than 0.05 s" in record.errors[0]["messages"][0]


def test_a_render_can_be_the_input_of_the_next_run_whole_or_clipped(tmp_path: Path) -> None:
    trimmer = FIXTURES / "agents" / "trimmer.json"
    first = run(trimmer, inputs=[LocalInput(CLIP, None, 1000, 4000)], workspace=tmp_path)
    render = first.outputs[0].id
    request = {
        "node_render_inputs": [{"id": render.upper(), "input_clip_start_ms": 500, "input_clip_end_ms": 1500}]
    }
    second = run(trimmer, request, workspace=tmp_path)
    assert second.outputs[0].duration_ms == 1000
    assert second.inputs[0]["metered_ms"] == 1000
    with pytest.raises(RequestError, match="unknown node_render_id"):
        run(trimmer, {"node_render_ids": ["11111111-2222-3333-4444-555555555555"]}, workspace=tmp_path)


def test_an_unconnected_archive_is_refused_with_the_command_that_connects_it(tmp_path: Path) -> None:
    trimmer = FIXTURES / "agents" / "trimmer.json"
    with pytest.raises(RequestError, match=r"tessera settings mimir --url URL --key KEY"):
        run(trimmer, {"mimir_assets": [{"id": "item"}]}, workspace=tmp_path)


def test_the_same_bytes_are_stored_once_and_have_one_id(tmp_path: Path) -> None:
    from tessera.inputs.assets.library import Library

    copy = tmp_path / "copy.mp4"
    copy.write_bytes(Path(CLIP).read_bytes())
    library = Library(tmp_path / "ws")
    assert library.add(copy).id == library.add(Path(CLIP)).id == Library(None).attach(copy).id
    assert len(list((tmp_path / "ws" / "assets").iterdir())) == 1


def _loudness(path: Path) -> tuple[float, float]:
    command = [ffmpeg_path(), "-hide_banner", "-i", str(path), "-af", "ebur128=peak=true:framelog=quiet"]
    done = subprocess.run([*command, "-f", "null", "-"], capture_output=True, text=True, check=True)
    found = dict(re.findall(r"^\s*(I|Peak):\s+(-?[\d.]+)", done.stderr, re.MULTILINE))
    return float(found["I"]), float(found["Peak"])


@pytest.mark.parametrize("name", ["talk.mp4", "street.mp4", "portrait.mp4"])
def test_enhanced_sound_has_minus_16_lufs_and_keeps_its_length_and_the_picture(
    name: str, tmp_path: Path
) -> None:
    record = run(FIXTURES / "agents" / "enhance.json", inputs=[str(MEDIA / name)], workspace=tmp_path)
    path = record.outputs[0].path
    assert path is not None
    loudness, peak = _loudness(path)
    assert loudness == pytest.approx(-16, abs=0.7)
    assert peak <= -1.0
    before, after = probe(MEDIA / name), probe(path)
    assert before.picture is not None
    assert after.picture is not None
    assert before.sound is not None
    assert after.sound is not None
    assert after.picture.frames == before.picture.frames
    assert after.sound.rate == before.sound.rate
    assert abs(after.sound.duration - before.picture.duration) < Fraction(1024, after.sound.rate)


def test_a_second_watermark_with_a_custom_logo_replaces_the_first(
    tmp_path: Path,
) -> None:
    from tessera.inputs.assets.library import Library

    logo = Library(tmp_path).add(MEDIA / "logo.png").id
    doc = agent("input > first:Watermark > mirror > second:Watermark")
    settings = {
        "use_custom_logo": "custom",
        "image_id": logo,
        "logo_position": "top-left",
        "logo_opacity": 100,
    }
    record = run(doc, {"update_params": {node_id("second"): settings}}, inputs=[CLIP], workspace=tmp_path)
    assert record.status == "completed", record.errors
    assert "in place of an earlier one" in record.items[-1]["why"]
    overlays = [part for part in record.outputs[0].raw["commands"][-1] if "overlay" in part]
    assert overlays[0].count("overlay") == 1
