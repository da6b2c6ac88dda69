"""The pytest plug-in: fixtures `agent`, `assert_plan` and `replay`, options `--tessera-…`.

Nothing of the engine is imported before a test asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tessera.testing.session import CURRENT, Session

if TYPE_CHECKING:
    from tessera.agent import AgentTemplate
    from tessera.record.record import RunRecord
    from tessera.testing.assertions import PlanAssertion

_SESSION = pytest.StashKey[Session]()
_WORKER_DATA = "tessera_coverage"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tessera", "Tessera: tests of graph rewrites")
    group.addoption(
        "--tessera-update-snapshots",
        action="store_true",
        help="write the snapshots of plans instead of comparing them",
    )
    group.addoption(
        "--tessera-coverage",
        action="store_true",
        help="report which tiles, edges, branches and parameters of agents the tests exercised",
    )
    group.addoption(
        "--tessera-coverage-min",
        type=float,
        metavar="N",
        help="fail where less than N percent is exercised; implies --tessera-coverage",
    )


def pytest_configure(config: pytest.Config) -> None:
    session = Session(update_snapshots=config.option.tessera_update_snapshots)
    if config.option.tessera_coverage or config.option.tessera_coverage_min is not None:
        from tessera.testing.coverage import GraphCoverage

        session.coverage = GraphCoverage()
    config.stash[_SESSION] = session


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    session = item.config.stash[_SESSION]
    session.test = item.path
    session.refused.clear()
    token = CURRENT.set(session)
    try:
        return (yield)
    finally:
        CURRENT.reset(token)
        session.test = None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """A request that was refused, which no assertion has looked at, fails the test."""
    session = item.config.stash[_SESSION]
    result = yield
    if session.refused:
        said = "\n".join(session.refused.values())
        session.refused.clear()
        pytest.fail(said, pytrace=False)
    return result


@pytest.fixture
def agent(request: pytest.FixtureRequest) -> Callable[..., AgentTemplate]:
    """The builder of agents: `agent("input > clips > destination")`, or of a path (as it stands, or from the
    test's folder or the root), a dict or JSON text."""
    from tessera.testing.notation.parser import agent as build

    def built(source: Any, **options: Any) -> AgentTemplate:
        return build(_found(source, request), **options)

    return built


@pytest.fixture
def assert_plan() -> Callable[..., PlanAssertion]:
    """`tessera.testing.assert_plan`."""
    from tessera.testing.assertions import assert_plan

    return assert_plan


@pytest.fixture
def replay(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., RunRecord]:
    """Runs a recording that `tessera run --record` made, without a network, in a workspace of the test's own.

    `replay("talk.zip")` is the recorded run; `replay("talk.zip", agent, request)` another agent or request on
    what was recorded. Files are looked for as those of `agent`; options are those of `tessera.run`.
    """
    workspace = tmp_path_factory.mktemp("replay")

    def replayed(file: str | Path, agent: Any = None, asked: Any = None, **options: Any) -> RunRecord:
        from tessera.runner.entry import run

        given = {"workspace": workspace, **options}
        return run(
            _found(agent, request), _found(asked, request), replay=_found(Path(file), request), **given
        )

    return replayed


def _found(source: Any, request: pytest.FixtureRequest) -> Any:
    """A relative path that is not there, looked for beside the test and below the root of the tests."""
    text = isinstance(source, str) and source.strip().endswith(".json")
    if not (text or isinstance(source, Path)) or Path(source).exists():
        return source
    places = (folder / source for folder in (request.path.parent, request.config.rootpath))
    return next((place for place in places if place.exists()), source)


# graph coverage


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take in what a worker of pytest-xdist counted."""
    session = node.config.stash[_SESSION]
    counted = getattr(node, "workeroutput", {}).get(_WORKER_DATA)
    if session.coverage is not None and counted is not None:
        session.coverage.merge(counted)


def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    coverage = config.stash[_SESSION].coverage
    if coverage is None:
        return
    if hasattr(config, "workeroutput"):
        config.workeroutput[_WORKER_DATA] = coverage.to_dict()
    elif _too_low(config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    coverage = config.stash[_SESSION].coverage
    if coverage is None:
        return
    terminalreporter.section("graph coverage")
    terminalreporter.write_line(coverage.report())
    if _too_low(config):
        least = config.option.tessera_coverage_min
        terminalreporter.write_line(f"graph coverage is below {least:g} %", red=True, bold=True)


def _too_low(config: pytest.Config) -> bool:
    coverage, least = config.stash[_SESSION].coverage, config.option.tessera_coverage_min
    return coverage is not None and least is not None and coverage.percent < least
