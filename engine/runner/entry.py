"""`simulate` and `run`: resolve the inputs, schedule the tiles, and record the run."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.errors import Fault, QuestionError, RequestError
from tessera.files import check_target, write_atomically
from tessera.graph.plan import Plan, plan
from tessera.inputs.assets.library import Library, workspace_of
from tessera.inputs.facts import read_facts
from tessera.inputs.local import LocalInput, with_local_inputs
from tessera.inputs.resolve import by_node, resolve_inputs
from tessera.media.algebra.item import Item
from tessera.record.events import EPOCH, now
from tessera.record.output import SimulatedOutput
from tessera.record.record import RunRecord
from tessera.record.sink import EventSink
from tessera.runner.answers.fault_injection import parse_faults
from tessera.runner.answers.stubs import read_stubs
from tessera.runner.answers.tile_context import Answers
from tessera.runner.asset_checks import check_assets
from tessera.runner.config import PlannedConfig, RunConfig, SimulateConfig, accepts_options
from tessera.runner.execution import Execution
from tessera.runner.output_folder import Reservation, reserving
from tessera.runner.partial import part_of_record, part_of_run
from tessera.runner.run_started import RunIdentity, run_started, simulated_id
from tessera.runner.scheduling.coordinator import Coordinator
from tessera.runner.scheduling.run_spec import RunSpec
from tessera.runner.scheduling.run_state import STOPPED_CLOCK
from tessera.runner.start_checks import check_executable, check_ffmpeg, check_items
from tessera.runner.workers.delivery import RenderOptions
from tessera.runner.workers.messages import Stopped
from tessera.runner.workers.worker import Deliver, ExecutorWorkers, InlineExecutor, RenderWatch, Worker
from tessera.settings import default_catalogue
from tessera.store.run_store import RunStore

if TYPE_CHECKING:
    from tessera.graph.load import UnknownTiles

__all__ = ["run", "simulate"]


@accepts_options(SimulateConfig)
def simulate(agent: Any = None, request: Any = None, config: SimulateConfig = SimulateConfig()) -> RunRecord:
    """Simulate a run with descriptions of media. Nothing is rendered, fetched or stored.

    Parameters
    ----------
    agent
        An agent as `load_agent` accepts it, or a `Plan`.
    request
        A request as `plan` accepts it; not allowed with a `Plan`.
    config
        The options. Each field of `SimulateConfig` is a keyword argument too.

    Raises
    ------
    RequestError
        If the template, the request, the facts, costs or prices are invalid, or an input is unknown or does
        not fit.
    ConfigError
        If an option has a value that is not allowed.
    QuestionError
        If a tile asks about the content of media that has no facts, no analysis and no file.
    """
    home = workspace_of(config.workspace)
    library = Library(home if home.is_dir() else None)
    facts = read_facts(config.facts)
    whole = _plan(agent, request, config, library.attach, config.unknown_tiles)
    max_items = check_items(whole, config.max_items)
    stubs = read_stubs(config.stubs, whole, None)
    part = part_of_record(whole, facts, config)
    faults = parse_faults(config.faults, part.plan)
    resolved = resolve_inputs(part.plan, library, facts=facts, renders=RunStore(home).render_asset)
    spec = RunSpec(part.plan, by_node(resolved.inputs), stubs, part.known_items, faults)
    sink = EventSink(config.on_event)
    run_id = simulated_id(part.plan)
    sink.emit(run_started(RunIdentity(run_id, "simulate", EPOCH, part.summary), spec, resolved))
    worker = Worker(
        Answers(library, facts, assume=config.assume),
        _describe_only(run_id, config, library),
        max_items,
        live=False,
        clock=STOPPED_CLOCK.seconds,
    )
    workers = ExecutorWorkers(InlineExecutor(), worker)
    coordinator = Coordinator(spec, workers, sink, cancelled=lambda: False, clock=STOPPED_CLOCK)
    coordinator.run()
    if coordinator.unanswered:
        node, question = coordinator.unanswered[0]
        raise QuestionError(f"{part.plan.tile(node).name} {node} asks: {question}")
    if not config.forecasts:
        return sink.record
    from tessera.forecast.forecast import WORKERS, forecast

    return forecast(
        part.plan,
        sink.record,
        workers=config.workers or WORKERS,
        costs=config.costs,
        prices=config.prices,
        balance=config.balance,
        store=RunStore(home),
    )


@accepts_options(RunConfig)
def run(agent: Any = None, request: Any = None, config: RunConfig = RunConfig()) -> RunRecord:
    """Run an agent on real media.

    Parameters
    ----------
    agent, request
        As in `simulate`. Both default to those of the recorded run with `replay`.
    config
        The options. Each field of `RunConfig` is a keyword argument too.

    Raises
    ------
    RequestError
        If the template or the request is invalid, a tile cannot be run yet, or an input is unknown, not
        recorded or does not fit. Nothing has been started then.
    ConfigError
        If an option has a value that is not allowed.
    WorkspaceError
        If the workspace or the output folder cannot be written, or another run writes into that folder.
    """
    run_id, store = str(uuid.uuid4()), RunStore(workspace_of(config.workspace))
    # Before anything is read or stored: of two runs into one folder, the second does no work.
    with reserving(config.out, run_id) as folder:
        result = _run(agent, request, config, store, folder)
    if config.facts_out is not None:
        write_atomically(Path(config.facts_out), store.document(run_id, "facts.json") or "")
    if config.record is not None:
        from tessera.bundle.bundle import write_bundle

        write_bundle(store, run_id, Path(config.record), originals=True)
    return result


def _run(agent: Any, request: Any, config: RunConfig, store: RunStore, folder: Reservation) -> RunRecord:
    """Plan and execute a run whose output folder is reserved."""
    from tessera.runner.answers.environment import environment_for

    library = Library(store.workspace)
    world = environment_for(config, library, store)
    quality = config.quality or world.quality
    agent, request = world.agent_and_request(agent, request, inputs=bool(config.inputs))
    whole = _plan(agent, request, config, library.add, "error")
    stubs = read_stubs(config.stubs, whole, library.add)
    part = part_of_run(whole, store, config)
    faults = parse_faults(config.faults, part.plan)
    check_executable(part.plan, stubs, part.known_items)
    check_ffmpeg()
    max_items = check_items(part.plan, config.max_items)
    for target_file in (config.record, config.facts_out):
        if target_file is not None:
            check_target(Path(target_file))
    world.unpack(part.plan)
    check_assets(part.plan, library, stubs)
    out, notices = folder.open()
    resolved = resolve_inputs(part.plan, library, renders=world.recorder.render, fetcher=world.recorder)
    resolved = replace(resolved, warnings=(*resolved.warnings, *notices, *world.notices(part.plan)))
    spec = RunSpec(part.plan, by_node(resolved.inputs), stubs, part.known_items, faults)
    options = RenderOptions(out, quality, config.render_timeout_s, fresh=not config.cache)
    execution = Execution(library, store, resolved, max_items, options, config)
    # Hold the run before it is recorded, since a recorded run that nobody holds counts as interrupted.
    with store.hold(folder.run_id):
        documents = {"plan.json": part.plan.to_json(), **world.documents()}
        if part.plan.template is not None:
            documents["agent.json"] = part.plan.template.to_json()
        documents["quality"] = quality
        if part.summary is not None:
            documents["part.json"] = part.to_json()
        if out is not None:
            documents["out"] = str(out.absolute())
        sink = EventSink(config.on_event, store.begin(folder.run_id, documents))
        sink.emit(run_started(RunIdentity(folder.run_id, "run", now(), part.summary), spec, resolved))
        sink.commit()
        return execution.run(spec, sink)


def _plan(
    agent: Any,
    request: Any,
    config: PlannedConfig,
    store: Callable[[Path], Any],
    unknown_tiles: UnknownTiles,
) -> Plan:
    """Plan the run, with the local inputs of the options added to the request."""
    inputs = [entry if isinstance(entry, LocalInput) else LocalInput(str(entry)) for entry in config.inputs]
    if isinstance(agent, Plan):
        if request is not None or inputs:
            raise RequestError(
                [Fault("", "request", "a plan already holds its request: remove the request and the inputs")]
            )
        return agent
    known_types = config.catalogue or default_catalogue()
    if inputs:
        from tessera.graph.load import load_agent

        agent = load_agent(agent, catalogue=known_types, unknown_tiles=unknown_tiles)
        request = with_local_inputs(agent, request, inputs, store)
    return plan(agent, request, catalogue=known_types, unknown_tiles=unknown_tiles)


def _describe_only(run_id: str, config: SimulateConfig, library: Library) -> Deliver:
    """Return a delivery that only describes its outputs, as a simulation needs."""

    def deliver(
        item: Item, _progress: Any, _stopped: Stopped, _watch: RenderWatch
    ) -> dict[str, Any] | SimulatedOutput:
        if config.on_output is not None:
            config.on_output(item, library)
        output = SimulatedOutput(item, run_id, EPOCH)
        return output if config.on_event is None else output.to_dict()

    return deliver
