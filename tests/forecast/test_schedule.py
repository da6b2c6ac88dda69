"""Virtual time: the laws of list scheduling, the work of a run, and costs fitted to real runs."""

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
from tessera.testing import agent, node_id
from tests.support.planning import planned, runs

FACTS = {
    "*": {"duration_ms": 60_000, "width": 1920, "height": 1080, "fps": "25", "speech": [[1000, 40_000]]},
}
FORK = agent("input > clips(num_clips=3, target_duration=5) > {mirror, captions}; captions > destination")
"""Three clips: mirrored and delivered, and captioned and delivered by a Destination."""


def simulated(template: Any, request: Any = None, **options: Any) -> tuple[Plan, RunRecord]:
    p = planned(template, request or {"video_ids": ["v"]})
    return p, simulate(p, facts=FACTS, workspace="/nowhere", **options)


def schedule_of(template: Any, workers: int = 2, **options: Any) -> Schedule:
    return schedule(*simulated(template), workers=workers, **options)


Work = tuple[list[int], list[list[int]]]


@st.composite
def works(draw: st.DrawFn) -> Work:
    """Draw durations of tasks, and for each task the tasks that wait for it."""
    durations = draw(st.lists(st.integers(0, 20), max_size=14))
    pairs = [(low, high) for high in range(len(durations)) for low in range(high)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    return durations, [[high for low, high in edges if low == at] for at in range(len(durations))]


def makespan(work: Work, workers: int) -> int:
    starts, _where = list_schedule(*work, workers)
    return max((start + took for start, took in zip(starts, work[0], strict=True)), default=0)


# list scheduling


@given(works(), st.integers(1, 5))
def test_a_schedule_is_no_shorter_than_its_longest_path_and_its_work_allow(work: Work, workers: int) -> None:
    took = makespan(work, workers)
    assert took >= max(longest_paths(*work), default=0)
    assert took * workers >= sum(work[0])


@given(works(), st.integers(1, 5), st.integers(0, 5))
def test_a_schedule_keeps_grahams_bound(work: Work, workers: int, more: int) -> None:
    took, longest = makespan(work, workers + more), max(longest_paths(*work), default=0)
    m = workers + more
    assert took * m <= sum(work[0]) + (m - 1) * longest
    assert took * m <= (2 * m - 1) * makespan(work, workers)  # which is no better than the best with m


@given(works())
def test_one_worker_takes_the_sum_of_all_work(work: Work) -> None:
    assert makespan(work, 1) == sum(work[0])


@given(works())
def test_one_worker_per_task_takes_the_longest_path(work: Work) -> None:
    assert makespan(work, max(1, len(work[0]))) == max(longest_paths(*work), default=0)


@given(works(), st.integers(1, 5))
def test_no_worker_does_two_tasks_at_once_and_no_task_begins_early(work: Work, workers: int) -> None:
    durations, after = work
    starts, where = list_schedule(durations, after, workers)
    ends = [start + took for start, took in zip(starts, durations, strict=True)]
    for worker in range(workers):
        mine = sorted((starts[at], ends[at]) for at in range(len(starts)) if where[at] == worker)
        assert all(end <= begun for (_start, end), (begun, _end) in pairwise(mine))
    assert all(starts[later] >= ends[at] for at, waiting in enumerate(after) for later in waiting)
    assert set(where) <= set(range(workers))


@given(works(), st.integers(1, 5))
def test_the_same_work_gives_the_same_schedule(work: Work, workers: int) -> None:
    assert list_schedule(*work, workers) == list_schedule(*work, workers)


def test_the_longest_path_comes_first() -> None:
    assert list_schedule([1, 1, 9], [[], [2], []], 1)[0] == [10, 0, 1]


def test_a_schedule_without_a_worker_is_refused() -> None:
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


def test_tiles_take_the_time_of_the_model_and_each_output_is_one_task() -> None:
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
    made = schedule_of(FORK, model=model)
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
    assert schedule_of(FORK, 3, model=model).makespan == 14_000_000


def test_a_picture_four_times_as_large_takes_four_times_as_long() -> None:
    cost = Cost(made=1, scaled=1)
    small = load_of({"duration_ms": 2000, "width": 960, "height": 540})
    large = load_of({"duration_ms": 2000, "width": 1920, "height": 1080})
    assert (cost.seconds(Load(), small), cost.seconds(Load(), large)) == (0.5, 2.0)
    sound = load_of({"duration_ms": 2000})
    assert cost.seconds(Load(), sound) == 0
    assert Cost(made=1, scaled=0.75).seconds(Load(), sound) == 0.5


def test_a_failed_tile_takes_time_and_a_blocked_tile_takes_none() -> None:
    p, record = simulated(FORK, stubs={"Captions": {"fault": "error"}})
    made = schedule(p, record)
    nodes = {task.node for task in made.tasks}
    assert nodes == {tile.id for tile in FORK if tile.name != "Destination"}
    assert {task.node for task in made.tasks if task.output} == {node_id("mirror")}
    assert schedule(p, record, excluded={node_id("captions")}).work < made.work


def test_each_attempt_takes_time() -> None:
    once = {task.node: task for task in schedule_of(FORK).tasks if not task.output}
    p, record = simulated(FORK, stubs={"Captions": {"attempts": [{"fault": "transient"}]}})
    assert record.node(node_id("captions")).status is NodeStatus.COMPLETED
    assert attempts(record.node(node_id("captions")).logs) == 2
    twice = {task.node: task for task in schedule(p, record).tasks if not task.output}
    assert twice[node_id("captions")].duration == 2 * once[node_id("captions")].duration


def test_a_failed_render_takes_time() -> None:
    p, record = simulated(FORK)
    before = schedule(p, record)
    lost = record.outputs.pop()
    by, index = lost.raw["delivered_by"], lost.raw["index"]
    record.failures.append(OutputFailed(at="", by=by, node=lost.node, index=index, message="no"))
    assert schedule(p, record).to_dict() == before.to_dict()


def test_a_run_without_work_takes_no_time() -> None:
    p, record = simulated(FORK)
    for node in record.nodes.values():
        node.status = NodeStatus.CANCELLED
    made = schedule(p, record)
    assert (made.makespan, made.work, made.utilisation, made.critical_path) == (0, 0, 0.0, ())
    assert made.to_dict()["tasks"] == []
    assert gantt(made) == "nothing to do\n"


def test_a_run_of_ten_thousand_tiles_is_scheduled_quickly() -> None:
    count = 10_000
    names = ["input", *(f"mirror_{number}" for number in range(1, count))]
    layers = [(at - back, at) for at in range(1, count) for back in (7, 31, 100) if at >= back]
    edges = sorted({*layers, *((0, at) for at in range(1, 101))})
    lines = [*names, *(f"{names[source]} > {names[target]}" for source, target in edges)]
    p = planned(agent("\n".join(lines)))
    record = simulate(planned(agent("input > mirror")), facts=FACTS, workspace="/nowhere")
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
    made = schedule_of(FORK)
    lines = gantt(made, 80).splitlines()
    assert len(lines) == len(made.tasks) + 1
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("* ") for line in lines) == len(made.critical_path)
    assert all("▒" not in line for line in lines if line.startswith("*"))
    assert lines[0].startswith("* Video Input")
    assert lines[-1].split()[:2] == ["0", "s"]


