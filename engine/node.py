"""The contract of a node type (a *tile*), and the catalogue of installed node types.

A tile is a subclass of `NodeType`: class attributes describe it, a pydantic model holds its parameters, and
the method `run` does its work. Tiles are found through the entry-point group `tessera.nodes`. Each entry
point names an iterable of `NodeType` classes. The tiles that come with Tessera are registered the same way.

>>> from tessera.node import NodeType, Made, ours_id
>>> class Hold(NodeType):
...     type_id, name, category, source = ours_id("Hold"), "Hold", "edit", "ours"
...     summary = "Pass every video on unchanged."
...
...     def run(self, ctx, inputs, params):
...         for item in inputs:
...             yield Made(item.value, parents=(item,), why="unchanged")
>>> Catalogue([Hold]).find("hold").name
'Hold'
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
    # Types only: these modules are one layer up and import this one at run time.
    from tessera.context import Context
    from tessera.media.algebra.item import Item, Value
    from tessera.plug_ins import PlugInFailure

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
    "OldNames",
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


def is_id(text: str) -> bool:
    """Return True if `text` has the form of an id: 8-4-4-4-12 hex digits, of any UUID version."""
    return ID_PATTERN.fullmatch(text) is not None


def ours_id(name: str) -> str:
    """Return an id for a node type without a published hosted id: a UUIDv5 of its name."""
    return str(uuid.uuid5(_OURS, name))


def derived_id(*parts: str | int) -> str:
    """Return an id derived from `parts`. The same parts always give the same id."""
    digest = blake2b("\0".join(map(str, parts)).encode(), digest_size=16).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"


def _check_id(text: str) -> str:
    if not is_id(text):
        raise ValueError("must be an id: hex digits in groups of 8-4-4-4-12")
    return text


NodeId = Annotated[str, AfterValidator(_check_id)]
HexColor = Annotated[str, Field(pattern=r"^#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})$")]


Category = Literal["input", "trigger", "edit", "style", "sound", "generate", "export", "output"]


def ours(default: Any = ..., **constraints: Any) -> Any:
    """Return a parameter field that the hosted product does not document (`~` in the contract).

    `default` and `constraints` are those of `pydantic.Field`.
    """
    return Field(default, json_schema_extra={"source": "ours"}, **constraints)


@dataclass(frozen=True, slots=True)
class OldNames:
    """Marks a parameter some of whose values once had other names: old name → present name.

    Agents with an old name stay readable, with a warning:
    `Annotated[Literal["top"], OldNames({"upper": "top"})]`.
    """

    names: Mapping[str, str]

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Replace an old name before the value is checked."""
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(self.replace, handler(source))

    def replace(self, value: Any) -> Any:
        """Return the present name of a value."""
        return self.names.get(value, value) if isinstance(value, str) else value


