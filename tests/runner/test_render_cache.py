"""Equal outputs are rendered once: by two tiles, by a later run, by two runs at the same time."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tessera import RunRecord, run
from tessera.errors import Cancelled
from tessera.inputs.assets.library import Library
from tessera.runner.cache.render_cache import RenderCache
from tessera.store.run_store import RunStore
from tessera.testing import agent, node_id
from tests.support.media import MEDIA

FORK = agent("input > {left:Mirror, right:Mirror}")
"""Two tiles with the same output."""


def reused(record: RunRecord) -> list[bool]:
    return [output.raw["reused"] for output in record.outputs]


def mirrored(workspace: Path, out: Path | None = None, **request: object) -> RunRecord:
    return run(FORK, request or None, inputs=[str(MEDIA / "silent.mp4")], workspace=workspace, out=out)


def test_two_tiles_with_equal_output_share_one_render(tmp_path: Path) -> None:
    record = mirrored(tmp_path / "ws", tmp_path / "out")
    assert sorted(reused(record)) == [False, True]
    first, second = (output.path for output in record.outputs)
    assert first is not None
    assert second is not None
    assert first != second
    assert first.read_bytes() == second.read_bytes()
    assert all(output.raw["commands"] for output in record.outputs)
    assert len({output.id for output in record.outputs}) == 2


def test_a_later_run_renders_only_what_changed(tmp_path: Path) -> None:
    whole = mirrored(tmp_path)
    assert reused(mirrored(tmp_path)) == [True, True]
    upside_down = {"horizontal_flip": False, "vertical_flip": True}
    changed = mirrored(tmp_path, update_params={node_id("right"): upside_down})
    assert reused(changed) == [True, False]
    assert changed.outputs[0].raw["asset_id"] == whole.outputs[0].raw["asset_id"]
    assert changed.outputs[1].raw["asset_id"] != whole.outputs[0].raw["asset_id"]


def test_a_render_whose_file_is_missing_is_rendered_again(tmp_path: Path) -> None:
    before = mirrored(tmp_path).outputs[0].raw["asset_id"]
    for file in (tmp_path / "assets" / before).iterdir():
        file.unlink()
    again = mirrored(tmp_path)
    assert sorted(reused(again)) == [False, True]
    assert again.status == "completed"


def test_two_concurrent_runs_render_once(tmp_path: Path) -> None:
    (tmp_path / "agent.json").write_text(FORK.to_json())
    line = [sys.executable, "-m", "tessera.cli", "run", "agent.json", "--json", "--workspace", "ws"]
    line += ["--input", str(MEDIA / "street.mp4")]
    both = [subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE) for _ in range(2)]
    outputs = []
    for process in both:
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        outputs += json.loads(said)["outputs"]
    assert sorted(output["reused"] for output in outputs) == [False, True, True, True]
    assert len({output["asset_id"] for output in outputs}) == 1


def test_waiting_for_the_render_of_another_run_can_be_cancelled(tmp_path: Path) -> None:
    cache = RenderCache(RunStore(tmp_path), Library(tmp_path))
    held, free = threading.Event(), threading.Event()

    def slow() -> None:
        with cache._locked("k", lambda: False):
            held.set()
            free.wait(30)

    other = threading.Thread(target=slow)
    other.start()
    assert held.wait(10)
    try:
        with pytest.raises(Cancelled):
            cache.render_once("k", pytest.fail, lambda: True)
    finally:
        free.set()
        other.join()


def test_the_next_run_can_try_after_a_failed_render(tmp_path: Path) -> None:
    cache = RenderCache(RunStore(tmp_path), Library(tmp_path))
    picture = Library(tmp_path).add(MEDIA / "logo.png")

    def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cache.render_once("k", fails)  # type: ignore[arg-type]
    assert not cache.render_once("k", lambda: (picture, {"said": 1})).reused
    known = cache.render_once("k", pytest.fail)
    assert (known.reused, known.asset.id, known.facts) == (True, picture.id, {"said": 1})
