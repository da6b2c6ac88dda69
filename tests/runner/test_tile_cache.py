"""What a tile made is kept: a run does again only what has changed, and says why."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tessera import RunRecord, run
from tessera.context import Context
from tessera.errors import TileError
from tessera.media.algebra.item import Item, Video
from tessera.node import Catalogue, Made, NodeType, Params, ours_id
from tessera.runner.cache import tile_cache as tilecache
from tests.support.media import MEDIA
from tests.support.planning import agent, chain, uid

ROOT = Path(__file__).parents[2]
TALK = str(MEDIA / "talk.mp4")
SILENT = str(MEDIA / "silent.mp4")


class Counted(NodeType):
    """Mirrors, and writes a line to a file each time that it works; the first time takes a while."""

    name = "Counted"
    type_id = ours_id(name)
    category = "edit"
    source = "ours"

    class Params(Params):
        file: str
        word: str = ""
        pause_s: float = 0.0
        fails: bool = False

    def run(self, ctx: Context, inputs: Sequence[Item], params: Any) -> Iterable[Made]:
        with Path(params.file).open("a") as file:
            file.write("worked\n")
        ctx.log("counted once more")
        if times(Path(params.file)) == 1:
            time.sleep(params.pause_s)
        if params.fails:
            raise TileError("on purpose")
        for item in inputs:
            assert isinstance(item.value, Video)
            yield Made(item.value.with_picture(item.value.picture.flip(horizontal=True)), (item,), "flipped")


class Newer(Counted):
    version = 2


class Restless(Counted):
    name = "Restless"
    type_id = ours_id(name)
    cacheable = False


def catalogue(*types: type[NodeType]) -> Catalogue:
    return Catalogue([*Catalogue.installed(), *types])


def times(file: Path) -> int:
    return len(file.read_text().splitlines()) if file.exists() else 0


def work(record: RunRecord) -> dict[str, str]:
    """By tile: that it was cached, or why it ran."""
    return {node.name: node.work if node.work != "ran" else node.work_why for node in record.nodes.values()}  # type: ignore[misc]


AGENT = agent(
    "Video Input",
    ("Clips", {"num_clips": 2, "target_duration": 4}),
    "Mirror",
    ("Reframe", {"aspect_ratio": "9:16"}),
    "Watermark",
    "Destination",
    edges=[(0, 1), (1, 2), (1, 3), (2, 4), (3, 4), (4, 5)],
)


def run_agent(workspace: Path, **request: Any) -> RunRecord:
    return run(AGENT, request or None, inputs=[TALK], workspace=workspace)


def told(record: RunRecord) -> dict[str, Any]:
    """A record without what tells one run from another."""
    raw = record.to_dict()
    outputs = [
        {
            key: value
            for key, value in output.items()
            if key
            not in {"id", "completed_at", "path", "video_url", "thumbnail_path", "thumbnail_url", "reused"}
        }
        for output in raw["outputs"]
    ]
    return {"items": raw["items"], "outputs": outputs, "inputs": raw["inputs"], "status": raw["status"]}


def test_a_second_identical_run_works_no_tile_and_renders_nothing(tmp_path: Path) -> None:
    first, second = run_agent(tmp_path), run_agent(tmp_path)
    assert set(work(first).values()) == {"the first time"}
    assert set(work(second).values()) == {"cached"}
    assert all(output.raw["reused"] for output in second.outputs)
    assert told(second) == told(first)


def test_one_changed_parameter_works_exactly_its_tile_and_what_lies_downstream(tmp_path: Path) -> None:
    run_agent(tmp_path)
    changed = run_agent(tmp_path, update_params={uid(3): {"aspect_ratio": "1:1"}})
    assert work(changed) == {
        "Video Input": "cached",
        "Clips": "cached",
        "Mirror": "cached",
        "Reframe": 'parameter aspect_ratio "9:16" → "1:1"',
        "Watermark": "input from Reframe changed",
        "Destination": "input from Watermark changed",
    }
    back = run_agent(tmp_path)
    assert set(work(back).values()) == {"cached"}, "what was made before the last change is kept as well"


def test_a_parameter_that_changes_nothing_downstream_stops_there(tmp_path: Path) -> None:
    doc = chain("Video Input", ("Clips", {"num_clips": 1, "prompt": ""}), "Mirror")
    run(doc, inputs=[SILENT], workspace=tmp_path)
    again = run(doc, {"update_params": {uid(1): {"num_clips": 2}}}, inputs=[SILENT], workspace=tmp_path)
    same = again.outputs[0].raw["reused"]
    assert work(again)["Clips"] == "parameter num_clips 1 → 2"
    assert (work(again)["Mirror"] == "cached") == same


def test_another_input_is_named_as_the_reason(tmp_path: Path) -> None:
    doc = chain("Video Input", "Mirror")
    run(doc, inputs=[SILENT], workspace=tmp_path)
    other = run(doc, inputs=[TALK], workspace=tmp_path)
    assert work(other) == {"Video Input": "input changed", "Mirror": "input from Video Input changed"}


def test_an_ignored_tile_changes_what_reaches_those_after_it(tmp_path: Path) -> None:
    doc = chain("Video Input", "Mirror", ("Reframe", {"aspect_ratio": "1:1"}))
    run(doc, inputs=[SILENT], workspace=tmp_path)
    without = run(doc, {"ignore_nodes": [uid(1)]}, inputs=[SILENT], workspace=tmp_path)
    why = "new input from Video Input, removed input from " + uid(1)
    assert work(without) == {"Video Input": "cached", "Reframe": why}


def test_a_new_version_of_a_tile_works_again(tmp_path: Path) -> None:
    doc = chain("Video Input", ("Counted", {"file": str(tmp_path / "count")}))
    run(doc, inputs=[SILENT], workspace=tmp_path / "ws", catalogue=catalogue(Counted))
    newer = run(doc, inputs=[SILENT], workspace=tmp_path / "ws", catalogue=catalogue(Newer))
    assert work(newer)["Counted"] == "tile version 1 → 2"
    assert times(tmp_path / "count") == 2


def test_a_tile_whose_code_was_edited_works_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The author of a tile need not remember to raise its version while writing it."""
    code = (
        "from tessera.node import Made, NodeType, ours_id\n\n"
        "class Own(NodeType):\n    name = 'Own'\n    type_id = ours_id(name)\n    category = 'edit'\n"
        "    source = 'ours'\n    def run(self, ctx, inputs, params):\n"
        "        return [Made(item.value, (item,), 'WHY') for item in inputs]\n\ntiles = [Own]\n"
    )
    (tmp_path / "own_tiles.py").write_text(code)
    line = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); import own_tiles; from tessera import run;"
        "from tessera.node import Catalogue;"
        "r = run(json.loads(sys.argv[2]), inputs=[sys.argv[3]], workspace=sys.argv[1] + '/ws',"
        "catalogue=Catalogue([*Catalogue.installed(), *own_tiles.tiles]));"
        "n = [n for n in r.nodes.values() if n.name == 'Own'][0]; print(n.work, n.work_why)"
    )
    command = [sys.executable, "-c", line, str(tmp_path), json.dumps(chain("Video Input", "Own")), SILENT]
    said = []
    for why in ("one", "one", "two"):
        (tmp_path / "own_tiles.py").write_text(code.replace("WHY", why))
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        said.append(done.stdout.strip())
    assert said == ["ran the first time", said[1], "ran the tile's code changed"]
    assert said[1].startswith("cached")