class Params(BaseModel):
    """Base class of a tile's parameters. JSON types are strict, and unknown names are errors."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, protected_namespaces=(), defer_build=True
    )


@dataclass(frozen=True, slots=True)
class Made:
    """An item made by a tile: the values that `NodeType.run` yields.

    Attributes
    ----------
    value
        A `Video`, `Audio`, `Image` or `Project`.
    parents
        The incoming items that it was made from.
    why
        The reason for this item in a few words, shown in records and by `tessera explain`.
    fidelity
        `"real"` for real media, `"placeholder"` for an offline substitute, `"described"` if there is only a
        description and no media.
    """

    value: Value
    parents: tuple[Item, ...] = ()
    why: str = ""
    fidelity: str = "real"


class NodeType:
    """A kind of tile. Subclass it, set the class attributes and implement `run`.

    `type_id`, `name` and `category` are required. The defaults of the others describe a tile that takes
    videos and makes one video from each. A nested class `Params`, a subclass of `tessera.node.Params`,
    declares the parameters.

    Attributes
    ----------
    type_id, name
        The id and the name in the hosted product. If the id is not published, use `ours_id(name)` and set
        `source = "ours"`.
    category
        The group in the catalogue, one of `Category`. `"input"`, `"trigger"` and `"output"` are protected:
        requests cannot override their parameters.
    summary
        One sentence on what the tile does, for `tessera nodes`.
    aliases
        Other names of this type in exported agents.
    source
        `"documented"` if the hosted product documents the type, else `"ours"`.
    accepts
        The kinds of media that may be connected to it; empty for a source.
    optional_input
        True if it also works without a connection (`refs` in the contract). It is a source then.
    produces
        The kind of media that it makes, or None for an output tile.
    combines
        True if it makes one item from all incoming items; False if it works on each incoming item.
    version
        The version of the implementation, part of the cache key. Increment it whenever the same inputs and
        parameters may give a different result.
    cacheable
        False if the tile must work in every run, even when nothing has changed.
    painters
        The functions that draw this tile's `Image.drawn` leaves, by name. Each takes the width, the height
        (in pixels) and the leaf's arguments, and returns a Pillow image of that size.
    timeout_s
        The time limit of its work, and of each of its renders, in seconds. None: no limit.
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
        """Yield the items that this tile makes from its incoming items.

        The result must be a pure function of the arguments and of the answers of `ctx`: caching, resuming and
        simulation rely on it. A tile must not read files, the network, the clock or random numbers itself.

        Parameters
        ----------
        ctx
            The only access to media and to facts about them.
        inputs
            The incoming items, in order.
        params
            The parameters, an instance of `Params`.

        Raises
        ------
        TileError
            If the tile cannot do its work.
        """
        raise NotImplementedError

    def described(self, ctx: Context, inputs: Sequence[Item], params: Any) -> Iterable[Made]:
        """Yield the items that a simulation assumes if `run` is not implemented.

        By default they are the inputs, unchanged. A generator overrides this method and describes its items
        from its parameters.
        """
        for item in inputs:
            yield Made(item.value, (item,), f"{self.name} passes its input on", "described")

    # The methods below are derived from the attributes; a tile does not override them.

    @classmethod
    def executable(cls) -> bool:
        """Return True if the tile implements `run`. Otherwise it can only be planned and simulated."""
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
        """Return True if it makes items without any connection, and is neither an input nor a trigger."""
        return cls.category not in ("input", "trigger") and (cls.optional_input or not cls.accepts)

    @classmethod
    def protected(cls) -> bool:
        """Return True if `update_params` may not change its parameters (contract, section 3)."""
        return cls.category in ("input", "trigger", "output") and cls.name != "Mimir Export"

    @classmethod
    @cache
    def lenient(cls) -> bool:
        """Return True if an unknown parameter is kept with a warning instead of being an error.

        A type with undocumented names is lenient: the hosted product may use other names for them.
        """
        return cls.source == "ours" or any(
            isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("source") == "ours"
            for field in cls.Params.model_fields.values()
        )

    @classmethod
    def least_made(cls, inputs: int) -> int:
        """Return the least number of items made from `inputs` items.

        The planner uses it to reject agents with too many items before a run.
        """
        if cls.produces is None:
            return 0
        if not cls.accepts or (inputs == 0 and cls.optional_input):
            return 1
        return min(inputs, 1) if cls.combines or cls.optional_input else inputs

    @classmethod
    @cache
    def defaults(cls) -> Mapping[str, Any]:
        """Return the default of every parameter that has one, as JSON values."""
        return {
            name: field.get_default(call_default_factory=True)
            for name, field in cls.Params.model_fields.items()
            if not field.is_required()
        }


def opaque(type_id: str | None, name: str | None) -> type[NodeType]:
    """Return a substitute for an unknown node type. It passes its inputs on in plans and simulations."""
    label = name or type_id or "unnamed"
    known_id = type_id if type_id and is_id(type_id) else ours_id(label)
    facts = {
        "type_id": known_id.lower(),
        "name": label,
        "category": "edit",
        "source": "ours",
        "summary": "An unknown tile, assumed to pass its inputs on.",
        "accepts": frozenset(Kind),
        "__module__": __name__,
    }
    return type("Opaque", (NodeType,), facts)


def name_key(name: str) -> str:
    """Return the lookup key of a name: names that differ only in case and spaces share it."""
    return re.sub(r"\s+", "", name).casefold()


