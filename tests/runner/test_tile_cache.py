"""The results of tiles are cached: a run repeats only the work that has changed, and says why."""

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
from tessera.agent import AgentTemplate
from tessera.context import Context
from tessera.errors import TileError
from tessera.media.algebra.item import Item, Video
from tessera.node import Catalogue, Made, NodeType, Params, ours_id
from tessera.runner.cache import tile_cache as tilecache
from tessera.testing import agent, node_id
from tests.support.media import MEDIA

ROOT = Path(__file__).parents[2]
TALK = str(MEDIA / "talk.mp4")
SILENT = str(MEDIA / "silent.mp4")


class Counted(NodeType):
    """Mirror, and write a line to a file on each execution; the first one takes `pause_s` seconds."""

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
    """Return for each tile `cached`, or the reason why it ran."""
    return {node.name: node.work if node.work != "ran" else node.work_why for node in record.nodes.values()}  # type: ignore[misc]


def counting(
    folder: Path, node_type: type[NodeType] = Counted, after: str = "", **params: Any
) -> AgentTemplate:
    """Return an agent with a tile of this type, which writes to the file `count` of the folder."""
    return agent(
        f"input > tile:{counted(folder, node_type, **params)}{after}", catalogue=catalogue(node_type)
    )


def counted(folder: Path, node_type: type[NodeType] = Counted, **params: Any) -> str:
    """Return such a tile in the notation, without its name."""
    values = {"file": str(folder / "count"), **params}
    return f"{node_type.name}({', '.join(f'{name}={json.dumps(value)}' for name, value in values.items())})"


AGENT = agent(
    'input > clips(num_clips=2, target_duration=4) > {mirror, reframe(aspect_ratio="9:16")}'
    " > watermark > destination"
)


def run_agent(workspace: Path, **request: Any) -> RunRecord:
    return run(AGENT, request or None, inputs=[TALK], workspace=workspace)


def comparable(record: RunRecord) -> dict[str, Any]:
    """Return a record without the members that differ between runs."""
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


def test_a_second_identical_run_executes_no_tile_and_renders_nothing(tmp_path: Path) -> None:
    first, second = run_agent(tmp_path), run_agent(tmp_path)
    assert set(work(first).values()) == {"the first time"}
    assert set(work(second).values()) == {"cached"}
    assert all(output.raw["reused"] for output in second.outputs)
    assert comparable(second) == comparable(first)


def test_a_changed_parameter_runs_exactly_its_tile_and_the_tiles_downstream(tmp_path: Path) -> None:
    run_agent(tmp_path)
    changed = run_agent(tmp_path, update_params={node_id("reframe"): {"aspect_ratio": "1:1"}})
    assert work(changed) == {
        "Video Input": "cached",
        "Clips": "cached",
        "Mirror": "cached",
        "Reframe": 'parameter aspect_ratio "9:16" → "1:1"',
        "Watermark": "input from Reframe changed",
        "Destination": "input from Watermark changed",
    }
    back = run_agent(tmp_path)
    assert set(work(back).values()) == {"cached"}, "results from before the last change are kept too"


def test_a_changed_parameter_with_the_same_result_runs_nothing_downstream(tmp_path: Path) -> None:
    doc = agent('input > clips(num_clips=1, prompt="") > mirror')
    run(doc, inputs=[SILENT], workspace=tmp_path)
    again = run(
        doc, {"update_params": {node_id("clips"): {"num_clips": 2}}}, inputs=[SILENT], workspace=tmp_path
    )
    same = again.outputs[0].raw["reused"]
    assert work(again)["Clips"] == "parameter num_clips 1 → 2"
    assert (work(again)["Mirror"] == "cached") == same


def test_a_different_input_is_given_as_the_reason(tmp_path: Path) -> None:
    doc = agent("input > mirror")
    run(doc, inputs=[SILENT], workspace=tmp_path)
    other = run(doc, inputs=[TALK], workspace=tmp_path)
    assert work(other) == {"Video Input": "input changed", "Mirror": "input from Video Input changed"}


def test_ignoring_a_tile_changes_the_inputs_of_the_tiles_after_it(tmp_path: Path) -> None:
    doc = agent('input > mirror > reframe(aspect_ratio="1:1")')
    run(doc, inputs=[SILENT], workspace=tmp_path)
    without = run(doc, {"ignore_nodes": [node_id("mirror")]}, inputs=[SILENT], workspace=tmp_path)
    why = "new input from Video Input, removed input from " + node_id("mirror")
    assert work(without) == {"Video Input": "cached", "Reframe": why}


def test_a_new_version_of_a_tile_runs_again(tmp_path: Path) -> None:
    older, newer = (
        run(
            counting(tmp_path, node_type),
            inputs=[SILENT],
            workspace=tmp_path / "ws",
            catalogue=catalogue(node_type),
        )
        for node_type in (Counted, Newer)
    )
    assert work(older)["Counted"] == "the first time"
    assert work(newer)["Counted"] == "tile version 1 → 2"
    assert times(tmp_path / "count") == 2


