"""The pytest plug-in in separate sessions: fixtures, snapshots, coverage, and the modules it imports."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tessera import run
from tessera.testing import agent
from tessera.testing.session import CURRENT
from tessera.testing.snapshot import check_snapshot
from tests.support.media import MEDIA

pytest_plugins = "pytester"

TUTORIAL = Path(__file__).parents[1] / "examples" / "test_tutorial.py"
FIXTURE = Path("fixtures/agents/ignored_middle.json").absolute()

SUITE = """
def test_bypassing_captions_feeds_watermark(agent, assert_plan):
    a = agent("input > rough_cut > {captions, mirror} > watermark > destination")
    assert_plan(a, ignore=["captions"]).edges("rough_cut > watermark via captions", "mirror > watermark")
"""
SNAPSHOT = """
from tessera.testing import assert_plan

def test_it():
    assert_plan("input > clips > captions", ignore=["captions"], set={"clips.num_clips": %d}).snapshot("it")
"""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hide the workers and options of this session from the sessions that the tests start."""
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"):
        monkeypatch.delenv(name, raising=False)
    token = CURRENT.set(None)
    yield
    CURRENT.reset(token)


def test_the_fixtures_build_agents_and_assert_on_plans(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SUITE)
    pytester.runpytest().assert_outcomes(passed=1)


def test_a_failure_shows_the_diff_without_frames_of_tessera(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SUITE.replace("via captions", "via mirror"))
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*AssertionError: the agent ignoring captions: edges differ*", "*mirror is not ignored"]
    )
    result.stdout.no_fnmatch_line("*asserts.py*")


def test_the_fixture_finds_exports_beside_the_test(pytester: pytest.Pytester) -> None:
    (pytester.mkdir("sub") / "mine.json").write_bytes(FIXTURE.read_bytes())
    (pytester.path / "root.json").write_bytes(FIXTURE.read_bytes())
    test = pytester.path / "sub" / "test_it.py"
    test.write_text(
        "from pathlib import Path\n"
        "def test_it(agent):\n"
        f"    places = ['mine.json', Path('mine.json'), 'root.json', {str(FIXTURE)!r}]\n"
        "    for one in [*places, 'input > {reframe}']:\n"
        "        assert agent(one).nodes[1].name == 'Reframe'\n"
    )
    pytester.runpytest(test).assert_outcomes(passed=1)


def test_the_fixture_replays_a_recording_beside_the_test(pytester: pytest.Pytester) -> None:
    given: dict[str, Any] = {"inputs": [str(MEDIA / "silent.mp4")], "workspace": pytester.path / "ws"}
    run(agent("input > mirror"), record=pytester.mkdir("sub") / "film.zip", **given)
    (pytester.path / "sub" / "mine.json").write_text(agent("input").to_json())
    test = pytester.path / "sub" / "test_it.py"
    test.write_text(
        "def test_it(replay):\n"
        "    made, other = replay('film.zip', quality='draft'), replay('film.zip', 'mine.json')\n"
        "    assert [len(one.nodes) for one in (made, other)] == [2, 1]\n"
        "    assert made.outputs[0].duration_ms == other.outputs[0].duration_ms\n"
    )
    pytester.runpytest(test).assert_outcomes(passed=1)


def test_a_snapshot_is_missing_then_written_compared_and_updated(pytester: pytest.Pytester) -> None:
    path = pytester.path / "__snapshots__" / "it.json"
    pytester.makepyfile(SNAPSHOT % 3)
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*the snapshot __snapshots__/it.json does not exist yet*--tessera-update-snapshots*"]
    )
    assert not path.exists()
    pytester.runpytest("--tessera-update-snapshots").assert_outcomes(passed=1)
    assert json.loads(path.read_text()) == {
        "tiles": {"input": "Video Input", "clips": "Clips"},
        "parameters": {"clips.num_clips": {"value": 3, "origin": "override"}},
        "inputs": {"input": ["video_id input"]},
        "edges": ["input > clips"],
        "removed": ["captions"],
        "skipped": [],
        "rewired": [],
        "overridden": {"clips.num_clips": {"old": None, "new": 3}},
        "warnings": [],
    }
    pytester.runpytest().assert_outcomes(passed=1)
    pytester.makepyfile(SNAPSHOT % 4)
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ['*-    "clips.num_clips": {"value": 3, "origin": "override"}*', '*+ *"value": 4*']
    )
    pytester.runpytest("--tessera-update-snapshots").assert_outcomes(passed=1)
    pytester.runpytest().assert_outcomes(passed=1)


