"""`tessera explain`: why a tile, a connection, a value or an output is as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tessera.cli.commands.graph import previewed
from tessera.cli.commands.runs import record_of
from tessera.cli.options import RequestOptions
from tessera.cli.output import OK, put_json, refuse
from tessera.cli.request_args import PreparedRequest, prepare
from tessera.cli.simulate_args import SimulateOptions, simulated
from tessera.errors import RequestError, TesseraError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tessera.agent import AgentTemplate
    from tessera.graph.plan import Plan

__all__ = ["ExplainQuery", "explain"]


@dataclass(frozen=True, slots=True)
class ExplainQuery:
    """What is to be explained, and of which run (None: of a simulation)."""

    node: str | None = None
    edge: str | None = None
    output: int | None = None
    run: str | None = None


def explain(given: RequestOptions, asked: ExplainQuery, standing: SimulateOptions, *, as_json: bool) -> int:
    """Explain one thing of an agent's run."""
    wanted = [one for one in (asked.node, asked.edge, asked.output) if one is not None]
    if len(wanted) != 1:
        raise refuse("give one of --node NODE[.PARAM], --edge A:B and --output N")
    prepared, record = _prepared(given, asked.run, standing)
    media = _Media(prepared, given, standing, record)
    if asked.node is not None:
        _node(prepared, given, asked.node, media, as_json=as_json)
    elif asked.edge is not None:
        _edge(prepared, given, asked.edge, media, as_json=as_json)
    else:
        assert asked.output is not None
        _output(prepared, asked.output, media, as_json=as_json)
    return OK


def _prepared(
    given: RequestOptions, run: str | None, standing: SimulateOptions
) -> tuple[PreparedRequest, dict[str, Any] | None]:
    """The agent with its request, and the record of the run that `--of` names."""
    if run is None:
        return prepare(given, standing.facts), None
    if standing or not given.agent_alone:
        raise refuse(
            "--of RUN holds its request: give no REQUEST, --input, --clip, --set, --ignore, --facts or --stub"
        )
    record = record_of(run, given.workspace)
    return replace(prepare(given), request=record["request"]), record


class _Media:
    """What went through the tiles: in the run that was named, else in a simulation, made when needed."""

    def __init__(
        self,
        prepared: PreparedRequest,
        given: RequestOptions,
        standing: SimulateOptions,
        record: dict[str, Any] | None,
    ) -> None:
        self.prepared, self.given, self.standing, self.record = prepared, given, standing, record

    def of(self, decided: Plan) -> tuple[dict[str, Any] | None, str | None]:
        """The record; or None, and why it is not known what goes through the tiles."""
        from tessera.graph.preview import has_inputs

        if self.record is None and not has_inputs(decided):
            return None, "no input is given: what the tiles receive and make is not known"
        try:
            return self.needed(), None
        except TesseraError as error:
            if self.standing:
                raise
            return None, f"what the tiles receive and make is not known: {error}"

    def needed(self) -> dict[str, Any]:
        if self.record is None:
            self.record = simulated(self.prepared, self.given, self.standing).to_dict()
        return self.record


def _node(
    prepared: PreparedRequest, given: RequestOptions, text: str, media: _Media, *, as_json: bool
) -> None:
    from tessera.cli.display import explain_text as stories
    from tessera.explain.graph import explain_parameter, explain_tile

    node, parameter = _named(prepared.template, text)
    decided = previewed(prepared, given)
    if parameter is not None:
        value = explain_parameter(prepared.template, decided, node, parameter)
        _say(value.to_dict(), lambda: stories.parameter(value, prepared.template), as_json=as_json)
        return
    story = explain_tile(prepared.template, decided, node)
    traffic, unknown = None, None
    if story.state == "runs":
        from tessera.explain.output import explain_traffic

        record, unknown = media.of(decided)
        traffic = explain_traffic(record, decided, node) if record else None
    found = {**story.to_dict(), "traffic": traffic and traffic.to_dict(), "traffic_unknown": unknown}
    _say(found, lambda: stories.tile(story, traffic, unknown, prepared.template), as_json=as_json)


def _edge(
    prepared: PreparedRequest, given: RequestOptions, text: str, media: _Media, *, as_json: bool
) -> None:
    from tessera.cli.display import explain_text as stories
    from tessera.explain.graph import explain_edge

    source, target = _ends(prepared.template, text)
    decided = previewed(prepared, given)
    story = explain_edge(prepared.template, decided, source, target)
    flow, unknown = None, None
    if story.state != "absent":
        from tessera.explain.output import flows_of

        record, unknown = media.of(decided)
        flow = flows_of(record)[source] if record else None
    found = {**story.to_dict(), "carries": flow and flow.to_dict(), "carries_unknown": unknown}
    _say(found, lambda: stories.edge(story, flow, unknown, prepared.template), as_json=as_json)


def _output(prepared: PreparedRequest, number: int, media: _Media, *, as_json: bool) -> None:
    from tessera.cli.display import explain_text as stories
    from tessera.explain.output import explain_output

    record = media.needed()
    story = explain_output(record, number)
    found = {"mode": record["mode"], **story.to_dict()}
    _say(found, lambda: stories.output(story, record["mode"], prepared.template), as_json=as_json)


def _say(found: dict[str, Any], parts: Callable[[], Iterable[RenderableType]], *, as_json: bool) -> None:
    if as_json:
        put_json(found)
        return
    from tessera.cli.display.tables import show

    show(parts())


def _named(template: AgentTemplate, text: str) -> tuple[str, str | None]:
    """The tile that `NODE` or `NODE.PARAM` names, and the parameter."""
    from tessera.inputs.local import find_node

    try:
        return find_node(template, text).id, None
    except RequestError:
        node, dot, parameter = text.rpartition(".")
        if not dot:
            raise
        return find_node(template, node).id, parameter


def _ends(template: AgentTemplate, text: str) -> tuple[str, str]:
    """The two tiles that `A:B` names; a name may have colons of its own."""
    from tessera.inputs.local import find_node

    refused: RequestError | None = None
    parts = text.split(":")
    for at in range(1, len(parts)):
        try:
            return find_node(template, ":".join(parts[:at])).id, find_node(template, ":".join(parts[at:])).id
        except RequestError as error:
            refused = refused or error
    raise refused or refuse(f"--edge {text}: give A:B, as in Clips:Reframe")
