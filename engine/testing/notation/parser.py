"""A notation for agents: `input > rough_cut > {captions, mirror} > watermark > destination`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tessera.agent import AgentTemplate
from tessera.errors import RequestError
from tessera.graph.load import UnknownTiles, load_agent
from tessera.node import Catalogue
from tessera.testing.notation.names import MEMBER, NotationError, Types, node_id, snake

__all__ = ["Chains", "Mention", "agent", "parse"]

_DEEPEST = 50
_WORD = re.compile(r"[^>{},;:()\n#\"=]+")
_SPACE = re.compile(r"(?:[ \t\r\f\v]|#[^\n]*)*")
_SPACES = re.compile(r"(?:\s|#[^\n]*)*")
_PARAMETER = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Mention:
    """A tile where a text mentions it: its name, the type and the parameters that stand there, the place."""

    name: str
    at: int
    type: str | None = None
    params: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Chains:
    """What a text says: every mention of a tile, and the edges between mentions (by their numbers)."""

    text: str
    mentions: list[Mention] = field(default_factory=list)
    edges: list[tuple[int, int]] = field(default_factory=list)


def agent(
    source: Any,
    *,
    name: str | None = None,
    catalogue: Catalogue | None = None,
    unknown_tiles: UnknownTiles = "error",
) -> AgentTemplate:
    """An agent from the notation, or from whatever `load_agent` takes.

    Tiles are joined by `>`; `{a, b}` fans out and in: every member to every member of its neighbours, and a
    member may be a chain. `;` or a new line begins another chain, `#` a comment. A tile that is named again
    is the same tile. A plain name is that of a type, ignoring case, spaces and underscores (`input` is a
    Video Input), perhaps with a number (`mirror_2`); `left:Mirror` names one freely. Parameters are JSON
    values, given at one mention of the tile.

    Parameters
    ----------
    source
        The notation; or a path that ends in `.json`, JSON text, a dict, an `AgentTemplate`.
    name
        What the agent is called.

    Raises
    ------
    NotationError
        The text cannot be read, or names a type that is not known.
    RequestError
        The agent is no good: a cycle, kinds that do not fit, a wrong parameter.

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
    tiles, named = _resolved(chains, Types(catalogue), unknown_tiles)
    nodes = [
        {
            "agent_node_id": node_id(tile),
            MEMBER: tile,
            "node_type": {"node_type_id": type_id, "node_type_name": type_name},
            "params_used": params,
        }
        for tile, (type_id, type_name, params) in tiles.items()
    ]
    pairs = dict.fromkeys((named[source], named[target]) for source, target in chains.edges)
    connections = [
        {"source_agent_node_id": node_id(source), "target_agent_node_id": node_id(target)}
        for source, target in pairs
    ]
    document = {"agent": {"name": name}, "agent_nodes": nodes, "connections": connections}
    try:
        return load_agent(document, catalogue=catalogue, unknown_tiles=unknown_tiles)
    except RequestError as error:
        places = {node_id(tile): tile for tile in tiles}
        for fault in error.errors:
            message = fault.message
            for node, tile in places.items():
                message = message.replace(node, tile)
            error.add_note(f"{fault.loc}: {message}")
        raise


def is_notation(source: Any) -> bool:
    """Whether this is a text of the notation, not a path or JSON."""
    if not isinstance(source, str) or isinstance(source, os.PathLike):
        return False
    text = source.strip()
    return not (text.endswith(".json") or re.match(r"\{\s*[\"}]|\[", text))


_Tiles = dict[str, tuple[str | None, str, dict[str, Any]]]


