"""A tile may log or raise anything: only that tile fails, the run ends, and its texts stay readable."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tessera import Catalogue, NodeType, RequestError, RunRecord, run, simulate
from tessera.agent import AgentTemplate
from tessera.cli import main
from tessera.context import Context
from tessera.errors import TileError
from tessera.media.algebra.item import Item
from tessera.node import Made, Params, ours_id
from tessera.store.run_store import RunStore
from tessera.testing import agent, node_id
from tests.support.media import MEDIA


async def cancel_itself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(1)


class Unruly(NodeType):
    """A tile that misbehaves as its parameter says."""

    name = "Unruly"
    type_id = ours_id(name)
    category = "edit"
    source = "ours"

    class Params(Params):
        does: str = ""

    def run(self, ctx: Context, inputs: Sequence[Item], params: Any) -> Iterable[Made]:
        said: Any = {"none": None, "number": 5, "bytes": b"x"}
        match params.does.split():
            case ["cancelled"]:
                asyncio.run(cancel_itself())
            case ["interrupted"]:
                raise KeyboardInterrupt
            case ["exit"]:
                sys.exit("bye")
            case ["closed"]:
                raise GeneratorExit
            case ["pytest"]:
                pytest.fail("no")
            case ["raises", "half"]:
                raise TileError("bad \udcff")
            case ["log", "half"]:
                ctx.log("a\udcffb")
            case ["log", what]:
                ctx.log(said[what])
            case ["why", "half"]:
                return [Made(item.value, (item,), "because \udcff") for item in inputs]
            case ["why", what]:
                return [Made(item.value, (item,), said[what]) for item in inputs]
        return [Made(item.value, (item,)) for item in inputs]


CATALOGUE = Catalogue([*Catalogue.installed(), Unruly])
PLAIN = agent("input > mirror > destination")


def unruly_agent(does: str) -> AgentTemplate:
    return agent(f"input > unruly(does={json.dumps(does)}) > destination", catalogue=CATALOGUE)


def run_unruly(does: str, workspace: Path) -> RunRecord:
    """Run such a tile, and return the record. The run must not hang, and its events must be readable."""
    found: list[RunRecord] = []

    def work() -> None:
        found.append(
            run(
                unruly_agent(does),
                inputs=[str(MEDIA / "silent.mp4")],
                workspace=workspace,
                catalogue=CATALOGUE,
            )
        )

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), "the run hangs"
    (record,) = found
    store = RunStore(workspace)
    assert store.record(record.run_id)["status"] == record.status
    assert list(store.events(record.run_id))
    assert main(["logs", "latest", "--workspace", str(workspace)]) == 0
    assert main(["trace", "latest", "--workspace", str(workspace), "--out", str(workspace / "t.json")]) == 0
    return record


@pytest.mark.parametrize(
    ("does", "says"),
    [
        ("cancelled", "CancelledError"),
        ("interrupted", "KeyboardInterrupt"),
        ("exit", "SystemExit: bye"),
        ("closed", "GeneratorExit"),
        ("pytest", "Failed: no"),
        ("raises half", "bad �"),
        ("log none", "log() needs a str, not NoneType"),
        ("log number", "log() needs a str, not int"),
        ("log bytes", "log() needs a str, not bytes"),
        ("why none", "must be a str, not NoneType"),
        ("why number", "must be a str, not int"),
    ],
)
def test_a_tile_that_raises_anything_fails_and_the_run_ends(does: str, says: str, tmp_path: Path) -> None:
    record = run_unruly(does, tmp_path)
    assert record.status == "failed"
    (_given, failed, _blocked) = record.nodes.values()
    assert failed.status == "failed"
    assert says in (failed.message or "")


@pytest.mark.parametrize("does", ["log half", "why half"])
def test_lone_surrogates_in_the_texts_of_a_tile_are_replaced(does: str, tmp_path: Path) -> None:
    record = run_unruly(does, tmp_path)
    assert record.status == "completed"
    said = [line for node in record.nodes.values() for line in node.logs]
    said += [item["why"] for item in record.items if item["agent_node_id"] == node_id("unruly")]
    assert said[0] == ("a�b" if does == "log half" else "because �")


def test_workers_keep_working_after_such_tiles(tmp_path: Path) -> None:
    for _ in range(6):
        assert run_unruly("cancelled", tmp_path).status == "failed"
    assert run_unruly("", tmp_path).status == "completed"


def test_ctrl_c_in_a_simulation_reaches_the_caller(tmp_path: Path) -> None:
    facts = {"*": {"duration_ms": 2000, "width": 640, "height": 360, "fps": "25", "has_audio": False}}
    request = {"video_urls": ["https://example.com/a.mp4"]}
    with pytest.raises(KeyboardInterrupt):
        simulate(unruly_agent("interrupted"), request, facts=facts, catalogue=CATALOGUE)


@pytest.mark.skipif(sys.platform == "darwin", reason="file names are always UTF-8 on macOS")
def test_file_names_that_are_not_utf_8_work_or_are_refused_before_the_run_starts(tmp_path: Path) -> None:
    odd = Path(os.fsdecode(bytes(tmp_path / "in") + b"\xff.mp4"))
    odd.write_bytes((MEDIA / "silent.mp4").read_bytes())
    record = run(PLAIN, inputs=[str(odd)], workspace=tmp_path / "ws")
    assert record.status == "completed"
    assert record.inputs[0]["name"] == "in�.mp4"
    for home, out in ((odd.with_suffix(".w"), None), (tmp_path / "ws", odd.with_suffix(".d"))):
        with pytest.raises(RequestError, match="is not UTF-8"):
            run(PLAIN, inputs=[str(odd)], workspace=home, out=out)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([odd.name, "ws"])
    assert main(["runs", "--workspace", str(odd)]) == 2
