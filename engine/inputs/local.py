"""Local files and URLs given beside a request, as on the command line, made part of it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tessera.agent import AgentTemplate, Tile, read_json
from tessera.errors import Fault, RequestError, TesseraError
from tessera.request import RunRequest
from tessera.text.nearest import suggestion

__all__ = ["LocalInput", "find_node", "local_inputs", "parse_clip", "with_local_inputs"]


@dataclass(frozen=True, slots=True)
class LocalInput:
    """A path or an http(s) URL, the Video Input that it is for (None: the only one), and the range of it in
    ms.
    """

    place: str
    node: str | None = None
    start_ms: int | None = None
    end_ms: int | None = None

    @property
    def is_url(self) -> bool:
        return re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", self.place) is not None

    def clip(self) -> dict[str, int]:
        """The range as the members of a request."""
        members = {"input_clip_start_ms": self.start_ms, "input_clip_end_ms": self.end_ms}
        return {name: value for name, value in members.items() if value is not None}


def parse_clip(text: str) -> tuple[int | None, int | None]:
    """`START:END` in decimal seconds, either side may be empty: `1.5:4` → (1500, 4000), `:10` → (None,
    10000).

    Raises
    ------
    ValueError
        Not of that form, or finer than a millisecond.
    """
    parts = text.split(":")
    if len(parts) != 2 or not any(part.strip() for part in parts):
        raise ValueError(f"{text!r} is not a clip: give START:END in seconds, as in 1.5:4 or :10")
    return _milliseconds(parts[0], text), _milliseconds(parts[1], text)


def _milliseconds(part: str, whole: str) -> int | None:
    if not part.strip():
        return None
    if not re.fullmatch(r"\d+(\.\d*)?|\.\d+", part.strip()):
        raise ValueError(f"{whole!r} is not a clip: {part!r} is not a number of seconds")
    exact = Fraction(part.strip()) * 1000
    if exact.denominator != 1:
        raise ValueError(f"{whole!r}: a clip is given to the millisecond at the finest")
    return int(exact)


def find_node(template: AgentTemplate, text: str) -> Tile:
    """The node that an id, a unique beginning of one, or a unique tile name (case and spaces ignored) means.

    Raises
    ------
    RequestError
        None, or more than one.
    """
    found = meant(template, text)
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(f"{node.name} {node.id}" for node in found[:6])
        raise RequestError(
            [Fault("", "request", f"{text!r} could mean {len(found)} nodes: {listed}; give an id")]
        )
    known = [node.name for node in template] + [node.id for node in template]
    names = ", ".join(sorted({node.name for node in template}))
    what = f"no node {text!r} in this agent{suggestion(text, known) or f'; it has {names}'}"
    raise RequestError([Fault("", "request", what)])


class _Called(Protocol):
    """What has an id and a name: a tile, or what a record says of one."""

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...


_Any = TypeVar("_Any", bound=_Called)


def meant(tiles: Iterable[_Any], text: str) -> list[_Any]:
    """The tiles that a text means: that of this id, else those of this name, else those whose ids begin so.

    Case, spaces, underscores and hyphens of names do not count.
    """
    tiles, low = list(tiles), text.lower()
    if not text:
        return []
    return (
        [tile for tile in tiles if tile.id.lower() == low]
        or [tile for tile in tiles if _loose(tile.name) == _loose(text)]
        or [tile for tile in tiles if tile.id.lower().startswith(low)]
    )


def _loose(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).casefold()


def with_local_inputs(
    template: AgentTemplate, request: Any, inputs: Sequence[LocalInput], store: Callable[[Path], Any]
) -> dict[str, Any]:
    """The request with local files and URLs added to it.

    Parameters
    ----------
    store
        Makes an asset of a file; its `id` is what the request names.

    Raises
    ------
    RequestError
        A node is unknown, or a file cannot be used: the message names both.
    """
    given: Any = request.to_dict() if isinstance(request, RunRequest) else read_json(request or {}, "request")
    if not isinstance(given, dict):
        raise RequestError([Fault("", "request", "a run request is an object")])
    raw: dict[str, Any] = dict(given)
    faults: list[Fault] = []
    for one in inputs:
        try:
            node = find_node(template, one.node) if one.node is not None else None
            key = one.place if one.is_url else store(Path(one.place)).id
        except RequestError as error:
            faults.extend(error.errors)
            continue
        except TesseraError as error:
            faults.append(Fault("", "request", f"{_whom(template, one)}: {error}"))
            continue
        field = "video_url_inputs" if one.is_url else "video_id_inputs"
        item = {"url" if one.is_url else "id": key, **one.clip()}
        _add(raw, node.id if node else None, field, item)
    if faults:
        raise RequestError(faults)
    return raw


def _whom(template: AgentTemplate, one: LocalInput) -> str:
    """The tile that an input is for, as a message names it."""
    if one.node is not None:
        node = find_node(template, one.node)
        return f"{node.name} {node.id}"
    inputs = [node for node in template if node.type.is_input()]
    return " or ".join(f"{node.name} {node.id}" for node in inputs[:4]) or "input"


def _add(raw: dict[str, Any], node: str | None, field: str, item: dict[str, Any]) -> None:
    """Add a source at top level, or to the entry of a node."""
    holder = raw
    if node is not None:
        entries = list(raw.get("video_inputs") or [])
        raw["video_inputs"] = entries
        at = next((i for i, entry in enumerate(entries) if _is_for(entry, node)), None)
        if at is None:
            entries.append({"agent_node_id": node})
            at = len(entries) - 1
        holder = entries[at] = dict(entries[at])
    holder[field] = [*(holder.get(field) or []), item]


def _is_for(entry: Any, node: str) -> bool:
    return isinstance(entry, dict) and str(entry.get("agent_node_id", "")).lower() == node.lower()


def local_inputs(places: Iterable[str], clip: str | None) -> list[LocalInput]:
    """Inputs as the command line gives them: `[NODE=]PATH_OR_URL`, and one clip for all.

    Raises
    ------
    ValueError
        The clip is not of the form START:END.
    """
    start, end = parse_clip(clip) if clip is not None else (None, None)
    found = []
    for text in places:
        node, equals, place = text.partition("=")
        named = equals and not any(mark in node for mark in "/\\?") and not os.path.exists(text)
        found.append(LocalInput(place, node, start, end) if named else LocalInput(text, None, start, end))
    return found