def _resolved(chains: Chains, types: Types, unknown_tiles: UnknownTiles) -> tuple[_Tiles, list[str]]:
    """Tile → (type id, type name, parameters) in order of first mention, and the tile of every mention."""
    free = {snake(one.name) for one in chains.mentions if one.type is not None}
    tiles: _Tiles = {}
    first: dict[str, str] = {}
    named: list[str] = []
    for mention in chains.mentions:
        name, label = snake(mention.name), mention.type
        if label is None and name in free:
            named.append(name)
            tiles.setdefault(name, (None, "", {}))
        else:
            if label is None:
                plain = types.plain(mention.name)
                if plain is None:
                    raise _unknown(mention, chains.text, [*types.names(), *free])
                found, name = plain
                if name in free:
                    what = f"{mention.name!r} is the plain name of a type, and {name!r} names a tile here"
                    raise NotationError(what, chains.text, mention.at)
                own = (found.type_id, found.name)
            else:
                given = types.find(label)
                if given is None and unknown_tiles == "error":
                    raise _unknown(mention, chains.text, [one.name for one in types.catalogue])
                own = (given.type_id, given.name) if given else (None, label)  # type: ignore[assignment]
            if first.setdefault(name, own[1]) != own[1]:
                what = f"{name!r} is a {first[name]} already, not a {own[1]}"
                raise NotationError(what, chains.text, mention.at)
            named.append(name)
            tiles[name] = (*own, tiles[name][2] if name in tiles else {})
        if mention.params is not None:
            if tiles[name][2]:
                what = f"the parameters of {name!r} are given twice"
                raise NotationError(what, chains.text, mention.at)
            tiles[name][2].update(mention.params)
    return tiles, named


def _unknown(mention: Mention, text: str, known: list[str]) -> NotationError:
    from tessera.text.nearest import nearest

    wanted = mention.name if mention.type is None else mention.type
    near = nearest(wanted.replace("_", " "), known)
    hint = f"; did you mean {' or '.join(near)}?" if near else "; `tessera nodes` lists them"
    return NotationError(f"no type of tile is called {wanted!r}{hint}", text, mention.at)


def parse(text: str) -> Chains:
    """Read the chains of a text, without asking what the names mean.

    Raises
    ------
    NotationError
        The text is not of the notation.
    """
    return _Parser(text).read()


class _Parser:
    """One pass over a text; every method leaves `at` behind what it has read."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.chains = Chains(text)

    def _skip(self, space: re.Pattern[str] = _SPACES) -> str:
        """The next character that counts, or `""` at the end."""
        found = space.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.text[self.at : self.at + 1]

    def _take(self, char: str, space: re.Pattern[str] = _SPACES) -> bool:
        """Step over a character if it is the next that counts; else stay."""
        start = self.at
        if self._skip(space) != char:
            self.at = start
            return False
        self.at += 1
        return True

    def _wrong(self, wanted: str) -> NotationError:
        here = self._skip()
        found = repr(here) if here else "the end"
        return NotationError(f"expected {wanted}, found {found}", self.text, self.at)

    def read(self) -> Chains:
        while self._skip():
            if self._take(";"):
                continue
            self._chain(0)
            if self._skip(_SPACE) not in ("", "\n", ";"):
                raise self._wrong("'>', ';' or a new line")
        return self.chains

    def _chain(self, depth: int) -> tuple[list[int], list[int]]:
        """Read a chain; the mentions that it begins with, and those that it ends with."""
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
        if depth == _DEEPEST:
            raise NotationError(f"groups are nested more than {_DEEPEST} deep", self.text, self.at - 1)
        heads: list[int] = []
        tails: list[int] = []
        while not self._take("}"):
            begins, ends = self._chain(depth + 1)
            heads += begins
            tails += ends
            if not self._take(",") and self._skip() != "}":
                raise self._wrong("',' or '}'")
        if not heads:
            raise NotationError("a group has at least one tile", self.text, self.at - 1)
        return heads, tails

    def _mention(self) -> int:
        self._skip()
        start = self.at
        name = self._word("the name of a tile")
        if snake(name) in ("", "via"):
            raise NotationError(f"{name!r} is no name for a tile", self.text, start)
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
            raise self._wrong(wanted)
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
                    raise self._wrong("the name of a parameter")
                name, self.at = found[0], found.end()
            if not self._take("="):
                raise self._wrong("'='")
            if name in params:
                raise NotationError(f"parameter {name!r} is given twice", self.text, start)
            self._skip()
            params[name] = self._json()
            if not self._take(",") and self._skip() != ")":
                raise self._wrong("',' or ')'")
        return params

    def _json(self) -> Any:
        try:
            value, self.at = _DECODER.raw_decode(self.text, self.at)
        except (ValueError, RecursionError) as error:
            what = f"expected a JSON value: {getattr(error, 'msg', error)}"
            raise NotationError(what, self.text, getattr(error, "pos", self.at)) from None
        return value

    def _json_text(self) -> str:
        value = self._json()
        assert isinstance(value, str)
        return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)
