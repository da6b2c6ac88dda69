"""`resume`: a run that failed, was cancelled or was cut short goes on where it stood."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.errors import Fault, NotFound, RequestError
from tessera.graph.plan import Plan
from tessera.inputs.assets.library import Library, workspace_of
from tessera.inputs.resolve import resolve_inputs
from tessera.record.events import Event, RunResumed, now
from tessera.record.record import RunRecord
from tessera.record.sink import EventSink
from tessera.record.status import NodeStatus, RunStatus
from tessera.runner.answers.environment import environment_of_run
from tessera.runner.answers.stubs import read_stubs
from tessera.runner.entry import check_executable, check_items, writable
from tessera.runner.execution import Execution, check_ffmpeg
from tessera.runner.in_flight import ResumePoint
from tessera.runner.partial import given_again
from tessera.store.run_store import RunStore

if TYPE_CHECKING:
    from tessera.inputs.fetch.rules import FetchRules
    from tessera.runner.workers.remote_workers import RemoteExecutor

__all__ = ["resume"]


def resume(
    run_id: str,
    *,
    stubs: Mapping[str, Any] | None = None,
    workspace: str | Path | None = None,
    out: str | Path | None = None,
    on_event: Callable[[Event], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    executor: Executor | RemoteExecutor | None = None,
    render_timeout_s: float | None = None,
    tile_timeout_s: float | None = None,
    fetch_rules: FetchRules | None = None,
) -> RunRecord:
    """Go on with a run. Tiles that completed are not run again, nor are outputs that are there made again.

    Parameters
    ----------
    run_id
        The run: an id, a unique beginning of one, or `latest`.
    stubs
        As in `run`; tiles that were stubbed and are not done need theirs again.
    out
        Where outputs are put; by default where the run put them.

    Raises
    ------
    WorkspaceError
        There is no such run, or it is being run.
    RequestError
        The run is completed, or its inputs or stubs are no longer there.
    """
    home = workspace_of(workspace)
    library, store = Library(home), RunStore(home)
    run_id = store.resolve_run_id(run_id)
    with store.hold(run_id):
        before = store.fold_events(run_id)
        decided = _plan_of(store, run_id, before)
        stubbed = read_stubs(stubs, decided, library.add)
        _check_stubs(before, stubbed)
        done = {node for node, one in before.nodes.items() if one.status is NodeStatus.COMPLETED}
        given = given_again(store.document(run_id, "part.json"), store, done)
        check_executable(decided, stubbed, given)
        check_ffmpeg()
        world = environment_of_run(run_id, library, store, fetch_rules, on_event, cancelled)
        folder = out if out is not None else store.document(run_id, "out")
        execution = Execution(
            library,
            store,
            resolve_inputs(decided, library, renders=world.answers.render, fetcher=world.answers),
            stubbed,
            check_items(decided, None),
            writable(folder),
            cancelled,
            executor,
            render_timeout_s,
            store.document(run_id, "quality") or "standard",
            tile_timeout_s=tile_timeout_s,
            given=given,
        )
        for name, text in world.documents().items():
            store.save_document(run_id, name, text)
        log, items = store.reopen(run_id)
        recorder = EventSink(on_event, log, before)
        recorder.emit(RunResumed(at=now()))
        recorder.commit()
        return execution.run(decided, recorder, _earlier(before, items))


def _plan_of(store: RunStore, run_id: str, before: RunRecord) -> Plan:
    if before.status is RunStatus.COMPLETED:
        raise RequestError([Fault("", "request", f"run {run_id} is completed: there is nothing to resume")])
    text = store.document(run_id, "plan.json")
    if text is None:
        raise NotFound(f"run {run_id} has no plan kept with it: it cannot be resumed")
    return Plan.from_dict(text)


def _check_stubs(before: RunRecord, stubbed: Mapping[str, Any]) -> None:
    lacking = [
        node
        for node in before.start.stubs
        if node not in stubbed and before.node(node).status is not NodeStatus.COMPLETED
    ]
    if lacking:
        names = ", ".join(f"{before.node(node).name} {node}" for node in lacking)
        raise RequestError(
            [Fault("", "request", f"the run was begun with stubs for {names}: give them again")]
        )


def _earlier(record: RunRecord, items: Mapping[str, Any]) -> ResumePoint:
    return ResumePoint(
        frozenset(node for node, one in record.nodes.items() if one.status is NodeStatus.COMPLETED),
        items,
        {(output.node, output.raw["index"]): output.raw["delivered_by"] for output in record.outputs},
    )
