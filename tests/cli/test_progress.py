"""The progress of a run: weighted by the work that is expected, and never a percentage that nobody knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tessera import run, simulate
from tessera.cli.display import progress as display
from tessera.cli.display.tables import record_tables, show
from tessera.cli.display.work_done import WorkDone
from tessera.record.events import Event
from tessera.testing import agent
from tests.support.media import MEDIA

AGENT = agent("input > clips(num_clips=2, target_duration=5) > mirror > destination")
CLIP = [str(MEDIA / "talk.mp4")]


def test_the_bar_of_a_run_grows_with_the_work_and_renders_are_most_of_it(tmp_path: Path) -> None:
    expected = simulate(AGENT, inputs=CLIP, workspace=tmp_path, workers=2, assume=True).forecast
    assert expected is not None
    done, seen = WorkDone(expected.schedule.tasks), list[tuple[str, float]]()

    def watch(event: Event) -> None:
        done(event)
        seen.append((type(event).__name__, done.fraction))

    run(AGENT, inputs=CLIP, workspace=tmp_path, quality="draft", on_event=watch)
    fractions = [fraction for _name, fraction in seen]
    assert fractions == sorted(fractions), "it never goes back"
    assert fractions[0] == 0
    assert fractions[-1] == pytest.approx(1)
    before_renders = max(fraction for name, fraction in seen if name == "ItemMade")
    assert before_renders < 0.7, "the tiles themselves are quick"
    assert any(before_renders < fraction < 0.99 for fraction in fractions), "renders move it"


def test_without_a_forecast_each_tile_counts_the_same(tmp_path: Path) -> None:
    done = WorkDone()
    run(AGENT, inputs=CLIP, workspace=tmp_path, quality="draft", on_event=done)
    assert done.fraction == pytest.approx(1)


def test_a_tile_that_has_said_nothing_shows_no_percentage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = display.BarWatcher()
    shown: dict[str, set[float | None]] = {}

    def watch(event: Event) -> None:
        watcher(event)
        for task in watcher.bars.tasks:
            shown.setdefault(task.description, set()).add(task.percentage if task.total else None)

    run(AGENT, inputs=CLIP, workspace=tmp_path, quality="draft", on_event=watch)
    tiles = {name: values for name, values in shown.items() if name not in ("run", "reading inputs")}
    assert tiles
    assert all(0.0 not in values for values in tiles.values()), tiles


def test_cached_work_that_was_rendered_again_says_both(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(AGENT, inputs=CLIP, workspace=tmp_path, quality="draft")
    again = run(AGENT, inputs=CLIP, workspace=tmp_path, quality="standard")
    show(record_tables(again.to_dict()))
    said = capsys.readouterr().out
    assert "cached, then rendered" in next(
        line for line in said.splitlines() if line.startswith("Destination")
    )
    assert "rendered" not in next(line for line in said.splitlines() if line.startswith("Clips"))
