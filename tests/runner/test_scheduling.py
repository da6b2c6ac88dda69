"""The contract of the scheduler: the record does not depend on the order of work, runs take turns, and limits
on encodes, memory and time hold.
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
from tessera.runner.answers.stubs import read_stubs
from tessera.runner.answers.tile_context import Answers
from tessera.runner.config import SimulateConfig
from tessera.runner.entry import _describe_only
from tessera.runner.run_started import RunIdentity, run_started, simulated_id
from tessera.runner.scheduling.coordinator import Coordinator
from tessera.runner.scheduling.run_spec import RunSpec
from tessera.runner.scheduling.run_state import STOPPED_CLOCK
from tessera.runner.workers.messages import Job, Key, Message, Put, Stopped
from tessera.runner.workers.thread_pool import Pool, cores
from tessera.runner.workers.thread_pool import _pool_of as pool_of
from tessera.runner.workers.thread_workers import encode_memory
from tessera.runner.workers.worker import Worker
from tessera.testing import agent, node_id
from tests.support.media import MEDIA
from tests.support.planning import runs

ROOT = Path(__file__).parents[2]
FACTS = {
    "*": {"duration_ms": 20_000, "width": 1280, "height": 720, "fps": "25", "has_audio": True, "speech": []}
}


class ShuffledWorkers:
    """Workers and their messages in random order. Only the messages of one job keep their order."""

    def __init__(self, worker: Worker, random: Random) -> None:
        self.worker, self.random = worker, random
        self.jobs: list[tuple[Job, Stopped]] = []
        self.pending: dict[Key, list[Message]] = {}

    def submit(self, work: Sequence[tuple[Job, Stopped]], put: Put) -> None:
        self.jobs += work

    def drop(self, key: Key) -> None:
        raise AssertionError("nothing is given up here")

    def put(self, message: Message) -> None:
        self.pending.setdefault(message.key, []).append(message)

    def get(self, timeout: float = 0) -> Message:
        """Return the next message; first do a job if there is no message, or at random."""
        while self.jobs and (not self.pending or self.random.random() < 0.4):
            job, stopped = self.jobs.pop(self.random.randrange(len(self.jobs)))
            self.worker.do(job, stopped, self.put)
        if not self.pending:
            raise queue.Empty
        key = self.random.choice(list(self.pending))
        message = self.pending[key].pop(0)
        if not self.pending[key]:
            del self.pending[key]
        return message

    get_nowait = get


def shuffled(template: Any, request: Any, stubs: Any, seed: int) -> dict[str, Any]:
    """Return the record of a simulation whose work is done in random order."""
    decided = plan(template, request)
    stubbed = read_stubs(stubs, decided, None)
    library, facts = Library(None), read_facts(FACTS)
    resolved = resolve_inputs(decided, library, facts=facts, renders=lambda _render: None)
    sink = EventSink(None)
    run_id = simulated_id(decided)
    sources = by_node(resolved.inputs)
    spec = RunSpec(decided, sources, stubbed, priorities=priorities(decided, sources))
    sink.emit(run_started(RunIdentity(run_id, "simulate", EPOCH), spec, resolved))
    answers = Answers(library, facts, assume=True)
    deliver = _describe_only(run_id, SimulateConfig(), library)
    workers = ShuffledWorkers(Worker(answers, deliver, 1000, live=False, clock=lambda: 0.0), Random(seed))
    coordinator = Coordinator(spec, workers, sink, cancelled=lambda: False, clock=STOPPED_CLOCK)
    coordinator.messages = workers  # type: ignore[assignment]
    coordinator.run()
    return sink.record.to_dict()


@st.composite
def delivered_runs(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Draw agents with some Destinations, each fed by some tiles, and with tiles that fail always or once."""
    template, request = draw(runs())
    inner = [node["agent_node_id"] for node in template["agent_nodes"][1:]]
    nodes, connections = list(template["agent_nodes"]), list(template["connections"])
    [destination] = agent("destination").to_dict()["agent_nodes"]
    for _ in range(draw(st.integers(0, 3))):
        node = destination | {"agent_node_id": node_id(f"destination {len(nodes)}")}
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
def test_the_record_does_not_depend_on_the_order_of_work(
    drawn: tuple[dict[str, Any], dict[str, Any], dict[str, Any]], seed: int
) -> None:
    template, request, faults = drawn
    usual = simulate(template, request, facts=FACTS, stubs=faults, assume=True, workspace="/nonexistent")
    assert shuffled(template, request, faults, seed) == usual.to_dict()


