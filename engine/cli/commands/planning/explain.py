"""`tessera explain`: explain a tile, a connection, a parameter or an output."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tessera.cli.commands.planning.graph import preview_plan
from tessera.cli.commands.runs import find_run
from tessera.cli.display.output import OK, put_json, refuse
from tessera.cli.options import RequestOptions
from tessera.cli.request_args import PreparedRequest, prepare
from tessera.cli.simulate_args import run_simulation, states_media
from tessera.errors import RequestError, TesseraError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tessera.agent import AgentTemplate
    from tessera.graph.plan import Plan
    from tessera.runner.config import SimulateConfig

__all__ = ["ExplainQuery", "explain"]


@dataclass(frozen=True, slots=True)
class ExplainQuery:
    """The subject to explain, and its run (None: a simulation)."""

    node: str | None = None
    edge: str | None = None
    output: int | None = None
    run: str | None = None


def explain(options: RequestOptions, query: ExplainQuery, config: SimulateConfig, *, as_json: bool) -> int:
    """Explain one thing of an agent's run."""
    wanted = [one for one in (query.node, query.edge, query.output) if one is not None]
    if len(wanted) != 1:
        raise refuse("give one of --node NODE[.PARAM], --edge A:B and --output N")
    prepared, record = _prepare_with_record(options, query.run, config)
    media = _Media(prepared, options, config, record)
    if query.node is not None:
        _node(prepared, options, query.node, media, as_json=as_json)
    elif query.edge is not None:
        _edge(prepared, options, query.edge, media, as_json=as_json)
    else:
        assert query.output is not None
        _output(prepared, query.output, media, as_json=as_json)
    return OK


def _prepare_with_record(
    options: RequestOptions, run: str | None, config: SimulateConfig
) -> tuple[PreparedRequest, dict[str, Any] | None]:
    """Return the agent with its request, and the record of the `--of` run (None: a simulation)."""
    if run is None:
        if not options.agent:
            raise refuse("no agent given: pass AGENT, or --of RUN")
        return prepare(options), None
    if states_media(config) or not options.agent_alone:
        raise refuse(
            "--of RUN holds its request: give no REQUEST, --input, --clip, --set, --ignore, --facts or --stub"
        )
    store, run_id = find_run(run, options.workspace)
    if not options.agent:
        options = replace(options, agent=store.document(run_id, "agent.json") or "")
        if not options.agent:
            raise refuse(f"run {run_id} has no agent kept with it: give AGENT")
    record = store.record(run_id)
    return replace(prepare(options), request=record["request"]), record


class _Media:
    """The record of the named run or of a simulation, which starts only when it is needed."""

    def __init__(
        self,
        prepared: PreparedRequest,
        options: RequestOptions,
        config: SimulateConfig,
        record: dict[str, Any] | None,
    ) -> None:
        self.prepared, self.options, self.config, self.record = prepared, options, config, record

    def of(self, run_plan: Plan) -> tuple[dict[str, Any] | None, str | None]:
        """Return the record, or None and the reason why there is none."""
        from tessera.graph.preview import has_inputs

        if self.record is None and not has_inputs(run_plan):
            return None, "no input is given: what the tiles receive and make is not known"
        try:
            return self.needed(), None
        except TesseraError as error:
            if states_media(self.config):
                raise
            return None, f"what the tiles receive and make is not known: {error}"

    def needed(self) -> dict[str, Any]:
        if self.record is None:
            self.record = run_simulation(self.prepared, self.options, self.config).to_dict()
        return self.record


def _node(
    prepared: PreparedRequest, options: RequestOptions, text: str, media: _Media, *, as_json: bool
) -> None:
    from tessera.cli.display import explain_text
    from tessera.explain.graph import explain_parameter, explain_tile

    node, parameter = _named(prepared.template, text)
    run_plan = preview_plan(prepared, options)
    if parameter is not None:
        value = explain_parameter(prepared.template, run_plan, node, parameter, prepared.places)
        _print(value.to_dict(), lambda: explain_text.parameter(value, prepared.template), as_json=as_json)
        return
    story = explain_tile(prepared.template, run_plan, node, prepared.places)
    traffic, unknown = None, None
    if story.state == "runs":
        from tessera.explain.output import explain_traffic

        record, unknown = media.of(run_plan)
        traffic = explain_traffic(record, run_plan, node, prepared.places) if record else None
    found = {**story.to_dict(), "traffic": traffic and traffic.to_dict(), "traffic_unknown": unknown}
    _print(found, lambda: explain_text.tile(story, traffic, unknown, prepared.template), as_json=as_json)


def _edge(
    prepared: PreparedRequest, options: RequestOptions, text: str, media: _Media, *, as_json: bool
) -> None:
    from tessera.cli.display import explain_text
    from tessera.explain.graph import explain_edge

    source, target = _ends(prepared.template, text)
    run_plan = preview_plan(prepared, options)
    story = explain_edge(prepared.template, run_plan, source, target, prepared.places)
    flow, unknown = None, None
    if story.state != "absent":
        from tessera.drawing.model import flows_of

        record, unknown = media.of(run_plan)
        flow = flows_of(record)[source] if record else None
    found = {**story.to_dict(), "carries": flow and flow.to_dict(), "carries_unknown": unknown}
    _print(found, lambda: explain_text.edge(story, flow, unknown, prepared.template), as_json=as_json)


def _output(prepared: PreparedRequest, number: int, media: _Media, *, as_json: bool) -> None:
    from tessera.cli.display import explain_text
    from tessera.explain.output import explain_output

    record = media.needed()
    story = explain_output(record, number, prepared.places)
    found = {"mode": record["mode"], **story.to_dict()}
    _print(found, lambda: explain_text.output(story, record["mode"], prepared.template), as_json=as_json)


def _print(found: dict[str, Any], parts: Callable[[], Iterable[RenderableType]], *, as_json: bool) -> None:
    if as_json:
        put_json(found)
        return
    from tessera.cli.display.tables import show

    show(parts())


def _named(template: AgentTemplate, text: str) -> tuple[str, str | None]:
    """Return the tile and the parameter of `NODE` or `NODE.PARAM`."""
    from tessera.inputs.local import find_node

    try:
        return find_node(template, text).id, None
    except RequestError:
        node, dot, parameter = text.rpartition(".")
        if not dot:
            raise
        return find_node(template, node).id, parameter


def _ends(template: AgentTemplate, text: str) -> tuple[str, str]:
    """Return the two tiles of `A:B`. A name may contain colons itself."""
    from tessera.inputs.local import find_node

    refused: RequestError | None = None
    parts = text.split(":")
    for at in range(1, len(parts)):
        try:
            return find_node(template, ":".join(parts[:at])).id, find_node(template, ":".join(parts[at:])).id
        except RequestError as error:
            refused = refused or error
    raise refused or refuse(f"--edge {text}: give A:B, as in Clips:Reframe")
