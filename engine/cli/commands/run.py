"""`tessera run`, `resume`, `simulate`, `plan` and `validate`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.cli.commands.runs import find_run
from tessera.cli.display.output import OK, put, put_json, refuse, warn
from tessera.cli.display.progress import watcher
from tessera.cli.executor_args import ExecutorOptions
from tessera.cli.interrupt import cancel_on_interrupt
from tessera.cli.options import RequestOptions
from tessera.cli.request_args import (
    document,
    fetch_rules,
    plan_of,
    prepare,
    quoting_advice,
    recorded_options,
    workspace_folder,
)
from tessera.cli.simulate_args import (
    ForecastOptions,
    SimulateOptions,
    exit_code,
    print_record,
    run_simulation,
    stubs_of,
)

if TYPE_CHECKING:
    from tessera.agent import AgentTemplate
    from tessera.graph.plan import Plan

__all__ = [
    "CacheOptions",
    "ExecutorOptions",
    "PartOptions",
    "RunOptions",
    "plan",
    "resume",
    "run",
    "simulate",
    "validate",
]


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """The options of `tessera run` about cached and recorded results."""

    cache: bool = True
    record: Path | None = None
    replay: Path | None = None


@dataclass(frozen=True, slots=True)
class PartOptions:
    """The options of `tessera run` that select a part of an agent, as typed."""

    until: str | None = None
    since: str | None = None
    only: str | None = None
    of: str | None = None

    def completed(
        self, agent: str | None, request: str | None, workspace: Path | None, *, needs_request: bool
    ) -> tuple[str, str | None]:
        """Return the agent and the request, with those of the `--of` run as defaults."""
        if self.of is None:
            if self.since is not None or self.only is not None:
                raise refuse(f"{'--from' if self.since is not None else '--only'} NODE needs --of RUN")
            assert agent is not None
            return agent, request
        if self.since is None and self.only is None:
            raise refuse("--of RUN goes with --from NODE or --only NODE")
        store, run_id = find_run(self.of, workspace)
        if agent is None:
            agent = store.document(run_id, "agent.json")
            if agent is None:
                raise refuse(f"run {run_id} has no agent kept with it: give AGENT")
        plan_prepared = store.document(run_id, "plan.json") if request is None and needs_request else None
        if plan_prepared is not None:
            request = json.dumps(_read_plan(plan_prepared).request.to_dict())
        return agent, request


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of `tessera run` other than the agent and the request."""

    out: Path | None = None
    stubs: tuple[str, ...] = ()
    facts_out: Path | None = None
    allow_private: bool = False
    quality: str | None = None
    tile_timeout_s: float | None = None
    cache_options: CacheOptions = CacheOptions()
    faults: tuple[str, ...] = ()
    part: PartOptions = PartOptions()


def run(
    options: RequestOptions | None,
    plan_file: str | None,
    workspace: Path | None,
    run_options: RunOptions,
    workers: ExecutorOptions,
    *,
    as_json: bool,
) -> int:
    """Run an agent or a plan, and print its record."""
    with watcher(quiet=as_json) as watch, cancel_on_interrupt(watch.write) as cancelled, workers as executor:
        from tessera import run as run_agent

        work: dict[str, Any] = {
            "workspace": workspace_folder(workspace),
            "out": run_options.out,
            "on_event": watch,
            "cancelled": cancelled,
            "executor": executor,
            "facts_out": run_options.facts_out,
            "fetch_rules": fetch_rules(run_options.allow_private),
            "quality": run_options.quality,
            "tile_timeout_s": run_options.tile_timeout_s,
            **asdict(run_options.cache_options),
            "faults": run_options.faults,
            **asdict(run_options.part),
        }
        if options is not None and run_options.cache_options.replay is not None:
            options = recorded_options(options, run_options.cache_options.replay)
        if options is None:
            run_plan = _read_plan(plan_file) if plan_file is not None else None
            record = run_agent(run_plan, stubs=stubs_of(run_options.stubs), **work)
        else:
            prepared = prepare(options)
            with quoting_advice(options):
                record = run_agent(
                    prepared.template,
                    prepared.request,
                    stubs=stubs_of(run_options.stubs),
                    inputs=prepared.inputs,
                    **work,
                )
    return print_record(record, as_json=as_json)


