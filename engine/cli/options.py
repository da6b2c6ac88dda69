"""The arguments and options that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Agent",
    "AllowPrivate",
    "Assume",
    "Balance",
    "Clip",
    "Costs",
    "DrawingFormat",
    "Executor",
    "Facts",
    "FactsOut",
    "Faults",
    "Ignore",
    "Inputs",
    "Json",
    "Of",
    "Only",
    "OnlyOrFacts",
    "OptionalAgent",
    "Originals",
    "PlanFile",
    "Prices",
    "Quality",
    "QualityName",
    "RecordTo",
    "ReplayOf",
    "Request",
    "RequestOptions",
    "RunName",
    "Scheduler",
    "Set",
    "Since",
    "Stubs",
    "TileTimeout",
    "Unknown",
    "UnknownTiles",
    "Until",
    "Workspace",
]


class Unknown(StrEnum):
    """What to do with a tile whose type nobody knows."""

    ERROR = "error"
    OPAQUE = "opaque"


class Quality(StrEnum):
    """How good what `run` makes is."""

    DRAFT = "draft"
    STANDARD = "standard"
    MASTER = "master"


class ExecutorName(StrEnum):
    """Who does the work of a run."""

    THREADS = "threads"
    DASK = "dask"


class DrawingFormat(StrEnum):
    """How `graph` draws."""

    ASCII = "ascii"
    MERMAID = "mermaid"
    DOT = "dot"
    SVG = "svg"


Agent = Annotated[
    str, typer.Argument(metavar="AGENT", help="The agent: a path, `-` for stdin, or JSON text.")
]
OptionalAgent = Annotated[
    str | None,
    typer.Argument(
        metavar="AGENT",
        help="The agent: a path, `-` for stdin, or JSON text; not with --plan, --replay or --of.",
    ),
]
Request = Annotated[
    str | None,
    typer.Argument(metavar="REQUEST", help="The run request: a path, `-` for stdin, or JSON text."),
]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run, by its id or a unique beginning of it, or `latest`.")
]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="[NODE=]PATH_OR_URL",
        help="A file or URL for a Video Input (of that NODE). Repeatable.",
    ),
]
Clip = Annotated[
    str | None,
    typer.Option(
        "--clip", metavar="START:END", help="The range of every --input, in seconds: 1.5:4, :10, 30:."
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NODE.PARAM=VALUE",
        help="Override a parameter. VALUE is JSON, or else text; "
        "quote digits that are text: --set 'Captions.caption_font_weight=\"700\"'. Repeatable.",
    ),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option("--ignore", metavar="NODE", help="Leave a tile out of this run. Repeatable."),
]
Facts = Annotated[
    str | None,
    typer.Option(
        "--facts", metavar="FILE", help='What is known of media that is not there: {"ID, URL or *": {…}}.'
    ),
]
Stubs = Annotated[
    list[str] | None,
    typer.Option(
        "--stub",
        metavar="NODE=FILE",
        help="What a tile makes, answers or suffers in place of its own work. Repeatable.",
    ),
]
Assume = Annotated[
    bool, typer.Option("--assume", help="Where nothing tells of speech, assume it by a synthetic model.")
]
Prices = Annotated[
    str | None, typer.Option("--prices", metavar="FILE", help="Prices in credits, in place of ours.")
]
Costs = Annotated[
    str | None,
    typer.Option("--costs", metavar="FILE", help="Seconds that tiles and renders take, in place of ours."),
]
Balance = Annotated[
    str | None, typer.Option("--balance", metavar="N", help="The credits that there are for the run.")
]
Faults = Annotated[
    list[str] | None,
    typer.Option(
        "--fail",
        metavar="NODE[:item][=error|hang|crash|transient][@attempt]",
        help="A drill: what a tile, or the render of one of its items, suffers. Repeatable.",
    ),
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="NODE", help="Only this tile and all that it needs.")
]
Since = Annotated[
    str | None, typer.Option("--from", metavar="NODE", help="Only this tile and all after it; needs --of.")
]
Only = Annotated[
    str | None, typer.Option("--only", metavar="NODE", help="This tile alone, fed by what --of made.")
]
OnlyOrFacts = Annotated[
    str | None,
    typer.Option("--only", metavar="NODE", help="This tile alone, fed by --of or the facts for `*`."),
]
Of = Annotated[
    str | None, typer.Option("--of", metavar="RUN", help="The run that gives what reaches the part.")
]
Workspace = Annotated[
    Path | None,
    typer.Option(
        "--workspace",
        metavar="DIR",
        help="Where assets and runs are kept: else TESSERA_WORKSPACE, else .tessera.",
    ),
]
UnknownTiles = Annotated[
    Unknown, typer.Option("--unknown-tiles", help="`opaque`: unknown tiles hand their inputs on.")
]
PlanFile = Annotated[
    str | None,
    typer.Option(
        "--plan", metavar="PLAN.JSON", help="Run exactly this plan, as `tessera plan --json` wrote it."
    ),
]
FactsOut = Annotated[
    Path | None,
    typer.Option("--facts-out", metavar="FILE", help="Write what the run learned, for simulate --facts."),
]
QualityName = Annotated[
    Quality | None,
    typer.Option("--quality", help="A small, fast preview; near-transparent (standard); or for editing."),
]
RecordTo = Annotated[
    Path | None,
    typer.Option(
        "--record", metavar="FILE", help="Keep the run, what the world answered, and its media: a bundle."
    ),
]
ReplayOf = Annotated[
    Path | None,
    typer.Option(
        "--replay",
        metavar="FILE",
        help="Run from such a file, without any network; AGENT and REQUEST are its own where none are given.",
    ),
]
Originals = Annotated[
    bool,
    typer.Option(
        "--originals", help="Pack the media itself and what the world answered, for `run --replay`."
    ),
]
AllowPrivate = Annotated[
    bool,
    typer.Option(
        "--allow-private-networks", help="Let URLs lead to this machine and to private networks as well."
    ),
]
TileTimeout = Annotated[
    float | None,
    typer.Option(
        "--tile-timeout",
        metavar="SECONDS",
        min=0.001,
        help="Fail a tile whose work, or one of whose renders, takes longer; else as its type declares.",
    ),
]
Executor = Annotated[
    ExecutorName | None,
    typer.Option("--executor", help="Threads of this process (the default), or a Dask cluster: --scheduler."),
]
Scheduler = Annotated[
    str | None,
    typer.Option("--scheduler", metavar="ADDRESS", help="The cluster's, such as tcp://10.0.0.1:8786."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """An agent and a request as the command line gives them, before anything is read."""

    agent: str
    request: str | None = None
    inputs: tuple[str, ...] = ()
    clip: str | None = None
    overrides: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    workspace: Path | None = None
    unknown: Unknown = Unknown.ERROR

    @classmethod
    def of(
        cls,
        agent: str,
        request: str | None,
        inputs: list[str] | None,
        clip: str | None,
        overrides: list[str] | None,
        ignored: list[str] | None,
        workspace: Path | None,
        unknown: Unknown = Unknown.ERROR,
    ) -> RequestOptions:
        """From the values of a command's options."""
        lists = (tuple(one or ()) for one in (inputs, overrides, ignored))
        given, changed, left = lists
        return cls(agent, request, given, clip, changed, left, workspace, unknown)

    @property
    def agent_alone(self) -> bool:
        """Whether nothing of a request is given."""
        return self.request is None and not (self.inputs or self.overrides or self.ignored or self.clip)