def test_another_analyser_is_asked_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_agent(tmp_path)
    monkeypatch.setattr(tilecache, "_ANSWERERS", {"speech": "better/2", "levels": "better/2"})
    again = run_agent(tmp_path)
    assert work(again)["Clips"] == f"analyser of levels {tilecache.ANALYSER} → better/2"
    assert work(again)["Mirror"] == "cached", "it asks nothing, and the clips are the same"


def test_a_tile_may_say_that_it_is_to_work_always(tmp_path: Path) -> None:
    doc = chain("Video Input", ("Restless", {"file": str(tmp_path / "count")}), "Mirror")
    records = [
        run(doc, inputs=[SILENT], workspace=tmp_path / "ws", catalogue=catalogue(Restless)) for _ in range(2)
    ]
    assert times(tmp_path / "count") == 2
    assert work(records[1]) == {"Video Input": "cached", "Restless": "not cacheable", "Mirror": "cached"}


def test_everything_is_done_again_when_asked_to(tmp_path: Path) -> None:
    first = run_agent(tmp_path)
    again = run(AGENT, inputs=[TALK], workspace=tmp_path, cache=False)
    assert set(work(again).values()) == {"cache off"}
    assert sorted(output.raw["reused"] for output in again.outputs)[0] is False
    assert told(again)["items"] == told(first)["items"]
    assert set(work(run_agent(tmp_path)).values()) == {"cached"}


