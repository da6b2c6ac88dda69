"""The pytest plug-in: fixtures `agent`, `assert_plan` and `replay`, options `--tessera-…`.

The plug-in is active in every pytest run on a machine, so it imports the engine only if a test uses it.
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
        help="write the snapshots of plans instead of comparing with them",
    )
    group.addoption(
        "--tessera-coverage",
        action="store_true",
        help="report which tiles, edges, branches and parameters of agents the tests exercise",
    )
    group.addoption(
        "--tessera-coverage-min",
        type=float,
        metavar="N",
        help="fail if graph coverage is below N percent; implies --tessera-coverage",
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
    session.unchecked.clear()
    token = CURRENT.set(session)
    try:
        return (yield)
    finally:
        CURRENT.reset(token)
        session.test = None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test whose request is rejected without an assertion that checks it."""
    session = item.config.stash[_SESSION]
    result = yield
    if session.unchecked:
        message = "\n".join(session.unchecked.values())
        session.unchecked.clear()
        pytest.fail(message, pytrace=False)
    return result


@pytest.fixture
def agent(request: pytest.FixtureRequest) -> Callable[..., AgentTemplate]:
    """Build agents: `agent("input > clips > destination")`, or from a path, a dict or JSON text.

    A relative path is resolved against the working directory, the test's folder, then the root folder.
    """
    from tessera.testing.notation.parser import agent as build

    def build_agent(source: Any, **options: Any) -> AgentTemplate:
        return build(_locate(source, request), **options)

    return build_agent


@pytest.fixture
def assert_plan() -> Callable[..., PlanAssertion]:
    """Return `tessera.testing.assert_plan`."""
    from tessera.testing.assertions import assert_plan

    return assert_plan


@pytest.fixture
def replay(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., RunRecord]:
    """Replay a recording of `tessera run --record` without network, in a workspace of the test's own.

    `replay("talk.zip")` repeats the recorded run; `replay("talk.zip", agent, request)` runs another agent or
    request on the recorded data. Paths are resolved as by `agent`; options are those of `tessera.run`.
    """
    workspace = tmp_path_factory.mktemp("replay")

    def replay_file(file: str | Path, agent: Any = None, body: Any = None, **options: Any) -> RunRecord:
        from tessera.runner.entry import run

        options = {"workspace": workspace, **options}
        return run(
            _locate(agent, request), _locate(body, request), replay=_locate(Path(file), request), **options
        )

    return replay_file


def _locate(source: Any, request: pytest.FixtureRequest) -> Any:
    """Return the path of a file, searched beside the test and below the root folder if it does not exist."""
    is_path_text = isinstance(source, str) and source.strip().endswith(".json")
    if not (is_path_text or isinstance(source, Path)) or Path(source).exists():
        return source
    paths = (folder / source for folder in (request.path.parent, request.config.rootpath))
    return next((path for path in paths if path.exists()), source)


# graph coverage


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Merge the coverage of a worker of pytest-xdist."""
    session = node.config.stash[_SESSION]
    worker_data = getattr(node, "workeroutput", {}).get(_WORKER_DATA)
    if session.coverage is not None and worker_data is not None:
        session.coverage.merge(worker_data)


def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    coverage = config.stash[_SESSION].coverage
    if coverage is None:
        return
    if hasattr(config, "workeroutput"):
        config.workeroutput[_WORKER_DATA] = coverage.to_dict()
    elif _below_minimum(config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    coverage = config.stash[_SESSION].coverage
    if coverage is None:
        return
    terminalreporter.section("graph coverage")
    terminalreporter.write_line(coverage.report())
    if _below_minimum(config):
        minimum = config.option.tessera_coverage_min
        terminalreporter.write_line(f"graph coverage is below {minimum:g} %", red=True, bold=True)


def _below_minimum(config: pytest.Config) -> bool:
    coverage, minimum = config.stash[_SESSION].coverage, config.option.tessera_coverage_min
    return coverage is not None and minimum is not None and coverage.percent < minimum
