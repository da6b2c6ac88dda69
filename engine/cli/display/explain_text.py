"""Explanations as text. The functions convert stories to rich renderables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from tessera.cli.display.tables import frame_rate, lines_of, section, table
from tessera.text.wording import printable, seconds_of, short_ids, short_json, span_of

if TYPE_CHECKING:
    from tessera.agent import AgentTemplate
    from tessera.drawing.model import Flow
    from tessera.explain.output import (
        DeviationStory,
        InputStory,
        ItemStory,
        OutputStory,
        SourcePiece,
        TrafficStory,
        WorkStory,
    )
    from tessera.explain.stories import Cause, EdgeStory, Layer, Link, ParameterStory, TileRef, TileStory

__all__ = ["edge", "output", "parameter", "tile"]

_MOST_ITEMS = 12
_MOST_PIECES = 6
_SHORT_VALUE = 20
"""The longest value, in characters, that stands in one line with its place."""
_COLOURS = {
    "runs": "green",
    "ignored": "red",
    "skipped": "yellow",
    "template": "green",
    "rewired": "cyan",
    "absent": "red",
}


class _Names:
    """Formats tiles as their name and a short id."""

    def __init__(self, template: AgentTemplate) -> None:
        self.short = short_ids(tile.id for tile in template)
        self.names = {tile.id: tile.name for tile in template}

    def __call__(self, ref: TileRef) -> str:
        return f"{ref.name} {self.short.get(ref.id, ref.id)}"

    def of(self, node: str) -> str:
        return f"{self.names.get(node, '')} {self.short.get(node, node)}".strip()

    def way(self, links: Iterable[Link]) -> str:
        words = ""
        for link in links:
            arrow = "─▶" if not link.via else f"═(past {', '.join(map(self, link.via))})═▶"
            words = f"{words} {arrow} {self(link.tile)}" if words else self(link.tile)
        return words

    def links(self, links: Iterable[Link]) -> Text:
        return lines_of(
            self(link.tile) + (f", past {', '.join(map(self, link.via))}" if link.via else "")
            for link in links
        )


def _headline(subject: str, state: str, reason: str) -> Iterator[Text]:
    yield Text.assemble((printable(subject), "bold"), " ", (state, _COLOURS.get(state, "")))
    yield lines_of([reason])


def _causes(causes: Iterable[Cause]) -> list[str]:
    return [f"{cause.message}{_at(cause.document, cause.loc, cause.option)}" for cause in causes]


def _at(document: str | None, loc: str, option: str = "") -> str:
    return f"  [{option}]" if option else f"  [{document} {loc}]" if document and loc else ""


def _layer_place(layer: Layer, tile: str) -> str:
    """Return where a value stands: a pointer into the document of its origin, an option, or the tile type."""
    return layer.option or layer.loc or f"of every {tile}"


def _layer_origin(layer: Layer) -> str:
    """Return the source of a value: `default`, `template`, `request` or the name of the option."""
    if layer.option:
        return layer.option.partition(" ")[0]
    return "request" if layer.origin == "override" else layer.origin


def tile(
    story: TileStory, traffic: TrafficStory | None, unknown: str | None, template: AgentTemplate
) -> Iterator[RenderableType]:
    """Yield why a tile runs or not, and its incoming and outgoing items."""
    names = _Names(template)
    yield from _headline(names(story.tile), story.state, story.reason)
    yield lines_of([*_causes(story.causes), f"it stands at template {story.loc}"])
    if len(story.path) > 1:
        yield from section("reached by", lines_of([names.way(story.path)]))
    if len(story.reached_from) > 1:
        yield from section("all sources that lead to it", lines_of(map(names, story.reached_from)))
    if story.instead:
        details = [f"{names(source)} ─▶ {names(link.tile)}" for source, link in story.instead]
        yield from section("connections that lead past it now", lines_of(details))
    if story.inputs:
        yield from section("takes", lines_of(_causes(story.inputs)))
    for title, links in (("fed by", story.fed_by), ("feeds", story.feeds)):
        if links:
            yield from section(title, names.links(links))
    yield from _parameters(story.parameters)
    if story.notices:
        yield from section("warnings", lines_of(notice.message for notice in story.notices))
    if traffic is not None:
        yield from _traffic(traffic, names)
    elif unknown:
        yield from section("media", lines_of([unknown]))


def _parameters(parameters: Iterable[ParameterStory]) -> Iterator[RenderableType]:
    rows = []
    for story in parameters:
        if story.origin == "default":
            continue
        old = short_json(story.layers[-2].value) + " → " if len(story.layers) > 1 else ""
        last = story.layers[-1]
        note = "" if story.known else "unknown, without effect"
        rows.append(
            (
                story.parameter,
                old + short_json(last.value),
                _layer_origin(last),
                _layer_place(last, story.tile.name),
                note,
            )
        )
    if rows:
        columns = ("parameter", "value", "from", "at", "")
        yield from section("parameters that are not defaults", table(columns, rows))


def _traffic(traffic: TrafficStory, names: _Names) -> Iterator[RenderableType]:
    how = "by simulation" if traffic.mode == "simulate" else "in this run"
    for title, items in ((f"receives, {how}", traffic.receives), (f"makes, {how}", traffic.makes)):
        yield from section(title, _items(items, names) if items else lines_of(["nothing"]))
        if len(items) > _MOST_ITEMS:
            yield lines_of([f"and {len(items) - _MOST_ITEMS:,} more; --json lists them all"])
    yield from _deviations(traffic.not_as_asked, names)
    if traffic.work is not None:
        yield from section("why it ran or came from the cache", lines_of([_work(traffic.work)]))
    if traffic.answers:
        questions = (
            f"{one.question}{f' of {one.about}' if one.about else ''}: {one.origin}"
            for one in traffic.answers
        )
        yield from section("asks", lines_of(questions))
    if traffic.outputs:
        details = ", ".join(map(str, traffic.outputs[:_MOST_ITEMS])) + (
            " …" if len(traffic.outputs) > _MOST_ITEMS else ""
        )
        yield from section("delivers", lines_of([f"outputs {details}; --output N says where each came from"]))
    if traffic.status != "completed":
        message = f": {traffic.message}" if traffic.message else ""
        yield from section("status", lines_of([traffic.status.replace("_", " ") + message]))


def _deviations(found: Iterable[DeviationStory], names: _Names) -> Iterator[RenderableType]:
    """Yield what is not as asked: for each parameter both values, the reason, and the place that asks."""
    lines = []
    for one in found:
        place = one.option or f"{one.document} {one.loc}"
        lines += [f"{names(one.tile)}: {one.values}", f"  {one.why}", f"  {place}"]
    if lines:
        yield from section("not as asked", lines_of(lines))


def _work(work: WorkStory) -> str:
    return f"{work.how}, {work.why}"


def _items(items: Iterable[ItemStory], names: _Names) -> RenderableType:
    rows = [
        (f"{names(item.tile)} #{item.number}", *_described(item), item.why, _pieces(item.pieces))
        for _at, item in zip(range(_MOST_ITEMS), items, strict=False)
    ]
    return table(("item", "kind", "size", "fps", "duration", "sound", "why", "shows"), rows)


def _described(item: ItemStory) -> tuple[str, str, str, str, str]:
    size = f"{item.width}×{item.height}" if item.width else ""
    length = "" if item.duration_ms is None else seconds_of(item.duration_ms)
    sound = "" if item.has_audio is None else ("yes" if item.has_audio else "no")
    return item.kind, size, frame_rate(item.fps), length, sound


def _pieces(pieces: tuple[SourcePiece, ...]) -> str:
    """Format the source ranges that an item shows."""
    details = [f"{piece.name} {span_of(piece.start_ms, piece.end_ms)}" for piece in pieces[:_MOST_PIECES]]
    more = f", and {len(pieces) - _MOST_PIECES:,} more" if len(pieces) > _MOST_PIECES else ""
    return ", ".join(details) + more


def parameter(story: ParameterStory, template: AgentTemplate) -> Iterator[RenderableType]:
    """Yield the origin of the value of a parameter."""
    names = _Names(template)
    subject = f"{names(story.tile)} {story.parameter}"
    value = f" = {short_json(story.value, 400)}" if story.layers else " is not set, and has no default"
    yield Text.assemble((printable(subject), "bold"), printable(value))
    if story.layers:
        title = "every value of it, in order; * marks the one that counts"
        yield from section(title, Text("\n".join(map(printable, _layers(story)))))
    notes = [] if story.known else ["no such parameter is known: it was kept, and has no effect"]
    notes += [] if story.runs else ["the tile does not run here: the value has no effect"]
    if notes:
        yield Text("")
        yield lines_of(notes)


def _layers(story: ParameterStory) -> Iterator[str]:
    """Yield one line for each value, or two if the value is too long to stand beside its place."""
    values = [short_json(layer.value, 100) for layer in story.layers]
    origins = [_layer_origin(layer) for layer in story.layers]
    width = max((len(value) for value in values if len(value) <= _SHORT_VALUE), default=0)
    left = max(map(len, origins))
    for layer, origin, value in zip(story.layers, origins, values, strict=True):
        mark = "*" if layer.in_force else " "
        place = _layer_place(layer, story.tile.name)
        if len(value) <= _SHORT_VALUE:
            yield f"{mark} {origin:{left}}  {value:{width}}  {place}"
        else:
            yield f"{mark} {origin:{left}}  {value}"
            yield f"  {'':{left}}  {place}"


def edge(
    story: EdgeStory, flow: Flow | None, unknown: str | None, template: AgentTemplate
) -> Iterator[RenderableType]:
    """Yield why one tile feeds another, or does not."""
    names = _Names(template)
    yield from _headline(f"{names(story.source)} ─▶ {names(story.target)}", story.state, story.reason)
    if story.causes:
        yield lines_of(_causes(story.causes))
    if story.path:
        yield from section("it stands for these connections of the template", lines_of(_causes(story.path)))
    if story.state == "absent":
        for title, links in (
            (f"what {names(story.source)} feeds", story.feeds),
            (f"what feeds {names(story.target)}", story.fed_by),
        ):
            if links:
                yield from section(title, names.links(links))
    details = str(flow) if flow is not None else unknown
    if details:
        yield from section("carries", lines_of([details]))


def output(story: OutputStory, mode: str, template: AgentTemplate) -> Iterator[RenderableType]:
    """Yield the path from an output back to the ranges of its sources."""
    names = _Names(template)
    how = "by simulation" if mode == "simulate" else story.id
    yield Text.assemble((f"output {story.number} of {story.total}", "bold"), f", {how}")
    made = story.steps[0]
    facts = [details for details in _described(made)[:4] if details]
    lines = [", ".join(facts), f"delivered by {names(story.delivered_by)}"]
    yield lines_of([*lines, story.path] if story.path else lines)
    yield from _deviations(story.not_as_asked, names)
    yield from section("the way back", _way_back(story.steps, names))
    if story.work:
        work = [f"{names(one.tile)}: {_work(one)}" for one in story.work]
        if story.reused:
            work.append("the file: not rendered again, an equal one was rendered before")
        yield from section("why it ran or came from the cache", lines_of(work))
    yield from section("seconds of the sources, in order", lines_of(_ranges(made.pieces)))
    if story.inputs:
        yield from section("inputs", lines_of(_inputs(story.inputs, names)))


def _way_back(steps: Iterable[ItemStory], names: _Names) -> RenderableType:
    rows = []
    for item in steps:
        parents = ", ".join(f"{names.of(node)} #{number}" for node, number in item.parents[:4])
        more = f" and {len(item.parents) - 4:,} more" if len(item.parents) > 4 else ""
        fidelity = "" if item.fidelity == "real" else item.fidelity
        rows.append(
            (
                f"{names(item.tile)} #{item.number}",
                item.why,
                "; ".join(item.changes),
                _pieces(item.pieces),
                parents + more,
                fidelity,
            )
        )
    return table(("item", "why", "change", "shows", "made from", "fidelity"), rows)


def _ranges(pieces: tuple[SourcePiece, ...]) -> Iterator[str]:
    if not pieces:
        yield "none: nothing of it comes from a source"
    for piece in pieces:
        name = piece.name if piece.name == piece.source else f"{piece.name} ({piece.source})"
        length = seconds_of(piece.end_ms - piece.start_ms)
        yield f"{span_of(piece.start_ms, piece.end_ms)} of {name}, {length}"


def _inputs(inputs: Iterable[InputStory], names: _Names) -> Iterator[str]:
    for one in inputs:
        whole = "whole" if one.clip_ms is None else span_of(*one.clip_ms)
        length = "" if one.duration_ms is None else f" of {seconds_of(one.duration_ms)}"
        yield f"{names(one.tile)}: {one.name}, {whole}{length} ({one.form} {one.key}, {one.origin})"
