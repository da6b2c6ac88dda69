"""The contract of a node type (a *tile*), and the catalogue of those that are installed.

A tile is a class: its facts are class attributes, its parameters a pydantic model, its work the method
`run`. Third-party tiles are found through the entry-point group `tessera.nodes`; each entry point names
an iterable of `NodeType` classes. Ours come in by the same door.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tessera.kinds import NOTHING, REFS, VIDEO, Kind

if TYPE_CHECKING:
    # The contract names what a tile is given, which stands on the floor above: only the types go up.
    from tessera.context import Context
    from tessera.media.algebra.item import Item, Value

__all__ = [
    "NOTHING",
    "REFS",
    "VIDEO",
    "Catalogue",
    "Category",
    "HexColor",
    "Kind",
    "Made",
    "NodeId",
    "NodeType",
    "Params",
    "derived_id",
    "is_id",
    "name_key",
    "opaque",
    "ours",
    "ours_id",
]

ID_PATTERN = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_OURS = uuid.UUID("0d9d5f0c-3c1c-5b0e-9a55-7465737365ff")
ENTRY_POINTS = "tessera.nodes"


def is_id(text: str) -> bool:
    """Whether `text` has the form of an id: 8-4-4-4-12 hex digits, of any UUID version."""
    return ID_PATTERN.fullmatch(text) is not None


def ours_id(name: str) -> str:
    """The id of a node type whose hosted id is not published: a UUIDv5 of its name."""
    return str(uuid.uuid5(_OURS, name))


def derived_id(*parts: str | int) -> str:
    """An id that the same parts always give."""
    digest = blake2b("\0".join(map(str, parts)).encode(), digest_size=16).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"


def _checked_id(text: str) -> str:
    if not is_id(text):
        raise ValueError("must be an id: hex digits in groups of 8-4-4-4-12")
    return text


NodeId = Annotated[str, AfterValidator(_checked_id)]
HexColor = Annotated[str, Field(pattern=r"^#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})$")]


Category = Literal["input", "trigger", "edit", "style", "sound", "generate", "export", "output"]


def ours(default: Any = ..., **constraints: Any) -> Any:
    """A parameter field whose name is ours, not documented by the hosted product (`~` in the contract)."""
    return Field(default, json_schema_extra={"source": "ours"}, **constraints)


class Params(BaseModel):
    """Base of every tile's parameters: JSON types taken strictly, unknown names refused."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, protected_namespaces=(), defer_build=True
    )


@dataclass(frozen=True, slots=True)
class Made:
    """What a tile's `run` yields.

    Attributes
    ----------
    value
        A `Video`, `Audio`, `Image` or `Project`.
    parents
        The incoming items that it was made from.
    why
        In a few words, why it is as it is.
    fidelity
        `"real"`; `"placeholder"` where an offline stand-in made it; `"described"` where nothing did.
    """

    value: Value
    parents: tuple[Item, ...] = ()
    why: str = ""
    fidelity: str = "real"


class NodeType:
    """A kind of tile. Subclass it, set the class attributes, and write `run`.

    Attributes
    ----------
    type_id, name
        The hosted product's id and name; `ours_id(name)` and `source = "ours"` where the id is not published.
    aliases
        Other names met in exports.
    accepts
        The kinds that may be connected into it; empty for a source.
    optional_input
        True where nothing need be connected (`refs` in the contract): then it is a source.
    produces
        What it makes, or None for an output.
    combines
        True where all incoming items become one; else the tile works on each incoming item.
    version
        Raised whenever the same inputs and parameters may give another result; part of the cache key.
    cacheable
        False where it is to work in every run, even when nothing has changed.
    painters
        The functions that draw this tile's `Image.drawn` leaves, by name: called with width, height and the
        leaf's arguments, each gives a Pillow image of that size.
    timeout_s
        The seconds that its work, and each of its renders, may take; None: as long as it takes.
    """

    type_id: ClassVar[str]
    name: ClassVar[str]
    category: ClassVar[Category]
    summary: ClassVar[str] = ""
    aliases: ClassVar[tuple[str, ...]] = ()
    source: ClassVar[Literal["documented", "ours"]] = "documented"
    accepts: ClassVar[frozenset[Kind]] = VIDEO
    optional_input: ClassVar[bool] = False
    produces: ClassVar[Kind | None] = Kind.VIDEO
    combines: ClassVar[bool] = False
    version: ClassVar[int] = 1
    cacheable: ClassVar[bool] = True
    painters: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    timeout_s: ClassVar[float | None] = None

    class Params(Params):
        """No parameters."""

    def run(self, ctx: Context, inputs: Sequence[Item], params: Any) -> Iterable[Made]:
        """Make this tile's items from those that reached it.

        `ctx` is the tile's only window on the world. What is returned is a pure function of the three
        arguments and of the answers that `ctx` gave.
        """
        raise NotImplementedError

    def described(self, ctx: Context, inputs: Sequence[Item], params: Any) -> Iterable[Made]:
        """What a simulation takes this tile to make while it cannot be run: here, its inputs handed on.

        A generator overrides this with what its parameters state.
        """
        for item in inputs:
            yield Made(item.value, (item,), f"{self.name} hands its input on", "described")

    # What follows is derived; a tile does not override it.

    @classmethod
    def executable(cls) -> bool:
        """Whether `run` can make real media with this tile; if not, it can be planned and simulated only."""
        return cls.run is not NodeType.run

    @classmethod
    def is_input(cls) -> bool:
        return cls.category == "input"

    @classmethod
    def is_trigger(cls) -> bool:
        return cls.category == "trigger"

    @classmethod
    def is_output(cls) -> bool:
        return cls.produces is None

    @classmethod
    def is_generator(cls) -> bool:
        """Whether it is a source of its own when nothing is connected into it."""
        return cls.category not in ("input", "trigger") and (cls.optional_input or not cls.accepts)

    @classmethod
    def protected(cls) -> bool:
        """Whether `update_params` may not touch it (contract, section 3)."""
        return cls.category in ("input", "trigger", "output") and cls.name != "Mimir Export"

    @classmethod
    @cache
    def lenient(cls) -> bool:
        """Whether an unknown parameter may be the hosted name of one that we named ourselves."""
        return cls.source == "ours" or any(
            isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("source") == "ours"
            for field in cls.Params.model_fields.values()
        )

    @classmethod
    def least_made(cls, inputs: int) -> int:
        """The least number of items made of `inputs` items; used to refuse explosions before a run."""
        if cls.produces is None:
            return 0
        if not cls.accepts or (inputs == 0 and cls.optional_input):
            return 1
        return min(inputs, 1) if cls.combines or cls.optional_input else inputs

    @classmethod
    @cache
    def defaults(cls) -> Mapping[str, Any]:
        """The default of every parameter that has one, as JSON values."""
        return {
            name: field.get_default(call_default_factory=True)
            for name, field in cls.Params.model_fields.items()
            if not field.is_required()
        }


