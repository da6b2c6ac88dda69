"""`simulate` and `run`: resolve the inputs, schedule the tiles, and record the run."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Container, Iterable, Mapping
from concurrent.futures import Executor
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.errors import Fault, QuestionError, RequestError, WorkspaceError
from tessera.files import check_target, named, write_atomically
from tessera.graph.load import UnknownTiles
from tessera.graph.plan import Plan, plan, static_items
from tessera.inputs.assets.library import Library, workspace_of
from tessera.inputs.facts import read_facts
from tessera.inputs.local import LocalInput, with_local_inputs
from tessera.inputs.resolve import Resolved, by_node, resolve_inputs
from tessera.media.algebra.item import Item
from tessera.media.ffmpeg.encode_settings import encode_settings_for
from tessera.node import Catalogue, derived_id
from tessera.record.events import EPOCH, Event, RunStarted, now
from tessera.record.input_summary import input_record, triggered_by
from tessera.record.record import RunRecord
from tessera.record.sink import EventSink
from tessera.runner.answers.fault_injection import InjectedFault, parse_faults
from tessera.runner.answers.stubs import StubbedTile, read_stubs
from tessera.runner.answers.tile_context import Answers
from tessera.runner.asset_checks import check_assets
from tessera.runner.coordinator import Coordinator
from tessera.runner.execution import Execution, check_ffmpeg
from tessera.runner.partial import part_of_record, part_of_run
from tessera.runner.workers.delivery import output_record
from tessera.runner.workers.worker import (
    Deliver,
    Delivered,
    ExecutorWorkers,
    InlineExecutor,
    RenderWatch,
    Stopped,
    Worker,
)
from tessera.settings import default_catalogue, settings
from tessera.store.run_store import RunStore
from tessera.text.masking import mask_urls

if TYPE_CHECKING:
    from tessera.inputs.fetch.rules import FetchRules
    from tessera.runner.workers.remote_workers import RemoteExecutor

__all__ = ["run", "simulate"]


def simulate(
    agent: Any,
    request: Any = None,
    *,
    facts: Any = None,
    stubs: Mapping[str, Any] | None = None,
    faults: Iterable[str] = (),
    assume: bool = False,
    until: str | None = None,
    since: str | None = None,
    only: str | None = None,
    of: Mapping[str, Any] | RunRecord | None = None,
    inputs: Iterable[LocalInput | str | Path] = (),
    workspace: str | Path | None = None,
    catalogue: Catalogue | None = None,
    unknown_tiles: UnknownTiles = "error",
    max_items: int | None = None,
    on_event: Callable[[Event], None] | None = None,
    workers: int | None = None,
    costs: Any = None,
    prices: Any = None,
    balance: Decimal | int | None = None,
    on_output: Callable[[Item, Library], None] | None = None,
) -> RunRecord:
    """Simulate a run with descriptions of media. Nothing is rendered, fetched or stored.

    Parameters
    ----------
    agent
        An agent as `load_agent` accepts it, or a `Plan`.
    request
        A request as `plan` accepts it; not allowed with a `Plan`.
    facts
        Facts about missing media: `{id, URL or "*": {"duration_ms", "width", "height", "fps", "has_audio",
        "speech"}}`, or a path or JSON text of it. They take precedence over the workspace and local files.
    stubs
        Stubs that replace the items, the answers or the outcome of tiles: `{node: stub}`. A node is an id, a
        unique prefix of one, or a unique name; see `tessera.runner.answers.stubs.Stub`.
    faults
        Faults to inject into tiles and renders of items, each as
        `NODE[:item][=error|hang|crash|transient][@attempt]`; see `fault_injection.parse_faults`.
    assume
        Assume speech by a synthetic model if no other source has it (see `assumed_speech`). The record says
        so.
    until, since, only
        A tile (id, unique prefix of one, or unique name): simulate all tiles up to it, all from it on, or it
        alone. The items that reach the part come from `of`; for `only` without `of`, from the facts for
        `"*"`.
    of
        The record of an earlier run.
    inputs
        Local files, as inputs in addition to those of the request.
    workspace
        The workspace that holds the `video_ids`; by default `TESSERA_WORKSPACE`, else `.tessera`.
    max_items
        The greatest number of items that may reach one tile (10,000, or the setting).
    workers, costs, prices, balance
        If any of them is given, the run uses a virtual clock, and the record has a `forecast`. `workers` is
        the number of parallel jobs (2). Durations in seconds come from the declared costs, calibrated with
        the finished runs of the workspace, or from `costs` (a dict, JSON text or a path). Credits come from
        our prices, or from `prices`. If the `balance` is too low, tiles fail for it as in the hosted product.
    on_output
        Called with every output item, and the library of known assets.

    Raises
    ------
    RequestError
        If the template, the request, the facts, costs or prices are invalid, or an input is unknown or does
        not fit.
    QuestionError
        If a tile asks about the content of media that has no facts, no analysis and no file.
    """
    home = workspace_of(workspace)
    library = Library(home if home.is_dir() else None)
    media_facts = read_facts(facts)
    planned = _plan(agent, request, inputs, library.attach, catalogue, unknown_tiles)
    item_limit = check_items(planned, max_items)
    stubbed = read_stubs(stubs, planned, None)
    part = part_of_record(planned, media_facts, until, since, only, of)
    planned = part.plan
    injected = parse_faults(faults, planned)
    resolved = resolve_inputs(planned, library, facts=media_facts, renders=RunStore(home).render_asset)
    record = EventSink(on_event)
    run_id = _simulated_id(planned)
    started = _run_started(
        planned, resolved, run_id, "simulate", EPOCH, stubbed, faults=injected, part=part.summary
    )
    record.emit(started)
    worker = Worker(
        Answers(library, media_facts, lambda: False, assume=assume),
        _describe_only(run_id, lambda item: on_output(item, library) if on_output is not None else None),
        item_limit,
        live=False,
        clock=lambda: 0.0,
    )
    coordinator = Coordinator(
        planned,
        by_node(resolved.inputs),
        ExecutorWorkers(InlineExecutor(), worker),
        record.emit,
        commit=record.commit,
        now=lambda: EPOCH,
        cancelled=lambda: False,
        clock=lambda: 0.0,
        stubs=stubbed,
        known_items=part.known_items,
        faults=injected,
    )
    coordinator.run()
    if coordinator.unanswered:
        node, question = coordinator.unanswered[0]
        raise QuestionError(f"{planned.tile(node).name} {node} asks: {question}")
    if workers is None and costs is None and prices is None and balance is None:
        return record.record
    from tessera.forecast.forecast import WORKERS, forecast

    return forecast(
        planned,
        record.record,
        workers=workers or WORKERS,
        costs=costs,
        prices=prices,
        balance=balance,
        store=RunStore(home),
    )


def run(
    agent: Any = None,
    request: Any = None,
    *,
    stubs: Mapping[str, Any] | None = None,
    faults: Iterable[str] = (),
    until: str | None = None,
    since: str | None = None,
    only: str | None = None,
    of: str | None = None,
    inputs: Iterable[LocalInput | str | Path] = (),
    workspace: str | Path | None = None,
    out: str | Path | None = None,
    catalogue: Catalogue | None = None,
    max_items: int | None = None,
    on_event: Callable[[Event], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    executor: Executor | RemoteExecutor | None = None,
    render_timeout_s: float | None = None,
    tile_timeout_s: float | None = None,
    facts_out: str | Path | None = None,
    quality: str | None = None,
    cache: bool = True,
    fetch_rules: FetchRules | None = None,
    record: str | Path | None = None,
    replay: str | Path | None = None,
) -> RunRecord:
    """Run an agent on real media.

    Parameters
    ----------
    agent, request, stubs, inputs, max_items
        As in `simulate`. Local files are stored in the workspace, and items of a stub need files.
    faults
        As in `simulate`. A faulty tile or render ignores the cache, and a resume does not repeat its faults.
    until, since, only, of
        A part of the agent, as in `simulate`. `of` is an earlier run of this workspace (an id, a unique
        prefix of one, or `latest`), whose items reach the part unchanged.
    workspace
        The folder for assets, renders and records; by default `TESSERA_WORKSPACE`, else `.tessera`.
    out
        A folder that receives one file per output, and a `.jpg` thumbnail each.
    on_event
        Called with every event, in order; before the first event, with the progress of downloads.
    cancelled
        Polled a few times a second. Once it returns True, running ffmpeg processes are killed and the run
        ends.
    executor
        Runs tiles and renders; by default the threads that all runs of this process share. A `RemoteExecutor`
        uses other processes; `dask_cluster` yields one.
    render_timeout_s
        The time limit of one ffmpeg process, in seconds.
    tile_timeout_s
        The time limit of each tile's own work and of each render, in seconds, in place of the one that the
        tile type declares. A tile over its limit fails, and the run continues without it.
    facts_out
        A file that receives the facts that the run learned about its media. `simulate` with it as `facts`
        yields the counts, durations, sizes and lineage of this run without the media.
    quality
        `"draft"` (a preview: at most 640 pixels wide and high, fast), `"standard"` (near-transparent) or
        `"master"` (for editing or another encode); by default standard, or the quality of the recorded run.
    cache
        False repeats tile work and renders of earlier runs in place of reusing them.
    fetch_rules
        The limits for fetching URLs, and the permission to reach private networks.
    record
        A file that receives a bundle: the run, the answers of the outside world to it, and its media.
    replay
        A bundle that answers in place of the outside world, so that no network is used. The agent and the
        request default to those of the recorded run.

    Raises
    ------
    RequestError
        If the template or the request is invalid, a tile cannot be run yet, or an input is unknown, not
        recorded or does not fit. Nothing has been started then.
    ValueError
        If the quality is unknown.
    WorkspaceError
        If the workspace cannot be written.
    """
    from tessera.runner.answers.environment import environment_for

    home = workspace_of(workspace)
    library, store, inputs = Library(home), RunStore(home), tuple(inputs)
    world = environment_for(replay, library, store, fetch_rules, on_event, cancelled)
    quality = quality or world.quality
    encode_settings_for(quality)
    agent, request = world.agent_and_request(agent, request, inputs=bool(inputs))
    planned = _plan(agent, request, inputs, library.add, catalogue, "error")
    stubbed = read_stubs(stubs, planned, library.add)
    part = part_of_run(planned, store, until, since, only, of)
    planned, injected = part.plan, parse_faults(faults, part.plan)
    check_executable(planned, stubbed, part.known_items)
    check_ffmpeg()
    item_limit = check_items(planned, max_items)
    for target_file in (record, facts_out):
        if target_file is not None:
            check_target(Path(target_file))
    world.unpack(planned)
    check_assets(planned, library, stubbed)
    target = output_folder(out)
    resolved = resolve_inputs(planned, library, renders=world.recorder.render, fetcher=world.recorder)
    run_id = str(uuid.uuid4())
    execution = Execution(
        library,
        store,
        resolved,
        stubbed,
        item_limit,
        target,
        cancelled,
        executor,
        render_timeout_s,
        quality,
        tile_timeout_s=tile_timeout_s,
        fresh=not cache,
        known_items=part.known_items,
        faults=injected,
    )
    # Hold the run before it is recorded, since a recorded run that nobody holds counts as interrupted.
    with store.hold(run_id):
        documents = {"plan.json": planned.to_json(), **world.documents()}
        if planned.template is not None:
            documents["agent.json"] = planned.template.to_json()
        documents["quality"] = quality
        if part.summary is not None:
            documents["part.json"] = part.to_json()
        if target is not None:
            documents["out"] = str(target.absolute())
        recorder = EventSink(on_event, store.begin(run_id, documents))
        started = _run_started(
            planned, resolved, run_id, "run", now(), stubbed, faults=injected, part=part.summary
        )
        recorder.emit(started)
        recorder.commit()
        result = execution.run(planned, recorder)
    if facts_out is not None:
        write_atomically(Path(facts_out), store.document(run_id, "facts.json") or "")
    if record is not None:
        from tessera.bundle.bundle import write_bundle

        write_bundle(store, run_id, Path(record), originals=True)
    return result


def _plan(
    agent: Any,
    request: Any,
    inputs: Iterable[LocalInput | str | Path],
    store: Callable[[Path], Any],
    catalogue: Catalogue | None,
    unknown_tiles: UnknownTiles,
) -> Plan:
    local_inputs = [entry if isinstance(entry, LocalInput) else LocalInput(str(entry)) for entry in inputs]
    if isinstance(agent, Plan):
        if request is not None or local_inputs:
            raise RequestError(
                [Fault("", "request", "a plan already holds its request: remove the request and the inputs")]
            )
        return agent
    known_types = catalogue or default_catalogue()
    if local_inputs:
        from tessera.graph.load import load_agent

        agent = load_agent(agent, catalogue=known_types, unknown_tiles=unknown_tiles)
        request = with_local_inputs(agent, request, local_inputs, store)
    return plan(agent, request, catalogue=known_types, unknown_tiles=unknown_tiles)


def check_executable(
    planned: Plan, stubbed: Mapping[str, StubbedTile], known_items: Container[str] = ()
) -> None:
    """Raise `RequestError` if a plan has tiles that cannot be run yet and have neither a stub nor known
    items.
    """
    faults = []
    for node in planned.order:
        tile = planned.tile(node)
        if (
            node not in known_items
            and not tile.type.executable()
            and not (node in stubbed and stubbed[node].replaces_work())
        ):
            message = (
                f"{tile.name} {node} cannot be run yet, only planned and simulated; ignore it to run the rest"
            )
            faults.append(Fault(tile.loc, "template", message))
    if faults:
        raise RequestError(faults)


def check_items(planned: Plan, limit: int | None) -> int:
    """Return the item limit in force.

    Raises
    ------
    RequestError
        If more items than the limit are certain to reach a tile.
    """
    item_limit = limit if limit is not None else settings().max_items
    for node, count in static_items(planned):
        if count > item_limit:
            tile = planned.tile(node)
            # Items multiply with every path between two tiles, so a small template can exceed the limit.
            message = f"at least {count:,} items would reach {tile.name} {node}: every path to it adds some"
            raise RequestError([Fault(tile.loc, "template", f"{message}; the limit is {item_limit:,}")])
    return item_limit


def output_folder(out: str | Path | None) -> Path | None:
    """Return the folder for outputs, and create it if it does not exist.

    Raises
    ------
    WorkspaceError
        If the folder cannot be created or written.
    RequestError
        If its name is not UTF-8.
    """
    if out is None:
        return None
    path = named(out)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkspaceError(f"cannot write to {path}: {error.strerror or error}") from None
    if not os.access(path, os.W_OK) or shutil.disk_usage(path).free == 0:
        raise WorkspaceError(f"cannot write to {path}")
    return path


def _simulated_id(planned: Plan) -> str:
    """Return the run id of a simulation: the same for every simulation of the same plan."""
    return derived_id(*planned.order, planned.request.model_dump_json(exclude_unset=True))


def _run_started(
    planned: Plan,
    resolved: Resolved,
    run_id: str,
    mode: Any,
    at: str,
    stubbed: Iterable[str],
    *,
    faults: Iterable[InjectedFault] = (),
    part: dict[str, Any] | None = None,
) -> RunStarted:
    nodes: list[dict[str, Any]] = []
    shared: dict[str, dict[str, Any]] = {}
    tiles = dict(planned.graph.nodes(data="node"))
    for node in planned.order:
        kind = tiles[node].type
        of_type = shared.get(kind.type_id)
        if of_type is None:
            of_type = shared[kind.type_id] = {
                "node_type_id": kind.type_id,
                "node_type_name": kind.name,
                "docs_url": None,
                "params_docs_url": None,
            }
        nodes.append(
            {
                "agent_node_id": derived_id(run_id, node),
                "original_node_id": node,
                "node_type": of_type,
                "node_type_id": kind.type_id,
                "node_type_name": kind.name,
            }
        )
    return RunStarted(
        at=at,
        run_id=run_id,
        mode=mode,
        agent={"id": planned.agent_id, "name": planned.agent_name},
        nodes=tuple(nodes),
        inputs=tuple(input_record(media) for media in resolved.inputs),
        warnings=tuple(notice.to_dict() for notice in (*planned.warnings, *resolved.warnings)),
        changes=planned.changes.to_dict(),
        request=mask_urls(planned.request.to_dict()),
        triggered_by=triggered_by(resolved, at),
        stubs=tuple(stubbed),
        faults=tuple(fault.text for fault in faults),
        part=part,
    )


def _describe_only(run_id: str, report: Callable[[Item], None]) -> Deliver:
    """Return a delivery that only describes its outputs, as a simulation needs."""

    def deliver(item: Item, _progress: Any, _stopped: Stopped, _watch: RenderWatch) -> Delivered:
        report(item)
        render_id = derived_id(run_id, item.node, item.index)
        return Delivered(output_record(item, render_id, EPOCH))

    return deliver
