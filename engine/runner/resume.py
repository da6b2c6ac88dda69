"""`resume`: continue a run that failed, was cancelled or was interrupted."""

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
from tessera.runner.entry import check_executable, check_items, output_folder
from tessera.runner.execution import Execution, check_ffmpeg
from tessera.runner.in_flight import ResumePoint
from tessera.runner.partial import restored_items
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
    """Continue a run. Completed tiles do not run again, and existing outputs are not rendered again.

    Parameters
    ----------
    run_id
        The run: an id, a unique prefix of one, or `latest`.
    stubs
        As in `run`. Stubbed tiles that are not completed need their stubs again.
    out
        The folder for outputs; by default that of the original run.

    Raises
    ------
    WorkspaceError
        If there is no such run, or a process is running it.
    RequestError
        If the run is completed, or its inputs or stubs are missing.
    """
    home = workspace_of(workspace)
    library, store = Library(home), RunStore(home)
    run_id = store.resolve_run_id(run_id)
    with store.hold(run_id):
        record = store.fold_events(run_id)
        plan = _plan_of(store, run_id, record)
        stubs_by_tile = read_stubs(stubs, plan, library.add)
        _check_stubs(record, stubs_by_tile)
        done = {node for node, state in record.nodes.items() if state.status is NodeStatus.COMPLETED}
        known = restored_items(store.document(run_id, "part.json"), store, plan, done)
        check_executable(plan, stubs_by_tile, known)
        check_ffmpeg()
        environment = environment_of_run(run_id, library, store, fetch_rules, on_event, cancelled)
        folder = out if out is not None else store.document(run_id, "out")
        execution = Execution(
            library,
            store,
            resolve_inputs(plan, library, renders=environment.recorder.render, fetcher=environment.recorder),
            stubs_by_tile,
            check_items(plan, None),
            output_folder(folder),
            cancelled,
            executor,
            render_timeout_s,
            store.document(run_id, "quality") or "standard",
            tile_timeout_s=tile_timeout_s,
            known_items=known,
        )
        for name, text in environment.documents().items():
            store.save_document(run_id, name, text)
        log, items = store.reopen(run_id)
        recorder = EventSink(on_event, log, record)
        recorder.emit(RunResumed(at=now()))
        recorder.commit()
        return execution.run(plan, recorder, _resume_point(record, items))


def _plan_of(store: RunStore, run_id: str, record: RunRecord) -> Plan:
    if record.status is RunStatus.COMPLETED:
        raise RequestError([Fault("", "request", f"run {run_id} is completed: there is nothing to resume")])
    text = store.document(run_id, "plan.json")
    if text is None:
        raise NotFound(f"run {run_id} has no saved plan and cannot be resumed")
    return Plan.from_dict(text)


def _check_stubs(record: RunRecord, stubs_by_tile: Mapping[str, Any]) -> None:
    missing = [
        node
        for node in record.start.stubs
        if node not in stubs_by_tile and record.node(node).status is not NodeStatus.COMPLETED
    ]
    if missing:
        names = ", ".join(f"{record.node(node).name} {node}" for node in missing)
        raise RequestError([Fault("", "request", f"the run started with stubs for {names}: give them again")])


def _resume_point(record: RunRecord, items: Mapping[str, Any]) -> ResumePoint:
    return ResumePoint(
        frozenset(node for node, state in record.nodes.items() if state.status is NodeStatus.COMPLETED),
        items,
        {(output.node, output.raw["index"]): output.raw["delivered_by"] for output in record.outputs},
    )
