"""What the tiles of an agent are called in tests: a short name for each, and back."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from functools import cached_property

from tessera.agent import AgentTemplate
from tessera.errors import TesseraError
from tessera.node import ID_PATTERN, Catalogue, NodeType, is_id

__all__ = ["MEMBER", "Names", "NotationError", "Types", "key_of", "node_id", "short_name", "snake"]

MEMBER = "tile_name"
"""The member of an exported node that keeps its name in the notation."""

_NAMES = uuid.UUID("7e55e4a0-0000-5000-8000-746573746572")
_INPUT = "Video Input"


class NotationError(TesseraError, ValueError):
    """A text of the notation cannot be read, or names what is not there; shows the place."""

    code = "validation_error"

    def __init__(self, message: str, text: str = "", at: int = 0) -> None:
        self.message, self.text, self.at = message, text, at
        super().__init__(message + _shown(text, at))


def _shown(text: str, at: int) -> str:
    """The line of a text that holds a place, with a mark below the place."""
    if not text:
        return ""
    start = text.rfind("\n", 0, at) + 1
    line = text[start:].split("\n", 1)[0]
    return f"\n    {line.rstrip()}\n    {' ' * (at - start)}^"


def snake(text: str) -> str:
    """A name as the notation writes it: lower case, words joined by underscores."""
    return re.sub(r"[\W_]+", "_", text.lower()).strip("_")


def key_of(text: str) -> str:
    """What two names share that differ in case, spaces, underscores and hyphens only."""
    return re.sub(r"[\W_]+", "", text).casefold()


def node_id(name: str) -> str:
    """The id that the notation gives to the tile of this name: a UUIDv5 of it.

    Examples
    --------
    >>> node_id("rough_cut") == node_id("Rough Cut")
    True
    """
    return str(uuid.uuid5(_NAMES, snake(name)))


def short_name(node_type: type[NodeType]) -> str:
    """The plain name of a tile of this type: `input` for a Video Input, else its name in snake case."""
    if node_type.name == _INPUT:
        return "input"
    short = snake(node_type.name)
    return f"tile_{short}" if not short or short == "via" or short[0].isdigit() else short


class Types:
    """The types of a catalogue by their names, ignoring case, spaces, underscores and a leading `AI`."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._by_key: dict[str, type[NodeType]] = {}
        own = catalogue.find(_INPUT)
        if own is not None:
            self._by_key["input"] = own
        for node_type in catalogue:
            for name in (node_type.name, short_name(node_type), *node_type.aliases):
                self._by_key.setdefault(key_of(name), node_type)

    def find(self, label: str) -> type[NodeType] | None:
        """The type that a label means, or None."""
        key = key_of(label)
        return self._by_key.get(key) or self.catalogue.find(label) or self._by_key.get(f"ai{key}")

    def plain(self, name: str) -> tuple[type[NodeType], str] | None:
        """The type that a plain name means, and the name in full: `Mirror_2` is a `Mirror`, `mirror_2`."""
        found = self.find(name)
        if found is not None:
            return found, short_name(found)
        base, _, number = snake(name).rpartition("_")
        found = self.find(base) if base and number.isdecimal() else None
        return (found, f"{short_name(found)}_{number}") if found else None

    def names(self) -> list[str]:
        """Every plain name."""
        return [short_name(node_type) for node_type in self.catalogue]


class Names:
    """The tiles of one agent by name.

    A tile is called what the notation called it; else by its type, the second of a type `mirror_2`, and so on
    in the order of the template.

    Attributes
    ----------
    of
        Id → name.
    """

    def __init__(self, template: AgentTemplate) -> None:
        self.template = template
        own: dict[str, str] = {}
        for tile, wire in zip(template.nodes, template.wires, strict=True):
            name: object = wire.get(MEMBER)
            if isinstance(name, str) and name and snake(name) == name != "via":
                own.setdefault(name, tile.id)
        named = {node: name for name, node in own.items()}
        self._next: dict[str, int] = {}
        self.of: dict[str, str] = {}
        for tile in template.nodes:
            name = named.get(tile.id) or self._free(short_name(tile.type), own)
            own[name] = tile.id
            self.of[tile.id] = name
        self._ids = own

    def _free(self, base: str, taken: Mapping[str, str]) -> str:
        count = self._next.get(base, 0) + 1
        while (name := base if count == 1 else f"{base}_{count}") in taken:
            count += 1
        self._next[base] = count
        return name

    def id(self, text: str) -> str:
        """The id of the tile that a name, an id, or the name of a type that one tile has, means.

        Raises
        ------
        NotationError
            No tile or more than one is meant.
        """
        wanted = text.strip()
        if wanted.startswith("<") and wanted.endswith(">"):
            wanted = wanted[1:-1]
        found = self._ids.get(snake(wanted))
        if found is not None:
            return found
        if is_id(wanted):
            tile = self.template.get(wanted)
            if tile is not None:
                return tile.id
        alike = self._by_type.get(key_of(wanted)) or self._by_type.get(f"ai{key_of(wanted)}", [])
        if len(alike) == 1:
            return alike[0]
        if alike:
            several = ", ".join(self.of[node] for node in alike)
            raise NotationError(f"several tiles are a {wanted}: {several}; say which")
        from tessera.text.nearest import comma_list, suggestion

        hint = suggestion(wanted, self._ids) or f"; its tiles: {comma_list(self._ids)}"
        raise NotationError(f"the agent has no tile {wanted!r}{hint}")

    @cached_property
    def _by_type(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for tile in self.template.nodes:
            for name in dict.fromkeys((tile.type.name, *tile.type.aliases)):
                found.setdefault(key_of(name), []).append(tile.id)
        return found

    def said(self, text: str, form: str = "{}") -> str:
        """A text with names in place of the ids of tiles."""

        def name(match: re.Match[str]) -> str:
            tile = self.template.get(match[0])
            return form.format(self.of[tile.id]) if tile else match[0]

        return ID_PATTERN.sub(name, text)

    def filled(self, text: str) -> str:
        """A text with ids in place of names in angle brackets: `/update_params/<clips>/num_clips`."""
        return re.sub(r"<([^<>]+)>", lambda match: self.id(match[1]), text)
