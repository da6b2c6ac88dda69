"""Escaped HTML for notebooks: no script, no network, readable on light and on dark backgrounds.

Styles are attributes, because some notebooks remove `<style>`. Text takes the colour of the notebook.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from tessera.drawing.svg_primitives import xml
from tessera.text.masking import masked_prose
from tessera.text.wording import count, one_line

__all__ = ["ROWS", "bullets", "code", "heading", "page", "picture", "table", "text"]

ROWS = 100
"""The largest number of rows of a table and of entries of a list."""

_OPEN_ROWS = 25
"""The number of rows from which a table is folded."""

_LINE = "1px solid rgba(127, 127, 127, 0.35)"
_CELL = f"padding: 3px 12px 3px 0; text-align: left; vertical-align: top; border-bottom: {_LINE}"


def text(value: str, limit: int = 300) -> str:
    """Return text as HTML, on one line and cut at `limit` characters."""
    # Cut before as well: a name may be of any length, and most of it white space.
    line = one_line(masked_prose(value)[: 4 * limit])
    return xml(line if len(line) <= limit and len(value) <= 4 * limit else line[: limit - 1] + "…")


def code(value: str, limit: int = 100) -> str:
    return f'<code style="font-size: 0.95em; background: none; color: inherit">{text(value, limit)}</code>'


def heading(title: str, details: str) -> str:
    """Return the first line of a display; both arguments are HTML."""
    return f'<p style="margin: 4px 0"><strong>{title}</strong>: {details}</p>'


def bullets(title: str, entries: Iterable[str], total: int) -> str:
    """Return the first of `total` entries (HTML) as a list, or `""` if there are none."""
    shown = list(islice(entries, ROWS))
    if not shown:
        return ""
    if total > len(shown):
        shown.append(f"… and {total - len(shown):,} more, left out here")
    items = "".join(f"<li>{entry}</li>" for entry in shown)
    return f'{_title(title)}<ul style="margin: 2px 0 8px; padding-left: 20px">{items}</ul>'


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], total: int) -> str:
    """Return the first of `total` rows (HTML cells) as a table, or `""` if there are none.

    Columns that are empty in all these rows are left out. A long table is folded.
    """
    shown = list(islice(rows, ROWS))
    used = [index for index in range(len(columns)) if any(row[index] for row in shown)]
    if not shown:
        return ""
    head = "".join(f'<th style="{_CELL}; font-weight: 600">{columns[index]}</th>' for index in used)
    body = "".join(
        f'<tr style="background: none">{"".join(_cell(row[index]) for index in used)}</tr>' for row in shown
    )
    left_out = total - len(shown)
    note = f"<p>… and {count(left_out, 'more row')}, left out here</p>" if left_out > 0 else ""
    made = (
        '<table style="border-collapse: collapse; margin: 2px 0 8px; font-size: inherit; color: inherit">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"
    )
    if len(shown) <= _OPEN_ROWS:
        return _title(title) + made
    return f"<details><summary>{title} ({total:,})</summary>{made}</details>"


def _cell(content: str) -> str:
    return f'<td style="{_CELL}">{content}</td>'


def picture(svg: str) -> str:
    """Return a drawing on a white card, since it is drawn in dark ink, at most as wide as the page."""
    fitted = svg.strip().replace("<svg ", '<svg style="max-width: 100%; height: auto; display: block" ', 1)
    return (
        '<div style="background: #ffffff; color-scheme: light; overflow: auto; max-height: 640px; '
        f'max-width: 100%; margin: 6px 0; border: {_LINE}; border-radius: 6px">{fitted}</div>'
    )


def page(parts: Iterable[str]) -> str:
    """Return the parts of a display as one element."""
    return f'<div style="font-size: 13px; line-height: 1.45">{"".join(parts)}</div>\n'


def _title(title: str) -> str:
    return f'<div style="margin-top: 6px; font-weight: 600">{title}</div>'
