"""`tessera plan --explain-media` and `--media-graph`: what each output is made of, and what renders it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tessera.cli.commands.graph import write_text
from tessera.cli.options import RequestOptions
from tessera.cli.output import FAILED, OK, printable, put, put_json, warn
from tessera.cli.request_args import document, explained, home_of, prepare
from tessera.cli.simulate_args import SimulateOptions
from tessera.text.wording import count

if TYPE_CHECKING:
    from tessera.explain.media import MediaPlan, OutputMedia
    from tessera.media.ffmpeg.compiler import Command

__all__ = ["explain_media"]


def explain_media(
    given: RequestOptions, standing: SimulateOptions, graph: Path | None, *, told: bool, as_json: bool
) -> int:
    """Say, draw, or both, what each output is made of and what renders it.

    Parameters
    ----------
    graph
        The SVG file to draw into.
    told
        Whether to print the explanation.
    """
    planned = _planned(given, standing)
    if graph is not None:
        write_text(graph, _drawing(planned))
    if as_json:
        put_json(planned.to_dict())
    elif told:
        put("\n".join(printable(line) for line in _lines(planned)))
    if planned.record.status.value == "completed":
        return OK
    warn(f"the simulated run ended as {planned.record.status.value}; tessera simulate says why")
    return FAILED


def _planned(given: RequestOptions, standing: SimulateOptions) -> MediaPlan:
    from tessera.cli.simulate_args import stubs_of
    from tessera.explain.media import media_plan

    prepared = prepare(given, standing.facts)
    with explained(given):
        return media_plan(
            prepared.template,
            prepared.request,
            facts=document(standing.facts),
            stubs=stubs_of(standing.stubs),
            assume=standing.assume,
            inputs=prepared.inputs,
            workspace=home_of(given.workspace),
            unknown_tiles=given.unknown.value,
        )


def _drawing(planned: MediaPlan) -> str:
    from tessera.explain.expression_svg import media_svg

    shown = [(_title(planned, one), one.explained) for one in planned.outputs]
    return media_svg([(title, how) for title, how in shown if how is not None], planned.name)


def _title(planned: MediaPlan, one: OutputMedia) -> str:
    why = f": {one.item.why}" if one.item.why else ""
    return f"{_name(planned, one)}, output {one.item.index + 1}{why}"


def _name(planned: MediaPlan, one: OutputMedia) -> str:
    return f"{planned.record.nodes[one.item.node].name} {one.item.node[:8]}"


def _lines(planned: MediaPlan) -> Iterator[str]:
    if not planned.outputs:
        yield "no outputs"
    for number, one in enumerate(planned.outputs):
        yield from ("",) if number else ()
        yield _title(planned, one)
        if one.explained is None:
            yield "  drawn by its tile; ffmpeg has no part in it"
        else:
            yield from (f"  {line}" if line else "" for line in _output_lines(planned, one, number))
    for asset in planned.missing:
        yield ""
        yield f"{asset} is not here: the commands name it by a placeholder, /path/to/…"


def _output_lines(planned: MediaPlan, one: OutputMedia, number: int) -> Iterator[str]:
    from tessera.explain.expressions import text_of

    how = one.explained
    assert how is not None
    yield "before"
    yield from (f"  {line}" for line in text_of(how.before, planned.name))
    yield "after" if how.fired else "after: the same, no rule applies"
    if how.fired:
        yield from (f"  {line}" for line in text_of(how.after, planned.name))
        yield "rules"
        wide = max(len(rule.name) for rule, _number in how.fired)
        for rule, number in how.fired:
            yield f"  {number:>5,} × {rule.name:{wide}}  {rule.exactness:11}  {rule.law}"
    ways = ", ".join(f"{half} {way}" for half, way in how.ways.items())
    yield f"{ways} ({how.note})" if how.note else ways
    others = [other for other in one.together if other != number]
    if others:
        found = [planned.outputs[other] for other in others]
        yield "one decoder for this and " + " and ".join(
            f"output {other.item.index + 1} of {_name(planned, other)}" for other in found
        )
    own = how.commands if not others or number < min(others) else how.commands[:-1]
    yield count(len(own), "command") + ("" if own else ": that of the first of them")
    for command in own:
        yield from (f"  {line}" for line in _command_lines(command))
    if how.measures:
        yield "  (a loudness is measured first; the last command then has the gain found, in place of 0.00dB)"


def _command_lines(command: Command) -> Iterator[str]:
    from tessera.explain.expressions import ffmpeg_name

    for name, text in command.scripts:
        yield f"cat > {shlex.quote(name)} <<'END'"
        yield text
        yield "END"
    yield shlex.join((ffmpeg_name(), *command.args))
