"""The commands and what they take. Everything heavy is imported when a command runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tessera.cli.commands.avatar import avatar
from tessera.cli.commands.bundles import add_bundles
from tessera.cli.commands.estimate import estimate
from tessera.cli.commands.history import add_seeing
from tessera.cli.commands.resume import resume
from tessera.cli.commands.settings import settings
from tessera.cli.commands.store import store
from tessera.cli.options import (
    Agent,
    AllowPrivate,
    Assume,
    Balance,
    Clip,
    Costs,
    DrawingFormat,
    Executor,
    Facts,
    FactsOut,
    Faults,
    Ignore,
    Inputs,
    Json,
    Of,
    Only,
    OnlyOrFacts,
    OptionalAgent,
    PlanFile,
    Prices,
    QualityName,
    RecordTo,
    ReplayOf,
    Request,
    RequestOptions,
    RunName,
    Scheduler,
    Set,
    Since,
    Stubs,
    TileTimeout,
    Unknown,
    UnknownTiles,
    Until,
    Workspace,
)

__all__ = ["app"]

app = typer.Typer(
    name="tessera",
    help="Run, simulate and test video-editing agents offline.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        from tessera.cli.output import put

        put(f"tessera {version('tessera-runtime')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def tessera(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Run, simulate and test video-editing agents offline."""
    if context.invoked_subcommand is None:
        from tessera.cli.output import REFUSED, put

        put(context.get_help())
        raise typer.Exit(REFUSED)


@app.command()
def run(
    agent: OptionalAgent = None,
    request: Request = None,
    inputs: Inputs = None,
    clip: Clip = None,
    overrides: Set = None,
    ignored: Ignore = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="A folder for one file per output, and a .jpg thumbnail each."
        ),
    ] = None,
    plan_file: PlanFile = None,
    stubs: Stubs = None,
    faults: Faults = None,
    until: Until = None,
    since: Since = None,
    only: Only = None,
    of: Of = None,
    facts_out: FactsOut = None,
    quality: QualityName = None,
    tile_timeout: TileTimeout = None,
    executor: Executor = None,
    scheduler: Scheduler = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Do again what is kept of runs before.")
    ] = False,
    record: RecordTo = None,
    replay: ReplayOf = None,
    allow_private: AllowPrivate = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Run an agent on real media."""
    from tessera.cli.commands import run as commands
    from tessera.cli.output import refuse

    given = None
    if plan_file is None and agent is None and replay is None and of is None:
        raise refuse("give an AGENT, or --plan, or --replay, or --of a run")
    if plan_file is not None and (agent is not None or inputs or clip or overrides or ignored):
        raise refuse(
            "--plan holds its agent and request: give neither, and no --input, --clip, --set or --ignore"
        )
    part = commands.PartOptions(until, since, only, of)
    if plan_file is None:
        if replay is None:
            agent, request = part.completed(agent, request, workspace, needs_request=not inputs)
        given = RequestOptions.of(agent or "", request, inputs, clip, overrides, ignored, workspace)
    kept = commands.CacheOptions(not no_cache, record, replay)
    options = commands.RunOptions(
        out,
        tuple(stubs or ()),
        facts_out,
        allow_private,
        quality,
        tile_timeout,
        kept,
        tuple(faults or ()),
        part,
    )
    crew = commands.ExecutorOptions(executor, scheduler)
    return commands.run(given, plan_file, workspace, options, crew, as_json=as_json)


@app.command()
def cancel(wanted: RunName, workspace: Workspace = None, as_json: Json = False) -> int:
    """End a run that another process runs."""
    from tessera.cli.commands import runs as stored

    return stored.cancel(wanted, workspace, as_json=as_json)


@app.command()
def simulate(
    agent: Agent,
    request: Request = None,
    inputs: Inputs = None,
    clip: Clip = None,
    overrides: Set = None,
    ignored: Ignore = None,
    facts: Facts = None,
    stubs: Stubs = None,
    assume: Assume = False,
    faults: Faults = None,
    until: Until = None,
    since: Since = None,
    only: OnlyOrFacts = None,
    of: Of = None,
    sweep: Annotated[
        Path | None,
        typer.Option("--sweep", metavar="REQUESTS.JSONL", help="Simulate each line; a result a line out."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=1,
            max=10_000,
            help="How many tiles and renders work at a time (2); of a sweep, its processes (one a core).",
        ),
    ] = None,
    costs: Costs = None,
    prices: Prices = None,
    balance: Balance = None,
    unknown: UnknownTiles = Unknown.ERROR,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Run an agent on descriptions of media and a virtual clock, rendering nothing."""
    from tessera.cli import simulate_args as stands
    from tessera.cli.commands import run as commands

    given = RequestOptions.of(agent, request, inputs, clip, overrides, ignored, workspace, unknown)
    standing = stands.SimulateOptions(
        facts, tuple(stubs or ()), assume, until, since, only, of, tuple(faults or ())
    )
    if sweep is not None:
        return stands.sweep(given, standing, sweep, workers)
    virtual = stands.Virtual(workers, costs, prices, balance)
    return commands.simulate(given, standing, virtual, as_json=as_json)


