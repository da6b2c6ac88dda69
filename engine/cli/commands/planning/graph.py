"""`tessera graph`: draw an agent, the changes of a request, and the media on the connections."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tessera.cli.display.output import FAILED, OK, put, put_json
from tessera.cli.options import RequestOptions
from tessera.cli.request_args import PreparedRequest, plan_prepared, prepare, quoting_advice
from tessera.cli.simulate_args import run_simulation, states_media
from tessera.errors import WorkspaceError
from tessera.text.masking import masked_prose

if TYPE_CHECKING:
    from tessera.drawing.model import Drawing, Flow
    from tessera.graph.plan import Plan
    from tessera.runner.config import SimulateConfig

__all__ = ["graph", "preview_plan", "write_text"]


def graph(
    options: RequestOptions,
    form: str,
    out: Path | None,
    config: SimulateConfig,
    *,
    simulate: bool,
    as_json: bool,
) -> int:
    """Draw an agent and, if there is a request, its changes."""
    from tessera.drawing.model import draw

    prepared = prepare(options)
    run_plan: Plan | None
    flows: dict[str, Flow] | None = None
    code = OK
    if simulate or states_media(config):
        from tessera.drawing.model import flows_of

        run_plan = plan_prepared(prepared, options, store=False)
        record = run_simulation(prepared, options, config).to_dict()
        flows = flows_of(record)
        code = OK if record["status"] == "completed" else FAILED
    else:
        run_plan = None if options.agent_alone else preview_plan(prepared, options)
    drawing = draw(prepared.template, run_plan, flows)
    text = masked_prose(_drawing(drawing, form))
    if out is not None:
        write_text(out, text)
    if as_json:
        put_json({"format": form, "drawing": text, **drawing.to_dict()})
    elif out is None:
        put(text)
    return code


def _drawing(drawing: Drawing, form: str) -> str:
    from tessera.drawing.ascii import ascii_of
    from tessera.drawing.dot import dot_of
    from tessera.drawing.mermaid import mermaid_of
    from tessera.drawing.svg import svg_of

    return {"ascii": ascii_of, "dot": dot_of, "mermaid": mermaid_of, "svg": svg_of}[form](drawing)


def write_text(path: Path, text: str) -> None:
    """Write a drawing.

    Raises
    ------
    WorkspaceError
        If the file cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except (OSError, ValueError) as error:
        raise WorkspaceError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from None


def preview_plan(prepared: PreparedRequest, options: RequestOptions) -> Plan:
    """Plan the run of a command line. Inputs may be missing."""
    if prepared.inputs:
        return plan_prepared(prepared, options, store=False)
    from tessera.graph.preview import preview

    with quoting_advice(options, prepared.places):
        return preview(prepared.template, prepared.request)