def test_a_failure_is_not_kept(tmp_path: Path) -> None:
    doc = chain("Video Input", ("Counted", {"file": str(tmp_path / "count"), "fails": True}))
    for _ in range(2):
        record = run(doc, inputs=[SILENT], workspace=tmp_path / "ws", catalogue=catalogue(Counted))
        assert record.status == "failed"
    assert times(tmp_path / "count") == 2


def test_a_stub_is_neither_kept_nor_answered_by_what_is_kept(tmp_path: Path) -> None:
    doc = chain("Video Input", "Mirror")
    stub = {uid(1): {"makes": [{"file": TALK}]}}
    run(doc, inputs=[SILENT], workspace=tmp_path)
    stubbed = run(doc, inputs=[SILENT], workspace=tmp_path, stubs=stub)
    assert stubbed.node(uid(1)).work is None
    assert stubbed.outputs[0].duration_ms != 0
    real = run(doc, inputs=[SILENT], workspace=tmp_path)
    assert work(real)["Mirror"] == "cached"
    assert real.outputs[0].raw["fidelity"] == "real"


def test_a_cached_tile_says_what_it_said_and_was_told(tmp_path: Path) -> None:
    counted, clips = ("Counted", {"file": str(tmp_path / "count")}), ("Clips", {"target_duration": 4})
    doc = chain("Video Input", counted, clips)
    facts = []
    for name in ("one", "two"):
        record = run(
            doc,
            inputs=[TALK],
            workspace=tmp_path / "ws",
            catalogue=catalogue(Counted),
            facts_out=tmp_path / name,
        )
        facts.append(json.loads((tmp_path / name).read_text()))
    assert record.node(uid(1)).logs == ("counted once more",)
    assert {origin for _question, _about, origin in record.node(uid(2)).answers} == {"cached"}
    assert facts[0] == facts[1], "a simulation can be fed by a run that was cached"


def test_two_tiles_alike_in_one_run_work_once(tmp_path: Path) -> None:
    alike = ("Counted", {"file": str(tmp_path / "count")})
    doc = agent("Video Input", alike, alike, "Mirror", edges=[(0, 1), (0, 2), (1, 3), (2, 3)])
    record = run(doc, inputs=[SILENT], workspace=tmp_path / "ws", catalogue=catalogue(Counted))
    assert times(tmp_path / "count") == 1
    assert [item["parents"][0]["agent_node_id"] for item in record.items[3:]] == [uid(1), uid(2)]


