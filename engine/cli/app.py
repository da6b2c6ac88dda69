"""The commands and their options. Heavy modules are imported inside the commands, to start fast.

The annotations are values here, not text: evaluating the text of all options takes longer than all else that
`tessera --help` does.
"""

import inspect
from pathlib import Path
from typing import Annotated

import typer

from tessera.cli.commands.avatar import avatar
from tessera.cli.commands.bundles import add_bundles
from tessera.cli.commands.doctor import doctor
from tessera.cli.commands.history import add_history
from tessera.cli.commands.new import new
from tessera.cli.commands.planning.estimate import estimate
from tessera.cli.commands.store import settings, store
from tessera.cli.config_options import CliOption
from tessera.cli.executor_args import ExecutorOptions
from tessera.cli.expansion import Fields, expand
from tessera.cli.formats import ReportForm, ReportFormat, ValidateForm, ValidateFormat, chosen
from tessera.cli.options import (
    Agent,
    DrawingFormat,
    Json,
    NewDocument,
    OldDocument,
    OptionalAgent,
    PlanFile,
    Request,
    RequestOptions,
    RunName,
    Workspace,
)
from tessera.runner.config import ResumeConfig, RunConfig, SimulateConfig

__all__ = ["app"]

app = typer.Typer(
    name="tessera",
    help="Run, simulate and test video-editing agents offline.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        from tessera.cli.display.output import put

        put(f"tessera {version('tessera-runtime')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def tessera(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Run, simulate and test video-editing agents offline."""
    if context.invoked_subcommand is None:
        from tessera.cli.display.output import REFUSED, put

        put(context.get_help())
        raise typer.Exit(REFUSED)


_DESCRIBES_MEDIA = ("facts", "stubs", "assume", "unknown_tiles", "workspace")
"""The fields of a simulation that the commands offer which simulate only to show something else."""
_OF_A_RUN = ("agent", "request", "inputs", "clip", "overrides", "ignored", "workspace")
"""The fields of a request that `run` offers: it never accepts unknown tiles."""
_COMPARED = {
    "agent": CliOption(OldDocument, inspect.Parameter.empty, parameter="old"),
    "request": CliOption(NewDocument, None, parameter="new"),
}
_OPTIONAL_AGENT = {"agent": CliOption(OptionalAgent, None, lambda agent, _: agent or "")}


@app.command()
@expand
def run(
    request: Annotated[RequestOptions, Fields(_OF_A_RUN, _OPTIONAL_AGENT)],
    config: RunConfig,
    executor: ExecutorOptions,
    plan_file: PlanFile = None,
    as_json: Json = False,
) -> int:
    """Run an agent on real media and render its outputs."""
    from tessera.cli.commands import run as run_commands
    from tessera.cli.display.output import refuse

    if plan_file is None and not request.agent and config.replay is None and config.of is None:
        raise refuse("no agent given: pass AGENT, --plan FILE, --replay FILE or --of RUN")
    if plan_file is not None and (request.agent or not request.agent_alone):
        raise refuse(
            "--plan contains the agent and the request: remove AGENT, --input, --clip, --set and --ignore"
        )
    if plan_file is None and config.replay is None:
        request = run_commands.with_recorded_agent(request, config)
    options = request if plan_file is None else None
    return run_commands.run(options, plan_file, config, executor, as_json=as_json)


@app.command()
@expand
def resume(
    run_name: RunName,
    config: ResumeConfig,
    executor: ExecutorOptions,
    as_json: Json = False,
) -> int:
    """Resume a failed, cancelled or interrupted run.

    Finished work is reused and not repeated.
    """
    from tessera.cli.commands import run as run_commands

    return run_commands.resume(run_name, config, executor, as_json=as_json)


@app.command()
def cancel(run_name: RunName, workspace: Workspace = None, as_json: Json = False) -> int:
    """Cancel a run in another process."""
    from tessera.cli.commands import runs as runs_commands

    return runs_commands.cancel(run_name, workspace, as_json=as_json)


@app.command()
@expand
def simulate(
    request: RequestOptions,
    config: SimulateConfig,
    sweep: Annotated[
        Path | None,
        typer.Option(
            "--sweep",
            metavar="REQUESTS.JSONL",
            help="Simulate every request in a JSON Lines file; print one result per line.",
        ),
    ] = None,
    form: ReportForm = None,
    as_json: Json = False,
) -> int:
    """Simulate a run on a virtual clock, without rendering."""
    from tessera.cli import simulate_args
    from tessera.cli.commands import run as run_commands
    from tessera.cli.commands.planning.markdown import simulation_comment
    from tessera.cli.display.output import refuse

    report = chosen(form, ReportFormat, as_json=as_json)
    if sweep is not None:
        if report is ReportFormat.MARKDOWN:
            raise refuse("--sweep prints one JSON object per line: remove --format markdown")
        return simulate_args.sweep(request, config, sweep)
    if report is ReportFormat.MARKDOWN:
        return simulation_comment(request, config)
    return run_commands.simulate(request, config, as_json=report is ReportFormat.JSON)


@app.command()
def shrink(
    agent: Agent,
    request: Request = None,
    command: Annotated[
        str,
        typer.Option(
            "--while",
            metavar="COMMAND",
            help="Shell command that exits 0 while the problem exists; {agent} and {request} are paths.",
        ),
    ] = "",
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for agent.json and request.json.")
    ] = Path("shrunk"),
    as_json: Json = False,
) -> int:
    """Reduce an agent and a request to a minimal failing example."""
    from tessera.cli import simulate_args
    from tessera.cli.display.output import refuse

    if not command:
        raise refuse("--while COMMAND is required, e.g. --while '! tessera validate {agent} {request}'")
    return simulate_args.shrink(agent, request, command, out, as_json=as_json)


add_bundles(app)


@app.command()
@expand
def plan(
    request: RequestOptions,
    config: Annotated[SimulateConfig, Fields(_DESCRIBES_MEDIA)],
    explain_media: Annotated[
        bool,
        typer.Option(
            "--explain-media",
            help="Show how each output is made, before and after optimisation, and the ffmpeg commands.",
        ),
    ] = False,
    media_graph: Annotated[
        Path | None,
        typer.Option("--media-graph", metavar="FILE.svg", help="Draw how the outputs are made to a file."),
    ] = None,
    form: ReportForm = None,
    as_json: Json = False,
) -> int:
    """Show what a run would do, without running it.

    With --json, stores local inputs in the workspace and prints a plan for `tessera run --plan`. --facts,
    --stub and --assume only apply to --explain-media and --media-graph, which simulate the run.
    """
    from tessera.cli.commands import run as run_commands
    from tessera.cli.commands.planning.explain_media import show_media
    from tessera.cli.commands.planning.markdown import plan_comment
    from tessera.cli.display.output import refuse
    from tessera.cli.simulate_args import states_media

    report = chosen(form, ReportFormat, as_json=as_json)
    as_json = report is ReportFormat.JSON
    if report is ReportFormat.MARKDOWN and (explain_media or media_graph is not None):
        raise refuse("--format markdown shows the plan alone: remove --explain-media and --media-graph")
    if explain_media or media_graph is not None:
        return show_media(request, config, media_graph, as_text=explain_media, as_json=as_json)
    if states_media(config):
        raise refuse("--facts, --stub and --assume require --explain-media or --media-graph")
    if report is ReportFormat.MARKDOWN:
        return plan_comment(request)
    return run_commands.plan(request, as_json=as_json)


@app.command()
@expand
def validate(request: RequestOptions, form: ValidateForm = None, as_json: Json = False) -> int:
    """Check an agent, and optionally a request, for errors."""
    from tessera.cli.commands.planning.validate import validate as validate_documents

    return validate_documents(request, chosen(form, ValidateFormat, as_json=as_json))


@app.command()
@expand
def graph(
    request: RequestOptions,
    config: Annotated[SimulateConfig, Fields(_DESCRIBES_MEDIA)],
    form: Annotated[DrawingFormat, typer.Option("--format", help="Output format.")] = DrawingFormat.ASCII,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the drawing to a file instead of stdout."),
    ] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Simulate the run and show the media on each connection.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Draw an agent, and how a request changes it.

    Removed tiles are struck through. Rewired connections name the tiles they skip.
    """
    from tessera.cli.commands.planning.graph import graph as draw_graph

    return draw_graph(request, form.value, out, config, simulate=simulate, as_json=as_json)


@app.command()
@expand
def explain(
    request: Annotated[RequestOptions, Fields((*_OF_A_RUN, "unknown_tiles"), _OPTIONAL_AGENT)],
    config: Annotated[SimulateConfig, Fields(_DESCRIBES_MEDIA)],
    node: Annotated[
        str | None,
        typer.Option(
            "--node",
            metavar="NODE[.PARAM]",
            help="Explain why a tile runs or not, or where the value of a parameter comes from.",
        ),
    ] = None,
    edge: Annotated[
        str | None,
        typer.Option("--edge", metavar="A:B", help="Explain why tile A feeds tile B, or does not."),
    ] = None,
    output: Annotated[
        int | None,
        typer.Option("--output", metavar="N", help="Trace the N-th output back to its sources."),
    ] = None,
    of: Annotated[
        str | None,
        typer.Option(
            "--of",
            metavar="RUN",
            help="Explain this run (an id or `latest`), with its own agent and request, not a simulation.",
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Explain a tile, a parameter, a connection or an output of a run.

    Simulates the run if inputs are given.
    """
    from tessera.cli.commands.planning.explain import ExplainQuery
    from tessera.cli.commands.planning.explain import explain as explain_run

    return explain_run(request, ExplainQuery(node, edge, output, of), config, as_json=as_json)


@app.command()
@expand
def diff(
    documents: Annotated[RequestOptions, Fields((), _COMPARED)],
    config: Annotated[SimulateConfig, Fields((*_DESCRIBES_MEDIA, "workers", "costs", "prices"))],
    form: ReportForm = None,
    as_json: Json = False,
) -> int:
    """Compare two agents, plans, requests or runs; or show what --set and --ignore change.

    Exits with 1 if they differ and with 0 otherwise. Ignores run ids, times, URLs and paths. With --set or
    --ignore, A is an agent and B its request: simulates both with and without them, and compares tiles,
    connections, items, outputs, seconds and credits.
    """
    from tessera.cli.commands.planning.diff import diff as diff_documents
    from tessera.cli.commands.planning.what_if import what_if
    from tessera.cli.display.output import refuse
    from tessera.cli.simulate_args import simulates

    report = chosen(form, ReportFormat, as_json=as_json)
    if documents.overrides or documents.ignored:
        return what_if(documents, config, report)
    if documents.request is None:
        raise refuse("give B, the document to compare with A, or --set or --ignore to see what they change")
    if documents.inputs or documents.clip or simulates(config):
        raise refuse(
            "only a simulation uses --input, --clip, --facts, --stub, --assume, --workers, --costs and"
            " --prices: give --set or --ignore as well"
        )
    return diff_documents(
        documents.agent, documents.request, documents.workspace, documents.unknown_tiles, report
    )


@app.command()
def nodes(
    kind: Annotated[str | None, typer.Argument(metavar="TYPE", help="Node type, by name or id.")] = None,
    as_json: Json = False,
) -> int:
    """List the node types, or the parameters of one."""
    from tessera.cli.commands.planning.nodes import nodes as list_nodes

    return list_nodes(kind, as_json=as_json)


@app.command()
def runs(
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=100, help="Maximum number of runs to list.")
    ] = 25,
    cursor: Annotated[
        str | None,
        typer.Option("--cursor", metavar="CURSOR", help="Continue after the previous page: its next_cursor."),
    ] = None,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """List the runs of the workspace, newest first."""
    from tessera.cli.commands import runs as runs_commands

    return runs_commands.runs(workspace, limit, cursor, as_json=as_json)


@app.command()
def show(
    run_name: RunName,
    items: Annotated[bool, typer.Option("--items", help="Also show every item that the tiles made.")] = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Show the record of a run."""
    from tessera.cli.commands import runs as runs_commands

    return runs_commands.show(run_name, workspace, items=items, as_json=as_json)


@app.command()
def upload(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Video, image, audio or .cube file.")],
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Store a file in the workspace and print its id.

    Use the id in requests and parameters.
    """
    from tessera.cli.commands import runs as runs_commands

    return runs_commands.upload(file, workspace, as_json=as_json)


app.command()(estimate)
app.command()(new)
app.command()(doctor)
add_history(app)

app.add_typer(settings, name="settings")
app.add_typer(avatar, name="avatar")
app.add_typer(store, name="store")
