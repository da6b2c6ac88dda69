"""`tessera validate`: check an agent and a request, for people and for CI systems."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.cli.display.output import OK, REFUSED, put, put_json, warn
from tessera.cli.formats import ValidateFormat
from tessera.cli.options import RequestOptions
from tessera.cli.request_args import PreparedRequest, plan_prepared, prepare
from tessera.errors import Fault, RequestError
from tessera.explain.option_places import NO_OPTIONS

if TYPE_CHECKING:
    from tessera.agent import AgentTemplate
    from tessera.graph.plan import Plan
    from tessera.notice import Notice
    from tessera.reports.findings import CheckedDocument, Report

__all__ = ["validate"]


@dataclass(slots=True)
class _Check:
    """A check of the documents of a command line, as far as it has come."""

    options: RequestOptions
    prepared: PreparedRequest | None = None
    plan: Plan | None = None

    def run(self, *, for_report: bool = False) -> None:
        self.prepared = prepare(self.options)
        if for_report:
            # A report needs the place of each fault. It shows no line for what an option put there.
            self.prepared = replace(self.prepared, places=NO_OPTIONS)
        if not self.options.agent_alone:
            self.plan = plan_prepared(self.prepared, self.options, store=False)

    @property
    def template(self) -> AgentTemplate:
        assert self.prepared is not None
        return self.prepared.template

    @property
    def warnings(self) -> Sequence[Notice]:
        """The warnings; each names the option of the command line that it is about, if any."""
        assert self.prepared is not None
        found = self.template.warnings if self.plan is None else self.plan.warnings
        return tuple(map(self.prepared.places.place, found))

    def facts(self) -> dict[str, Any]:
        return _agent_summary(self.template) if self.plan is None else _plan_summary(self.plan)

    def line(self) -> str:
        summary = _agent_line(self.template) if self.plan is None else _plan_line(self.plan)
        details = f"; {_count(len(self.warnings), 'warning')}" if self.warnings else ""
        return f"ok: {summary}{details}"


def validate(options: RequestOptions, form: ValidateFormat) -> int:
    """Check an agent and, if there is one, a request.

    In the formats for CI systems, faults are a result: they are printed on stdout, and the exit code is 2.
    """
    check = _Check(options)
    if form in (ValidateFormat.SARIF, ValidateFormat.JUNIT, ValidateFormat.GITHUB):
        return _report(check, form)
    check.run()
    if form is ValidateFormat.JSON:
        put_json(
            {"valid": True, **check.facts(), "warnings": [notice.to_dict() for notice in check.warnings]}
        )
        return OK
    put(check.line())
    for notice in check.warnings:
        warn(notice.message)
    return OK


# reports for CI systems


def _report(check: _Check, form: ValidateFormat) -> int:
    faults: Sequence[Fault] = ()
    try:
        check.run(for_report=True)
    except RequestError as error:
        faults = error.errors
    report = _findings(check, faults)
    put(_text(report, form))
    if form is ValidateFormat.GITHUB:
        put(_count(len(faults), "error") if faults else check.line())
    return REFUSED if faults else OK


def _text(report: Report, form: ValidateFormat) -> str:
    from importlib.metadata import version

    from tessera.reports.github import github_of
    from tessera.reports.junit import junit_of
    from tessera.reports.sarif import sarif_of

    if form is ValidateFormat.GITHUB:
        return github_of(report)
    write = sarif_of if form is ValidateFormat.SARIF else junit_of
    return write(report, version("tessera-runtime"))


def _findings(check: _Check, faults: Sequence[Fault]) -> Report:
    from tessera.reports.findings import document_at, report_of, tiles_of

    options, here = check.options, Path.cwd()
    documents = [document_at("template", options.agent, here)]
    if not options.agent_alone:
        documents.append(document_at("request", options.request, here))
    if check.prepared is not None:
        tiles = {node.id.lower(): (node.name, node.loc) for node in check.template}
    else:
        tiles = tiles_of(documents[0].parsed())
    notices = () if faults else check.warnings
    return report_of(documents, faults, notices, tiles, _changed(check, documents[-1], [*faults, *notices]))


def _changed(check: _Check, request: CheckedDocument, found: Iterable[Fault | Notice]) -> frozenset[str]:
    """Return the pointers into the request at which the options have changed the value of the file."""
    if check.prepared is None or request.document != "request" or request.data is None:
        return frozenset()
    from tessera.graph.diff import same
    from tessera.reports.findings import value_at

    written, effective = request.parsed(), check.prepared.request
    pointers = {one.loc for one in found if one.document == "request"}
    return frozenset(loc for loc in pointers if not same(value_at(written, loc), value_at(effective, loc)))


# summaries


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
