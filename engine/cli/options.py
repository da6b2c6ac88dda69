"""The arguments and options that several commands share, as typer annotations."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

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
    "NewDocument",
    "NoCache",
    "Of",
    "OldDocument",
    "Only",
    "OnlyOrFacts",
    "OptionalAgent",
    "Originals",
    "Out",
    "OutOfResume",
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
    "UnknownTilesName",
    "Until",
    "Workers",
    "Workspace",
    "document",
]


UnknownTilesName = Literal["error", "opaque"]


class Unknown(StrEnum):
    """The treatment of tiles of an unknown type."""

    ERROR = "error"
    OPAQUE = "opaque"


class Quality(StrEnum):
    """The encoding quality of `run`."""

    DRAFT = "draft"
    STANDARD = "standard"
    MASTER = "master"


class ExecutorName(StrEnum):
    """The workers of a run."""

    THREADS = "threads"
    DASK = "dask"


class DrawingFormat(StrEnum):
    """The output format of `graph`."""

    ASCII = "ascii"
    MERMAID = "mermaid"
    DOT = "dot"
    SVG = "svg"


Agent = Annotated[str, typer.Argument(metavar="AGENT", help="Agent: a path, JSON text, or `-` for stdin.")]
OptionalAgent = Annotated[
    str | None,
    typer.Argument(
        metavar="AGENT",
        help="Agent: a path, JSON text, or `-` for stdin. Optional with --plan, --replay or --of.",
    ),
]
Request = Annotated[
    str | None,
    typer.Argument(metavar="REQUEST", help="Run request: a path, JSON text, or `-` for stdin."),
]
OldDocument = Annotated[
    str,
    typer.Argument(
        metavar="A",
        help="Agent, plan, request or record: a path, JSON text, `-` for stdin, a run id or `latest`.",
    ),
]
NewDocument = Annotated[
    str | None,
    typer.Argument(
        metavar="B",
        help="The document to compare with A, of the same kind; with --set or --ignore, A's request.",
    ),
]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="Run id, a unique prefix of it, or `latest`.")]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="[NODE=]PATH_OR_URL",
        help="Use this file or URL as input, for the Video Input NODE if given. Repeatable.",
    ),
]
Clip = Annotated[
    str | None,
    typer.Option(
        "--clip",
        metavar="START:END",
        help="Use only this range of every --input, in seconds, e.g. 1.5:4, :10 or 30:.",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NODE.PARAM=VALUE",
        help="Override a parameter. VALUE is JSON or plain text; quote a number to pass it as text: "
        "--set 'Captions.caption_font_weight=\"700\"'. Repeatable.",
    ),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option("--ignore", metavar="NODE", help="Skip a tile in this run. Repeatable."),
]
Facts = Annotated[
    str | None,
    typer.Option(
        "--facts",
        metavar="FILE",
        help='Describe media that is not available, as JSON: {"ID, URL or *": {…}}.',
    ),
]
Stubs = Annotated[
    list[str] | None,
    typer.Option(
        "--stub",
        metavar="NODE=FILE",
        help="Replace the work of a tile with the results, answers or errors in FILE. Repeatable.",
    ),
]
Assume = Annotated[
    bool,
    typer.Option(
        "--assume",
        help="Assume speech by a model where nothing states it. Length, size and rate still need --facts.",
    ),
]
Prices = Annotated[
    str | None,
    typer.Option("--prices", metavar="FILE", help="Price table in credits, instead of the built-in one."),
]
Costs = Annotated[
    str | None,
    typer.Option(
        "--costs", metavar="FILE", help="Table of seconds per tile and render, instead of the built-in one."
    ),
]
Balance = Annotated[str | None, typer.Option("--balance", metavar="N", help="Credits available for the run.")]
Faults = Annotated[
    list[str] | None,
    typer.Option(
        "--fail",
        metavar="NODE[:item][=error|hang|crash|transient][@attempt]",
        help="Inject a failure into a tile or the render of one of its items. Repeatable.",
    ),
]
Until = Annotated[
    str | None,
    typer.Option("--until", metavar="NODE", help="Run only this tile and the tiles it depends on."),
]
Since = Annotated[
    str | None,
    typer.Option("--from", metavar="NODE", help="Run only this tile and the tiles after it. Requires --of."),
]
Only = Annotated[
    str | None, typer.Option("--only", metavar="NODE", help="Run only this tile, on the items of --of.")
]
OnlyOrFacts = Annotated[
    str | None,
    typer.Option(
        "--only", metavar="NODE", help="Simulate only this tile, on the items of --of or the facts for `*`."
    ),
]
Of = Annotated[
    str | None,
    typer.Option("--of", metavar="RUN", help="Earlier run that provides the input of --from or --only."),
]
Workspace = Annotated[
    Path | None,
    typer.Option(
        "--workspace",
        metavar="DIR",
        help="Workspace folder. [env: TESSERA_WORKSPACE] [default: .tessera]",
    ),
]
UnknownTiles = Annotated[
    Unknown,
    typer.Option(
        "--unknown-tiles", help="Reject unknown tiles, or treat them as tiles that pass their input on."
    ),
]
PlanFile = Annotated[
    str | None,
    typer.Option(
        "--plan", metavar="PLAN.JSON", help="Run exactly this plan, written by `tessera plan --json`."
    ),
]
FactsOut = Annotated[
    Path | None,
    typer.Option(
        "--facts-out", metavar="FILE", help="Write facts about the media to a file, for `simulate --facts`."
    ),
]
QualityName = Annotated[
    Quality | None,
    typer.Option(
        "--quality", help="Fast preview, visually near-lossless, or for further editing. [default: standard]"
    ),
]
RecordTo = Annotated[
    Path | None,
    typer.Option(
        "--record", metavar="FILE", help="Record the run with its media and all outside answers, as a bundle."
    ),
]
ReplayOf = Annotated[
    Path | None,
    typer.Option(
        "--replay",
        metavar="FILE",
        help="Run from a recorded bundle, without network. AGENT and REQUEST default to the recorded ones.",
    ),
]
Originals = Annotated[
    bool,
    typer.Option(
        "--originals", help="Include the original media and all outside answers, for `run --replay`."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Write outputs and their .jpg thumbnails to this folder."),
]
OutOfResume = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Output folder. [default: the folder of the original run]"),
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Do not reuse results of earlier runs.")]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        max=10_000,
        help="Parallel tiles and renders [default: 2]; with --sweep, processes [default: one per core].",
    ),
]
AllowPrivate = Annotated[
    bool,
    typer.Option("--allow-private-networks", help="Allow URLs on this machine and in private networks."),
]
TileTimeout = Annotated[
    float | None,
    typer.Option(
        "--tile-timeout",
        metavar="SECONDS",
        min=0.001,
        help="Time limit for a tile's work and for each render. [default: set by the tile type]",
    ),
]
Executor = Annotated[
    ExecutorName | None,
    typer.Option(
        "--executor", help="Run in threads or on a Dask cluster (see --scheduler). [default: threads]"
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler", metavar="ADDRESS", help="Address of the Dask scheduler, e.g. tcp://10.0.0.1:8786."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def document(argument: str | None) -> str | bytes | None:
    """Return stdin for `-`, and any other argument unchanged."""
    return sys.stdin.buffer.read() if argument == "-" else argument


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """An agent and a request as typed on the command line. No file has been read yet."""

    agent: str
    request: str | None = None
    inputs: tuple[str, ...] = ()
    clip: str | None = None
    overrides: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    unknown_tiles: UnknownTilesName = "error"
    workspace: Path | None = None

    @property
    def agent_alone(self) -> bool:
        """Return True if the command line has no request and no option that changes one."""
        return self.request is None and not (self.inputs or self.overrides or self.ignored or self.clip)