def test_a_small_gantt_keeps_the_critical_path() -> None:
    made = schedule_of(FORK)
    lines = gantt(made, rows=len(made.critical_path)).splitlines()
    assert all(line.startswith("*") for line in lines[:-2])
    assert lines[-1] == f"  … and {len(made.tasks) - len(made.critical_path)} more"


def test_tiles_of_the_same_name_are_told_apart_by_id() -> None:
    labels = [task.label for task in schedule_of(agent("input > mirror > mirror_2")).tasks]
    first, second = (node_id(name)[:8] for name in ("mirror", "mirror_2"))
    assert labels == ["Video Input", f"Mirror {first}", f"Mirror {second}", f"→ Mirror {second} #1"]


def test_odd_names_do_not_break_the_lines() -> None:
    name = json.dumps("字幕\n\x1b[31m" * 30)
    template = agent(f"input > odd:{name}", unknown_tiles="opaque")
    p = planned(template, unknown_tiles="opaque")
    made = schedule(p, simulate(p, facts=FACTS, workspace="/nowhere"))
    lines = gantt(made, 60).splitlines()
    assert len(lines) == len(made.tasks) + 1
    assert "\x1b" not in "".join(lines)


# costs


def as_run(record: RunRecord, seconds: Callable[[str], float]) -> dict[str, Any]:
    """Return the record of a simulation as that of a run in which each tile took this many seconds."""
    whole = {**record.to_dict(), "mode": "run"}
    for node in whole["nodes"]:
        node["seconds"] = seconds(node["original_node_id"])
    return whole


