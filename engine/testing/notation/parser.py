"""The notation for agents: `input > rough_cut > {captions, mirror} > watermark > destination`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from tessera.agent import AgentTemplate
from tessera.errors import RequestError
from tessera.graph.load import UnknownTiles, load_agent
from tessera.node import Catalogue
from tessera.testing.notation.names import MEMBER, NotationError, Types, node_id, snake

__all__ = ["Chains", "Mention", "agent", "parse"]

_MAX_DEPTH = 50
_WORD = re.compile(r"[^>{},;:()\n#\"=]+")
_SPACE = re.compile(r"(?:[ \t\r\f\v]|#[^\n]*)*")
_SPACES = re.compile(r"(?:\s|#[^\n]*)*")
_PARAMETER = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Mention:
    """One mention of a tile in a text: its name, its offset, and the type and parameters given there."""

    name: str
    at: int
    type: str | None = None
    params: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Chains:
    """The content of a text: every mention of a tile, and the edges as pairs of indices of mentions."""

    text: str
    mentions: list[Mention] = field(default_factory=list)
    edges: list[tuple[int, int]] = field(default_factory=list)


AgentSource = str | bytes | os.PathLike[str] | Mapping[str, Any] | AgentTemplate
"""The notation, or an exported agent: a path, JSON text or bytes, an object or a loaded agent."""


def agent(
    source: AgentSource,
    *,
    name: str | None = None,
    catalogue: Catalogue | None = None,
    unknown_tiles: UnknownTiles = "error",
) -> AgentTemplate:
    """Build an agent from the notation, or from any source that `load_agent` accepts.

    `>` connects tiles. `{a, b}` fans out and in: every member connects to every member of its neighbours, and
    a member may be a chain. `;` or a new line starts another chain, `#` starts a comment. A repeated name is
    the same tile. A plain name is the name of a type, ignoring case, spaces and underscores (`input` is a
    Video Input), with an optional number (`mirror_2`); `left:Mirror` gives a Mirror a free name. Parameters
    are JSON values, given at one mention of the tile.

    Parameters
    ----------
    source
        The notation; or a path that ends in `.json`, JSON text, a dict, an `AgentTemplate`.
    name
        The name of the agent.
    catalogue
        The known node types; by default all installed ones.
    unknown_tiles
        As in `load_agent`.

    Raises
    ------
    NotationError
        If the text cannot be parsed or names an unknown type.
    RequestError
        If the agent is invalid: for example a cycle, incompatible tiles, or a wrong parameter.

    Examples
    --------
    >>> a = agent("input > clips(num_clips=3) > {left:Mirror, reframe} > destination")
    >>> [tile.name for tile in a]
    ['Video Input', 'Clips', 'Mirror', 'Reframe', 'Destination']
    """
    if not is_notation(source):
        return load_agent(source, catalogue=catalogue, unknown_tiles=unknown_tiles)
    if catalogue is None:
        from tessera.settings import default_catalogue

        catalogue = default_catalogue()
    chains = parse(source)
    tiles, mentioned = _resolve(chains, Types(catalogue), unknown_tiles)
    nodes = [
        {
            "agent_node_id": node_id(tile),
            MEMBER: tile,
            "node_type": {"node_type_id": type_id, "node_type_name": type_name},
            "params_used": params,
        }
        for tile, (type_id, type_name, params) in tiles.items()
    ]
    pairs = dict.fromkeys((mentioned[source], mentioned[target]) for source, target in chains.edges)
    connections = [
        {"source_agent_node_id": node_id(source), "target_agent_node_id": node_id(target)}
        for source, target in pairs
    ]
    document = {"agent": {"name": name}, "agent_nodes": nodes, "connections": connections}
    try:
        return load_agent(document, catalogue=catalogue, unknown_tiles=unknown_tiles)
    except RequestError as error:
        # The ids are derived from the names, so the author of the test knows only the names.
        for fault in error.errors:
            message = fault.message
            for tile in tiles:
                message = message.replace(node_id(tile), tile)
            error.add_note(f"{fault.loc}: {message}")
        raise


def is_notation(source: object) -> TypeGuard[str]:
    """Return True if the source is a text of the notation, not a path or JSON."""
    if not isinstance(source, str) or isinstance(source, os.PathLike):
        return False
    text = source.strip()
    return not (text.endswith(".json") or re.match(r"\{\s*[\"}]|\[", text))


_Tiles = dict[str, tuple[str | None, str, dict[str, Any]]]


def _resolve(chains: Chains, types: Types, unknown_tiles: UnknownTiles) -> tuple[_Tiles, list[str]]:
    """Return tile → (type id, type name, parameters) by first mention, and the tile of every mention."""
    free_names = {snake(mention.name) for mention in chains.mentions if mention.type is not None}
    tiles: _Tiles = {}
    first_types: dict[str, str] = {}
    mentioned: list[str] = []
    for mention in chains.mentions:
        name, label = snake(mention.name), mention.type
        if label is None and name in free_names:
            mentioned.append(name)
            # The type follows at a later mention; this entry only keeps the order.
            tiles.setdefault(name, (None, "", {}))
        else:
            if label is None:
                plain = types.plain(mention.name)
                if plain is None:
                    raise _unknown_type(mention, chains.text, [*types.names(), *free_names])
                found, name = plain
                if name in free_names:
                    message = f"{mention.name!r} is the plain name of a type, but {name!r} names a tile here"
                    raise NotationError(message, chains.text, mention.at)
                type_info = (found.type_id, found.name)
            else:
                labelled = types.find(label)
                if labelled is None and unknown_tiles == "error":
                    raise _unknown_type(mention, chains.text, [known.name for known in types.catalogue])
                type_info = (labelled.type_id, labelled.name) if labelled else (None, label)  # type: ignore[assignment]
            if first_types.setdefault(name, type_info[1]) != type_info[1]:
                message = f"{name!r} is already a {first_types[name]}, not a {type_info[1]}"
                raise NotationError(message, chains.text, mention.at)
            mentioned.append(name)
            tiles[name] = (*type_info, tiles[name][2] if name in tiles else {})
        if mention.params is not None:
            if tiles[name][2]:
                message = f"the parameters of {name!r} are given twice"
                raise NotationError(message, chains.text, mention.at)
            tiles[name][2].update(mention.params)
    return tiles, mentioned


def _unknown_type(mention: Mention, text: str, known: list[str]) -> NotationError:
    from tessera.text.nearest import nearest

    wanted = mention.name if mention.type is None else mention.type
    near = nearest(wanted.replace("_", " "), known)
    hint = f"; did you mean {' or '.join(near)}?" if near else "; `tessera nodes` lists them"
    return NotationError(f"unknown node type {wanted!r}{hint}", text, mention.at)


def parse(text: str) -> Chains:
    """Parse the chains of a text, without resolving the names.

    Raises
    ------
    NotationError
        If the text is not valid notation.
    """
    return _Parser(text).read()


class _Parser:
    """Parses a text in one pass; every method leaves `at` behind the text that it has read."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.chains = Chains(text)

    def _skip(self, space: re.Pattern[str] = _SPACES) -> str:
        """Skip space and return the next character, or `""` at the end."""
        found = space.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.text[self.at : self.at + 1]

    def _take(self, char: str, space: re.Pattern[str] = _SPACES) -> bool:
        """Consume a character and return True if it comes next; otherwise do not move."""
        start = self.at
        if self._skip(space) != char:
            self.at = start
            return False
        self.at += 1
        return True

    def _unexpected(self, wanted: str) -> NotationError:
        here = self._skip()
        found = repr(here) if here else "the end of the text"
        return NotationError(f"expected {wanted}, found {found}", self.text, self.at)

    def read(self) -> Chains:
        while self._skip():
            if self._take(";"):
                continue
            self._chain(0)
            if self._skip(_SPACE) not in ("", "\n", ";"):
                raise self._unexpected("'>', ';' or a new line")
        return self.chains

    def _chain(self, depth: int) -> tuple[list[int], list[int]]:
        """Read a chain and return the mentions at its start and at its end."""
        heads, tails = self._stage(depth)
        while self._take(">"):
            nexts, ends = self._stage(depth)
            self.chains.edges.extend((source, target) for source in tails for target in nexts)
            tails = ends
        return heads, tails

    def _stage(self, depth: int) -> tuple[list[int], list[int]]:
        if not self._take("{"):
            mention = self._mention()
            return [mention], [mention]
        if depth == _MAX_DEPTH:
            raise NotationError(f"groups are nested deeper than {_MAX_DEPTH} levels", self.text, self.at - 1)
        heads: list[int] = []
        tails: list[int] = []
        while not self._take("}"):
            begins, ends = self._chain(depth + 1)
            heads += begins
            tails += ends
            if not self._take(",") and self._skip() != "}":
                raise self._unexpected("',' or '}'")
        if not heads:
            raise NotationError("a group needs at least one tile", self.text, self.at - 1)
        return heads, tails

    def _mention(self) -> int:
        self._skip()
        start = self.at
        name = self._word("the name of a tile")
        if snake(name) in ("", "via"):
            raise NotationError(f"{name!r} is not a valid name for a tile", self.text, start)
        label: str | None = None
        if self._take(":", _SPACE):
            self._skip()
            label = self._json_text() if self._skip() == '"' else self._word("the name of a type")
        params = self._params() if self._take("(", _SPACE) else None
        self.chains.mentions.append(Mention(name, start, label, params))
        return len(self.chains.mentions) - 1

    def _word(self, wanted: str) -> str:
        found = _WORD.match(self.text, self.at)
        if not found or not found[0].strip():
            raise self._unexpected(wanted)
        self.at = found.end()
        return found[0].strip()

    def _params(self) -> dict[str, Any]:
        params: dict[str, Any] = {}
        while not self._take(")"):
            quoted = self._skip() == '"'
            start = self.at
            if quoted:
                name = self._json_text()
            else:
                found = _PARAMETER.match(self.text, self.at)
                if not found:
                    raise self._unexpected("the name of a parameter")
                name, self.at = found[0], found.end()
            if not self._take("="):
                raise self._unexpected("'='")
            if name in params:
                raise NotationError(f"parameter {name!r} is given twice", self.text, start)
            self._skip()
            params[name] = self._json()
            if not self._take(",") and self._skip() != ")":
                raise self._unexpected("',' or ')'")
        return params

    def _json(self) -> Any:
        try:
            value, self.at = _DECODER.raw_decode(self.text, self.at)
        except (ValueError, RecursionError) as error:
            message = f"expected a JSON value: {getattr(error, 'msg', error)}"
            raise NotationError(message, self.text, getattr(error, "pos", self.at)) from None
        return value

    def _json_text(self) -> str:
        value = self._json()
        assert isinstance(value, str)
        return value


def _reject_constant(name: str) -> Any:
    # Python's decoder accepts NaN and Infinity, which are not JSON.
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_reject_constant)
