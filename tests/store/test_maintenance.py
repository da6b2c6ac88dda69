"""A workspace can be checked, and pruned without losing anything that is needed."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tessera import run
from tessera.cli import main
from tessera.inputs.assets.library import Library
from tessera.store.prune import prune
from tessera.store.run_store import RunStore
from tessera.store.store_check import Problem, check
from tessera.testing import agent, node_id
from tests.support.media import MEDIA

AGENT = agent("input > mirror > destination")
ROOT = Path(__file__).parents[2]
LONG_AGO = time.time() - 7 * 24 * 3600


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a workspace after two runs, one with outputs elsewhere; nothing in it was used recently."""
    run(AGENT, inputs=[str(MEDIA / "silent.mp4")], workspace=tmp_path / "ws")
    run(AGENT, inputs=[str(MEDIA / "talk.mp4")], workspace=tmp_path / "ws", out=tmp_path / "out")
    return rested(tmp_path / "ws")


def rested(home: Path) -> Path:
    for file in (home / "assets").glob("*/asset.json"):
        os.utime(file, (LONG_AGO, LONG_AGO))
    return home


def only(problems: list[Problem], what: str) -> Problem:
    assert [one.what for one in problems] == [what], problems
    return problems[0]


def an_output(home: Path) -> Path:
    store = RunStore(home)
    return Path(store.record(store.run_ids()[-1])["outputs"][0]["path"])


def output_asset(home: Path, run_at: int = 0) -> Path:
    store = RunStore(home)
    asset: str = store.record(store.run_ids()[run_at])["outputs"][0]["asset_id"]
    return home / "assets" / asset