def opaque(type_id: str | None, name: str | None) -> type[NodeType]:
    """A stand-in for a type that nobody knows: it can be planned and simulated, and hands its inputs on."""
    label = name or type_id or "unnamed"
    known_id = type_id if type_id and is_id(type_id) else ours_id(label)
    facts = {
        "type_id": known_id.lower(),
        "name": label,
        "category": "edit",
        "source": "ours",
        "summary": "An unknown tile, taken as one that hands its inputs on.",
        "accepts": frozenset(Kind),
        "__module__": __name__,
    }
    return type("Opaque", (NodeType,), facts)


def name_key(name: str) -> str:
    """What two names share that differ in case and spaces only."""
    return re.sub(r"\s+", "", name).casefold()


class Catalogue:
    """The node types at hand, found by id or by name (case and spaces ignored).

    Parameters
    ----------
    types
        Node type classes. Two with one id are refused.
    mapping
        A user's own ids or names of the hosted product → a name or id in this catalogue
        (`[node_types]` in `tessera.toml`).
    """

    def __init__(self, types: Iterable[type[NodeType]], mapping: Mapping[str, str] | None = None) -> None:
        self._by_id: dict[str, type[NodeType]] = {}
        self._by_name: dict[str, type[NodeType]] = {}
        for node_type in types:
            check_type(node_type)
            earlier = self._by_id.setdefault(node_type.type_id.lower(), node_type)
            if earlier is not node_type:
                raise ValueError(f"{node_type!r} and {earlier!r} have one type_id, {node_type.type_id}")
            for name in (node_type.name, *node_type.aliases):
                self._by_name.setdefault(name_key(name), node_type)
        self.mapping = dict(mapping or {})
        self._mapped = {name_key(theirs): mine for theirs, mine in self.mapping.items()}

    def __iter__(self) -> Any:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def names(self) -> list[str]:
        """The names of all types, sorted."""
        return sorted(node_type.name for node_type in self._by_id.values())

    def find(self, *wanted: str | None) -> type[NodeType] | None:
        """The type that one of `wanted` (ids or names, the first that is known) means, or None."""
        for text in wanted:
            if not text:
                continue
            found = self._by_id.get(text.lower()) or self._by_name.get(name_key(text))
            if found is not None:
                return found
        for text in wanted:
            mine = self._mapped.get(name_key(text)) if text else None
            if mine is not None:
                return self._by_id.get(mine.lower()) or self._by_name.get(name_key(mine))
        return None

    def nearest(self, wanted: str, limit: int = 3) -> list[str]:
        """The known names most like `wanted`, best first."""
        from tessera.text.nearest import nearest

        return nearest(wanted, self.names(), limit)

    def with_mapping(self, mapping: Mapping[str, str]) -> Catalogue:
        """This catalogue with a user's mapping of node types on top."""
        return Catalogue(self, {**self.mapping, **mapping})

    @staticmethod
    @cache
    def installed() -> Catalogue:
        """Every node type that the entry-point group `tessera.nodes` brings in."""
        from importlib.metadata import entry_points

        types: list[type[NodeType]] = []
        for entry in sorted(
            entry_points(group=ENTRY_POINTS), key=lambda entry: (entry.name != "tessera", entry.name)
        ):
            types.extend(entry.load())
        return Catalogue(types)


def check_type(node_type: type[NodeType]) -> None:
    """Check a tile class against the contract of `NodeType`; raise `TypeError` that names what is missing."""
    if not (isinstance(node_type, type) and issubclass(node_type, NodeType)):
        raise TypeError(f"{node_type!r} is not a subclass of tessera.node.NodeType")
    missing = [name for name in ("type_id", "name", "category") if not hasattr(node_type, name)]
    if missing:
        raise TypeError(f"{node_type.__qualname__} lacks {', '.join(missing)}")
    if not is_id(node_type.type_id):
        raise TypeError(
            f"{node_type.__qualname__}.type_id is {node_type.type_id!r}: not an 8-4-4-4-12 hex id"
        )
    if node_type.category not in get_args(Category):
        raise TypeError(
            f"{node_type.__qualname__}.category is {node_type.category!r}: not one of {get_args(Category)}"
        )
    if not issubclass(node_type.Params, BaseModel):
        raise TypeError(f"{node_type.__qualname__}.Params is not a pydantic model")