def test_two_runs_at_once_never_do_the_same_work_twice(tmp_path: Path) -> None:
    doc = chain("Video Input", ("Counted", {"file": str(tmp_path / "count"), "pause_s": 0.5}), "Mirror")
    records: list[RunRecord] = []

    def work_once() -> None:
        records.append(run(doc, inputs=[SILENT], workspace=tmp_path / "ws", catalogue=catalogue(Counted)))

    threads = [threading.Thread(target=work_once) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(records) == 4
    assert {record.status for record in records} == {"completed"}
    assert times(tmp_path / "count") == 1
    assert sorted(record.node(uid(1)).work or "" for record in records) == ["cached"] * 3 + ["ran"]
    assert all(told(record) == told(records[0]) for record in records)


def test_who_waits_does_the_work_where_the_other_fails(tmp_path: Path) -> None:
    doc = chain(
        "Video Input",
        ("Counted", {"file": str(tmp_path / "count"), "pause_s": 0.3, "fails": True}),
    )
    records: list[RunRecord] = []

    def fail_once() -> None:
        records.append(run(doc, inputs=[SILENT], workspace=tmp_path / "ws", catalogue=catalogue(Counted)))

    threads = [threading.Thread(target=fail_once) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert [record.status for record in records] == ["failed", "failed"]
    assert times(tmp_path / "count") == 2


SLOW = """
import json, sys
from tessera import run
from tests.runner.test_tile_cache import Counted, catalogue
run(json.loads(sys.argv[1]), inputs=[sys.argv[2]], workspace=sys.argv[3], catalogue=catalogue(Counted))
"""


def test_the_work_of_a_process_that_died_is_taken_over(tmp_path: Path) -> None:
    doc = chain("Video Input", ("Counted", {"file": str(tmp_path / "count"), "pause_s": 60}))
    line = [sys.executable, "-c", SLOW, json.dumps(doc), SILENT, str(tmp_path / "ws")]
    dying = subprocess.Popen(line, cwd=ROOT)
    until = time.monotonic() + 60
    while not times(tmp_path / "count") and time.monotonic() < until:
        time.sleep(0.05)
    dying.send_signal(signal.SIGKILL)
    dying.wait(timeout=10)
    record = run(doc, inputs=[SILENT], workspace=tmp_path / "ws", catalogue=catalogue(Counted))
    assert record.status == "completed"
    assert times(tmp_path / "count") == 2


def test_who_waits_for_another_s_work_can_be_cancelled(tmp_path: Path) -> None:
    doc = chain("Video Input", ("Counted", {"file": str(tmp_path / "count"), "pause_s": 1.5}))
    done: list[RunRecord] = []

    def first() -> None:
        done.append(run(doc, inputs=[SILENT], workspace=tmp_path / "ws", catalogue=catalogue(Counted)))

    thread = threading.Thread(target=first)
    thread.start()
    while not times(tmp_path / "count"):
        time.sleep(0.02)
    until = time.monotonic() + 0.5
    waiting = run(
        doc,
        inputs=[SILENT],
        workspace=tmp_path / "ws",
        catalogue=catalogue(Counted),
        cancelled=lambda: time.monotonic() > until,
    )
    thread.join(timeout=60)
    assert waiting.status == "cancelled"
    assert done[0].status == "completed"
    assert times(tmp_path / "count") == 1


def test_the_table_says_what_ran_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tessera.cli import main

    (tmp_path / "agent.json").write_text(json.dumps(chain("Video Input", ("Clips", {"num_clips": 1}))))
    line = ["run", str(tmp_path / "agent.json"), "--input", TALK, "--workspace", str(tmp_path / "ws")]
    said = []
    for more in ([], [], ["--set", "Clips.num_clips=2"], ["--no-cache"]):
        assert main([*line, *more]) == 0
        shown = capsys.readouterr().out
        said.append(next(row for row in shown.splitlines() if row.startswith("Clips")))
    for row, words in zip(
        said, ("ran ", "cached", "ran, parameter num_clips 1 → 2", "ran, cache off"), strict=True
    ):
        assert words in row


def test_the_reason_compares_with_the_run_before_even_where_that_took_what_was_kept(tmp_path: Path) -> None:
    why = []
    for count in (3, 5, 3, 4):
        doc = chain("Video Input", ("Clips", {"num_clips": count}))
        why.append(work(run(doc, inputs=[TALK], workspace=tmp_path))["Clips"])
    assert why[1:] == ["parameter num_clips 3 → 5", "cached", "parameter num_clips 3 → 4"]
