"""The names of tiles in tests: a short name for each tile of an agent, and the tile for a name."""

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
"""The member of an exported node that holds its name in the notation."""

_NAMES = uuid.UUID("7e55e4a0-0000-5000-8000-746573746572")
_INPUT = "Video Input"


class NotationError(TesseraError, ValueError):
    """Raised if a text of the notation cannot be parsed or names an unknown tile; shows the position.

    Attributes
    ----------
    text
        The whole text.
    at
        The offset of the error in `text`, in characters from 0.

    Examples
    --------
    >>> try:
    ...     from tessera.testing import agent
    ...     agent("input > > destination")
    ... except NotationError as error:
    ...     print(error.at)
    8
    """

    code = "validation_error"

    def __init__(self, message: str, text: str = "", at: int = 0) -> None:
        self.message, self.text, self.at = message, text, at
        super().__init__(message + _excerpt(text, at))


def _excerpt(text: str, at: int) -> str:
    """Return the line of a text at an offset, with a caret below the offset."""
    if not text:
        return ""
    start = text.rfind("\n", 0, at) + 1
    line = text[start:].split("\n", 1)[0]
    return f"\n    {line.rstrip()}\n    {' ' * (at - start)}^"


def snake(text: str) -> str:
    """Convert a name to the form of the notation: lower case, words joined by underscores."""
    return re.sub(r"[\W_]+", "_", text.lower()).strip("_")


def key_of(text: str) -> str:
    """Return a comparison key that ignores case, spaces, underscores and hyphens."""
    return re.sub(r"[\W_]+", "", text).casefold()


def node_id(name: str) -> str:
    """Return the id of the tile of this name in an agent that was built from the notation: a UUIDv5.

    Examples
    --------
    >>> node_id("rough_cut") == node_id("Rough Cut")
    True
    """
    return str(uuid.uuid5(_NAMES, snake(name)))


def short_name(node_type: type[NodeType]) -> str:
    """Return the plain name of a tile of this type: `input` for a Video Input, or its name in snake case."""
    if node_type.name == _INPUT:
        return "input"
    short = snake(node_type.name)
    return f"tile_{short}" if not short or short == "via" or short[0].isdigit() else short


class Types:
    """The types of a catalogue by name; ignores case, spaces, underscores and a leading `AI`."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._by_key: dict[str, type[NodeType]] = {}
        input_type = catalogue.find(_INPUT)
        if input_type is not None:
            self._by_key["input"] = input_type
        for node_type in catalogue:
            for name in (node_type.name, short_name(node_type), *node_type.aliases):
                self._by_key.setdefault(key_of(name), node_type)

    def find(self, label: str) -> type[NodeType] | None:
        """Return the type for a label, or None."""
        key = key_of(label)
        return self._by_key.get(key) or self.catalogue.find(label) or self._by_key.get(f"ai{key}")

    def plain(self, name: str) -> tuple[type[NodeType], str] | None:
        """Return the type for a plain name, and the name's normal form: `Mirror_2` → Mirror, `mirror_2`."""
        found = self.find(name)
        if found is not None:
            return found, short_name(found)
        base, _, number = snake(name).rpartition("_")
        found = self.find(base) if base and number.isdecimal() else None
        return (found, f"{short_name(found)}_{number}") if found else None

    def names(self) -> list[str]:
        """Return the plain names of all types."""
        return [short_name(node_type) for node_type in self.catalogue]


class Names:
    """The tiles of one agent by name.

    The name of a tile is its name in the notation, or else the name of its type; the second tile of a type is
    `mirror_2`, and so on in the order of the template.

    Attributes
    ----------
    name_of
        Id → name.
    """

    def __init__(self, template: AgentTemplate) -> None:
        self.template = template
        ids: dict[str, str] = {}
        for tile, wire in zip(template.nodes, template.wires, strict=True):
            name: object = wire.get(MEMBER)
            if isinstance(name, str) and name and snake(name) == name != "via":
                ids.setdefault(name, tile.id)
        # Names from the notation come first, so that a numbered name never takes one of them.
        explicit = {node: name for name, node in ids.items()}
        self._next: dict[str, int] = {}
        self.name_of: dict[str, str] = {}
        for tile in template.nodes:
            name = explicit.get(tile.id) or self._next_free_name(short_name(tile.type), ids)
            ids[name] = tile.id
            self.name_of[tile.id] = name
        self._ids = ids

    def _next_free_name(self, base: str, taken: Mapping[str, str]) -> str:
        count = self._next.get(base, 0) + 1
        while (name := base if count == 1 else f"{base}_{count}") in taken:
            count += 1
        self._next[base] = count
        return name

    def id(self, text: str) -> str:
        """Return the id of a tile by its name, its id, or its type if only one tile has that type.

        Raises
        ------
        NotationError
            If no tile or more than one tile matches.
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
        matches = self._by_type.get(key_of(wanted)) or self._by_type.get(f"ai{key_of(wanted)}", [])
        if len(matches) == 1:
            return matches[0]
        if matches:
            several = ", ".join(self.name_of[node] for node in matches)
            raise NotationError(f"{wanted!r} is ambiguous: use one of {several}")
        from tessera.text.nearest import comma_list, suggestion

        hint = suggestion(wanted, self._ids) or f"; it has: {comma_list(self._ids)}"
        raise NotationError(f"the agent has no tile {wanted!r}{hint}")

    @cached_property
    def _by_type(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for tile in self.template.nodes:
            for name in dict.fromkeys((tile.type.name, *tile.type.aliases)):
                found.setdefault(key_of(name), []).append(tile.id)
        return found

    def with_names(self, text: str, form: str = "{}") -> str:
        """Replace the ids of tiles in a text by their names, each formatted with `form`."""

        def name(match: re.Match[str]) -> str:
            tile = self.template.get(match[0])
            return form.format(self.name_of[tile.id]) if tile else match[0]

        return ID_PATTERN.sub(name, text)

    def with_ids(self, text: str) -> str:
        """Replace names in angle brackets in a text by ids: `/update_params/<clips>/num_clips`."""
        return re.sub(r"<([^<>]+)>", lambda match: self.id(match[1]), text)
