"""`resume`: continue a run that failed, was cancelled or was interrupted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tessera.errors import Fault, NotFound, RequestError
from tessera.graph.plan import Plan
from tessera.inputs.assets.library import Library, workspace_of
from tessera.inputs.resolve import by_node, resolve_inputs
from tessera.record.events import RunResumed, now
from tessera.record.record import RunRecord
from tessera.record.sink import EventSink
from tessera.record.status import NodeStatus, RunStatus
from tessera.runner.answers.environment import environment_of_run
from tessera.runner.answers.stubs import read_stubs
from tessera.runner.config import ResumeConfig, accepts_resume_options
from tessera.runner.execution import Execution
from tessera.runner.output_folder import reserving
from tessera.runner.partial import restored_items
from tessera.runner.scheduling.run_spec import ResumePoint, RunSpec
from tessera.runner.start_checks import check_executable, check_ffmpeg, check_items
from tessera.runner.workers.delivery import RenderOptions
from tessera.store.run_store import RunStore

__all__ = ["resume"]


@accepts_resume_options(ResumeConfig)
def resume(run_id: str, config: ResumeConfig = ResumeConfig()) -> RunRecord:
    """Continue a run. Completed tiles do not run again, and existing outputs are not rendered again.

    Parameters
    ----------
    run_id
        The run: an id, a unique prefix of one, or `latest`.
    config
        The options. Each field of `ResumeConfig` is a keyword argument too. Stubbed tiles that are not
        completed need their stubs again.

    Raises
    ------
    WorkspaceError
        If there is no such run, a process is running it, or another run writes into its output folder.
    RequestError
        If the run is completed, or its inputs or stubs are missing.
    ConfigError
        If an option has a value that is not allowed.
    """
    home = workspace_of(config.workspace)
    library, store = Library(home), RunStore(home)
    run_id = store.resolve_run_id(run_id)
    with store.hold(run_id):
        record = store.fold_events(run_id)
        plan = _plan_of(store, run_id, record)
        wanted = config.out if config.out is not None else store.document(run_id, "out")
        with reserving(wanted, run_id) as folder:
            stubs = read_stubs(config.stubs, plan, library.add)
            _check_stubs(record, stubs)
            done = {node for node, state in record.nodes.items() if state.status is NodeStatus.COMPLETED}
            known = restored_items(store.document(run_id, "part.json"), store, plan, done)
            check_executable(plan, stubs, known)
            check_ffmpeg()
            world = environment_of_run(run_id, config, library, store)
            out, notices = folder.open()
            resolved = resolve_inputs(plan, library, renders=world.recorder.render, fetcher=world.recorder)
            quality = store.document(run_id, "quality") or RenderOptions().quality
            options = RenderOptions(out, quality, config.render_timeout_s)
            execution = Execution(library, store, resolved, check_items(plan, None), options, config, notices)
            for name, text in world.documents().items():
                store.save_document(run_id, name, text)
            log, items = store.reopen(run_id)
            spec = RunSpec(
                plan, by_node(resolved.inputs), stubs, known, resume_point=_resume_point(record, items)
            )
            sink = EventSink(config.on_event, log, record)
            sink.emit(RunResumed(at=now()))
            sink.commit()
            return execution.run(spec, sink)


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
        {(output.node, output.index): output.raw["delivered_by"] for output in record.outputs},
    )