def test_an_intact_workspace_has_no_problems(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "check", "--workspace", str(home)]) == 0
    assert capsys.readouterr().out.startswith("clean: 4 assets, 2 runs, ")
    assert main(["store", "check", "--workspace", str(home), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["clean"] is True
    assert report["problems"] == []


def test_files_left_by_a_dead_process_are_swept_and_are_not_a_problem(home: Path) -> None:
    left = []
    for folder in ("", "assets", "known", "fetched", "connections"):
        (home / folder).mkdir(exist_ok=True)
        left += [home / folder / ".part-999999999-x", home / folder / ".part-999999999-y"]
        left[-2].write_bytes(b"half")
        left[-1].mkdir()
        (left[-1] / "media.mp4").write_bytes(b"half")
    assert check(home).problems == []
    assert not [one for one in left if one.exists()]


def test_storing_something_sweeps_first(home: Path) -> None:
    left = home / "fetched" / ".part-999999999-x"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"half")
    Library(home).add(MEDIA / "logo.png")
    assert not left.exists()


def test_a_changed_byte_is_found(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    media = next(output_asset(home).glob("media.*"))
    content = bytearray(media.read_bytes())
    content[len(content) // 2] ^= 1
    media.write_bytes(content)
    assert main(["store", "check", "--workspace", str(home)]) == 1
    assert f"corrupt  {media}: its content has changed" in capsys.readouterr().out
    found = check(home).problems
    assert {one.what for one in found} == {"corrupt", "missing"}, (
        "the records that refer to it are reported too"
    )


def test_truncated_or_missing_media_is_found(home: Path) -> None:
    media = next(output_asset(home).glob("media.*"))
    media.write_bytes(media.read_bytes()[:-1])
    assert check(home).problems[0].message.startswith(f"has {media.stat().st_size:,} bytes, not ")
    media.unlink()
    assert check(home).problems[0] == Problem("missing", str(media), "the media is missing")


def test_a_render_whose_asset_is_missing_is_found(home: Path) -> None:
    shutil.rmtree(output_asset(home))
    found = check(home).problems
    assert {one.what for one in found} == {"missing"}
    assert any(one.where.startswith("renders/") for one in found)


def test_a_deleted_output_is_found(home: Path) -> None:
    path = an_output(home)
    path.unlink()
    assert only(check(home).problems, "missing").where == str(path)


def test_a_file_that_belongs_to_nothing_is_an_orphan(home: Path) -> None:
    (home / "assets" / "notes.txt").write_text("mine")
    assert only(check(home).problems, "orphan").where.endswith("notes.txt")
    (home / "assets" / "notes.txt").unlink()
    strange = home / "runs" / "11111111-1111-4111-8111-111111111111"
    strange.mkdir(parents=True)
    assert only(check(home).problems, "orphan").where == str(strange)


def test_pruning_keeps_everything_that_records_need(home: Path, tmp_path: Path) -> None:
    spare = Library(home).add(MEDIA / "logo.png")
    before = check(home)
    assert prune(rested(home), 0, dry=True).assets == [spare.id]
    assert check(home).assets == before.assets, "a dry run removes nothing"
    done = prune(home, 0)
    assert done.assets == [spare.id]
    assert not done.runs
    found = check(home)
    assert found.problems == []
    assert found.runs == 2
    assert found.assets == before.assets - 1
    assert abs(done.after - found.size) < 100_000, "the result gives the remaining size"


def test_pruning_stops_when_the_workspace_is_small_enough(home: Path) -> None:
    for name in ("logo.png", "street.mp4"):
        Library(home).add(MEDIA / name)
    size = check(rested(home)).size
    assert len(prune(home, size - 1, dry=True).assets) == 1
    assert len(prune(home, 0, dry=True).assets) == 2
    assert prune(home, size).assets == []


def pruned_until(home: Path, point: int) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "tests.support.killed", str(home), str(point), "prune"]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def check_prune_killed_at(point: int, home: Path, copy: Path) -> bool:
    """Check that a prune killed at this point leaves a store from which another one removes the rest.

    Return True if the prune reached the point.
    """
    shutil.copytree(home, copy)
    code = pruned_until(rested(copy), point).returncode
    assert code in (0, -9)
    broken = [problem for problem in check(copy).problems if problem.what != "orphan"]
    assert broken == [], "what is left is whole"
    prune(rested(copy), 0, keep_runs=0)
    assert check(copy).problems == []
    assert [file for file in copy.rglob("*") if file.is_file() and is_media(file)] == []
    shutil.rmtree(copy)
    return code == -9


def is_media(file: Path) -> bool:
    return file.suffix in (".mp4", ".jpg", ".json") and file.parent.name != "known"


def test_a_prune_that_is_killed_is_continued_by_the_next(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home, tmp_path / "whole")
    points = int(pruned_until(rested(tmp_path / "whole"), 0).stdout)
    assert points > 20
    for point in random.Random(7).sample(range(1, points + 1), 5):
        assert check_prune_killed_at(point, home, tmp_path / "copy")


@pytest.mark.slow
def test_a_prune_can_be_killed_at_every_point(home: Path, tmp_path: Path) -> None:
    point = 1
    while check_prune_killed_at(point, home, tmp_path / "copy"):
        point += 1
    assert point > 20


def test_what_nothing_refers_to_is_pruned_but_for_the_files_of_others(home: Path) -> None:
    gone = "11111111-1111-4111-8111-111111111111"
    (home / "runs" / gone / "outputs").mkdir(parents=True)
    (home / "analysis" / gone).mkdir(parents=True)
    (home / "assets" / gone).mkdir()
    (home / "assets" / "notes.txt").write_text("mine")
    with RunStore(home).database.write() as connection:
        connection.execute(
            "INSERT INTO documents (run_id, name, body) VALUES (:run, 'facts.json', '{}')", run=gone
        )
    assert [problem.what for problem in check(home).problems] == ["orphan"] * 5
    found = prune(home, 10**12, dry=True).orphans
    assert len(found) == 4
    assert len(check(home).problems) == 5, "a dry run removes nothing"
    assert prune(home, 10**12).orphans == found
    assert only(check(home).problems, "orphan").where.endswith("notes.txt")
    assert check(home).runs == 2


def test_what_cannot_be_deleted_is_said(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = os.unlink

    def unlink(path: Any, *args: Any, **options: Any) -> None:
        if str(path).endswith(".mp4"):
            raise PermissionError(13, "Permission denied", str(path))
        real(path, *args, **options)

    monkeypatch.setattr(os, "unlink", unlink)
    code = main(["store", "prune", "--keep", "0", "--keep-runs", "0", "--workspace", str(home)])
    shown = capsys.readouterr()
    assert code == 1
    assert "cannot delete" in shown.err
    assert "Permission denied" in shown.err
    assert shown.out.startswith("removed 2 runs")


def test_recently_used_files_are_not_pruned(home: Path) -> None:
    Library(home).add(MEDIA / "logo.png")
    assert prune(home, 0).assets == [], "the asset may be the input of a run that is about to start"


def test_old_runs_are_pruned_on_request_and_the_rest_still_works(home: Path, tmp_path: Path) -> None:
    newest, oldest = RunStore(home).run_ids()
    media = an_output(home)
    done = prune(home, 0, keep_runs=1)
    assert done.runs == [oldest]
    assert done.after == check(home).size < done.before
    assert len(done.assets) == 2
    assert not media.exists()
    found = check(home)
    assert (found.problems, found.runs, found.assets) == ([], 1, 2)
    assert RunStore(home).run_ids() == [newest]
    again = run(AGENT, inputs=[str(MEDIA / "talk.mp4")], workspace=home)
    assert all(output.raw["reused"] for output in again.outputs), "kept renders are still reused"
    fresh = run(AGENT, inputs=[str(MEDIA / "silent.mp4")], workspace=home)
    assert fresh.status == "completed"
    assert not fresh.outputs[0].raw["reused"]


def test_a_run_that_a_kept_partial_run_refers_to_is_kept(home: Path) -> None:
    oldest = RunStore(home).run_ids()[-1]
    again = run(
        AGENT, inputs=[str(MEDIA / "silent.mp4")], workspace=home, since=node_id("destination"), of=oldest
    )
    assert RunStore(home).run_ids() == [again.run_id, *RunStore(home).run_ids()[1:]]
    assert len(prune(home, 0, keep_runs=1, dry=True).runs) == 1
    assert oldest not in prune(home, 0, keep_runs=1).runs
    assert oldest in RunStore(home).run_ids()


@pytest.mark.parametrize(
    ("size", "fine"), [("10GB", True), ("1.5 gb", True), ("0", True), ("ten", False), ("-1", False)]
)
def test_sizes_are_read_as_people_write_them(
    size: str, fine: bool, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["store", "prune", "--keep", size, "--dry-run", "--workspace", str(home)])
    assert code == (0 if fine else 2)
    assert fine or "10GB" in capsys.readouterr().err


def test_a_missing_workspace_has_nothing_to_check(tmp_path: Path) -> None:
    assert main(["store", "check", "--workspace", str(tmp_path / "none")]) == 2
    assert not (tmp_path / "none").exists()