@app.command()
def shrink(
    agent: Agent,
    request: Request = None,
    command: Annotated[
        str,
        typer.Option(
            "--while",
            metavar="COMMAND",
            help="Exits 0 while the problem shows; {agent} and {request} are paths.",
        ),
    ] = "",
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where agent.json and request.json are written.")
    ] = Path("shrunk"),
    as_json: Json = False,
) -> int:
    """Reduce an agent and a request to the smallest that still show a problem."""
    from tessera.cli import simulate_args as stands
    from tessera.cli.output import refuse

    if not command:
        raise refuse("give --while COMMAND, as in --while '! tessera validate {agent} {request}'")
    return stands.shrink(agent, request, command, out, as_json=as_json)


add_bundles(app)


@app.command()
def plan(
    agent: Agent,
    request: Request = None,
    inputs: Inputs = None,
    clip: Clip = None,
    overrides: Set = None,
    ignored: Ignore = None,
    explain_media: Annotated[
        bool,
        typer.Option(
            "--explain-media",
            help="Show what each output is made of, before and after the optimiser, and the ffmpeg commands.",
        ),
    ] = False,
    media_graph: Annotated[
        Path | None,
        typer.Option("--media-graph", metavar="FILE.svg", help="Draw that into a file."),
    ] = None,
    facts: Facts = None,
    stubs: Stubs = None,
    assume: Assume = False,
    unknown: UnknownTiles = Unknown.ERROR,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Show what a run would do, before it does anything.

    With --json the plan can be run later, by `tessera run --plan`: local inputs are stored for it.
    --facts, --stub and --assume serve --explain-media and --media-graph, for which the run is simulated.
    """
    from tessera.cli.commands import explain_media as media
    from tessera.cli.commands import run as commands
    from tessera.cli.output import refuse
    from tessera.cli.simulate_args import SimulateOptions

    given = RequestOptions.of(agent, request, inputs, clip, overrides, ignored, workspace, unknown)
    standing = SimulateOptions(facts, tuple(stubs or ()), assume)
    if explain_media or media_graph is not None:
        return media.explain_media(given, standing, media_graph, told=explain_media, as_json=as_json)
    if standing:
        raise refuse("--facts, --stub and --assume go with --explain-media or --media-graph")
    return commands.plan(given, as_json=as_json)


@app.command()
def validate(
    agent: Agent,
    request: Request = None,
    inputs: Inputs = None,
    clip: Clip = None,
    overrides: Set = None,
    ignored: Ignore = None,
    unknown: UnknownTiles = Unknown.ERROR,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Check an agent, and a request where one is given."""
    from tessera.cli.commands import run as commands

    given = RequestOptions.of(agent, request, inputs, clip, overrides, ignored, workspace, unknown)
    return commands.validate(given, as_json=as_json)


@app.command()
def graph(
    agent: Agent,
    request: Request = None,
    form: Annotated[DrawingFormat, typer.Option("--format", help="What to draw with.")] = DrawingFormat.ASCII,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the drawing there, not to stdout.")
    ] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Simulate, and draw what goes along each connection.")
    ] = False,
    inputs: Inputs = None,
    clip: Clip = None,
    overrides: Set = None,
    ignored: Ignore = None,
    facts: Facts = None,
    stubs: Stubs = None,
    assume: Assume = False,
    unknown: UnknownTiles = Unknown.ERROR,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Draw an agent, and what this run makes of it.

    A removed tile is struck through; a rewired connection says what it skips.
    """
    from tessera.cli.commands import graph as draw
    from tessera.cli.simulate_args import SimulateOptions

    given = RequestOptions.of(agent, request, inputs, clip, overrides, ignored, workspace, unknown)
    standing = SimulateOptions(facts, tuple(stubs or ()), assume)
    return draw.graph(given, form.value, out, standing, simulate=simulate, as_json=as_json)


@app.command()
def explain(
    agent: Agent,
    request: Request = None,
    node: Annotated[
        str | None,
        typer.Option(
            "--node", metavar="NODE[.PARAM]", help="Why a tile runs or not; where a value came from."
        ),
    ] = None,
    edge: Annotated[
        str | None, typer.Option("--edge", metavar="A:B", help="Why one tile feeds another, or does not.")
    ] = None,
    output: Annotated[
        int | None,
        typer.Option("--output", metavar="N", help="The way from the N-th output back to its sources."),
    ] = None,
    of: Annotated[
        str | None,
        typer.Option("--of", metavar="RUN", help="Of this run (an id, or `latest`), not of a simulation."),
    ] = None,
    inputs: Inputs = None,
    clip: Clip = None,
    overrides: Set = None,
    ignored: Ignore = None,
    facts: Facts = None,
    stubs: Stubs = None,
    assume: Assume = False,
    unknown: UnknownTiles = Unknown.ERROR,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Explain one thing of a run: a tile, a parameter, a connection or an output.

    What goes through the tiles is simulated, where inputs are given.
    """
    from tessera.cli.commands import explain as explaining
    from tessera.cli.simulate_args import SimulateOptions

    given = RequestOptions.of(agent, request, inputs, clip, overrides, ignored, workspace, unknown)
    standing = SimulateOptions(facts, tuple(stubs or ()), assume)
    return explaining.explain(
        given, explaining.ExplainQuery(node, edge, output, of), standing, as_json=as_json
    )


