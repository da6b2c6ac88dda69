"""`tessera plan --explain-media` and `--media-graph`: how each output is made and rendered."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tessera.cli.commands.planning.graph import write_text
from tessera.cli.display.output import FAILED, OK, put, put_json, warn
from tessera.cli.options import RequestOptions
from tessera.cli.request_args import prepare, quoting_advice
from tessera.text.wording import count, printable

if TYPE_CHECKING:
    from tessera.explain.media import MediaPlan, OutputMedia
    from tessera.media.ffmpeg.compiler import Command
    from tessera.runner.config import SimulateConfig

__all__ = ["show_media"]


def show_media(
    options: RequestOptions, config: SimulateConfig, graph: Path | None, *, as_text: bool, as_json: bool
) -> int:
    """Print or draw how each output is made and rendered.

    Parameters
    ----------
    graph
        The SVG file to write, or None.
    as_text
        True to print the explanation as text.
    """
    media = _media_plan(options, config)
    if graph is not None:
        write_text(graph, _drawing(media))
    if as_json:
        put_json(media.to_dict())
    elif as_text:
        put("\n".join(printable(line) for line in _lines(media)))
    if media.record.status.value == "completed":
        return OK
    warn(f"the simulated run ended as {media.record.status.value}; tessera simulate says why")
    return FAILED


def _media_plan(options: RequestOptions, config: SimulateConfig) -> MediaPlan:
    from tessera.explain.media import media_plan

    prepared = prepare(options)
    with quoting_advice(options, prepared.places):
        return media_plan(prepared.template, prepared.request, replace(config, inputs=prepared.inputs))


def _drawing(media: MediaPlan) -> str:
    from tessera.explain.expression_svg import media_svg

    shown = [(_title(media, one), one.explained) for one in media.outputs]
    return media_svg([(title, how) for title, how in shown if how is not None], media.name)


def _title(media: MediaPlan, one: OutputMedia) -> str:
    why = f": {one.item.why}" if one.item.why else ""
    return f"{_name(media, one)}, output {one.item.index + 1}{why}"


def _name(media: MediaPlan, one: OutputMedia) -> str:
    return f"{media.record.nodes[one.item.node].name} {one.item.node[:8]}"


def _lines(media: MediaPlan) -> Iterator[str]:
    if not media.outputs:
        yield "no outputs"
    for number, one in enumerate(media.outputs):
        yield from ("",) if number else ()
        yield _title(media, one)
        if one.explained is None:
            yield "  drawn by its tile; ffmpeg has no part in it"
        else:
            yield from (f"  {line}" if line else "" for line in _output_lines(media, one, number))
    for asset in media.missing:
        yield ""
        yield f"{asset} is not here: the commands name it by a placeholder, /path/to/…"


def _output_lines(media: MediaPlan, one: OutputMedia, number: int) -> Iterator[str]:
    from tessera.explain.expressions import text_of

    how = one.explained
    assert how is not None
    yield "before"
    yield from (f"  {line}" for line in text_of(how.before, media.name))
    yield "after" if how.fired else "after: the same, no rule applies"
    if how.fired:
        yield from (f"  {line}" for line in text_of(how.after, media.name))
        yield "rules"
        wide = max(len(rule.name) for rule, _number in how.fired)
        for rule, number in how.fired:
            yield f"  {number:>5,} × {rule.name:{wide}}  {rule.exactness:11}  {rule.law}"
    ways = ", ".join(f"{half} {way}" for half, way in how.ways.items())
    yield f"{ways} ({how.note})" if how.note else ways
    others = [other for other in one.together if other != number]
    if others:
        found = [media.outputs[other] for other in others]
        yield "one decoder for this and " + " and ".join(
            f"output {other.item.index + 1} of {_name(media, other)}" for other in found
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
