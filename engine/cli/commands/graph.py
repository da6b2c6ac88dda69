"""`tessera graph`: an agent, what a run makes of it, and what goes along its connections, drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tessera.cli.options import RequestOptions
from tessera.cli.output import FAILED, OK, put, put_json
from tessera.cli.request_args import PreparedRequest, explained, planned, prepare
from tessera.cli.simulate_args import SimulateOptions, simulated
from tessera.errors import WorkspaceError

if TYPE_CHECKING:
    from tessera.drawing.model import Drawing, Flow
    from tessera.graph.plan import Plan

__all__ = ["graph", "previewed", "write_text"]


def graph(
    given: RequestOptions,
    form: str,
    out: Path | None,
    standing: SimulateOptions,
    *,
    simulate: bool,
    as_json: bool,
) -> int:
    """Draw an agent, and what a run makes of it where something of a request is given."""
    from tessera.drawing.model import draw

    prepared = prepare(given, standing.facts)
    decided: Plan | None
    flows: dict[str, Flow] | None = None
    code = OK
    if simulate or standing:
        from tessera.explain.output import flows_of

        decided = planned(prepared, given, store=False)
        record = simulated(prepared, given, standing).to_dict()
        flows = flows_of(record)
        code = OK if record["status"] == "completed" else FAILED
    else:
        decided = None if given.agent_alone else previewed(prepared, given)
    drawn = draw(prepared.template, decided, flows)
    text = _drawing(drawn, form)
    if out is not None:
        write_text(out, text)
    if as_json:
        put_json({"format": form, "drawing": text, **drawn.to_dict()})
    elif out is None:
        put(text)
    return code


def _drawing(drawn: Drawing, form: str) -> str:
    from tessera.drawing.ascii import ascii_of
    from tessera.drawing.dot import dot_of
    from tessera.drawing.mermaid import mermaid_of
    from tessera.drawing.svg import svg_of

    return {"ascii": ascii_of, "dot": dot_of, "mermaid": mermaid_of, "svg": svg_of}[form](drawn)


def write_text(path: Path, text: str) -> None:
    """Write a drawing.

    Raises
    ------
    WorkspaceError
        It cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise WorkspaceError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from None


def previewed(prepared: PreparedRequest, given: RequestOptions) -> Plan:
    """The plan of what the command line asks for; inputs may be missing."""
    if prepared.inputs:
        return planned(prepared, given, store=False)
    from tessera.graph.preview import preview

    with explained(given):
        return preview(prepared.template, prepared.request)