def resume(
    run_name: str,
    workspace: Path | None,
    run_options: RunOptions,
    workers: ExecutorOptions,
    *,
    as_json: bool,
) -> int:
    """Resume an interrupted run and print its record."""
    with watcher(quiet=as_json) as watch, cancel_on_interrupt(watch.write) as cancelled, workers as executor:
        from tessera import resume as resume_run

        store, run_id = find_run(run_name, workspace)
        # Replay the first event, RunStarted: the watcher takes the names of the tiles from it.
        for started in islice(store.events(run_id), 1):
            watch(started)
        record = resume_run(
            run_id,
            stubs=stubs_of(run_options.stubs),
            workspace=workspace_folder(workspace),
            out=run_options.out,
            on_event=watch,
            cancelled=cancelled,
            executor=executor,
            tile_timeout_s=run_options.tile_timeout_s,
            fetch_rules=fetch_rules(run_options.allow_private),
        )
    return print_record(record, as_json=as_json)


def _read_plan(plan_file: str) -> Plan:
    from tessera.graph.plan import Plan

    return Plan.from_dict(document(plan_file))


def simulate(
    options: RequestOptions, simulation: SimulateOptions, forecast_options: ForecastOptions, *, as_json: bool
) -> int:
    """Simulate an agent on a virtual clock, and print the record and a forecast."""
    options = simulation.completed(options)
    record = run_simulation(prepare(options, simulation.facts), options, simulation, forecast_options)
    if as_json:
        return print_record(record, as_json=True)
    from tessera.cli.commands.estimate import forecast_summary
    from tessera.cli.display.tables import record_tables, show

    show((*record_tables(record.to_dict()), *forecast_summary(record)))
    return exit_code(record)


def plan(options: RequestOptions, *, as_json: bool) -> int:
    """Print the plan of a run. A JSON plan can be run later, so its local inputs are stored."""
    template, run_plan = plan_of(options, store=as_json)
    if as_json:
        put(run_plan.to_json())
        return OK
    from tessera.cli.display.tables import plan_tables, show

    show(plan_tables(run_plan, {node.id: node.name for node in template}))
    return OK


def validate(options: RequestOptions, *, as_json: bool) -> int:
    """Check an agent and, if there is one, a request."""
    if options.agent_alone:
        template = prepare(options).template
        facts, summary, warnings = _agent_summary(template), _agent_line(template), template.warnings
    else:
        template, run_plan = plan_of(options, store=False)
        facts, summary, warnings = _plan_summary(run_plan), _plan_line(run_plan), run_plan.warnings
    if as_json:
        put_json({"valid": True, **facts, "warnings": [notice.to_dict() for notice in warnings]})
        return OK
    details = f"; {len(warnings)} warning{'s' if len(warnings) != 1 else ''}" if warnings else ""
    put(f"ok: {summary}{details}")
    for notice in warnings:
        warn(notice.message)
    return OK


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _agent_summary(template: AgentTemplate) -> dict[str, Any]:
    return {
        "agent_id": template.id,
        "tiles": len(template),
        "connections": len(template.connections),
        "video_inputs": sum(node.type.is_input() for node in template),
    }


def _agent_line(template: AgentTemplate) -> str:
    facts = _agent_summary(template)
    return ", ".join(
        (
            _count(facts["tiles"], "tile"),
            _count(facts["connections"], "connection"),
            _count(facts["video_inputs"], "Video Input"),
        )
    )


def _plan_summary(run_plan: Plan) -> dict[str, Any]:
    return {
        "agent_id": run_plan.agent_id,
        "tiles": len(run_plan.order),
        "connections": run_plan.graph.number_of_edges(),
        "inputs": sum(len(binding.sources) for binding in run_plan.inputs),
        "removed": list(run_plan.changes.removed),
        "skipped": list(run_plan.changes.skipped),
        "overridden": len(run_plan.changes.overridden),
    }


def _plan_line(run_plan: Plan) -> str:
    facts = _plan_summary(run_plan)
    line = ", ".join(
        (
            _count(facts["tiles"], "tile"),
            _count(facts["connections"], "connection"),
            _count(facts["inputs"], "input"),
        )
    )
    changes = [
        f"{len(facts['removed'])} ignored" if facts["removed"] else "",
        f"{len(facts['skipped'])} skipped" if facts["skipped"] else "",
        _count(facts["overridden"], "parameter") + " overridden" if facts["overridden"] else "",
    ]
    details = ", ".join(change for change in changes if change)
    return f"{line}; {details}" if details else line
