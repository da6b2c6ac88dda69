"""Many concurrent runs in one process: all finish, and each gives the same result as a single run."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tessera import RunRecord, run
from tessera.media.process.process import ffmpeg_path
from tessera.record.record import fold
from tessera.store.run_store import RunStore
from tessera.testing import agent

AGENT = agent("input > {left:Mirror, right:Mirror} > destination")
IDS = {"run_id", "id", "agent_node_id"}
TIMES = {"started_at", "updated_at", "completed_at", "seconds"}
OWN = {*IDS, *TIMES, "commands", "work"}
"""The members that differ between runs: ids derived from the id of the run, times, commands with paths of
the run, and the reasons why tiles ran, which refer to earlier runs.
"""


def source(folder: Path, number: int) -> str:
    """Make a video of four frames whose colour depends on its number."""
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


def comparable(value: Any, workspace: Path) -> Any:
    """Return a record without the members that differ between runs."""
    match value:
        case dict():
            return {key: comparable(one, workspace) for key, one in value.items() if key not in OWN}
        case list():
            return [comparable(one, workspace) for one in value]
        case str() if str(workspace) in value:
            return Path(value).name
    return value


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


def test_some_concurrent_runs_give_the_same_results_as_single_runs(tmp_path: Path) -> None:
    check(6, tmp_path)


@pytest.mark.slow
def test_fifty_concurrent_runs_give_the_same_results_as_single_runs(tmp_path: Path) -> None:
    check(50, tmp_path)
