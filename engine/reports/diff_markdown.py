"""The comparison of two documents as a comment on a pull request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tessera.drawing.mermaid import quoted
from tessera.reports.differences import has_values, subject, value_text
from tessera.reports.markdown import Comment, TileLabels, code, mermaid_fits, plain
from tessera.text.wording import short_ids

if TYPE_CHECKING:
    from tessera.graph.diff import Comparison, Difference
    from tessera.graph.views import View

__all__ = ["diff_markdown"]

_MARKS = {"added": "➕ added", "removed": "➖ removed", "changed": "✏️ changed"}
_STYLES = (
    "classDef added stroke:#1a7f37,stroke-width:3px",
    "classDef removed stroke:#cf222e,stroke-dasharray:5 5,text-decoration:line-through",
    "classDef changed stroke:#9a6700,stroke-width:3px",
)
_LABEL = 80
"""The length at which the name of a tile is cut, in characters."""


def diff_markdown(found: Comparison, old: str, new: str) -> str:
    """Return the differences of two documents as Markdown: a summary, a table, notes, and the merged graph.

    Parameters
    ----------
    old, new
        The names of the documents, as the reader knows them.
    """
    ids = (node for one in found.differences for node in (one.node, one.target) if node)
    labels = TileLabels(found.names, ids)
    comment = Comment()
    kinds = " and ".join(f"{kind}s" for kind in dict.fromkeys(found.kinds))
    if found:
        comment.add(f"### {kinds.capitalize()} differ")
        comment.add(f"**{found.summary()}** between {code(old)} and {code(new)}.")
    else:
        comment.add(f"### {kinds.capitalize()} are equal")
        comment.add(f"No differences between {code(old)} and {code(new)}.")
    comment.bullets("Notes", map(plain, found.notes), len(found.notes))
    rows = (_row(one, labels) for one in found.differences)
    columns = ("change", "of", "what", "old", "new", "note")
    comment.table("Differences", columns, rows, len(found.differences))
    if found and found.views is not None and {"agent", "plan"} >= set(found.kinds):
        _add_graph(comment, found, found.views)
    return comment.text()


def _row(one: Difference, labels: TileLabels) -> tuple[str, ...]:
    old, new = ("", "")
    if has_values(one):
        old = "" if one.change == "added" else _value(one, labels, new=False)
        new = "" if one.change == "removed" else _value(one, labels, new=True)
    what = subject(one, labels, plain).replace("─▶", "→")
    return _MARKS[one.change], one.section, what, old, new, plain(one.note)


def _value(one: Difference, labels: TileLabels, *, new: bool) -> str:
    value, origin = (one.new, one.new_origin) if new else (one.old, one.old_origin)
    if one.section == "edge":
        return f"past {labels.listed(value)}" if value else "direct"
    if one.section == "order" and isinstance(value, list):
        return labels.listed(value)
    return code(value_text(one, value, origin), 200)


# the graph of both


def _add_graph(comment: Comment, found: Comparison, views: tuple[View, View]) -> None:
    """Add the graph of both documents: what only one of them has is coloured."""
    tiles = {**views[0].tiles, **views[1].tiles}
    edges = {**views[0].edges, **views[1].edges}
    drawn = "\n".join(_mermaid(found, views)) if mermaid_fits(len(edges)) else ""
    comment.graph(drawn, len(tiles), len(edges))


def _mermaid(found: Comparison, views: tuple[View, View]) -> Iterator[str]:
    before, after = views
    tiles = {**before.tiles, **after.tiles}
    numbers = {key: f"n{index}" for index, key in enumerate(tiles)}
    short = short_ids(tile.id for tile in tiles.values())
    names = {key: tile.name[:_LABEL] for key, tile in {**before.absent, **after.absent, **tiles}.items()}
    changed = {
        one.node.lower()
        for one in found.differences
        if one.node and one.section in ("parameter", "tile", "order")
    }
    yield "flowchart LR"
    for key, tile in tiles.items():
        style = _state(key in before.tiles, key in after.tiles) or ("changed" if key in changed else "")
        text = quoted([names[key], short[tile.id], *([style] if style else [])])
        yield f"  {numbers[key]}[{text}]{':::' * bool(style)}{style}"
    for pair in {**before.edges, **after.edges}:
        old, new = before.edges.get(pair), after.edges.get(pair)
        state = _state(old is not None, new is not None)
        arrow = {"added": "==>", "removed": "-.->", "": "-->"}[state]
        skipped = [names[key] for key in (new or old or ())[:3]]
        words = [state] if state else ["rewired"] if old != new else []
        label = [*words, *([f"past {', '.join(skipped)}"] if skipped else [])]
        yield f"  {numbers[pair[0]]} {arrow}{f'|{quoted(label)}|' if label else ''} {numbers[pair[1]]}"
    yield from (f"  {style}" for style in _STYLES)


def _state(old: bool, new: bool) -> str:
    """Return the state of what the first or the second document has."""
    return "" if old and new else "added" if new else "removed"
