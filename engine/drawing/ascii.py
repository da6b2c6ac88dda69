"""A drawing as plain text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tessera.drawing.model import Drawing, DrawnEdge, edge_labels, tile_notes, unique_names
from tessera.text.wording import printable, short_ids

__all__ = ["ascii_of", "chains"]

_WIDTH = 110


def ascii_of(drawing: Drawing) -> str:
    """Return the connections as chains, then those that are not in the run, then a table of the tiles.

    Every connection appears once.
    """
    names = unique_names(drawing.tiles)
    off = {tile.id for tile in drawing.tiles if tile.state != "runs"}
    alive = [edge for edge in drawing.edges if edge.state != "gone"]
    gone = [edge for edge in drawing.edges if edge.state == "gone"]
    lines = list(_chain_lines(alive, drawing.order, names, off))
    if gone:
        lines += ["", "Not in this run:", *_chain_lines(gone, drawing.order, names, off)]
    lines += ["", "Tiles:", *_tile_lines(drawing, names)]
    return "\n".join(lines).lstrip("\n") + "\n"


def _tile_lines(drawing: Drawing, names: Mapping[str, str]) -> Iterator[str]:
    """Yield one line per tile: its name, the beginning of its id, its notes and its output."""
    short = short_ids(tile.id for tile in drawing.tiles)
    name_width = max(map(len, names.values()), default=0)
    id_width = max(map(len, short.values()), default=0)
    for tile in drawing.tiles:
        output = [f"makes {tile.flow}"] if tile.flow and tile.flow.items else []
        notes = ", ".join(printable(note) for note in [*tile_notes(tile), *output])
        yield f"  {names[tile.id]:{name_width}}  {short[tile.id]:{id_width}}  {notes}".rstrip()


def _chain_lines(
    edges: Sequence[DrawnEdge], order: Sequence[str], names: Mapping[str, str], off: set[str]
) -> Iterator[str]:
    """Yield the lines of all chains; the names of the tiles in `off` are struck through."""
    for chain in chains(edges, order):
        words = [_name(names[chain[0].source], chain[0].source in off)]
        words += [f"{_arrow(edge, names)} {_name(names[edge.target], edge.target in off)}" for edge in chain]
        yield from _wrapped(words)


def _arrow(edge: DrawnEdge, names: Mapping[str, str]) -> str:
    line = {"gone": "┄", "kept": "─", "rewired": "═"}[edge.state]
    label = "; ".join(edge_labels(edge, names))
    return f"{line}({label}){line}▶" if label else f"{line}▶"


def _name(name: str, off: bool) -> str:
    return f"~{name}~" if off else name


def chains(edges: Sequence[DrawnEdge], order: Sequence[str]) -> Iterator[list[DrawnEdge]]:
    """Yield the edges of a DAG as chains, each edge in exactly one of them.

    Parameters
    ----------
    order
        The tiles at which to start chains. With the most upstream tiles first, the chains are longest.
    """
    # Reversed, so that `pop` takes the edges of a tile in their order.
    outgoing: dict[str, list[DrawnEdge]] = {}
    for edge in reversed(edges):
        outgoing.setdefault(edge.source, []).append(edge)
    for start in order:
        while outgoing.get(start):
            chain = [outgoing[start].pop()]
            while outgoing.get(chain[-1].target):
                chain.append(outgoing[chain[-1].target].pop())
            yield chain


def _wrapped(words: Sequence[str]) -> Iterator[str]:
    line = "  " + words[0]
    for word in words[1:]:
        if len(line) + 1 + len(word) > _WIDTH:
            yield line
            line = "     "
        line += " " + word
    yield line