def test_a_tile_whose_code_was_edited_runs_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Authors need not raise the version of a tile while they write it."""
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
    command = [
        sys.executable,
        "-c",
        line,
        str(tmp_path),
        agent("input > own:Own", unknown_tiles="opaque").to_json(),
        SILENT,
    ]
    said = []
    for why in ("one", "one", "two"):
        (tmp_path / "own_tiles.py").write_text(code.replace("WHY", why))
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        said.append(done.stdout.strip())
    assert said == ["ran the first time", said[1], "ran the tile's code changed"]
    assert said[1].startswith("cached")


def test_a_new_version_of_an_analyser_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_agent(tmp_path)
    monkeypatch.setattr(tilecache, "_ANALYSERS", {"speech": "better/2", "levels": "better/2"})
    again = run_agent(tmp_path)
    assert work(again)["Clips"] == f"analyser of levels {tilecache.ANALYSER} → better/2"
    assert work(again)["Mirror"] == "cached", "it asks no analyser, and the clips are the same"


def test_a_tile_may_opt_out_of_the_cache(tmp_path: Path) -> None:
    doc = counting(tmp_path, Restless, " > mirror")
    records = [
        run(doc, inputs=[SILENT], workspace=tmp_path / "ws", catalogue=catalogue(Restless)) for _ in range(2)
    ]
    assert times(tmp_path / "count") == 2
    assert work(records[1]) == {"Video Input": "cached", "Restless": "not cacheable", "Mirror": "cached"}


def test_everything_runs_again_without_the_cache(tmp_path: Path) -> None:
    first = run_agent(tmp_path)
    again = run(AGENT, inputs=[TALK], workspace=tmp_path, cache=False)
    assert set(work(again).values()) == {"cache off"}
    assert sorted(output.raw["reused"] for output in again.outputs)[0] is False
    assert comparable(again)["items"] == comparable(first)["items"]
    assert set(work(run_agent(tmp_path)).values()) == {"cached"}


def test_a_failure_is_not_cached(tmp_path: Path) -> None:
    doc = counting(tmp_path, fails=True)
    for _ in range(2):
        record = run(doc, inputs=[SILENT], workspace=tmp_path / "ws", catalogue=catalogue(Counted))
        assert record.status == "failed"
    assert times(tmp_path / "count") == 2


def test_a_stub_is_neither_cached_nor_replaced_by_a_cached_result(tmp_path: Path) -> None:
    doc = agent("input > mirror")
    stub = {node_id("mirror"): {"makes": [{"file": TALK}]}}
    run(doc, inputs=[SILENT], workspace=tmp_path)
    stubbed = run(doc, inputs=[SILENT], workspace=tmp_path, stubs=stub)
    assert stubbed.node(node_id("mirror")).work is None
    assert stubbed.outputs[0].duration_ms != 0
    real = run(doc, inputs=[SILENT], workspace=tmp_path)
    assert work(real)["Mirror"] == "cached"
    assert real.outputs[0].raw["fidelity"] == "real"


def test_a_cached_tile_keeps_its_logs_and_answers(tmp_path: Path) -> None:
    doc = counting(tmp_path, after=" > clips(target_duration=4)")
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
    assert record.node(node_id("tile")).logs == ("counted once more",)
    assert {origin for _question, _about, origin in record.node(node_id("clips")).answers} == {"cached"}
    assert facts[0] == facts[1], "a simulation can use the facts of a cached run"


def test_two_equal_tiles_in_one_run_execute_once(tmp_path: Path) -> None:
    alike = counted(tmp_path)
    doc = agent(f"input > {{left:{alike}, right:{alike}}} > mirror", catalogue=catalogue(Counted))
    record = run(doc, inputs=[SILENT], workspace=tmp_path / "ws", catalogue=catalogue(Counted))
    assert times(tmp_path / "count") == 1
    assert [item["parents"][0]["agent_node_id"] for item in record.items[3:]] == [
        node_id("left"),
        node_id("right"),
    ]


def test_concurrent_runs_never_do_the_same_work_twice(tmp_path: Path) -> None:
    doc = counting(tmp_path, after=" > mirror", pause_s=0.5)
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
    assert sorted(record.node(node_id("tile")).work or "" for record in records) == ["cached"] * 3 + ["ran"]
    assert all(comparable(record) == comparable(records[0]) for record in records)


def test_a_waiting_run_does_the_work_itself_if_the_other_fails(tmp_path: Path) -> None:
    doc = counting(tmp_path, pause_s=0.3, fails=True)
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
    doc = counting(tmp_path, pause_s=60)
    line = [sys.executable, "-c", SLOW, doc.to_json(), SILENT, str(tmp_path / "ws")]
    dying = subprocess.Popen(line, cwd=ROOT)
    until = time.monotonic() + 60
    while not times(tmp_path / "count") and time.monotonic() < until:
        time.sleep(0.05)
    dying.send_signal(signal.SIGKILL)
    dying.wait(timeout=10)
    record = run(doc, inputs=[SILENT], workspace=tmp_path / "ws", catalogue=catalogue(Counted))
    assert record.status == "completed"
    assert times(tmp_path / "count") == 2


def test_waiting_for_the_work_of_another_run_can_be_cancelled(tmp_path: Path) -> None:
    doc = counting(tmp_path, pause_s=1.5)
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


def test_the_table_shows_which_tiles_ran_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tessera.cli import main

    (tmp_path / "agent.json").write_text(agent("input > clips(num_clips=1)").to_json())
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


def test_the_reason_compares_with_the_previous_run_even_if_that_was_cached(tmp_path: Path) -> None:
    why = []
    for count in (3, 5, 3, 4):
        doc = agent(f"input > clips(num_clips={count})")
        why.append(work(run(doc, inputs=[TALK], workspace=tmp_path))["Clips"])
    assert why[1:] == ["parameter num_clips 3 → 5", "cached", "parameter num_clips 3 → 4"]
