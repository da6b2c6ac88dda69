"""`tessera run`, `resume`, `simulate` and `plan`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from tessera.cli.commands.runs import find_run
from tessera.cli.display.output import OK, put, refuse
from tessera.cli.display.progress import watcher
from tessera.cli.executor_args import ExecutorOptions
from tessera.cli.interrupt import cancel_on_interrupt
from tessera.cli.options import RequestOptions, document
from tessera.cli.request_args import (
    PreparedRequest,
    plan_prepared,
    prepare,
    quoting_advice,
    recorded_options,
)
from tessera.cli.simulate_args import (
    exit_code,
    print_record,
    record_to_show,
    run_simulation,
    with_forecast,
    with_recorded_request,
)
from tessera.explain.option_places import NO_OPTIONS

if TYPE_CHECKING:
    from tessera.forecast.schedule import Task
    from tessera.graph.plan import Plan
    from tessera.runner.config import ResumeConfig, RunConfig, SimulateConfig

__all__ = ["plan", "resume", "run", "simulate", "with_recorded_agent"]


def run(
    options: RequestOptions | None,
    plan_file: str | None,
    config: RunConfig,
    workers: ExecutorOptions,
    *,
    as_json: bool,
) -> int:
    """Run an agent or a plan, and print its record."""
    with watcher(quiet=as_json) as watch, cancel_on_interrupt(watch.write) as cancelled, workers as executor:
        from tessera import run as run_agent

        config = replace(config, on_event=watch, cancelled=cancelled, executor=executor)
        if options is not None and config.replay is not None:
            options = recorded_options(options, Path(config.replay))
        places = NO_OPTIONS
        if options is None:
            record = run_agent(_read_plan(plan_file) if plan_file is not None else None, None, config)
        else:
            prepared = prepare(options)
            places = prepared.places
            config = replace(config, inputs=prepared.inputs)
            watch.expect(lambda: _expected_tasks(prepared, config))
            with quoting_advice(options, prepared.places):
                record = run_agent(prepared.template, prepared.request, config)
    return print_record(record, as_json=as_json, places=places)


def _expected_tasks(prepared: PreparedRequest, config: RunConfig) -> Iterable[Task]:
    """Return the tasks of a run's expected schedule, or none where its inputs are not known yet."""
    from tessera import simulate
    from tessera.errors import TesseraError
    from tessera.forecast.forecast import WORKERS

    try:
        record = simulate(
            prepared.template,
            prepared.request,
            inputs=config.inputs,
            workspace=config.workspace,
            catalogue=config.catalogue,
            workers=WORKERS,
            assume=True,
        )
    except TesseraError:
        # The run itself says what is wrong, or fetches what is missing.
        return ()
    return record.forecast.schedule.tasks if record.forecast is not None else ()


def with_recorded_agent(options: RequestOptions, config: RunConfig) -> RequestOptions:
    """Return the options with the agent and the request of the `--of` run as defaults."""
    if config.of is None:
        if config.since is not None or config.only is not None:
            raise refuse(f"{'--from' if config.since is not None else '--only'} NODE needs --of RUN")
        return options
    if config.since is None and config.only is None:
        raise refuse("--of RUN goes with --from NODE or --only NODE")
    store, run_id = find_run(str(config.of), options.workspace)
    agent, request = options.agent, options.request
    if not agent:
        agent = store.document(run_id, "agent.json") or ""
        if not agent:
            raise refuse(f"run {run_id} has no agent kept with it: give AGENT")
    if request is None and not options.inputs:
        saved = store.document(run_id, "plan.json")
        if saved is not None:
            request = json.dumps(_read_plan(saved).request.to_dict())
    return replace(options, agent=agent, request=request)


def resume(run_name: str, config: ResumeConfig, workers: ExecutorOptions, *, as_json: bool) -> int:
    """Resume an interrupted run and print its record."""
    with watcher(quiet=as_json) as watch, cancel_on_interrupt(watch.write) as cancelled, workers as executor:
        from tessera import resume as resume_run

        store, run_id = find_run(run_name, config.workspace)
        # Replay the first event, RunStarted: the watcher takes the names of the tiles from it.
        for started in islice(store.events(run_id), 1):
            watch(started)
        config = replace(config, on_event=watch, cancelled=cancelled, executor=executor)
        record = resume_run(run_id, config)
    return print_record(record, as_json=as_json)


def _read_plan(plan_file: str) -> Plan:
    from tessera.graph.plan import Plan

    return Plan.from_dict(document(plan_file))


def simulate(options: RequestOptions, config: SimulateConfig, *, as_json: bool) -> int:
    """Simulate an agent on a virtual clock, and print the record and a forecast."""
    options = with_recorded_request(options, config)
    prepared = prepare(options)
    record = run_simulation(prepared, options, with_forecast(config))
    if as_json:
        return print_record(record, as_json=True)
    from tessera.cli.commands.planning.estimate import forecast_summary
    from tessera.cli.display.tables import record_tables, show

    show((*record_tables(record_to_show(record, prepared.places)), *forecast_summary(record)))
    return exit_code(record)


def plan(options: RequestOptions, *, as_json: bool) -> int:
    """Print the plan of a run. A JSON plan can be run later, so its local inputs are stored."""
    prepared = prepare(options)
    run_plan = plan_prepared(prepared, options, store=as_json)
    if as_json:
        put(run_plan.to_json(), secrets=True)
        return OK
    from tessera.cli.display.tables import plan_tables, show

    shown = replace(run_plan, warnings=tuple(map(prepared.places.place, run_plan.warnings)))
    show(plan_tables(shown, {node.id: node.name for node in prepared.template}))
    return OK
