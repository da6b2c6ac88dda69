"""What work costs in seconds: a declared model, overridable, and fitted to the runs that have finished.

A piece of work (a tile, or the render of one output) takes

    fixed + item × items + received × weighted seconds in + made × weighted seconds out

Items are those that reach it, or for a source those that it makes. A second of media weighs
``(1 − scaled) + scaled × width × height / (1920 × 1080)``: ``scaled`` is the part of the work that grows with
the picture. Sound alone has no picture.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import median
from typing import Annotated, Any, NamedTuple, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tessera.agent import read_json
from tessera.errors import Fault, RequestError
from tessera.node import Catalogue, Category, name_key
from tessera.record.record import RunRecord
from tessera.validation import Known, Path, faults_of

__all__ = [
    "DECLARED",
    "NO_LOAD",
    "Cost",
    "CostModel",
    "Load",
    "attempts",
    "calibrated",
    "load_of",
    "read_table",
]

FULL_HD = 1920 * 1080
CLOCK = 0.0005
"""Records count milliseconds: work of 0.000 s took less than this many seconds."""

Seconds = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class Load(NamedTuple):
    """Media that reaches a piece of work, or leaves it. Whole numbers, so that no order of adding matters."""

    items: int = 0
    ms: int = 0
    pixel_ms: int = 0

    def plus(self, other: Load) -> Load:
        """Both together."""
        return Load(self.items + other.items, self.ms + other.ms, self.pixel_ms + other.pixel_ms)


NO_LOAD = Load()


def load_of(described: Mapping[str, Any]) -> Load:
    """The load of an item or an output as a record describes it."""
    ms = described.get("duration_ms") or 0
    return Load(1, ms, ms * (described.get("width") or 0) * (described.get("height") or 0))


_AGAIN = re.compile(r"attempt \d+ of \d+ failed: ")


def attempts(logs: Iterable[str]) -> int:
    """How many times a tile was tried, by its log."""
    return 1 + sum(1 for line in logs if _AGAIN.match(line))


class Cost(BaseModel):
    """The numbers of the formula above, in seconds, and where they come from.

    Attributes
    ----------
    fixed, item
        Seconds for being started, and for each item.
    received, made
        Seconds for each weighted second of media that comes in, and that goes out.
    scaled
        The part, 0–1, of `received` and `made` that grows with the picture's size.
    origin
        `declared`, `given`, or `calibrated from n runs`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    fixed: Seconds = 0.0
    item: Seconds = 0.0
    received: Seconds = 0.0
    made: Seconds = 0.0
    scaled: Annotated[float, Field(ge=0, le=1)] = 0.0
    origin: str = "declared"

    def seconds(self, received: Load, made: Load) -> float:
        """The seconds that work with this load takes.

        Examples
        --------
        >>> hour = Load(1, 3_600_000, 3_600_000 * FULL_HD)
        >>> Cost(fixed=2, received=0.5, scaled=1).seconds(hour, Load())
        1802.0
        """
        return (
            self.fixed
            + self.item * (received.items or made.items)
            + self.received * self._weighted(received)
            + self.made * self._weighted(made)
        )

    def _weighted(self, load: Load) -> float:
        return ((1 - self.scaled) * load.ms + self.scaled * load.pixel_ms / FULL_HD) / 1000

    def times(self, factor: float, origin: str) -> Self:
        """This cost made `factor` times as great."""
        numbers = {name: getattr(self, name) * factor for name in ("fixed", "item", "received", "made")}
        return self.model_copy(update={**numbers, "scaled": self.scaled, "origin": origin})

    def under(self, other: Cost) -> Cost:
        """This cost, with what `other` states explicitly in place of its own."""
        return self.model_copy(update={**other.model_dump(exclude_unset=True), "origin": other.origin})


# The declared numbers. Those of tiles that only write expressions, of listening for speech and of renders
# were measured on two cores; those of generators are what a hosted model takes, in round numbers.
_BY_CATEGORY: Mapping[Category, Cost] = {
    "input": Cost(item=0.05),
    "trigger": Cost(item=0.05),
    "edit": Cost(item=0.002),
    "style": Cost(item=0.002),
    "sound": Cost(item=0.002),
    "generate": Cost(item=5, made=2),
    "export": Cost(fixed=0.1, item=0.05),
    "output": Cost(item=0.001),
}
_BY_NAME: Mapping[str, Cost] = {
    # name                                      why it differs from its category
    "Clips": Cost(received=0.015),  # listens for speech, 65 times as fast as it is spoken
    "Rough Cut": Cost(received=0.015),
    "Silence Removal": Cost(received=0.015),
    "Montage": Cost(received=0.05, scaled=1),  # looks for scenes
    "Captions": Cost(received=0.1),  # takes down what is said
    "Cinematic Captions": Cost(received=0.1),
    "Captions With Emojis": Cost(received=0.1),
    "Motion Graphics": Cost(item=10, received=0.5),
    "Voice": Cost(item=5, received=2),
    "AI Voiceover": Cost(item=5, received=0.5),
    "AI Music": Cost(item=10, received=0.1),
    "AI B-Roll": Cost(item=30, received=1, made=0),
    "AI Augment": Cost(item=30, received=1, made=0),
    "AI Avatar": Cost(item=10, made=10),
    "Video Generation": Cost(item=10, made=10, scaled=0.5),
    "AI Content Generation": Cost(item=10, made=10),
    "Audio Generation": Cost(item=2, made=0.3),
    "Image Generation": Cost(item=8, made=0),
}
_RENDER = Cost(fixed=0.3, made=0.4, scaled=0.95)


