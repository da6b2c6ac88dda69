"""`tessera run`, `simulate`, `plan` and `validate`: an agent and a request, shown or run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.cli.commands.runs import found_run
from tessera.cli.display.progress import watcher
from tessera.cli.executor_args import ExecutorOptions
from tessera.cli.interrupt import cancel_on_interrupt
from tessera.cli.options import RequestOptions
from tessera.cli.output import OK, put, put_json, refuse, warn
from tessera.cli.request_args import (
    document,
    explained,
    fetch_rules,
    home_of,
    plan_of,
    prepare,
    recorded_given,
)
from tessera.cli.simulate_args import SimulateOptions, Virtual, exit_code, recorded, simulated, stubs_of

if TYPE_CHECKING:
    from tessera.agent import AgentTemplate
    from tessera.graph.plan import Plan

__all__ = [
    "CacheOptions",
    "ExecutorOptions",
    "PartOptions",
    "RunOptions",
    "plan",
    "run",
    "simulate",
    "validate",
]


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """What `tessera run` takes of earlier runs, and what it keeps of this one."""

    cache: bool = True
    record: Path | None = None
    replay: Path | None = None


@dataclass(frozen=True, slots=True)
class PartOptions:
    """The options of `tessera run` that take a part of an agent, as they were typed."""

    until: str | None = None
    since: str | None = None
    only: str | None = None
    of: str | None = None

    def completed(
        self, agent: str | None, request: str | None, workspace: Path | None, *, needs_request: bool
    ) -> tuple[str, str | None]:
        """The agent and the request: those of the earlier run where they are not given."""
        if self.of is None:
            if self.since is not None or self.only is not None:
                raise refuse(f"{'--from' if self.since is not None else '--only'} NODE needs --of RUN")
            assert agent is not None
            return agent, request
        if self.since is None and self.only is None:
            raise refuse("--of RUN goes with --from NODE or --only NODE")
        store, run_id = found_run(self.of, workspace)
        if agent is None:
            agent = store.document(run_id, "agent.json")
            if agent is None:
                raise refuse(f"run {run_id} has no agent kept with it: give AGENT")
        planned = store.document(run_id, "plan.json") if request is None and needs_request else None
        if planned is not None:
            request = json.dumps(_read_plan(planned).request.to_dict())
        return agent, request


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What `tessera run` takes beside an agent and a request."""

    out: Path | None = None
    stubs: tuple[str, ...] = ()
    facts_out: Path | None = None
    allow_private: bool = False
    quality: str | None = None
    tile_timeout_s: float | None = None
    kept: CacheOptions = CacheOptions()
    faults: tuple[str, ...] = ()
    part: PartOptions = PartOptions()


def run(
    given: RequestOptions | None,
    plan_file: str | None,
    workspace: Path | None,
    options: RunOptions,
    crew: ExecutorOptions,
    *,
    as_json: bool,
) -> int:
    """Run an agent, or a plan that was made before, and show what came of it."""
    with watcher(quiet=as_json) as watch, cancel_on_interrupt(watch.say) as cancelled, crew as executor:
        from tessera import run as run_agent

        work: dict[str, Any] = {
            "workspace": home_of(workspace),
            "out": options.out,
            "on_event": watch,
            "cancelled": cancelled,
            "executor": executor,
            "facts_out": options.facts_out,
            "fetch_rules": fetch_rules(options.allow_private),
            "quality": options.quality,
            "tile_timeout_s": options.tile_timeout_s,
            **asdict(options.kept),
            "faults": options.faults,
            **asdict(options.part),
        }
        if given is not None and options.kept.replay is not None:
            given = recorded_given(given, options.kept.replay)
        if given is None:
            decided = _read_plan(plan_file) if plan_file is not None else None
            record = run_agent(decided, stubs=stubs_of(options.stubs), **work)
        else:
            prepared = prepare(given)
            with explained(given):
                record = run_agent(
                    prepared.template,
                    prepared.request,
                    stubs=stubs_of(options.stubs),
                    inputs=prepared.inputs,
                    **work,
                )
    return recorded(record, as_json=as_json)


def _read_plan(plan_file: str) -> Plan:
    from tessera.graph.plan import Plan

    return Plan.from_dict(document(plan_file))


def simulate(given: RequestOptions, standing: SimulateOptions, virtual: Virtual, *, as_json: bool) -> int:
    """Simulate an agent on a virtual clock and show what would come of it."""
    given = standing.completed(given)
    record = simulated(prepare(given, standing.facts), given, standing, virtual)
    if as_json:
        return recorded(record, as_json=True)
    from tessera.cli.commands.estimate import brief
    from tessera.cli.display.tables import record_tables, show

    show((*record_tables(record.to_dict()), *brief(record)))
    return exit_code(record)


def plan(given: RequestOptions, *, as_json: bool) -> int:
    """Show what a run would do. As JSON it can be run later, so its local inputs are stored."""
    template, decided = plan_of(given, store=as_json)
    if as_json:
        put(decided.to_json())
        return OK
    from tessera.cli.display.tables import plan_tables, show

    show(plan_tables(decided, {node.id: node.name for node in template}))
    return OK


def validate(given: RequestOptions, *, as_json: bool) -> int:
    """Check an agent, and a request where one is given."""
    if given.agent_alone:
        template = prepare(given).template
        facts, summary, warnings = _agent_summary(template), _agent_line(template), template.warnings
    else:
        template, decided = plan_of(given, store=False)
        facts, summary, warnings = _plan_summary(decided), _plan_line(decided), decided.warnings
    if as_json:
        put_json({"valid": True, **facts, "warnings": [notice.to_dict() for notice in warnings]})
        return OK
    told = f"; {len(warnings)} warning{'s' if len(warnings) != 1 else ''}" if warnings else ""
    put(f"ok: {summary}{told}")
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


def _plan_summary(decided: Plan) -> dict[str, Any]:
    return {
        "agent_id": decided.agent_id,
        "tiles": len(decided.order),
        "connections": decided.graph.number_of_edges(),
        "inputs": sum(len(binding.sources) for binding in decided.inputs),
        "removed": list(decided.changes.removed),
        "skipped": list(decided.changes.skipped),
        "overridden": len(decided.changes.overridden),
    }


def _plan_line(decided: Plan) -> str:
    facts = _plan_summary(decided)
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
    told = ", ".join(change for change in changes if change)
    return f"{line}; {told}" if told else line
