"""`tessera diff`: the differences between two agents, plans, requests or runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.cli.commands.runs import record_of
from tessera.cli.display.output import FAILED, OK, put, put_json, refuse
from tessera.cli.formats import ReportFormat
from tessera.cli.options import UnknownTilesName, document
from tessera.errors import NotFound, WorkspaceError
from tessera.text.masking import masked_prose
from tessera.text.wording import printable

if TYPE_CHECKING:
    from rich.text import Text

    from tessera.graph.diff import Comparison, Difference

__all__ = ["diff", "difference_lines"]

_MARKS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}
_WIDEST = 60


def diff(old: str, new: str, workspace: Path | None, unknown: UnknownTilesName, form: ReportFormat) -> int:
    """Compare two documents and return 1 if they differ, else 0."""
    from tessera.graph.diff import diff as compare

    if old == new == "-":
        raise refuse("only one of A and B can be '-': there is one stdin")
    found = compare(_read(old, workspace), _read(new, workspace), unknown_tiles=unknown)
    if form is ReportFormat.JSON:
        put_json({"a": old, "b": new, **found.to_dict()})
    elif form is ReportFormat.MARKDOWN:
        from tessera.reports.diff_markdown import diff_markdown

        put(diff_markdown(found, _called(old), _called(new)))
    else:
        from tessera.cli.display.tables import show

        show(_lines(found, old, new))
    return FAILED if found else OK


def _read(argument: str, workspace: Path | None) -> Any:
    """Return the document or the record of the run in an argument."""
    if argument == "-" or argument.lstrip("\ufeff \t\r\n")[:1] in ("{", "["):
        return document(argument)
    path = Path(argument)
    if _is(path.exists) or path.suffix or len(path.parts) != 1:
        return argument
    try:
        return record_of(argument, workspace)
    except NotFound as error:
        raise NotFound(f"no file {argument!r}, and {error}") from None
    except WorkspaceError as error:  # exit code 1 would mean that the two differ
        raise NotFound(str(error)) from None


def _is(ask: Any) -> bool:
    """Return the result of a check of a path, or False for an impossible path."""
    try:
        return bool(ask())
    except (OSError, ValueError):
        return False


def _lines(found: Comparison, old: str, new: str) -> Iterator[Text]:
    from rich.text import Text

    if found:
        kinds = dict.fromkeys(found.kinds)
        yield Text(f"{' and '.join(f'{kind}s' for kind in kinds)} differ: {found.summary()}", style="bold")
        yield Text(f"--- {_called(old)}", style="red")
        yield Text(f"+++ {_called(new)}", style="green")
    else:
        yield Text("no differences")
    yield from difference_lines(found)


def difference_lines(found: Comparison) -> Iterator[Text]:
    """Yield one line per difference, then the notes."""
    from rich.text import Text

    from tessera.reports.differences import subject

    names = _TileNames(found)
    for one in found.differences:
        mark, colour = _MARKS[one.change]
        yield Text.assemble(
            (f"{mark} {one.section:9} ", colour), printable(subject(one, names, str)), *_values(one, names)
        )
    for note in found.notes:
        yield Text(f"note: {printable(note)}")


def _called(argument: str) -> str:
    """Return the name of a document for a heading."""
    text = printable(" ".join(masked_prose(argument).split()))
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


class _TileNames:
    """Formats tiles as their name and a short id."""

    def __init__(self, found: Comparison) -> None:
        from tessera.text.wording import short_ids

        listed = (
            *found.names,
            *(node for one in found.differences for node in (one.node, one.target) if node),
        )
        self.short, self.names = short_ids(listed), found.names

    def __call__(self, node: str) -> str:
        return f"{self.names.get(node, '')} {self.short.get(node, node[:8])}".strip()


def _values(one: Difference, names: _TileNames) -> Iterator[tuple[str, str]]:
    """Yield the old and the new value with their colours."""
    from tessera.reports.differences import has_values, value_text

    if one.section == "edge":
        yield from _rewiring(one, names)
    elif has_values(one):
        if one.change != "added":
            yield f"  {printable(value_text(one, one.old, one.old_origin))}", "red"
        if one.change == "changed":
            yield " →", ""
        if one.change != "removed":
            yield f" {printable(value_text(one, one.new, one.new_origin))}", "green"
    if one.note:
        yield f"  ({printable(one.note)})", ""


def _rewiring(one: Difference, names: _TileNames) -> Iterator[tuple[str, str]]:
    """Yield the tiles that a rewired connection skips."""
    for value, colour in ((one.old, "red"), (one.new, "green")):
        if value or (one.change == "changed" and value is not None):
            yield f"  past {printable(', '.join(map(names, value)) or 'nothing')}", colour
            if one.change == "changed" and colour == "red":
                yield " →", ""