@dataclass(frozen=True)
class CostModel:
    """The costs of tiles and renders.

    Attributes
    ----------
    tiles
        By the name of a node type: what differs from its category's cost.
    categories
        The cost of every other tile.
    render
        The cost of rendering one output.
    """

    tiles: Mapping[str, Cost]
    categories: Mapping[Category, Cost]
    render: Cost

    @cached_property
    def _by_key(self) -> dict[str, Cost]:
        return {name_key(name): cost for name, cost in self.tiles.items()}

    def of(self, name: str, category: Category) -> Cost:
        """The cost of a tile of this type."""
        usual, own = self.categories[category], self._by_key.get(name_key(name))
        return usual if own is None else usual.under(own)

    def override(self, document: Any) -> CostModel:
        """This model with other numbers for some tiles, categories or renders.

        Parameters
        ----------
        document
            ``{"tiles": {NAME: COST}, "categories": {CATEGORY: COST}, "render": COST}``, as a dict, JSON text
            or a path. All members, those of a `Cost` too, may be left out. What `to_dict` gives is read as
            well.

        Raises
        ------
        RequestError
            Every fault of the document.
        """
        given = read_table(document, Costs, "costs")
        known = {name_key(name): name for name in self.tiles}
        tiles = dict(self.tiles)
        for name, cost in given.tiles.items():
            here = known.get(name_key(name), name)
            tiles[here] = tiles[here].under(_given(cost)) if here in tiles else _given(cost)
        categories = dict(self.categories)
        for category, cost in given.categories.items():
            categories[category] = categories[category].under(_given(cost))
        render = self.render.under(_given(given.render)) if given.render else self.render
        return CostModel(tiles, categories, render)

    def to_dict(self) -> dict[str, Any]:
        """The model as JSON values; `override` reads them."""
        return {
            "render": self.render.model_dump(),
            "categories": {name: cost.model_dump() for name, cost in self.categories.items()},
            "tiles": {
                name: {**cost.model_dump(exclude_unset=True), "origin": cost.origin}
                for name, cost in self.tiles.items()
            },
        }


DECLARED = CostModel(_BY_NAME, _BY_CATEGORY, _RENDER)
"""The model that nothing was changed in."""


def _given(cost: Cost) -> Cost:
    """A cost of a document: `given`, unless the document says where it came from."""
    return cost if "origin" in cost.model_fields_set else cost.model_copy(update={"origin": "given"})


class Costs(BaseModel):
    """The document that overrides costs."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    tiles: dict[str, Cost] = {}
    categories: dict[Category, Cost] = {}
    render: Cost | None = None


Table = TypeVar("Table", bound=BaseModel)


def read_table(document: Any, model: type[Table], what: str) -> Table:
    """A table of costs or prices from a dict, JSON text or a path.

    Raises
    ------
    RequestError
        Every fault of it, each beginning with `what`.
    """
    raw = read_json(document, "request")
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        found = [fault for _path, fault in faults_of(error, raw, "request", known=_known(model))]
        raise RequestError([Fault(f.loc, f.document, f"{what}: {f.message}") for f in found]) from None


def _known(model: type[BaseModel]) -> Known:
    """The names that are allowed in a table: of its members, of categories, and of a row's members."""
    row = next(
        kind
        for field in model.model_fields.values()
        for kind in get_args(field.annotation)
        if isinstance(kind, type) and issubclass(kind, BaseModel)
    )

    def known(path: Path) -> Collection[str]:
        if len(path) == 1:
            return model.model_fields
        if len(path) == 2 and path[0] == "categories":
            return get_args(Category)
        return row.model_fields

    return known


# calibration


