"""The cost of work in seconds: a declared model that can be overridden and calibrated from finished runs.

A piece of work (a tile, or the render of one output) takes

    fixed + item × items + received × weighted seconds in + made × weighted seconds out

The items are those that the work receives or, for a source, those that it makes. The weight of a second of
media is ``(1 − scaled) + scaled × width × height / (1920 × 1080)``, where ``scaled`` is the part of the work
that grows with the picture's size. Sound alone has a picture of size 0.
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
    "calibrate",
    "load_of",
    "read_table",
]

FULL_HD = 1920 * 1080
CLOCK_RESOLUTION = 0.0005
"""An upper bound in seconds of a time recorded as 0.000 s, since records round to milliseconds."""

Seconds = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class Load(NamedTuple):
    """The media that a piece of work receives or makes.

    The numbers are integers, so that their sum does not depend on the order of addition.
    """

    items: int = 0
    ms: int = 0
    pixel_ms: int = 0

    def plus(self, other: Load) -> Load:
        """Return the sum of two loads."""
        return Load(self.items + other.items, self.ms + other.ms, self.pixel_ms + other.pixel_ms)


NO_LOAD = Load()


def load_of(description: Mapping[str, Any]) -> Load:
    """Return the load of an item or output, given its description in a record."""
    ms = description.get("duration_ms") or 0
    return Load(1, ms, ms * (description.get("width") or 0) * (description.get("height") or 0))


# The line that a worker logs for each failed attempt.
_RETRY = re.compile(r"attempt \d+ of \d+ failed: ")


def attempts(logs: Iterable[str]) -> int:
    """Return the number of attempts that a tile's log reports."""
    return 1 + sum(1 for line in logs if _RETRY.match(line))


class Cost(BaseModel):
    """The coefficients of the formula in the module docstring, in seconds, and their origin.

    Attributes
    ----------
    fixed, item
        Seconds per start, and per item.
    received, made
        Seconds per weighted second of media received, and made.
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
        """Return the seconds that work with this load takes.

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
        """Return this cost multiplied by `factor`."""
        numbers = {name: getattr(self, name) * factor for name in ("fixed", "item", "received", "made")}
        return self.model_copy(update={**numbers, "scaled": self.scaled, "origin": origin})

    def with_overrides(self, other: Cost) -> Cost:
        """Return this cost with the fields that `other` sets explicitly."""
        return self.model_copy(update={**other.model_dump(exclude_unset=True), "origin": other.origin})


# The declared numbers. Those of tiles that only write expressions, of speech detection and of renders were
# measured on two cores. Those of generators are round numbers for a hosted model.
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
    # The comments give the reason for a difference from the category.
    "Clips": Cost(received=0.015),  # detects speech, 65 times faster than real time
    "Rough Cut": Cost(received=0.015),
    "Silence Removal": Cost(received=0.015),
    "Montage": Cost(received=0.05, scaled=1),  # detects scenes
    "Captions": Cost(received=0.1),  # transcribes speech
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
        The fields that differ from the category's cost, by the name of the node type.
    categories
        The cost of all other tiles.
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
        """Return the cost of a tile of this type."""
        cost, own = self.categories[category], self._by_key.get(name_key(name))
        return cost if own is None else cost.with_overrides(own)

    def override(self, document: Any) -> CostModel:
        """Return this model with other costs for some tiles, categories or renders.

        Parameters
        ----------
        document
            ``{"tiles": {NAME: COST}, "categories": {CATEGORY: COST}, "render": COST}``, as a dict, JSON text
            or a path. All members are optional, also those of a `Cost`. The result of `to_dict` is valid too.

        Raises
        ------
        RequestError
            If the document is invalid; the error lists every fault.
        """
        overrides = read_table(document, Costs, "costs")
        names = {name_key(name): name for name in self.tiles}
        tiles = dict(self.tiles)
        for name, cost in overrides.tiles.items():
            # The name may be written in other case than in the model.
            own_name = names.get(name_key(name), name)
            override = _with_origin(cost)
            tiles[own_name] = tiles[own_name].with_overrides(override) if own_name in tiles else override
        categories = dict(self.categories)
        for category, cost in overrides.categories.items():
            categories[category] = categories[category].with_overrides(_with_origin(cost))
        render = overrides.render and self.render.with_overrides(_with_origin(overrides.render))
        return CostModel(tiles, categories, render or self.render)

    def to_dict(self) -> dict[str, Any]:
        """Return the model as JSON data that `override` can read."""
        return {
            "render": self.render.model_dump(),
            "categories": {name: cost.model_dump() for name, cost in self.categories.items()},
            "tiles": {
                name: {**cost.model_dump(exclude_unset=True), "origin": cost.origin}
                for name, cost in self.tiles.items()
            },
        }


DECLARED = CostModel(_BY_NAME, _BY_CATEGORY, _RENDER)
"""The declared model, without overrides or calibration."""


def _with_origin(cost: Cost) -> Cost:
    """Return a document's cost with the origin `given`, unless the document states an origin."""
    return cost if "origin" in cost.model_fields_set else cost.model_copy(update={"origin": "given"})