@app.command()
def diff(
    old: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="An agent, a plan, a request or a record: a path, JSON text, `-`; or a run, or `latest`.",
        ),
    ],
    new: Annotated[
        str, typer.Argument(metavar="B", help="Another of the same kind, given in any of these ways.")
    ],
    unknown: UnknownTiles = Unknown.ERROR,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Tell what differs between two agents, plans, requests or runs.

    The exit code is 1 where they differ, else 0. Ids of runs, times, URLs and paths do not count.
    """
    from tessera.cli.commands import diff as comparing

    return comparing.diff(old, new, workspace, unknown, as_json=as_json)


@app.command()
def nodes(
    kind: Annotated[
        str | None, typer.Argument(metavar="TYPE", help="A node type, by name or id: show its parameters.")
    ] = None,
    as_json: Json = False,
) -> int:
    """List the node types, or the parameters of one."""
    from tessera.cli.commands import nodes as catalogue

    return catalogue.nodes(kind, as_json=as_json)


@app.command()
def runs(
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="How many to list.")] = 25,
    cursor: Annotated[
        str | None, typer.Option("--cursor", metavar="CURSOR", help="The next_cursor of the list before.")
    ] = None,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """List the runs of the workspace, newest first."""
    from tessera.cli.commands import runs as stored

    return stored.runs(workspace, limit, cursor, as_json=as_json)


@app.command()
def show(
    wanted: RunName,
    items: Annotated[bool, typer.Option("--items", help="Show every item that the tiles made.")] = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Show the record of a run."""
    from tessera.cli.commands import runs as stored

    return stored.show(wanted, workspace, items=items, as_json=as_json)


@app.command()
def upload(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A video, an image, a sound or a .cube table.")
    ],
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Store a file in the workspace, and print its id.

    The id is what requests and parameters name.
    """
    from tessera.cli.commands import runs as stored

    return stored.upload(file, workspace, as_json=as_json)


app.command()(estimate)
app.command()(resume)
add_seeing(app)

app.add_typer(settings, name="settings")
app.add_typer(avatar, name="avatar")
app.add_typer(store, name="store")
