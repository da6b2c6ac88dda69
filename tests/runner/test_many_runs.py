"""Many runs at once in one process: all finish, none is lost, and each comes to what it comes to alone."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tessera import RunRecord, run
from tessera.media.ffmpeg.process import ffmpeg_path
from tessera.record.record import fold
from tessera.store.run_store import RunStore
from tests.support.planning import agent

AGENT = agent("Video Input", "Mirror", "Mirror", "Destination", edges=[(0, 1), (0, 2), (1, 3), (2, 3)])
IDS = {"run_id", "id", "agent_node_id"}
TIMES = {"started_at", "updated_at", "completed_at", "seconds"}
OWN = {*IDS, *TIMES, "commands", "work"}
"""What is a run's own: ids derived from its id, times, commands, which hold paths of its own, and why
tiles worked, which is said beside the runs before.
"""


def source(folder: Path, number: int) -> str:
    """A video of four frames whose colour is its number."""
    made = folder / f"in{number}.mp4"
    sight = f"color=c=0x{number * 5:02x}8040:s=64x36:r=10:d=0.4"
    line = [
        ffmpeg_path(),
        "-nostdin",
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        sight,
        "-pix_fmt",
        "yuv420p",
        str(made),
    ]
    subprocess.run(line, check=True)
    return str(made)


def comparable(told: Any, workspace: Path) -> Any:
    """A record without what is its own."""
    match told:
        case dict():
            return {key: comparable(one, workspace) for key, one in told.items() if key not in OWN}
        case list():
            return [comparable(one, workspace) for one in told]
        case str() if str(workspace) in told:
            return Path(told).name
    return told


def outputs(record: RunRecord) -> list[tuple[str, str]]:
    return [(output.path.name if output.path else "", output.raw["asset_id"]) for output in record.outputs]


def check(count: int, tmp_path: Path) -> None:
    sources = [source(tmp_path, number) for number in range(count)]
    together, alone = tmp_path / "together", tmp_path / "alone"
    found: dict[int, RunRecord | BaseException] = {}

    def one(number: int) -> None:
        try:
            found[number] = run(AGENT, inputs=[sources[number]], workspace=together, quality="draft")
        except BaseException as error:
            found[number] = error

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert not any(thread.is_alive() for thread in threads)
    store = RunStore(together)
    assert len(store.run_ids()) == count
    for number in range(count):
        record = found[number]
        assert isinstance(record, RunRecord), record
        assert record.status == "completed"
        assert fold(store.events(record.run_id)).to_dict() == record.to_dict()
        single = run(AGENT, inputs=[sources[number]], workspace=alone, quality="draft")
        assert outputs(record) == outputs(single)
        mine, theirs = (
            comparable(one.to_dict(), home) for one, home in ((record, together), (single, alone))
        )
        assert mine == theirs


def test_some_runs_at_once_come_to_what_each_comes_to_alone(tmp_path: Path) -> None:
    check(6, tmp_path)


@pytest.mark.slow
def test_fifty_runs_at_once_come_to_what_each_comes_to_alone(tmp_path: Path) -> None:
    check(50, tmp_path)