class Costs(BaseModel):
    """The document that overrides costs."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    tiles: dict[str, Cost] = {}
    categories: dict[Category, Cost] = {}
    render: Cost | None = None


Table = TypeVar("Table", bound=BaseModel)


def read_table(document: Any, model: type[Table], label: str) -> Table:
    """Read a table of costs or prices from a dict, JSON text or a path.

    Raises
    ------
    RequestError
        If the table is invalid; the error lists every fault, each beginning with `label`.
    """
    raw = read_json(document, "request")
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        faults = [fault for _path, fault in faults_of(error, raw, "request", known=_allowed_names(model))]
        raise RequestError([Fault(f.loc, f.document, f"{label}: {f.message}") for f in faults]) from None


def _allowed_names(model: type[BaseModel]) -> Known:
    """Return a function from a path in a table to the names that are allowed there."""
    row = next(
        kind
        for field in model.model_fields.values()
        for kind in get_args(field.annotation)
        if isinstance(kind, type) and issubclass(kind, BaseModel)
    )

    def names_at(path: Path) -> Collection[str]:
        if len(path) == 1:
            return model.model_fields
        if len(path) == 2 and path[0] == "categories":
            return get_args(Category)
        return row.model_fields

    return names_at


# calibration


def calibrate(
    records: Iterable[RunRecord | Mapping[str, Any]],
    model: CostModel = DECLARED,
    *,
    catalogue: Catalogue | None = None,
) -> CostModel:
    """Return a model fitted to finished runs.

    The cost of each type of tile, and of rendering, is multiplied by the median of measured ÷ modelled
    seconds. A cost that no run measures does not change.

    Parameters
    ----------
    records
        The records of runs, as `RunRecord` or in the form of `RunRecord.to_dict`. Simulations and unfinished
        runs are skipped, and so are tiles that were stubbed or retried.
    model
        The model to fit.
    catalogue
        The node types with their categories; by default all installed ones.
    """
    if catalogue is None:
        from tessera.settings import default_catalogue

        catalogue = default_catalogue()
    all_runs = (_RunLoads(record if isinstance(record, Mapping) else record.to_dict()) for record in records)
    runs = [run for run in all_runs if run.finished]
    tiles: dict[str, _Ratios] = {}
    for index, run in enumerate(runs):
        for node, received, made in run.working_tiles():
            name = node["node_type_name"]
            ratios = tiles.setdefault(name, _Ratios(model.of(name, _category(node, catalogue))))
            ratios.add(index, node["seconds"], ratios.base.seconds(received, made))
    fitted = {name: cost for name, ratios in tiles.items() if (cost := ratios.cost()) is not None}
    model = replace(model, tiles={**model.tiles, **fitted})
    renders = _Ratios(model.render)
    for index, run in enumerate(runs):
        for node, received, made, outputs in run.delivering_tiles():
            # A delivering tile is timed together with its renders, so its own modelled work is subtracted.
            work = model.of(node["node_type_name"], _category(node, catalogue)).seconds(received, made)
            modelled = sum(model.render.seconds(NO_LOAD, output) for output in outputs)
            renders.add(index, max(0.0, node["seconds"] - work), modelled, alone=run.renders == 1)
    return replace(model, render=renders.cost() or model.render)


def _category(node: Mapping[str, Any], catalogue: Catalogue) -> Category:
    kind = catalogue.find(node["node_type_id"], node["node_type_name"])
    return kind.category if kind is not None else "edit"


@dataclass(slots=True)
class _Ratios:
    """Ratios of measured ÷ modelled seconds of one kind of work: (run, ratio, True if it ran alone)."""

    base: Cost
    ratios: list[tuple[int, float, bool]] = field(default_factory=list)

    def add(self, run: int, measured: float, modelled: float, *, alone: bool = True) -> None:
        if modelled > 0:
            self.ratios.append((run, max(measured, CLOCK_RESOLUTION) / modelled, alone))

    def cost(self) -> Cost | None:
        """Return the fitted cost, or None without any ratio.

        Work that did not run alone counts only if none did, since its measured time includes that of others.
        """
        used = [ratio for ratio in self.ratios if ratio[2]] or self.ratios
        if not used:
            return None
        runs = len({run for run, _ratio, _alone in used})
        origin = f"calibrated from {runs} run{'' if runs == 1 else 's'}"
        return self.base.times(median(ratio for _run, ratio, _alone in used), origin)


TileLoads = tuple[Mapping[str, Any], Load, Load]
"""The record of a tile, and the loads that it received and made."""


class _RunLoads:
    """The loads of a recorded run's tiles. A tile received the items that its own items were made from."""

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
        """The number of outputs that the run made; they wait for each other, or share a decoder."""
        return sum(len(loads) for loads in self.delivered.values())

    @property
    def finished(self) -> bool:
        return self.record["mode"] == "run" and self.record["status"] not in ("running", "cancelled")

    def _completed(self) -> Iterator[TileLoads]:
        stubbed = frozenset(self.record.get("stubs", ()))
        for node in self.record["nodes"]:
            key, completed = node["original_node_id"], node["status"] == "completed"
            timed = completed and node["seconds"] is not None
            if timed and key not in stubbed and attempts(node["logs"]) == 1:
                yield node, self.received.get(key, NO_LOAD), self.made.get(key, NO_LOAD)

    def working_tiles(self) -> Iterator[TileLoads]:
        """Yield the tiles whose measured seconds are their own work alone."""
        for node, received, made in self._completed():
            if node["original_node_id"] not in self.delivered and (received.items or made.items):
                yield node, received, made

    def delivering_tiles(self) -> Iterator[tuple[Mapping[str, Any], Load, Load, Sequence[Load]]]:
        """Yield the tiles whose measured seconds are mostly renders, with the loads of their outputs."""
        for node, received, made in self._completed():
            outputs = self.delivered.get(node["original_node_id"])
            if outputs:
                yield node, received, made, outputs


def _sum(loads: Iterable[Load]) -> Load:
    total = NO_LOAD
    for load in loads:
        total = total.plus(load)
    return total