LINE = agent("input > clips(num_clips=3, target_duration=5) > captions > destination")
ONE = agent("input > captions > destination")


def slow_run(template: Any, factor: float, render: float = 1) -> dict[str, Any]:
    """Return a run in which tiles took `factor` times their declared time, and renders `render` times."""
    p, record = simulated(template)
    tasks = schedule(p, record, workers=1).tasks
    own = {task.node: task.duration / 1e6 for task in tasks if not task.output}
    renders = dict.fromkeys(own, 0.0)
    for task in tasks:
        renders[task.node] += task.duration / 1e6 if task.output else 0
    return as_run(record, lambda node: own[node] * factor + renders[node] * render)


def test_costs_are_fitted_by_the_median_and_name_their_origin() -> None:
    fitted = calibrate([slow_run(LINE, 3), slow_run(LINE, 3), slow_run(LINE, 400)])
    clips, declared = fitted.of("Clips", "edit"), DECLARED.of("Clips", "edit")
    assert clips.received == pytest.approx(3 * declared.received)
    assert clips.origin == "calibrated from 3 runs"
    assert fitted.of("Reframe", "edit") == DECLARED.of("Reframe", "edit")
    assert fitted.of("Reframe", "edit").origin == "declared"


def test_renders_are_fitted_to_runs_with_single_renders_if_there_are_any() -> None:
    assert calibrate([slow_run(LINE, 1, 4)]).render.made == pytest.approx(4 * DECLARED.render.made, rel=0.01)
    fitted = calibrate([slow_run(LINE, 1, 4), slow_run(ONE, 1, 2)])
    assert fitted.render.made == pytest.approx(2 * DECLARED.render.made, rel=0.01)
    assert fitted.render.origin == "calibrated from 1 run"


def test_a_calibrated_model_predicts_the_run_it_was_fitted_to() -> None:
    record = slow_run(ONE, 2, 5)
    made = schedule_of(ONE, 1, model=calibrate([record]))
    assert made.work / 1e6 == pytest.approx(sum(node["seconds"] for node in record["nodes"]), rel=0.01)


def test_only_finished_runs_and_real_work_count_for_calibration() -> None:
    simulation, stubbed = slow_run(LINE, 9), slow_run(LINE, 9)
    simulation["mode"] = "simulate"
    stubbed["stubs"] = [node_id("clips")]
    again, failed, running = slow_run(LINE, 9), slow_run(LINE, 9), slow_run(LINE, 9)
    again["nodes"][1]["logs"] = ["attempt 1 of 3 failed: busy"]
    failed["nodes"][1]["status"] = "failed"
    running["status"] = "running"
    fitted = calibrate([simulation, stubbed, again, failed, running])
    assert fitted.of("Clips", "edit").origin == "declared"
    assert calibrate([]).to_dict() == DECLARED.to_dict()


def test_a_record_object_counts_like_its_json() -> None:
    _p, record = simulated(ONE)
    record.start = replace(record.start, mode="run")
    for node in record.nodes.values():
        node.seconds = 30.0
    assert calibrate([record]).to_dict() == calibrate([record.to_dict()]).to_dict()
    assert calibrate([record]).of("Captions", "style").origin == "calibrated from 1 run"


def test_given_costs_override_fitted_costs_and_survive_json() -> None:
    fitted = calibrate([slow_run(LINE, 3)])
    mine = fitted.override({"tiles": {"CLIPS": {"item": 7}}, "categories": {"sound": {"fixed": 1}}})
    clips = mine.of("Clips", "edit")
    assert (clips.item, clips.received, clips.origin) == (7, fitted.of("Clips", "edit").received, "given")
    assert mine.of("Audio Enhance", "sound").fixed == 1
    assert DECLARED.override(mine.to_dict()).to_dict() == mine.to_dict()


def test_every_fault_of_a_cost_table_is_reported() -> None:
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


def test_the_command_shows_a_schedule_calibrated_by_the_workspace(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = [LINE.to_json(), '{"video_ids": ["v"]}', "--facts", json.dumps(FACTS)]
    assert main(["estimate", *line, "--workers", "3"]) == 0
    out, err = capsys.readouterr()
    assert not err
    assert all(
        word in out for word in ("ESTIMATE", "* Clips", "with 3 workers", "critical path", "declared: ")
    )
    store = RunStore(tmp_path / ".tessera")
    log = store.begin("r", {"record.json": json.dumps(slow_run(LINE, 3))})
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
