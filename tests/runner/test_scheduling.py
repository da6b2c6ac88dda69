"""What the scheduler promises: one record whatever the order of work, turns between runs, bounds, and time
limits that hold.
"""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera import Catalogue, NodeType, RequestError, plan, run, simulate
from tessera.context import Context
from tessera.forecast.priorities import priorities
from tessera.inputs.assets.library import Library
from tessera.inputs.facts import read_facts
from tessera.inputs.resolve import by_node, resolve_inputs
from tessera.media.algebra.expression import Image, Picture
from tessera.media.algebra.item import Item, Video
from tessera.media.ffmpeg.encode_settings import encode_settings_for
from tessera.node import Made, ours_id
from tessera.record.events import EPOCH, Event, NodeChanged
from tessera.record.sink import EventSink
from tessera.runner import entry as api
from tessera.runner.answers.stubs import read_stubs
from tessera.runner.answers.tile_context import Answers
from tessera.runner.coordinator import Coordinator
from tessera.runner.workers.thread_pool import Pool, cores
from tessera.runner.workers.thread_pool import _pool_of as pool_of
from tessera.runner.workers.thread_workers import encode_memory
from tessera.runner.workers.worker import Job, Key, Message, Put, Stopped, Worker
from tests.support.media import MEDIA
from tests.support.planning import agent, chain, runs, uid

ROOT = Path(__file__).parents[2]
FACTS = {
    "*": {"duration_ms": 20_000, "width": 1280, "height": 720, "fps": "25", "has_audio": True, "speech": []}
}


class Shuffled:
    """Workers and their messages: the next job and the next message are drawn at random. Only the
    messages of one job keep their order.
    """

    def __init__(self, worker: Worker, random: Random) -> None:
        self.worker, self.random = worker, random
        self.jobs: list[tuple[Job, Stopped]] = []
        self.told: dict[Key, list[Message]] = {}

    def submit(self, work: Sequence[tuple[Job, Stopped]], put: Put) -> None:
        self.jobs += work

    def drop(self, key: Key) -> None:
        raise AssertionError("nothing is given up here")

    def put(self, message: Message) -> None:
        self.told.setdefault(message[1], []).append(message)

    def get(self, timeout: float = 0) -> Message:
        """The next message; where there is none yet, or the lot says so, a job is done first."""
        while self.jobs and (not self.told or self.random.random() < 0.4):
            job, stopped = self.jobs.pop(self.random.randrange(len(self.jobs)))
            self.worker.do(job, stopped, self.put)
        if not self.told:
            raise queue.Empty
        key = self.random.choice(list(self.told))
        message = self.told[key].pop(0)
        if not self.told[key]:
            del self.told[key]
        return message

    get_nowait = get


def shuffled(template: Any, request: Any, stubs: Any, seed: int) -> dict[str, Any]:
    """The record of a simulation whose work is done in an order drawn by lot."""
    decided = plan(template, request)
    stubbed = read_stubs(stubs, decided, None)
    library, facts = Library(None), read_facts(FACTS)
    resolved = resolve_inputs(decided, library, facts=facts, renders=lambda _render: None)
    recorder = EventSink(None)
    run_id = api._simulated_id(decided)
    recorder.emit(api._run_started(decided, resolved, run_id, "simulate", EPOCH, stubbed))
    answers = Answers(library, facts, lambda: False, assume=True)
    deliver = api._describe_only(run_id, lambda _item: None)
    workers = Shuffled(Worker(answers, deliver, 1000, live=False, clock=lambda: 0.0), Random(seed))
    sources = by_node(resolved.inputs)
    coordinator = Coordinator(
        decided,
        sources,
        workers,
        recorder.emit,
        now=lambda: EPOCH,
        cancelled=lambda: False,
        clock=lambda: 0.0,
        stubs=stubbed,
        priorities=priorities(decided, sources),
    )
    coordinator.messages = workers  # type: ignore[assignment]
    coordinator.run()
    return recorder.record.to_dict()