def calibrated(
    records: Iterable[RunRecord | Mapping[str, Any]],
    model: CostModel = DECLARED,
    *,
    catalogue: Catalogue | None = None,
) -> CostModel:
    """The model fitted to runs that have finished.

    Each type of tile, and the rendering of outputs, has its cost multiplied by the median of measured ÷
    modelled seconds. What no run tells of stays as it is.

    Parameters
    ----------
    records
        Records of runs, or what `RunRecord.to_dict` gives. Simulations and unfinished runs are left out; so
        are tiles that were stubbed, or tried again.
    model
        What is fitted.
    catalogue
        Where the categories of tiles are looked up; by default all installed node types.
    """
    if catalogue is None:
        from tessera.settings import default_catalogue

        catalogue = default_catalogue()
    found = (_Run(record if isinstance(record, Mapping) else record.to_dict()) for record in records)
    runs = [run for run in found if run.finished]
    tiles: dict[str, _Ratios] = {}
    for index, run in enumerate(runs):
        for node, received, made in run.workers():
            name = node["node_type_name"]
            ratios = tiles.setdefault(name, _Ratios(model.of(name, _category(node, catalogue))))
            ratios.add(index, node["seconds"], ratios.base.seconds(received, made))
    fitted = {name: cost for name, ratios in tiles.items() if (cost := ratios.cost()) is not None}
    model = replace(model, tiles={**model.tiles, **fitted})
    renders = _Ratios(model.render)
    for index, run in enumerate(runs):
        for node, received, made, outputs in run.deliverers():
            work = model.of(node["node_type_name"], _category(node, catalogue)).seconds(received, made)
            modelled = sum(model.render.seconds(NO_LOAD, output) for output in outputs)
            renders.add(index, max(0.0, node["seconds"] - work), modelled, alone=run.renders == 1)
    return replace(model, render=renders.cost() or model.render)


def _category(node: Mapping[str, Any], catalogue: Catalogue) -> Category:
    kind = catalogue.find(node["node_type_id"], node["node_type_name"])
    return kind.category if kind is not None else "edit"


@dataclass(slots=True)
class _Ratios:
    """Measured ÷ modelled seconds of one kind of work: (which run, ratio, whether it worked alone)."""

    base: Cost
    found: list[tuple[int, float, bool]] = field(default_factory=list)

    def add(self, run: int, measured: float, modelled: float, *, alone: bool = True) -> None:
        if modelled > 0:
            self.found.append((run, max(measured, CLOCK) / modelled, alone))

    def cost(self) -> Cost | None:
        """The fitted cost. What worked beside others counts only where nothing worked alone: it was timed
        together with them.
        """
        used = [one for one in self.found if one[2]] or self.found
        if not used:
            return None
        runs = len({run for run, _ratio, _alone in used})
        origin = f"calibrated from {runs} run{'' if runs == 1 else 's'}"
        return self.base.times(median(ratio for _run, ratio, _alone in used), origin)


Worked = tuple[Mapping[str, Any], Load, Load]
"""The record of a tile, and what came in and went out."""


class _Run:
    """What a record tells of the loads of tiles. What a tile received is what its items were made from."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        self.record = record
        items = {(item["agent_node_id"], item["index"]): item for item in record.get("items", ())}
        loads = {ref: load_of(item) for ref, item in items.items()}
        parents: dict[str, dict[tuple[str, int], None]] = {}
        self.made: dict[str, Load] = {}
        for (node, index), item in items.items():
            self.made[node] = self.made.get(node, NO_LOAD).plus(loads[node, index])
            refs = ((parent["agent_node_id"], parent["index"]) for parent in item["parents"])
            parents.setdefault(node, {}).update(dict.fromkeys(refs))
        self.received = {
            node: _sum(loads[ref] for ref in refs if ref in loads) for node, refs in parents.items()
        }
        self.delivered: dict[str, list[Load]] = {}
        for output in record["outputs"]:
            by = output.get("delivered_by", output["original_node_id"])
            self.delivered.setdefault(by, []).append(load_of(output))

    @property
    def renders(self) -> int:
        """How many outputs it made: those of one run wait for each other, or share a decoder."""
        return sum(len(loads) for loads in self.delivered.values())

    @property
    def finished(self) -> bool:
        return self.record["mode"] == "run" and self.record["status"] not in ("running", "cancelled")

    def _completed(self) -> Iterator[Worked]:
        stubbed = frozenset(self.record.get("stubs", ()))
        for node in self.record["nodes"]:
            key, ended = node["original_node_id"], node["status"] == "completed"
            if ended and node["seconds"] is not None and key not in stubbed and attempts(node["logs"]) == 1:
                yield node, self.received.get(key, NO_LOAD), self.made.get(key, NO_LOAD)

    def workers(self) -> Iterator[Worked]:
        """The tiles whose seconds are their own work alone."""
        for node, received, made in self._completed():
            if node["original_node_id"] not in self.delivered and (received.items or made.items):
                yield node, received, made

    def deliverers(self) -> Iterator[tuple[Mapping[str, Any], Load, Load, Sequence[Load]]]:
        """The tiles whose seconds are mostly the rendering of outputs, and those."""
        for node, received, made in self._completed():
            outputs = self.delivered.get(node["original_node_id"])
            if outputs:
                yield node, received, made, outputs


def _sum(loads: Iterable[Load]) -> Load:
    total = NO_LOAD
    for load in loads:
        total = total.plus(load)
    return total
