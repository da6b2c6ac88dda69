"""Add local files and URLs, as given on the command line, to a run request."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tessera.agent import AgentTemplate, Tile, read_json
from tessera.errors import Fault, RequestError, TesseraError
from tessera.request import RunRequest
from tessera.text.checked import exact_number
from tessera.text.nearest import suggestion
from tessera.text.wording import replace_lone_surrogates

__all__ = ["LocalInput", "find_node", "local_inputs", "parse_clip", "with_local_inputs"]


@dataclass(frozen=True, slots=True)
class LocalInput:
    """A path or an http(s) URL, its Video Input (None: the only one), and the range to use, in ms."""

    place: str
    node: str | None = None
    start_ms: int | None = None
    end_ms: int | None = None

    @property
    def is_url(self) -> bool:
        return re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", self.place) is not None

    def clip(self) -> dict[str, int]:
        """Return the range as members of a request."""
        members = {"input_clip_start_ms": self.start_ms, "input_clip_end_ms": self.end_ms}
        return {name: value for name, value in members.items() if value is not None}


def parse_clip(text: str) -> tuple[int | None, int | None]:
    """Parse `START:END` in decimal seconds into milliseconds; either side may be empty.

    `1.5:4` → (1500, 4000), `:10` → (None, 10000).

    Raises
    ------
    ValueError
        If the text does not have this form or is finer than a millisecond.
    """
    parts = text.split(":")
    if len(parts) != 2 or not any(part.strip() for part in parts):
        raise ValueError(f"{_cut(text)} is not a clip: use START:END in seconds, as in 1.5:4 or :10")
    return _milliseconds(parts[0], text), _milliseconds(parts[1], text)


def _milliseconds(part: str, whole: str) -> int | None:
    if not part.strip():
        return None
    try:
        # Neither a sign, nor a ratio, nor an exponent.
        plain = re.fullmatch(r"[\d.]+", part.strip(), re.ASCII)
        exact = exact_number(part) * 1000 if plain else None
    except ValueError:
        exact = None
    if exact is None:
        raise ValueError(f"{_cut(whole)} is not a clip: {_cut(part)} is not a number of seconds")
    if exact.denominator != 1:
        raise ValueError(f"{_cut(whole)}: a clip has a precision of at most one millisecond")
    return int(exact)


def _cut(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")


def find_node(template: AgentTemplate, text: str) -> Tile:
    """Return the node with this id, unique id prefix, or unique tile name (case and spaces ignored).

    Raises
    ------
    RequestError
        If no node or more than one matches.
    """
    found = matching_tiles(template, text)
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(f"{node.name} {node.id}" for node in found[:6])
        raise RequestError(
            [Fault("", "request", f"{text!r} could mean {len(found)} nodes: {listed}; give an id")]
        )
    known = [node.name for node in template] + [node.id for node in template]
    names = ", ".join(sorted({node.name for node in template}))
    message = f"no node {text!r} in this agent{suggestion(text, known) or f'; it has {names}'}"
    raise RequestError([Fault("", "request", message)])


class _Named(Protocol):
    """An object with an id and a name: a tile, or its entry in a record."""

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...


_AnyNamed = TypeVar("_AnyNamed", bound=_Named)


def matching_tiles(tiles: Iterable[_AnyNamed], text: str) -> list[_AnyNamed]:
    """Return the tiles that match a text: by id, else by name, else by id prefix.

    Case, spaces, underscores and hyphens in names are ignored.
    """
    tiles, low = list(tiles), text.lower()
    if not text:
        return []
    return (
        [tile for tile in tiles if tile.id.lower() == low]
        or [tile for tile in tiles if _normalised_name(tile.name) == _normalised_name(text)]
        or [tile for tile in tiles if tile.id.lower().startswith(low)]
    )


def _normalised_name(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).casefold()


def with_local_inputs(
    template: AgentTemplate, request: Any, inputs: Sequence[LocalInput], store: Callable[[Path], Any]
) -> dict[str, Any]:
    """Return the request with local files and URLs added.

    Parameters
    ----------
    store
        Stores a file as an asset; the request refers to its `id`.

    Raises
    ------
    RequestError
        If a node is unknown or a file cannot be used: the message names both.
    """
    given: Any = request.to_dict() if isinstance(request, RunRequest) else read_json(request or {}, "request")
    if not isinstance(given, dict):
        raise RequestError([Fault("", "request", "a run request must be an object")])
    raw: dict[str, Any] = dict(given)
    faults: list[Fault] = []
    for item_input in inputs:
        try:
            node = find_node(template, item_input.node) if item_input.node is not None else None
            key = item_input.place if item_input.is_url else store(Path(item_input.place)).id
        except RequestError as error:
            faults.extend(error.errors)
            continue
        except TesseraError as error:
            message = f"{_target_label(template, item_input)}: {error}"
            faults.append(Fault("", "request", message, "unusable_input"))
            continue
        field = "video_url_inputs" if item_input.is_url else "video_id_inputs"
        given_as = {"url": key} if item_input.is_url else {"id": key, "name": _file_name(item_input.place)}
        item = {**given_as, **item_input.clip()}
        _add(raw, node.id if node else None, field, item)
    if faults:
        raise RequestError(faults)
    return raw


def _file_name(place: str) -> str:
    """Return the name by which the user calls a file: content that is stored already may have another one."""
    return replace_lone_surrogates(Path(place).name)


def _target_label(template: AgentTemplate, item_input: LocalInput) -> str:
    """Return the label of the tile that an input belongs to, for messages."""
    if item_input.node is not None:
        node = find_node(template, item_input.node)
        return f"{node.name} {node.id}"
    inputs = [node for node in template if node.type.is_input()]
    return " or ".join(f"{node.name} {node.id}" for node in inputs[:4]) or "input"


def _add(raw: dict[str, Any], node: str | None, field: str, item: dict[str, Any]) -> None:
    """Add a source at the top level of a request, or to the entry of a node."""
    holder = raw
    if node is not None:
        entries = list(raw.get("video_inputs") or [])
        raw["video_inputs"] = entries
        index = next((i for i, entry in enumerate(entries) if _has_node_id(entry, node)), None)
        if index is None:
            entries.append({"agent_node_id": node})
            index = len(entries) - 1
        holder = entries[index] = dict(entries[index])
    holder[field] = [*(holder.get(field) or []), item]


def _has_node_id(entry: Any, node: str) -> bool:
    return isinstance(entry, dict) and str(entry.get("agent_node_id", "")).lower() == node.lower()


def local_inputs(places: Iterable[str], clip: str | None) -> list[LocalInput]:
    """Parse inputs in command-line form: `[NODE=]PATH_OR_URL`, with one clip for all.

    Raises
    ------
    ValueError
        If the clip does not have the form START:END.
    """
    start, end = parse_clip(clip) if clip is not None else (None, None)
    found = []
    for text in places:
        node, equals, place = text.partition("=")
        named = equals and not any(mark in node for mark in "/\\?") and not os.path.exists(text)
        found.append(LocalInput(place, node, start, end) if named else LocalInput(text, None, start, end))
    return found