class Catalogue:
    """A collection of node types, found by id or by name.

    Case and spaces in names do not matter. If two types share a name or an alias, the first one keeps it.
    Iteration yields the types in the order of registration.

    Parameters
    ----------
    types
        The node type classes, each checked against the contract of `NodeType`.
    mapping
        A user's own ids or names from exports → a name or id in this catalogue (`[node_types]` in
        `tessera.toml`). The catalogue's own names take precedence.

    Attributes
    ----------
    failures
        The installed plug-ins that are left out.

    Raises
    ------
    TypeError
        If a class does not fulfil the contract.
    ValueError
        If two types have the same id.
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
        self.failures: tuple[PlugInFailure, ...] = ()
        self._mapped = {name_key(theirs): mine for theirs, mine in self.mapping.items()}

    def __iter__(self) -> Any:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def names(self) -> list[str]:
        """Return the names of all types, sorted."""
        return sorted(node_type.name for node_type in self._by_id.values())

    def find(self, *wanted: str | None) -> type[NodeType] | None:
        """Return the type of the first known id or name, or None. The user's mapping is searched last."""
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
        """Return the known names most similar to `wanted`, best first."""
        from tessera.text.nearest import nearest

        return nearest(wanted, self.names(), limit)

    def with_mapping(self, mapping: Mapping[str, str]) -> Catalogue:
        """Return a copy of this catalogue with a user's mapping of node types added."""
        made = Catalogue(self, {**self.mapping, **mapping})
        made.failures = self.failures
        return made

    def unknown(self, *wanted: str | None) -> str:
        """Return why an unknown id or name may be unknown, or an empty string."""
        from tessera.plug_ins import culprit

        failure = culprit(self.failures, [text for text in wanted if text]) if self.failures else None
        return f"it is given by {failure.source}, which failed: {failure.reason}" if failure else ""

    @staticmethod
    @cache
    def installed() -> Catalogue:
        """Return the catalogue of all node types in the entry-point group `tessera.nodes`.

        A plug-in that cannot be loaded, breaks the contract, or takes an id or a name of an earlier tile is
        left out: it is one of `failures`, and a `PlugInWarning` is issued. Tessera's own tiles come first.

        Raises
        ------
        PlugInError
            If the tiles of Tessera itself cannot be loaded.
        """
        import warnings

        from tessera.errors import PlugInError
        from tessera.plug_ins import PlugInWarning, failure_of, load_tiles, tile_entries

        found, failures = Catalogue(()), []
        for entry, ours in tile_entries():
            tiles: list[type[NodeType]] = []
            try:
                tiles = load_tiles(entry)
                found = found._with_plug_in(tiles, trusted=ours)
            # A plug-in is foreign code: it may even try to end the process.
            except BaseException as error:
                if type(error) is KeyboardInterrupt:  # that of the user
                    raise
                failure = failure_of(entry, error, _labels(tiles))
                if ours:
                    what = f"the tiles of Tessera cannot be loaded: {failure.reason}; try `tessera doctor`"
                    raise PlugInError(what) from error
                failures.append(failure)
        for failure in failures:
            warnings.warn(str(failure), PlugInWarning, stacklevel=2)
        found.failures = tuple(failures)
        return found

    def _with_plug_in(self, tiles: Sequence[type[NodeType]], *, trusted: bool) -> Catalogue:
        """Return a copy with the tiles of one more package."""
        if trusted:
            return Catalogue((*self, *tiles))
        for tile in tiles:
            check_type(tile)
            for text in (tile.type_id, tile.name, *tile.aliases):
                earlier = self.find(text)
                if earlier is not None:
                    raise ValueError(f"{tile.__qualname__} takes {text!r}, which is the tile {earlier.name}")
            # Built here rather than by the first agent that uses it: a wrong annotation raises only then.
            tile.Params.model_rebuild()
            tile.defaults()
        return Catalogue((*self, *tiles))


def _labels(tiles: Iterable[Any]) -> set[str]:
    """Return the ids and names of tiles that may be anything, in lower case."""
    labels = (getattr(tile, name, None) for tile in tiles for name in ("type_id", "name"))
    return {text.lower() for text in labels if isinstance(text, str)}


def check_type(node_type: type[NodeType]) -> None:
    """Check a tile class against the contract of `NodeType`.

    Raises
    ------
    TypeError
        If an attribute is missing or invalid. The message names it.
    """
    if not (isinstance(node_type, type) and issubclass(node_type, NodeType)):
        raise TypeError(f"{node_type!r} is not a subclass of tessera.node.NodeType")
    missing = [name for name in ("type_id", "name", "category") if not hasattr(node_type, name)]
    if missing:
        raise TypeError(f"{node_type.__qualname__} lacks {', '.join(missing)}")
    texts = (node_type.type_id, node_type.name, node_type.summary, *node_type.aliases)
    if not all(isinstance(text, str) for text in texts) or not node_type.name.strip():
        raise TypeError(f"{node_type.__qualname__}: type_id, name, summary and aliases must be texts")
    if isinstance(node_type.aliases, str):
        raise TypeError(f"{node_type.__qualname__}.aliases is a text: not a tuple of texts")
    kinds = (*node_type.accepts, *(() if node_type.produces is None else (node_type.produces,)))
    if not all(isinstance(kind, Kind) for kind in kinds):
        raise TypeError(
            f"{node_type.__qualname__}: accepts and produces must be members of tessera.node.Kind"
        )
    if not is_id(node_type.type_id):
        raise TypeError(
            f"{node_type.__qualname__}.type_id is {node_type.type_id!r}: not an 8-4-4-4-12 hex id"
        )
    if node_type.category not in get_args(Category):
        raise TypeError(
            f"{node_type.__qualname__}.category is {node_type.category!r}: not one of {get_args(Category)}"
        )
    if not (isinstance(node_type.Params, type) and issubclass(node_type.Params, BaseModel)):
        raise TypeError(f"{node_type.__qualname__}.Params is not a pydantic model")
