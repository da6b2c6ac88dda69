"""`simulate` and `run`: inputs resolved, tiles taken through their lives, and the record of it."""

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
    """Send descriptions of media through the tiles of a run. Nothing is rendered, nothing fetched, nothing
    stored.

    Parameters
    ----------
    agent
        What `load_agent` takes, or a `Plan`.
    request
        What `plan` takes; not with a `Plan`.
    facts
        What is known of media that is not there: `{id, URL or "*": {"duration_ms", "width", "height", "fps",
        "has_audio", "speech"}}`, or a path or JSON text of it. They come before the workspace and local
        files.
    stubs
        What tiles are made to make, answer or suffer in place of their own work: `{node: stub}`, a node
        by id, unique beginning of one or unique name; see `tessera.runner.answers.stubs.Stub`.
    faults
        A drill: what tiles, and renders of items, are made to suffer, each as
        `NODE[:item][=error|hang|crash|transient][@attempt]`; see `fault_injection.read_drills`.
    assume
        Where nothing tells of speech, assume it by a synthetic model (see `assumed_speech`); the record
        says so.
    until, since, only
        A tile (id, unique beginning of one, or unique name): simulate all up to it, all from it on, or it
        alone. What reaches the part is taken from `of`; for `only`, else from the facts for `"*"`.
    of
        The record of an earlier run.
    inputs
        Local files, as inputs beside those of the request.
    workspace
        Where `video_ids` are looked up; by default `TESSERA_WORKSPACE`, else `.tessera`.
    max_items
        The greatest number of items that may reach one tile (10,000, or the setting).
    workers, costs, prices, balance
        Given any of them, the run is put on a virtual clock, and the record has a `forecast`: `workers`
        pieces of work at a time (2); seconds by the declared costs, calibrated from the workspace's finished
        runs, or what `costs` (a dict, JSON text or a path) states; credits by our prices, or what `prices`
        states. With a `balance` that does not suffice, tiles fail for it as in the hosted product.
    on_output
        Called with every item that is an output, and the assets that are known.

    Raises
    ------
    RequestError
        The template, the request, the facts, costs or prices are wrong, an input is unknown or does not fit.
    QuestionError
        A tile asks about the content of media, and nothing was given that tells: no facts, no analysis, no
        file.
    """
    home = workspace_of(workspace)
    library = Library(home if home.is_dir() else None)
    known = read_facts(facts)
    decided = _plan(agent, request, inputs, library.attach, catalogue, unknown_tiles)
    most = check_items(decided, max_items)
    stubbed = read_stubs(stubs, decided, None)
    part = part_of_record(decided, known, until, since, only, of)
    decided = part.plan
    drills = parse_faults(faults, decided)
    resolved = resolve_inputs(decided, library, facts=known, renders=RunStore(home).render_asset)
    record = EventSink(on_event)
    run_id = _simulated_id(decided)
    started = _started(decided, resolved, run_id, "simulate", EPOCH, stubbed, faults=drills, part=part.told)
    record.emit(started)
    worker = Worker(
        Answers(library, known, lambda: False, assume=assume),
        _describing(run_id, lambda item: on_output(item, library) if on_output is not None else None),
        most,
        waits=False,
        clock=lambda: 0.0,
    )
    coordinator = Coordinator(
        decided,
        by_node(resolved.inputs),
        ExecutorWorkers(InlineExecutor(), worker),
        record.emit,
        commit=record.commit,
        now=lambda: EPOCH,
        cancelled=lambda: False,
        clock=lambda: 0.0,
        stubs=stubbed,
        given=part.given,
        drills=drills,
    )
    coordinator.run()
    if coordinator.unanswered:
        node, question = coordinator.unanswered[0]
        raise QuestionError(f"{decided.tile(node).name} {node} asks: {question}")
    if workers is None and costs is None and prices is None and balance is None:
        return record.record
    from tessera.forecast.forecast import WORKERS, forecast

    return forecast(
        decided,
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
        As in `simulate`; local files are stored in the workspace, and what a stub makes needs files.
    faults
        As in `simulate`; they come before what is kept of other runs, and a resume does not know of them.
    until, since, only, of
        A part of the agent, as in `simulate`: `of` is an earlier run of this workspace (an id, a unique
        beginning of one, or `latest`), whose items reach the part as they are.
    workspace
        Where assets, renders and records are kept; by default `TESSERA_WORKSPACE`, else `.tessera`.
    out
        A folder that receives one file per output, and a `.jpg` thumbnail each.
    on_event
        Called with every event, in order; before the first with the progress of downloads.
    cancelled
        Asked some times a second; once it is true, running ffmpeg processes are killed and the run ends.
    executor
        Where tiles and renders run; by default the threads that all runs of this process share. A
        `RemoteExecutor` has other processes do it; `dask_cluster` gives one.
    render_timeout_s
        The longest that one ffmpeg process may take.
    tile_timeout_s
        The longest that a tile's own work, and each of its renders, may take, in place of what its type
        declares; then it has failed, and the run goes on without it.
    facts_out
        A file that receives what the run learned of its media; `simulate` with it as `facts` gives this run's
        counts, durations, sizes and lineage where the media is not.
    quality
        `"draft"` (a preview: at most 640 pixels wide and high, fast), `"standard"` (near-transparent) or
        `"master"` (to be edited or encoded again); by default standard, or that of a recorded run.
    cache
        False does again what is kept of runs before: what tiles made, and what was rendered.
    fetch_rules
        The limits of fetching URLs, and whether private networks may be reached.
    record
        A file that receives the run, what the outside world answered to it, and its media: a bundle.
    replay
        Such a file, which answers in place of the world: no network is used. The agent and the request are
        those of the recorded run where none are given.

    Raises
    ------
    RequestError
        The template or the request is wrong, a tile cannot be run yet, an input is unknown, is not recorded
        or does not fit: nothing has been started.
    ValueError
        There is no such quality.
    WorkspaceError
        The workspace cannot be written.
    """
    from tessera.runner.answers.environment import environment_for

    home = workspace_of(workspace)
    library, store, inputs = Library(home), RunStore(home), tuple(inputs)
    world = environment_for(replay, library, store, fetch_rules, on_event, cancelled)
    quality = quality or world.quality
    encode_settings_for(quality)
    agent, request = world.agent_and_request(agent, request, has_inputs=bool(inputs))
    decided = _plan(agent, request, inputs, library.add, catalogue, "error")
    stubbed = read_stubs(stubs, decided, library.add)
    part = part_of_run(decided, store, until, since, only, of)
    decided, drills = part.plan, parse_faults(faults, part.plan)
    check_executable(decided, stubbed, part.given)
    check_ffmpeg()
    most = check_items(decided, max_items)
    for written in (record, facts_out):
        if written is not None:
            check_target(Path(written))
    world.unpack(decided)
    check_assets(decided, library, stubbed)
    target = writable(out)
    resolved = resolve_inputs(decided, library, renders=world.answers.render, fetcher=world.answers)
    run_id = str(uuid.uuid4())
    execution = Execution(
        library,
        store,
        resolved,
        stubbed,
        most,
        target,
        cancelled,
        executor,
        render_timeout_s,
        quality,
        tile_timeout_s=tile_timeout_s,
        fresh=not cache,
        given=part.given,
        drills=drills,
    )
    with store.hold(run_id):
        kept = {"plan.json": decided.to_json(), **world.documents()}
        if decided.template is not None:
            kept["agent.json"] = decided.template.to_json()
        kept["quality"] = quality
        if part.told is not None:
            kept["part.json"] = part.to_json()
        if target is not None:
            kept["out"] = str(target.absolute())
        recorder = EventSink(on_event, store.begin(run_id, kept))
        started = _started(decided, resolved, run_id, "run", now(), stubbed, faults=drills, part=part.told)
        recorder.emit(started)
        recorder.commit()
        ended = execution.run(decided, recorder)
    if facts_out is not None:
        write_atomically(Path(facts_out), store.document(run_id, "facts.json") or "")
    if record is not None:
        from tessera.bundle.bundle import write_bundle

        write_bundle(store, run_id, Path(record), originals=True)
    return ended


def _plan(
    agent: Any,
    request: Any,
    inputs: Iterable[LocalInput | str | Path],
    store: Callable[[Path], Any],
    catalogue: Catalogue | None,
    unknown_tiles: UnknownTiles,
) -> Plan:
    given = [one if isinstance(one, LocalInput) else LocalInput(str(one)) for one in inputs]
    if isinstance(agent, Plan):
        if request is not None or given:
            raise RequestError(
                [Fault("", "request", "a plan holds its request: give no other, and no inputs")]
            )
        return agent
    known = catalogue or default_catalogue()
    if given:
        from tessera.graph.load import load_agent

        agent = load_agent(agent, catalogue=known, unknown_tiles=unknown_tiles)
        request = with_local_inputs(agent, request, given, store)
    return plan(agent, request, catalogue=known, unknown_tiles=unknown_tiles)


def check_executable(decided: Plan, stubbed: Mapping[str, StubbedTile], given: Container[str] = ()) -> None:
    """Refuse a plan with tiles that cannot be run yet and for which no stub stands in, by name. What `given`
    tiles make is there already.
    """
    faults = []
    for node in decided.order:
        tile = decided.tile(node)
        if (
            node not in given
            and not tile.type.executable()
            and not (node in stubbed and stubbed[node].replaces_work())
        ):
            what = (
                f"{tile.name} {node} cannot be run yet, only planned and simulated; ignore it to run the rest"
            )
            faults.append(Fault(tile.loc, "template", what))
    if faults:
        raise RequestError(faults)


def check_items(decided: Plan, limit: int | None) -> int:
    """Refuse a plan in which more items than `limit` are sure to reach a tile; give the limit in force."""
    most = limit if limit is not None else settings().max_items
    for node, count in static_items(decided):
        if count > most:
            tile = decided.tile(node)
            what = f"at least {count:,} items would reach {tile.name} {node}: every path to it brings its own"
            raise RequestError([Fault(tile.loc, "template", f"{what}; at most {most:,} may")])
    return most


def writable(out: str | Path | None) -> Path | None:
    """The folder for outputs, made where it is not there.

    Raises
    ------
    WorkspaceError
        It cannot be made or written.
    RequestError
        Its name is not UTF-8.
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


def _simulated_id(decided: Plan) -> str:
    """The same plan has the same id in every simulation."""
    return derived_id(*decided.order, decided.request.model_dump_json(exclude_unset=True))


def _started(
    decided: Plan,
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
    tiles = dict(decided.graph.nodes(data="node"))
    for node in decided.order:
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
        agent={"id": decided.agent_id, "name": decided.agent_name},
        nodes=tuple(nodes),
        inputs=tuple(input_record(one) for one in resolved.inputs),
        warnings=tuple(notice.to_dict() for notice in (*decided.warnings, *resolved.warnings)),
        changes=decided.changes.to_dict(),
        request=mask_urls(decided.request.to_dict()),
        triggered_by=triggered_by(resolved, at),
        stubs=tuple(stubbed),
        faults=tuple(drill.text for drill in faults),
        part=part,
    )


def _describing(run_id: str, seen: Callable[[Item], None]) -> Deliver:
    """Delivers descriptions: what a simulation has for outputs."""

    def deliver(item: Item, _progress: Any, _stopped: Stopped, _watch: RenderWatch) -> Delivered:
        seen(item)
        render_id = derived_id(run_id, item.node, item.index)
        return Delivered(output_record(item, render_id, EPOCH))

    return deliver