def test_an_item_that_reaches_two_destinations_is_delivered_by_the_first_in_the_template() -> None:
    template = agent("input > mirror > {first:Destination, second:Destination}")
    for seed in range(20):
        record = shuffled(template, {"video_ids": ["v"]}, {}, seed)
        assert [output["delivered_by"] for output in record["outputs"]] == [node_id("first")]
    faults = {node_id("first"): {"fault": "error"}}
    for seed in range(20):
        record = shuffled(template, {"video_ids": ["v"]}, faults, seed)
        assert [output["delivered_by"] for output in record["outputs"]] == [node_id("second")]


def test_the_longest_path_has_the_highest_priority() -> None:
    """The agent has one input, a short branch that comes first, and a long one."""
    decided = plan(
        agent("input > {short:Mirror, long:Mirror > next:Mirror > clips}"),
        {"video_ids": ["v"]},
    )
    found = priorities(decided, {})
    assert found[node_id("input")] > found[node_id("long")] > found[node_id("next")] > found[node_id("clips")]
    assert found[node_id("long")] > found[node_id("short")]


# The pool


class Log:
    """Log work that has begun, and end it when it is released."""

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


def test_within_a_run_the_highest_rank_comes_first_and_ties_keep_their_order() -> None:
    pool, log = Pool(1, 1, 1 << 30), Log()
    lane = pool.lane()
    lane.add(log.work("now"), "now")
    log.wait_for("now")
    for name, rank in (("b", 1.0), ("c", 1.0), ("a", 5.0), ("d", 0.5)):
        lane.add(log.work(name, held=False), name, rank)
    log.let_go("now")
    log.wait_for("d", ended=True)
    assert log.begun == ["now", "a", "b", "c", "d"]


def test_encodes_are_limited_and_leave_room_for_tiles() -> None:
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


def test_encodes_wait_for_memory_and_a_large_one_is_not_starved() -> None:
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
    assert log.begun == ["light", "great"]  # it needs more memory than there is, so it runs alone
    log.let_go("great", "light too")
    log.wait_for("light too", ended=True)


def test_abandoned_work_frees_its_slot() -> None:
    pool, log = Pool(1, 1, 1 << 30), Log()
    lane = pool.lane()
    lane.add(log.work("hangs"), "hangs")
    log.wait_for("hangs")
    lane.add(log.work("next", held=False), "next")
    time.sleep(0.05)
    assert log.begun == ["hangs"]
    lane.abandon("hangs")
    log.wait_for("next", ended=True)
    assert not lane.drain(1)  # the abandoned work still runs
    log.let_go("hangs")
    assert lane.drain(5)


def test_a_run_that_ends_early_starts_no_more_work() -> None:
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
def test_the_memory_of_an_encode_is_estimated_from_its_size(
    size: tuple[int, int], quality: str, least: int, most: int
) -> None:
    """Measured values are 51, 317 and 1,709 MB."""
    picture = Picture.source("a", width=size[0], height=size[1], rate=Fraction(30), duration=Fraction(9))
    item = Item("n", 0, Video(picture), (), "", "real")
    assert least <= encode_memory(item, encode_settings_for(quality)) / 1e6 <= most
    image = Item("n", 0, Image.source("b", width=size[0], height=size[1]), (), "", "real")
    assert encode_memory(image, encode_settings_for(quality)) == 0


