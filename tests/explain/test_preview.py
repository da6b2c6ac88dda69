"""`tessera preview` renders the items of any tile of a run and does not change the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tessera import run
from tessera.cli import main
from tessera.media.probe.probe import probe
from tessera.store.run_store import RunStore
from tessera.testing import agent, node_id
from tests.support.media import MEDIA

AGENT = agent("input > mirror(horizontal_flip=true) > reframe > destination")
MIRROR = node_id("mirror")
CLIPS = [str(MEDIA / "silent.mp4"), str(MEDIA / "portrait.mp4")]


def previews(workspace: Path, what: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    place = ["--out", str(workspace / "drafts"), "--workspace", str(workspace)]
    assert main(["preview", "latest", what, *place, "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["previews"]
    return found


def contents(workspace: Path) -> tuple[Any, ...]:
    """Return everything a workspace holds of its newest run."""
    store = RunStore(workspace)
    run_id = store.resolve_run_id("latest")
    files = {
        str(path.relative_to(workspace))
        for path in workspace.rglob("*")
        if path.is_file() and not path.name.startswith("tessera.db") and "drafts" not in path.parts
    }
    return store.run_ids(), store.event_lines(run_id), store.record(run_id), files


def test_a_preview_renders_the_items_of_a_tile_small_and_does_not_change_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = run(AGENT, inputs=CLIPS, workspace=tmp_path, faults=["Reframe"])
    assert record.status == "failed"
    assert not record.outputs
    before = contents(tmp_path)
    found = previews(tmp_path, "mirror", capsys)
    assert [(one["agent_node_id"], one["index"]) for one in found] == [(MIRROR, 0), (MIRROR, 1)]
    items = [item for item in record.items if item["agent_node_id"] == MIRROR]
    for one, item in zip(found, items, strict=True):
        seen = probe(Path(one["path"]))
        assert seen.picture is not None
        assert max(seen.picture.width, seen.picture.height) <= 640
        assert float(seen.picture.duration) * 1000 == pytest.approx(item["duration_ms"], abs=50)
        assert (one["width"], one["height"]) == (item["width"], item["height"])
        assert one["why"] == item["why"]
    assert contents(tmp_path) == before
    [second] = previews(tmp_path, "Mirror:2", capsys)
    assert second["path"] == found[1]["path"]
    place = ["-o", str(tmp_path / "x"), "--workspace", str(tmp_path)]
    assert main(["preview", "latest", "Mirror:1", *place]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.startswith(f"{tmp_path}/x/mirror-{MIRROR[:8]}-1.mp4")
    assert "Mirror #1" in line


def test_images_and_sounds_can_be_previewed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stubs = {"Audio Generation": {"makes": [{"file": str(MEDIA / "sound.wav")}]}}
    run(agent("image_generation; audio_generation"), stubs=stubs, workspace=tmp_path)
    [image] = previews(tmp_path, "Image Generation", capsys)
    picture = probe(Path(image["path"])).picture
    assert picture is not None
    assert max(picture.width, picture.height) == 640 < image["width"]
    [sound] = previews(tmp_path, "Audio Generation", capsys)
    assert probe(Path(sound["path"])).kind == "audio"


def test_an_item_that_does_not_exist_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(AGENT, inputs=CLIPS[:1], workspace=tmp_path, quality="draft")
    for item, message in {
        "Mirorr": "did you mean 'Mirror'",
        "Mirror:3": "made 1 item, not 3",
        "Mirror:0": "counted from 1",
        "Destination": "made no items in this run: it delivers the items of other tiles",
    }.items():
        assert main(["preview", "latest", item, "-o", str(tmp_path / "x"), "--workspace", str(tmp_path)]) == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "x").exists()