@st.composite
def delivered_runs(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Agents with some Destinations, each fed by some tiles, and with tiles that fail, ever or once."""
    template, request = draw(runs())
    inner = [node["agent_node_id"] for node in template["agent_nodes"][1:]]
    nodes, connections = list(template["agent_nodes"]), list(template["connections"])
    for _ in range(draw(st.integers(0, 3))):
        node = agent("Destination")["agent_nodes"][0] | {"agent_node_id": uid(len(nodes))}
        for source in draw(st.lists(st.sampled_from(inner), min_size=1, max_size=3, unique=True)):
            pair = {"source_agent_node_id": source, "target_agent_node_id": node["agent_node_id"]}
            connections.append(pair)
        nodes.append(node)
    order = draw(st.permutations(range(len(nodes))))
    left = [node for node in inner if node not in request["ignore_nodes"]]
    failing = draw(st.lists(st.sampled_from(left), max_size=2, unique=True)) if left else []
    faults = {node: {"fault": draw(st.sampled_from(["error", "transient"]))} for node in failing}
    shown = {**template, "agent_nodes": [nodes[at] for at in order], "connections": connections}
    return shown, request, faults


@given(delivered_runs(), st.integers(0, 2**32))
@settings(max_examples=60)
def test_the_record_is_the_same_in_whatever_order_the_work_is_done(
    drawn: tuple[dict[str, Any], dict[str, Any], dict[str, Any]], seed: int
) -> None:
    template, request, faults = drawn
    usual = simulate(template, request, facts=FACTS, stubs=faults, assume=True, workspace="/nonexistent")
    assert shuffled(template, request, faults, seed) == usual.to_dict()


def test_what_reaches_two_outputs_is_delivered_by_the_first_of_them_in_the_template() -> None:
    template = agent(*("Video Input", "Mirror", "Destination", "Destination"), edges=[(0, 1), (1, 2), (1, 3)])
    for seed in range(20):
        told = shuffled(template, {"video_ids": ["v"]}, {}, seed)
        assert [output["delivered_by"] for output in told["outputs"]] == [uid(2)]
    faults = {uid(2): {"fault": "error"}}
    for seed in range(20):
        told = shuffled(template, {"video_ids": ["v"]}, faults, seed)
        assert [output["delivered_by"] for output in told["outputs"]] == [uid(3)]


def test_the_longest_path_comes_first() -> None:
    """One input, a short branch listed first, and a long one."""
    decided = plan(
        agent("Video Input", "Mirror", "Mirror", "Mirror", "Clips", edges=[(0, 1), (0, 2), (2, 3), (3, 4)]),
        {"video_ids": ["v"]},
    )
    found = priorities(decided, {})
    assert found[uid(0)] > found[uid(2)] > found[uid(3)] > found[uid(4)]
    assert found[uid(2)] > found[uid(1)]


# the pool


class Log:
    """Work that says that it began, and ends when it is let go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.gates: dict[str, threading.Event] = {}
        self.most = self.now = 0
        self._lock = threading.Lock()

    def work(self, name: str, *, held: bool = True) -> Any:
        self.gates[name] = threading.Event()
        if not held:
            self.gates[name].set()

        def do() -> None:
            with self._lock:
                self.begun.append(name)
                self.now += 1
                self.most = max(self.most, self.now)
            assert self.gates[name].wait(10)
            with self._lock:
                self.now -= 1
                self.ended.append(name)

        return do

    def let_go(self, *names: str) -> None:
        for name in names:
            self.gates[name].set()

    def wait_for(self, *names: str, ended: bool = False) -> None:
        end = time.monotonic() + 10
        while not set(names) <= set(self.ended if ended else self.begun):
            assert time.monotonic() < end, self.begun
            time.sleep(0.002)


def test_runs_take_turns() -> None:
    pool, log = Pool(1, 1, 1 << 30), Log()
    long, short = pool.lane(), pool.lane()
    long.add(log.work("first"), "first")
    log.wait_for("first")
    for number in range(20):
        long.add(log.work(f"long {number}", held=False), number)
    for number in range(3):
        short.add(log.work(f"short {number}", held=False), number)
    log.let_go("first")
    log.wait_for("long 19", ended=True)
    assert [log.begun.index(f"short {number}") for number in range(3)] == [2, 4, 6]


def test_of_one_run_the_greatest_rank_comes_first_then_the_first_that_came() -> None:
    pool, log = Pool(1, 1, 1 << 30), Log()
    lane = pool.lane()
    lane.add(log.work("now"), "now")
    log.wait_for("now")
    for name, rank in (("b", 1.0), ("c", 1.0), ("a", 5.0), ("d", 0.5)):
        lane.add(log.work(name, held=False), name, rank)
    log.let_go("now")
    log.wait_for("d", ended=True)
    assert log.begun == ["now", "a", "b", "c", "d"]


def test_encodes_are_bounded_and_leave_room_for_tiles() -> None:
    pool, log = Pool(2, 2, 1 << 30), Log()
    lane = pool.lane()
    names = [f"encode {number}" for number in range(6)]
    for name in names:
        lane.add(log.work(name), name, memory=1)
    log.wait_for(*names[:2])
    lane.add(log.work("tile", held=False), "tile")
    log.wait_for("tile", ended=True)
    assert set(log.begun) == {"encode 0", "encode 1", "tile"}
    log.let_go(*names)
    log.wait_for(*names, ended=True)
    assert log.most <= 3


def test_encodes_wait_for_memory_and_a_great_one_is_not_passed_by_for_ever() -> None:
    pool, log = Pool(1, 3, 100), Log()
    one, other = pool.lane(), pool.lane()
    one.add(log.work("light"), "light", memory=60)
    log.wait_for("light")
    one.add(log.work("great"), "great", memory=500)
    other.add(log.work("light too"), "light too", memory=10)
    time.sleep(0.05)
    assert log.begun == ["light"]
    log.let_go("light")
    log.wait_for("great")
    assert log.begun == ["light", "great"]  # more than there is, but alone
    log.let_go("great", "light too")
    log.wait_for("light too", ended=True)


def test_what_is_given_up_leaves_its_place_to_others() -> None:
    pool, log = Pool(1, 1, 1 << 30), Log()
    lane = pool.lane()
    lane.add(log.work("hangs"), "hangs")
    log.wait_for("hangs")
    lane.add(log.work("next", held=False), "next")
    time.sleep(0.05)
    assert log.begun == ["hangs"]
    lane.abandon("hangs")
    log.wait_for("next", ended=True)
    assert not lane.drain(1)  # it is known to be there still
    log.let_go("hangs")
    assert lane.drain(5)


def test_a_run_that_breaks_off_begins_nothing_more() -> None:
    pool, log = Pool(1, 1, 1 << 30), Log()
    lane, other = pool.lane(), pool.lane()
    lane.add(log.work("under way"), "under way")
    log.wait_for("under way")
    lane.add(log.work("never", held=False), "never")
    assert not lane.drain(0.05)
    log.let_go("under way")
    assert lane.drain(5)
    other.add(log.work("another run", held=False), "another run")
    log.wait_for("another run", ended=True)
    assert "never" not in log.begun


@pytest.mark.parametrize(
    ("size", "quality", "least", "most"),
    [
        ((640, 360), "draft", 40, 90),
        ((1920, 1080), "standard", 250, 450),
        ((3840, 2160), "master", 1600, 2200),
    ],
)
def test_what_an_encode_takes_is_estimated_from_its_size(
    size: tuple[int, int], quality: str, least: int, most: int
) -> None:
    """Measured: 51, 317 and 1,709 MB."""
    picture = Picture.source("a", width=size[0], height=size[1], rate=Fraction(30), duration=Fraction(9))
    item = Item("n", 0, Video(picture), (), "", "real")
    assert least <= encode_memory(item, encode_settings_for(quality)) / 1e6 <= most
    image = Item("n", 0, Image.source("b", width=size[0], height=size[1]), (), "", "real")
    assert encode_memory(image, encode_settings_for(quality)) == 0


def test_the_bounds_of_encodes_are_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TESSERA_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    usual = pool_of(-1)
    assert usual.encodes == max(1, cores() // 2)
    (tmp_path / "tessera.toml").write_text("encodes = 3\nencode_memory_mb = 700\n")
    asked = pool_of(-2)
    assert (asked.encodes, asked.memory) == (3, 700_000_000)
    (tmp_path / "tessera.toml").write_text("encodes = 0\n")
    with pytest.raises(RequestError, match=r"tessera\.toml: must be more than 0.*/encodes"):
        pool_of(-3)


# time limits


class Sleeper(NodeType):
    """A tile that hangs in code of its own, which nothing can stop."""

    name = "Sleeper"
    type_id = ours_id(name)
    category = "edit"
    source = "ours"

    def run(self, ctx: Context, inputs: Sequence[Item], params: Any) -> Iterable[Made]:
        time.sleep(300)
        yield from (Made(item.value, (item,), "slept") for item in inputs)


class Impatient(Sleeper):
    """… and declares how long it may."""

    name = "Impatient"
    type_id = ours_id(name)
    timeout_s = 0.2


CATALOGUE = Catalogue([*Catalogue.installed(), Sleeper, Impatient])
CLIP = str(MEDIA / "silent.mp4")
FORK = agent("Video Input", "Sleeper", "Mirror", "Impatient", edges=[(0, 1), (0, 2), (0, 3)])


def test_a_tile_that_hangs_fails_after_its_time_and_the_others_finish(tmp_path: Path) -> None:
    limited = chain("Video Input", "Impatient")
    record = run(limited, inputs=[CLIP], workspace=tmp_path, catalogue=CATALOGUE, quality="draft")
    assert record.errors[0]["messages"] == ["took longer than 0.2 s and was stopped"]
    record = run(
        FORK, inputs=[CLIP], workspace=tmp_path, catalogue=CATALOGUE, tile_timeout_s=3, quality="draft"
    )
    assert record.status == "partial_complete"
    assert [output.node for output in record.outputs] == [uid(2)]
    told = "took longer than 3 s and was stopped"
    assert record.errors == [
        {"original_node_id": uid(1), "messages": [told]},
        {"original_node_id": uid(3), "messages": [told]},
    ]


def test_a_program_ends_although_a_tile_hangs(tmp_path: Path) -> None:
    code = (
        "from tests.runner.test_scheduling import CATALOGUE, CLIP\n"
        "from tests.support.planning import chain\n"
        "from tessera import run\n"
        f"record = run(chain('Video Input', 'Impatient'), inputs=[CLIP], workspace={str(tmp_path)!r},"
        " catalogue=CATALOGUE)\n"
        "print(record.status)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )
    assert (done.stdout, done.returncode) == ("failed\n", 0), done.stderr


@pytest.mark.slow  # it measures time
def test_cancelling_ends_a_run_with_a_tile_that_hangs_within_two_seconds(tmp_path: Path) -> None:
    stop = threading.Event()
    asked: list[float] = []

    def watch(event: Event) -> None:
        if isinstance(event, NodeChanged) and (event.node, event.status) == (uid(1), "running"):
            asked.append(time.monotonic())
            stop.set()

    record = run(
        chain("Video Input", "Sleeper"),
        inputs=[CLIP],
        workspace=tmp_path,
        catalogue=CATALOGUE,
        on_event=watch,
        cancelled=stop.is_set,
    )
    assert time.monotonic() - asked[0] < 2
    assert record.status == "cancelled"
    assert record.node(uid(1)).status == "cancelled"


def test_cancelling_ends_a_pause_before_another_attempt(tmp_path: Path) -> None:
    stop = threading.Event()

    def watch(event: Event) -> None:
        if getattr(event, "message", None) and "attempt 2 of 3 failed" in str(event.message):  # type: ignore[attr-defined]
            stop.set()

    record = run(
        chain("Video Input", "Mirror"),
        inputs=[CLIP],
        workspace=tmp_path,
        stubs={uid(1): {"fault": "transient"}},
        on_event=watch,
        cancelled=stop.is_set,
    )
    assert record.status == "cancelled"


def test_a_render_that_takes_longer_than_its_tile_may_is_killed(tmp_path: Path) -> None:
    from tessera.media.ffmpeg.process import ffmpeg_path

    long = tmp_path / "long.mp4"
    loop = ["-stream_loop", "60", "-i", str(MEDIA / "talk.mp4"), "-c", "copy", str(long)]
    subprocess.run([ffmpeg_path(), "-nostdin", "-v", "error", *loop], check=True)
    record = run(
        chain("Video Input", ("Reframe", {"aspect_ratio": "9:16"})),
        inputs=[str(long)],
        workspace=tmp_path / "ws",
        tile_timeout_s=2,
    )
    assert record.status == "failed"
    assert "took longer than 2 s and was stopped" in record.errors[0]["messages"][0]
    found = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True, check=False)
    assert not found.stdout.strip()
    assert not list((tmp_path / "ws").rglob(".part-*"))
