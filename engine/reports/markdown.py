"""Text, tables and foldable parts of a comment on GitHub, escaped and limited in size."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice

from tessera.text.masking import masked_prose
from tessera.text.wording import count, one_line, short_ids

__all__ = ["LIMIT", "ROWS", "Comment", "TileLabels", "code", "mermaid_fits", "plain"]

LIMIT = 60_000
"""The largest size of a comment, in bytes of UTF-8: GitHub accepts 65,536 characters."""

ROWS = 100
"""The largest number of rows of a table and of entries of a list."""

_OPEN_ROWS = 25
"""The number of rows from which a table is folded."""

_SHARE = 12_000
"""The largest size of one table or list, in bytes, so that no part crowds out the parts after it."""

_GRAPH = (24_000, 400)
"""The most bytes and connections of a graph. GitHub draws no graph of more than 500 connections."""

_TILES_SHOWN = 8
_SPECIAL = re.compile(r"[!#$&*:<>@\[\\\]^_`{|}~]")
_REFERENCE = re.compile(r"(&#64;|&#35;|&#58;(?=//)|\bGH(?=-\d)|\bwww(?=\.))", re.IGNORECASE)
_BREAK = "&#8203;"
"""A space of no width: GitHub finds `@name`, `#1` and links in the text after it has decoded entities."""


def plain(text: str, limit: int = 300) -> str:
    """Return text that GitHub shows as it is, on one line: no markup, HTML, link, mention or issue reference.

    Parameters
    ----------
    limit
        The length at which the text is cut, in characters.
    """
    escaped = _SPECIAL.sub(_entity, _cut(text, limit))
    return _REFERENCE.sub(rf"\1{_BREAK}", escaped)


def code(text: str, limit: int = 100) -> str:
    """Return text as a code span, in which GitHub looks for no mention. Its content is escaped as HTML."""
    # An HTML element, because a span of backticks cannot hold a pipe in a table, or only backticks.
    return f"<code>{_SPECIAL.sub(_entity, _cut(text, limit)).replace('www.', 'www&#46;') or ' '}</code>"


def _entity(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"


def _cut(text: str, limit: int) -> str:
    # Cut before as well: a name may be of any length, and most of it white space.
    line = one_line(masked_prose(text)[: 4 * limit])
    return line if len(line) <= limit and len(text) <= 4 * limit else line[: limit - 1] + "…"


class TileLabels:
    """Formats tiles as their name and the beginning of their id."""

    def __init__(self, names: Mapping[str, str], ids: Iterable[str] = ()) -> None:
        self.names = names
        self.short = short_ids(chain(names, ids))

    def __call__(self, node: str) -> str:
        name = self.names.get(node)
        return f"{plain(name, 80)} {self.id(node)}" if name else self.id(node)

    def id(self, node: str) -> str:
        return code(self.short.get(node, node[:8]), 40)

    def listed(self, nodes: Sequence[str]) -> str:
        """Return the first tiles, and the number of the others."""
        more = len(nodes) - _TILES_SHOWN
        shown = ", ".join(map(self, nodes[:_TILES_SHOWN]))
        return shown if more <= 0 else f"{shown} and {count(more, 'more tile')}"


class Comment:
    """A comment in the making. Each part is whole, or says how much of it is left out.

    Arguments are Markdown: texts of users must be escaped by `plain` or `code`.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._left = LIMIT

    def text(self) -> str:
        return "\n\n".join(self._parts) + "\n"

    def add(self, part: str) -> bool:
        """Add a paragraph; return False if it does not fit."""
        size = len(part.encode()) + 2
        if size > self._left:
            return False
        self._left -= size
        self._parts.append(part)
        return True

    def bullets(self, title: str, entries: Iterable[str], total: int) -> None:
        """Add the first of `total` entries as a list with a title, unless there are none."""
        shown = _fitting((f"- {entry}" for entry in entries), self._share())
        if not shown:
            return
        more = [f"- … and {total - len(shown):,} more, left out here"] if total > len(shown) else []
        self.add("\n".join([f"**{title}**", "", *shown, *more]))

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], total: int) -> None:
        """Add the first of `total` rows as a table with a title, unless there are none.

        Columns that are empty in all these rows are left out.
        """
        first = list(islice(rows, ROWS))
        used = [index for index in range(len(columns)) if any(row[index] for row in first)]
        lines = (f"| {' | '.join(row[index] for index in used)} |" for row in first)
        shown = _fitting(lines, self._share())
        if not shown:
            return
        header = [f"| {' | '.join(columns[index] for index in used)} |", f"|{' --- |' * len(used)}"]
        text = "\n".join([*header, *shown])
        if total > len(shown):
            text += f"\n\n… and {count(total - len(shown), 'more row')}, left out here"
        if len(shown) > _OPEN_ROWS:
            self.details(f"{title} ({total:,})", text)
        else:
            self.add(f"**{title}**\n\n{text}")

    def details(self, summary: str, body: str) -> bool:
        """Add a part that the reader unfolds; return False if it does not fit."""
        # GitHub reads Markdown within HTML only between blank lines.
        return self.add(f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>")

    def graph(self, mermaid: str, tiles: int, connections: int) -> None:
        """Add a folded graph, or the reason why it is left out."""
        if mermaid and mermaid_fits(connections) and len(mermaid.encode()) <= _GRAPH[0]:
            added = self.details("Graph", f"```mermaid\n{mermaid.rstrip()}\n```")
            if added:
                return
        size = f"{count(tiles, 'tile')} and {count(connections, 'connection')}"
        self.add(f"The graph is left out: {size} are too many for a comment.")

    def _share(self) -> int:
        return min(_SHARE, self._left - 500)


def mermaid_fits(connections: int) -> bool:
    """Return True if GitHub can draw a graph of so many connections, if its text is short enough."""
    return connections <= _GRAPH[1]


def _fitting(lines: Iterable[str], size: int) -> list[str]:
    """Return the first lines that fit."""
    shown: list[str] = []
    for line in islice(lines, ROWS):
        size -= len(line.encode()) + 1
        if size < 0:
            break
        shown.append(line)
    return shown
