"""Virtual time: the laws of list scheduling, what a run's work is, and costs that are fitted to real runs."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera import Plan, RequestError, RunRecord, simulate
from tessera.cli import main
from tessera.forecast.cost import DECLARED, Cost, Load, attempts, calibrate, load_of
from tessera.forecast.priorities import longest_paths
from tessera.forecast.schedule import Schedule, gantt, list_schedule, schedule
from tessera.record.events import NodeLog, OutputFailed
from tessera.record.status import NodeStatus
from tessera.store.run_store import RunStore
from tests.support.planning import agent, chain, planned, runs, uid

FACTS = {
    "*": {"duration_ms": 60_000, "width": 1920, "height": 1080, "fps": "25", "speech": [[1000, 40_000]]},
}
CLIPS = ("Clips", {"num_clips": 3, "target_duration": 5})
FORK = agent(
    "Video Input", CLIPS, "Mirror", "Captions", "Destination", edges=[(0, 1), (1, 2), (1, 3), (3, 4)]
)
"""Three clips, mirrored and delivered; and captioned, and delivered by a Destination."""


def simulated(template: Any, request: Any = None, **options: Any) -> tuple[Plan, RunRecord]:
    p = planned(template, request or {"video_ids": ["v"]})
    return p, simulate(p, facts=FACTS, workspace="/nowhere", **options)


def timed(template: Any, workers: int = 2, **options: Any) -> Schedule:
    return schedule(*simulated(template), workers=workers, **options)


Work = tuple[list[int], list[list[int]]]


@st.composite
def works(draw: st.DrawFn) -> Work:
    """Pieces of work, and which wait for which."""
    durations = draw(st.lists(st.integers(0, 20), max_size=14))
    pairs = [(low, high) for high in range(len(durations)) for low in range(high)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    return durations, [[high for low, high in edges if low == at] for at in range(len(durations))]


def makespan(work: Work, workers: int) -> int:
    starts, _where = list_schedule(*work, workers)
    return max((start + took for start, took in zip(starts, work[0], strict=True)), default=0)


# list scheduling


@given(works(), st.integers(1, 5))
def test_it_is_no_faster_than_work_and_longest_path_allow(work: Work, workers: int) -> None:
    took = makespan(work, workers)
    assert took >= max(longest_paths(*work), default=0)
    assert took * workers >= sum(work[0])


@given(works(), st.integers(1, 5), st.integers(0, 5))
def test_it_keeps_grahams_bound(work: Work, workers: int, more: int) -> None:
    took, longest = makespan(work, workers + more), max(longest_paths(*work), default=0)
    m = workers + more
    assert took * m <= sum(work[0]) + (m - 1) * longest
    assert took * m <= (2 * m - 1) * makespan(work, workers)  # which is no better than the best with m


@given(works())
def test_one_worker_takes_all_the_work_one_after_the_other(work: Work) -> None:
    assert makespan(work, 1) == sum(work[0])


@given(works())
def test_with_a_worker_for_each_it_takes_the_longest_path(work: Work) -> None:
    assert makespan(work, max(1, len(work[0]))) == max(longest_paths(*work), default=0)


@given(works(), st.integers(1, 5))
def test_no_worker_does_two_things_at_a_time_and_nothing_begins_early(work: Work, workers: int) -> None:
    durations, after = work
    starts, where = list_schedule(durations, after, workers)
    ends = [start + took for start, took in zip(starts, durations, strict=True)]
    for worker in range(workers):
        mine = sorted((starts[at], ends[at]) for at in range(len(starts)) if where[at] == worker)
        assert all(end <= begun for (_start, end), (begun, _end) in pairwise(mine))
    assert all(starts[later] >= ends[at] for at, waiting in enumerate(after) for later in waiting)
    assert set(where) <= set(range(workers))


@given(works(), st.integers(1, 5))
def test_a_schedule_is_a_function_of_the_work(work: Work, workers: int) -> None:
    assert list_schedule(*work, workers) == list_schedule(*work, workers)


def test_the_longest_path_comes_first() -> None:
    assert list_schedule([1, 1, 9], [[], [2], []], 1)[0] == [10, 0, 1]


def test_there_must_be_a_worker() -> None:
    with pytest.raises(ValueError, match="at least one worker is needed, not 0"):
        list_schedule([1], [[]], 0)


# the work of a run


@given(runs(), st.integers(1, 4))
def test_a_runs_schedule_keeps_the_order_of_its_graph(case: Any, workers: int) -> None:
    p, record = simulated(*case)
    made = schedule(p, record, workers=workers)
    tiles = {task.node: task for task in made.tasks if task.output is None}
    renders = [task for task in made.tasks if task.output is not None]
    assert set(tiles) == set(p.order)
    assert all(tiles[before].end <= tiles[after].start for before, after in p.graph.edges)
    assert all(tiles[task.node].end <= task.start for task in renders)
    assert Counter(task.output for task in renders) == Counter(
        (output.node, output.raw["index"]) for output in record.outputs
    )
    path = made.critical_path
    assert sum(task.duration for task in path) <= made.makespan <= made.work
    assert all(task.critical for task in path)
    assert sum(made.busy) == made.work
    assert 0 < made.utilisation <= 1


def test_tiles_take_what_the_model_says_and_each_output_is_rendered_by_itself() -> None:
    model = DECLARED.override(
        {
            "render": {"fixed": 1, "made": 0.1, "scaled": 0},
            "categories": {"style": {"fixed": 0, "item": 2}, "output": {"item": 0}},
            "tiles": {
                "Video Input": {"item": 0.5},
                "clips": {"received": 0.1, "item": 0},
                "Mirror": {"item": 0},
                "Captions": {"received": 0},
            },
        }
    )
    made = timed(FORK, model=model)
    seconds = {task.label: task.duration / 1e6 for task in made.tasks}
    assert seconds == {
        "Video Input": 0.5,
        "Clips": 6.0,
        "Mirror": 0.0,
        "Captions": 6.0,
        "Destination": 0.0,
        **{f"→ {name} #{number}": 1.5 for name in ("Mirror", "Captions") for number in (1, 2, 3)},
    }
    assert [task.label for task in made.critical_path] == [
        "Video Input",
        "Clips",
        "Captions",
        "Destination",
        "→ Captions #1",
    ]
    assert made.makespan == 15_500_000  # the captions take 6 s, then two workers share three renders
    assert made.work == 21_500_000
    assert timed(FORK, 3, model=model).makespan == 14_000_000


def test_a_picture_four_times_as_large_takes_four_times_as_long() -> None:
    cost = Cost(made=1, scaled=1)
    small = load_of({"duration_ms": 2000, "width": 960, "height": 540})
    large = load_of({"duration_ms": 2000, "width": 1920, "height": 1080})
    assert (cost.seconds(Load(), small), cost.seconds(Load(), large)) == (0.5, 2.0)
    sound = load_of({"duration_ms": 2000})
    assert cost.seconds(Load(), sound) == 0
    assert Cost(made=1, scaled=0.75).seconds(Load(), sound) == 0.5


def test_a_failed_tile_takes_its_time_and_a_blocked_one_none() -> None:
    p, record = simulated(FORK, stubs={"Captions": {"fault": "error"}})
    made = schedule(p, record)
    nodes = {task.node for task in made.tasks}
    assert nodes == {uid(0), uid(1), uid(2), uid(3)}
    assert {task.node for task in made.tasks if task.output} == {uid(2)}
    assert schedule(p, record, excluded={uid(3)}).work < made.work


def test_each_attempt_takes_its_time() -> None:
    once = {task.node: task for task in timed(FORK).tasks if not task.output}
    p, record = simulated(FORK, stubs={"Captions": {"attempts": [{"fault": "transient"}]}})
    assert record.node(uid(3)).status is NodeStatus.COMPLETED
    assert attempts(record.node(uid(3)).logs) == 2
    twice = {task.node: task for task in schedule(p, record).tasks if not task.output}
    assert twice[uid(3)].duration == 2 * once[uid(3)].duration


def test_a_render_that_failed_takes_its_time() -> None:
    p, record = simulated(FORK)
    before = schedule(p, record)
    lost = record.outputs.pop()
    by, index = lost.raw["delivered_by"], lost.raw["index"]
    record.failures.append(OutputFailed(at="", by=by, node=lost.node, index=index, message="no"))
    assert schedule(p, record).to_dict() == before.to_dict()


def test_nothing_takes_no_time() -> None:
    p, record = simulated(FORK)
    for node in record.nodes.values():
        node.status = NodeStatus.CANCELLED
    made = schedule(p, record)
    assert (made.makespan, made.work, made.utilisation, made.critical_path) == (0, 0, 0.0, ())
    assert made.to_dict()["tasks"] == []
    assert gantt(made) == "nothing to do\n"


def test_a_run_of_ten_thousand_tiles_is_scheduled_at_once() -> None:
    count = 10_000
    layers = [(max(0, at - back), at) for at in range(1, count) for back in (7, 31, 100) if at >= back]
    edges = sorted({*layers, *((0, at) for at in range(1, 101))})
    p = planned(agent("Video Input", *["Mirror"] * (count - 1), edges=edges))
    record = simulate(planned(chain("Video Input", "Mirror")), facts=FACTS, workspace="/nowhere")
    start = replace(record.start, nodes=tuple({"original_node_id": node} for node in p.order))
    whole = RunRecord.begin(start)
    whole.made_items = [{**record.items[0], "agent_node_id": node} for node in p.order]
    for node in whole.nodes.values():
        node.status = NodeStatus.COMPLETED
    took = []
    for _ in range(3):
        begun = time.process_time()
        made = schedule(p, whole, workers=8)
        drawing = gantt(made)
        took.append(time.process_time() - begun)
    assert min(took) < 0.5
    assert len(made.tasks) == count
    assert len(drawing.splitlines()) == 42


# drawing


def test_the_gantt_has_a_line_for_each_task_and_marks_the_critical_path() -> None:
    made = timed(FORK)
    lines = gantt(made, 80).splitlines()
    assert len(lines) == len(made.tasks) + 1
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("* ") for line in lines) == len(made.critical_path)
    assert all("▒" not in line for line in lines if line.startswith("*"))
    assert lines[0].startswith("* Video Input")
    assert lines[-1].split()[:2] == ["0", "s"]


def test_a_small_gantt_keeps_what_is_urgent() -> None:
    made = timed(FORK)
    lines = gantt(made, rows=len(made.critical_path)).splitlines()
    assert all(line.startswith("*") for line in lines[:-2])
    assert lines[-1] == f"  … and {len(made.tasks) - len(made.critical_path)} more"


def test_names_that_several_tiles_share_are_told_apart() -> None:
    labels = [task.label for task in timed(chain("Video Input", "Mirror", "Mirror")).tasks]
    assert labels == ["Video Input", "Mirror 00000001", "Mirror 00000002", "→ Mirror 00000002 #1"]


def test_odd_names_do_not_break_the_lines() -> None:
    template = chain("Video Input", "字幕\n\x1b[31m" * 30)
    p = planned(template, unknown_tiles="opaque")
    made = schedule(p, simulate(p, facts=FACTS, workspace="/nowhere"))
    lines = gantt(made, 60).splitlines()
    assert len(lines) == len(made.tasks) + 1
    assert "\x1b" not in "".join(lines)


# costs


def as_run(record: RunRecord, seconds: Callable[[str], float]) -> dict[str, Any]:
    """A simulation dressed up as a run in which each tile took so long."""
    whole = {**record.to_dict(), "mode": "run"}
    for node in whole["nodes"]:
        node["seconds"] = seconds(node["original_node_id"])
    return whole


LINE = chain("Video Input", CLIPS, "Captions", "Destination", id=uid(0))
ONE = chain("Video Input", "Captions", "Destination")


def took(template: Any, factor: float, render: float = 1) -> dict[str, Any]:
    """A run in which tiles took `factor` times what they should, and renders `render` times."""
    p, record = simulated(template)
    tasks = schedule(p, record, workers=1).tasks
    own = {task.node: task.duration / 1e6 for task in tasks if not task.output}
    renders = dict.fromkeys(own, 0.0)
    for task in tasks:
        renders[task.node] += task.duration / 1e6 if task.output else 0
    return as_run(record, lambda node: own[node] * factor + renders[node] * render)


def test_costs_are_fitted_by_the_median_and_say_where_they_come_from() -> None:
    fitted = calibrate([took(LINE, 3), took(LINE, 3), took(LINE, 400)])
    clips, declared = fitted.of("Clips", "edit"), DECLARED.of("Clips", "edit")
    assert clips.received == pytest.approx(3 * declared.received)
    assert clips.origin == "calibrated from 3 runs"
    assert fitted.of("Reframe", "edit") == DECLARED.of("Reframe", "edit")
    assert fitted.of("Reframe", "edit").origin == "declared"


def test_renders_are_fitted_to_those_that_were_alone_where_there_are_some() -> None:
    assert calibrate([took(LINE, 1, 4)]).render.made == pytest.approx(4 * DECLARED.render.made, rel=0.01)
    fitted = calibrate([took(LINE, 1, 4), took(ONE, 1, 2)])
    assert fitted.render.made == pytest.approx(2 * DECLARED.render.made, rel=0.01)
    assert fitted.render.origin == "calibrated from 1 run"


def test_a_calibrated_model_foretells_the_run_that_it_was_fitted_to() -> None:
    record = took(ONE, 2, 5)
    made = timed(ONE, 1, model=calibrate([record]))
    assert made.work / 1e6 == pytest.approx(sum(node["seconds"] for node in record["nodes"]), rel=0.01)


def test_only_finished_runs_and_tiles_that_worked_themselves_count() -> None:
    simulation, stubbed = took(LINE, 9), took(LINE, 9)
    simulation["mode"] = "simulate"
    stubbed["stubs"] = [uid(1)]
    again, failed, running = took(LINE, 9), took(LINE, 9), took(LINE, 9)
    again["nodes"][1]["logs"] = ["attempt 1 of 3 failed: busy"]
    failed["nodes"][1]["status"] = "failed"
    running["status"] = "running"
    fitted = calibrate([simulation, stubbed, again, failed, running])
    assert fitted.of("Clips", "edit").origin == "declared"
    assert calibrate([]).to_dict() == DECLARED.to_dict()


def test_a_record_that_is_an_object_counts_as_its_json() -> None:
    _p, record = simulated(ONE)
    record.start = replace(record.start, mode="run")
    for node in record.nodes.values():
        node.seconds = 30.0
    assert calibrate([record]).to_dict() == calibrate([record.to_dict()]).to_dict()
    assert calibrate([record]).of("Captions", "style").origin == "calibrated from 1 run"


def test_what_is_given_comes_before_what_was_fitted_and_models_are_read_back() -> None:
    fitted = calibrate([took(LINE, 3)])
    mine = fitted.override({"tiles": {"CLIPS": {"item": 7}}, "categories": {"sound": {"fixed": 1}}})
    clips = mine.of("Clips", "edit")
    assert (clips.item, clips.received, clips.origin) == (7, fitted.of("Clips", "edit").received, "given")
    assert mine.of("Audio Enhance", "sound").fixed == 1
    assert DECLARED.override(mine.to_dict()).to_dict() == mine.to_dict()


def test_every_fault_of_a_table_of_costs_is_named() -> None:
    with pytest.raises(RequestError) as caught:
        DECLARED.override(
            {"tils": {}, "tiles": {"Clips": {"itm": 1, "made": -1}}, "categories": {"edits": {}}}
        )
    assert {fault.loc for fault in caught.value.errors} == {
        "/tils",
        "/tiles/Clips/itm",
        "/tiles/Clips/made",
        "/categories/edits",
    }
    assert any("did you mean 'item'" in fault.message for fault in caught.value.errors)


# the command


def test_the_command_shows_the_schedule_and_calibrates_it_by_the_workspace(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = [json.dumps(LINE), '{"video_ids": ["v"]}', "--facts", json.dumps(FACTS)]
    assert main(["estimate", *line, "--workers", "3"]) == 0
    out, err = capsys.readouterr()
    assert not err
    assert all(
        word in out for word in ("ESTIMATE", "* Clips", "with 3 workers", "critical path", "declared: ")
    )
    store = RunStore(tmp_path / ".tessera")
    log = store.begin("r", {"record.json": json.dumps(took(LINE, 3))})
    log.append(NodeLog(at="", node="", message=""))
    log.commit()
    assert main(["estimate", *line, "--json", "--costs", '{"render": {"fixed": 100}}']) == 0
    found = json.loads(capsys.readouterr().out)
    costs = {task["label"]: task["cost"] for task in found["schedule"]["tasks"]}
    assert costs["Clips"] == "calibrated from 1 run"
    assert costs["→ Captions #1"] == "given"
    assert found["schedule"]["makespan"] > 200
    assert found["run"]["status"] == "completed"
    assert found["gantt"][0].startswith("* Video Input")