def test_the_limits_of_encodes_are_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TESSERA_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    usual = pool_of(-1)
    assert usual.encodes == max(1, cores() // 2)
    (tmp_path / "tessera.toml").write_text("encodes = 3\nencode_memory_mb = 700\n")
    configured = pool_of(-2)
    assert (configured.encodes, configured.memory) == (3, 700_000_000)
    (tmp_path / "tessera.toml").write_text("encodes = 0\n")
    with pytest.raises(RequestError, match=r"tessera\.toml: must be more than 0.*/encodes"):
        pool_of(-3)


# Time limits


class Sleeper(NodeType):
    """A tile that hangs in its own code, which nothing can stop."""

    name = "Sleeper"
    type_id = ours_id(name)
    category = "edit"
    source = "ours"

    def run(self, ctx: Context, inputs: Sequence[Item], params: Any) -> Iterable[Made]:
        time.sleep(300)
        yield from (Made(item.value, (item,), "slept") for item in inputs)


class Impatient(Sleeper):
    """A tile that hangs and declares a time limit."""

    name = "Impatient"
    type_id = ours_id(name)
    timeout_s = 0.2


CATALOGUE = Catalogue([*Catalogue.installed(), Sleeper, Impatient])
CLIP = str(MEDIA / "silent.mp4")
FORK = agent("input > {sleeper, mirror, impatient}", catalogue=CATALOGUE)


def test_a_hanging_tile_fails_after_its_time_limit_and_the_others_finish(tmp_path: Path) -> None:
    limited = agent("input > impatient", catalogue=CATALOGUE)
    record = run(limited, inputs=[CLIP], workspace=tmp_path, catalogue=CATALOGUE, quality="draft")
    assert record.errors[0]["messages"] == ["took longer than 0.2 s and was stopped"]
    record = run(
        FORK, inputs=[CLIP], workspace=tmp_path, catalogue=CATALOGUE, tile_timeout_s=3, quality="draft"
    )
    assert record.status == "partial_complete"
    assert [output.node for output in record.outputs] == [node_id("mirror")]
    message = "took longer than 3 s and was stopped"
    assert record.errors == [
        {"original_node_id": node_id("sleeper"), "messages": [message]},
        {"original_node_id": node_id("impatient"), "messages": [message]},
    ]


def test_a_program_exits_although_a_tile_hangs(tmp_path: Path) -> None:
    code = (
        "from tests.runner.test_scheduling import CATALOGUE, CLIP\n"
        "from tessera import run\n"
        "from tessera.testing import agent\n"
        "document = agent('input > impatient', catalogue=CATALOGUE)\n"
        f"record = run(document, inputs=[CLIP], workspace={str(tmp_path)!r},"
        " catalogue=CATALOGUE)\n"
        "print(record.status)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )
    assert (done.stdout, done.returncode) == ("failed\n", 0), done.stderr


@pytest.mark.slow  # it measures time
def test_cancelling_ends_a_run_with_a_hanging_tile_within_two_seconds(tmp_path: Path) -> None:
    stop = threading.Event()
    cancelled_at: list[float] = []

    def watch(event: Event) -> None:
        if isinstance(event, NodeChanged) and (event.node, event.status) == (node_id("sleeper"), "running"):
            cancelled_at.append(time.monotonic())
            stop.set()

    record = run(
        agent("input > sleeper", catalogue=CATALOGUE),
        inputs=[CLIP],
        workspace=tmp_path,
        catalogue=CATALOGUE,
        on_event=watch,
        cancelled=stop.is_set,
    )
    assert time.monotonic() - cancelled_at[0] < 2
    assert record.status == "cancelled"
    assert record.node(node_id("sleeper")).status == "cancelled"


def test_cancelling_ends_the_pause_before_a_retry(tmp_path: Path) -> None:
    stop = threading.Event()

    def watch(event: Event) -> None:
        if getattr(event, "message", None) and "attempt 2 of 3 failed" in str(event.message):  # type: ignore[attr-defined]
            stop.set()

    record = run(
        agent("input > mirror"),
        inputs=[CLIP],
        workspace=tmp_path,
        stubs={node_id("mirror"): {"fault": "transient"}},
        on_event=watch,
        cancelled=stop.is_set,
    )
    assert record.status == "cancelled"


def test_a_render_that_exceeds_the_time_limit_of_its_tile_is_killed(tmp_path: Path) -> None:
    from tessera.media.process.process import ffmpeg_path

    long = tmp_path / "long.mp4"
    loop = ["-stream_loop", "60", "-i", str(MEDIA / "talk.mp4"), "-c", "copy", str(long)]
    subprocess.run([ffmpeg_path(), "-nostdin", "-v", "error", *loop], check=True)
    record = run(
        agent('input > reframe(aspect_ratio="9:16")'),
        inputs=[str(long)],
        workspace=tmp_path / "ws",
        tile_timeout_s=2,
    )
    assert record.status == "failed"
    assert "took longer than 2 s and was stopped" in record.errors[0]["messages"][0]
    found = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True, check=False)
    assert not found.stdout.strip()
    assert not list((tmp_path / "ws").rglob(".part-*"))
