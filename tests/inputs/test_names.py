"""A file is called what the user calls it in this run, also if its bytes are stored under another name."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tessera import RequestError, plan, run, simulate
from tessera.graph.plan import Plan
from tessera.inputs.assets.library import Library
from tessera.inputs.local import LocalInput
from tessera.record.record import RunRecord
from tests.support.media import FIXTURES, MEDIA

TRIMMER = FIXTURES / "agents" / "trimmer.json"


def named(folder: Path, *names: str, source: Path = MEDIA / "talk.mp4") -> list[Path]:
    """Copy one file under several names."""
    return [Path(shutil.copyfile(source, folder / name)) for name in names]


def clip(path: Path, end_ms: int = 500) -> LocalInput:
    return LocalInput(str(path), None, 0, end_ms)


def names_in(record: RunRecord) -> list[str]:
    return [entry["name"] for entry in record.inputs]


def whys(record: RunRecord) -> list[str]:
    return [str(item["why"]) for item in record.items]


def test_a_run_calls_its_input_by_the_name_that_it_was_given(tmp_path: Path) -> None:
    first, second = named(tmp_path, "first.mp4", "holiday.mp4")
    ours: dict[str, Any] = {"workspace": tmp_path / "ws"}
    assert names_in(run(TRIMMER, inputs=[clip(first)], **ours)) == ["first.mp4"]
    record = run(TRIMMER, inputs=[clip(second)], **ours)
    assert names_in(record) == ["holiday.mp4"]
    assert whys(record) == ["holiday.mp4, from 0 s to 0.5 s"]
    assert "first.mp4" not in record.to_json()
    told = simulate(TRIMMER, inputs=[clip(second)], **ours)
    assert (names_in(told), whys(told)) == (names_in(record), whys(record))


def test_two_names_of_the_same_bytes_stay_apart_in_one_run(tmp_path: Path) -> None:
    inputs = [clip(path) for path in named(tmp_path, "a.mp4", "b.mp4")]
    record = run(TRIMMER, inputs=inputs, workspace=tmp_path / "ws")
    assert names_in(record) == ["a.mp4", "b.mp4"]
    assert [why.partition(",")[0] for why in whys(record)] == ["a.mp4", "b.mp4"]


def test_warnings_and_errors_use_the_name_of_this_run(tmp_path: Path) -> None:
    first, second = named(tmp_path, "first.mp4", "second.mp4")
    Library(tmp_path / "ws").add(first)
    record = run(TRIMMER, inputs=[LocalInput(str(second), None, 23_500, 99_000)], workspace=tmp_path / "ws")
    assert "the clip of second.mp4 ends at 99000 ms" in record.warnings[0]["message"]
    with pytest.raises(RequestError, match=r"the clip of second\.mp4 starts at 60000 ms"):
        run(TRIMMER, inputs=[LocalInput(str(second), None, 60_000)], workspace=tmp_path / "ws")
    one, two = named(tmp_path, "one.wav", "two.wav", source=MEDIA / "sound.wav")
    Library(tmp_path / "ws").add(one)
    with pytest.raises(RequestError, match=r"two\.wav has no moving picture"):
        run(TRIMMER, inputs=[str(two)], workspace=tmp_path / "ws")


def test_a_plan_a_replay_and_a_partial_run_keep_the_names(tmp_path: Path) -> None:
    first, second = named(tmp_path, "first.mp4", "second.mp4")
    Library(tmp_path / "ws").add(first)
    file = tmp_path / "run.zip"
    record = run(TRIMMER, inputs=[clip(second), clip(first)], workspace=tmp_path / "ws", record=file)
    assert names_in(record) == ["second.mp4", "first.mp4"]
    assert names_in(run(replay=file, workspace=tmp_path / "new")) == ["second.mp4", "first.mp4"]
    decided = plan(TRIMMER, record.to_dict()["request"])
    read_back = Plan.from_dict(decided.to_json())
    assert read_back == decided
    assert names_in(run(read_back, workspace=tmp_path / "ws")) == ["second.mp4", "first.mp4"]


def test_an_output_that_becomes_an_input_is_called_by_its_new_name(tmp_path: Path) -> None:
    made = run(TRIMMER, inputs=[clip(MEDIA / "talk.mp4")], workspace=tmp_path / "ws").outputs[0].path
    assert made is not None
    (final,) = named(tmp_path, "final cut.mp4", source=made)
    assert names_in(run(TRIMMER, inputs=[str(final)], workspace=tmp_path / "ws")) == ["final cut.mp4"]


def test_a_stored_file_without_a_name_in_the_request_has_the_name_of_its_upload(tmp_path: Path) -> None:
    first, second = named(tmp_path, "first.mp4", "second.mp4")
    library = Library(tmp_path / "ws")
    assert [library.add(first).name, library.add(second).name] == ["first.mp4", "second.mp4"]
    request = {"video_ids": [library.add(second).id], "input_clip_end_ms": 500}
    assert names_in(run(TRIMMER, request, workspace=tmp_path / "ws")) == ["first.mp4"]