def test_two_different_plans_cannot_share_a_snapshot(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SNAPSHOT % 3 + (SNAPSHOT % 4).replace("test_it", "test_other"))
    result = pytester.runpytest("--tessera-update-snapshots")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*two tests write different plans to __snapshots__/it.json*"])


def test_a_snapshot_needs_a_running_test() -> None:
    assert "need pytest" in str(check_snapshot("it", "{}"))


@pytest.mark.parametrize("name", ["../it", "a/b", "", ".it"])
def test_a_snapshot_name_is_not_a_path(pytester: pytest.Pytester, name: str) -> None:
    pytester.makepyfile((SNAPSHOT % 3).replace('"it"', repr(name)))
    result = pytester.runpytest("--tessera-update-snapshots")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*invalid snapshot name*"])


def test_a_refused_request_fails_a_test_that_does_not_expect_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from tessera.testing import assert_plan

        def test_unseen():
            assert_plan("input > mirror", set={"mirror.vertical_flip": 3})

        def test_seen():
            assert_plan("input > mirror", set={"mirror.vertical_flip": 3}).raises()
            with pytest.raises(AssertionError):
                assert_plan("input > mirror", inputs=[]).edges()
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["*rejected with these faults, which the test does not expect with .raises*", "*vertical_flip*"]
    )


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "with xdist"])
def test_coverage_is_reported_and_too_little_coverage_fails(
    pytester: pytest.Pytester, workers: list[str]
) -> None:
    both = SUITE + SUITE.replace("captions", "mirror").replace(
        "test_bypassing_mirror", "test_mirror"
    ).replace("{mirror, mirror}", "{captions, mirror}").replace(
        '"mirror > watermark"', '"captions > watermark"'
    )
    pytester.makepyfile(both)
    result = pytester.runpytest("--tessera-coverage", *workers)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["*graph coverage*", "*input > rough_cut > *", "*2 plans of 1 agent: *% exercised"]
    )
    result.stdout.no_fnmatch_line("*tiles never run*")
    if not workers:
        assert pytester.runpytest("--tessera-coverage-min=50").ret == 0
        result = pytester.runpytest("--tessera-coverage-min=99.5")
        assert result.ret == 1
        result.stdout.fnmatch_lines(["*graph coverage is below 99.5 %"])


def test_without_the_option_there_is_no_report(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SUITE)
    pytester.runpytest().stdout.no_fnmatch_line("*graph coverage*")


def test_agents_drawn_by_hypothesis_do_not_count(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from hypothesis import given
        from tessera.testing import assert_plan
        from tessera.testing import strategies

        @given(strategies.agents(max_tiles=3))
        def test_it(a):
            assert_plan(a).edges()
        """
    )
    pytester.runpytest("--tessera-coverage").stdout.fnmatch_lines(["no plan was checked by an assertion"])


def test_the_tutorial_covers_its_agent_in_few_lines(pytester: pytest.Pytester) -> None:
    assert len(TUTORIAL.read_text().splitlines()) < 60
    pytester.makepyfile(test_tutorial=TUTORIAL.read_text())
    folder = pytester.mkdir("__snapshots__")
    kept = TUTORIAL.parent / "__snapshots__" / "show.json"
    (folder / kept.name).write_bytes(kept.read_bytes())
    result = pytester.runpytest("--tessera-coverage-min=95")
    assert result.ret == 0


_PRINT_MODULES = """
import sys
class Look:
    def pytest_sessionfinish(self):
        print("heavy:", sorted({"pydantic", "networkx", "hypothesis", "tessera.agent"} & set(sys.modules)))
import pytest
pytest.main(["-q", "-s", "-p", "no:cacheprovider", *sys.argv[1:]], plugins=[Look()])
"""


def test_an_unused_plugin_imports_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(): pass\n")
    done = subprocess.run(
        [sys.executable, "-c", _PRINT_MODULES, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert "1 passed" in done.stdout
    assert "heavy: []" in done.stdout
