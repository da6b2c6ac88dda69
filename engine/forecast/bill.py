"""The cost of a run in credits: a price table, and the bill of a run.

The hosted product meters a run by the duration of its inputs and does not publish the price of each tile. The
default prices are our own round numbers; a JSON file can override them.

Credits are `Decimal`. Each line of a bill is rounded once, half up, to the table's `decimals`. The total is
the sum of the rounded lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from tessera.forecast.cost import read_table
from tessera.graph.plan import Plan
from tessera.node import Category, name_key
from tessera.record.output import Output
from tessera.record.record import RunRecord
from tessera.record.status import NodeStatus

__all__ = ["CHARGED", "EXACT", "Bill", "Line", "Price", "PriceTable", "Ref", "bill_of"]

Credits = Annotated[Decimal, Field(ge=0, max_digits=20, allow_inf_nan=False)]
Ref = tuple[str, int]
"""An item: the tile that made it, and its index among that tile's items."""
Meter = Literal["input_minute", "made_second", "made_image", "output_minute"]

_UNITS: Mapping[Meter, int] = {
    "input_minute": 60_000,
    "made_second": 1_000,
    "made_image": 1,
    "output_minute": 60_000,
}
"""The quantity (in milliseconds or images) that a price is for."""

EXACT = Context(prec=400)
"""A context precise enough to add any lines without rounding."""


class Price(BaseModel):
    """The price of a tile's work, in credits.

    Attributes
    ----------
    input_minute
        The price per minute of media that the tile receives; for an input, per minute of its metered
        duration, which is that of the clip.
    made_second
        The price per second of video and sound that the tile makes.
    made_image
        The price per image that the tile makes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    input_minute: Credits = Decimal(0)
    made_second: Credits = Decimal(0)
    made_image: Credits = Decimal(0)

    def with_overrides(self, other: Price | None) -> Price:
        """Return this price with the fields that `other` sets explicitly."""
        return self if other is None else self.model_copy(update=other.model_dump(exclude_unset=True))


def _price(**prices: str) -> Price:
    return Price(**{name: Decimal(text) for name, text in prices.items()})


_BY_CATEGORY: dict[Category, Price] = {
    "input": _price(),
    "trigger": _price(),
    "edit": _price(input_minute="1"),
    "style": _price(input_minute="1"),
    "sound": _price(input_minute="1"),
    "generate": _price(made_second="1", made_image="1"),
    "export": _price(),
    "output": _price(),
}
_BY_NAME: dict[str, Price] = {
    "Mirror": _price(input_minute="0.2"),
    "Watermark": _price(input_minute="0.2"),
    "Color Correction": _price(input_minute="0.2"),
    "Clips": _price(input_minute="2"),
    "Rough Cut": _price(input_minute="2"),
    "Motion Graphics": _price(input_minute="10"),
    "Voice": _price(input_minute="5"),
    "AI Voiceover": _price(input_minute="3"),
    "AI Music": _price(input_minute="3"),
    "AI B-Roll": _price(input_minute="20", made_second="0"),
    "AI Augment": _price(input_minute="20", made_second="0"),
    "Audio Generation": _price(made_second="0.1"),
}


class PriceTable(BaseModel):
    """The prices of tiles, by node type and category, and of rendered outputs.

    Attributes
    ----------
    decimals
        The decimal places to which each line of a bill is rounded.
    output_minute
        The price per minute of output.
    tiles
        The fields that differ from the category's price, by the name of the node type.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    decimals: Annotated[int, Field(ge=0, le=12, strict=True)] = 2
    output_minute: Credits = Decimal("0.5")
    categories: dict[Category, Price] = _BY_CATEGORY
    tiles: dict[str, Price] = _BY_NAME

    @classmethod
    def read(cls, document: Any = None) -> PriceTable:
        """Return the default table with the overrides of a document (a dict, JSON text or a path).

        Examples
        --------
        >>> table = PriceTable.read({"output_minute": 0, "tiles": {"captions": {"input_minute": "1.25"}}})
        >>> table.of("Captions", "style").input_minute, table.of("Outro", "style").input_minute
        (Decimal('1.25'), Decimal('1'))

        Raises
        ------
        RequestError
            If the document is invalid; the error lists every fault.
        """
        defaults = cls()
        if document is None:
            return defaults
        overrides = read_table(document, cls, "prices")
        # Fields that the document leaves out hold the defaults too; those override nothing.
        stated = overrides.model_fields_set
        tiles, names = dict(defaults.tiles), {name_key(name): name for name in defaults.tiles}
        for name, price in overrides.tiles.items() if "tiles" in stated else ():
            own_name = names.get(name_key(name), name)
            tiles[own_name] = tiles[own_name].with_overrides(price) if own_name in tiles else price
        categories = dict(defaults.categories)
        for category, price in overrides.categories.items() if "categories" in stated else ():
            categories[category] = categories[category].with_overrides(price)
        return overrides.model_copy(update={"tiles": tiles, "categories": categories})

    def of(self, name: str, category: Category) -> Price:
        """Return the price of a tile of this type."""
        price = self.categories.get(category) or _BY_CATEGORY[category]
        key = name_key(name)
        own = next((own for own_name, own in self.tiles.items() if name_key(own_name) == key), None)
        return price.with_overrides(own)

    def to_dict(self) -> dict[str, Any]:
        """Return the table as JSON data that `read` can read; credits are text."""
        return {
            "decimals": self.decimals,
            "output_minute": str(self.output_minute),
            "categories": {name: _price_texts(price) for name, price in self.categories.items()},
            "tiles": {name: _price_texts(price) for name, price in self.tiles.items()},
        }


def _price_texts(price: Price) -> dict[str, str]:
    return {name: str(value) for name, value in price.model_dump(exclude_unset=True).items()}


# the bill


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill.

    Attributes
    ----------
    node, name
        The tile to which the line belongs; for an output, the tile that delivers it.
    meter, quantity
        The kind of metering, and the metered milliseconds or images.
    price, amount
        The credits for one unit of the meter, and for this line.
    output
        The (tile, index) of an output's item; None for the tile's own work.
    """

    node: str
    name: str
    meter: Meter
    quantity: int
    price: Decimal
    amount: Decimal
    output: Ref | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the line as JSON data; credits are text."""
        unit = "images" if self.meter == "made_image" else "ms"
        output = self.output and {"agent_node_id": self.output[0], "index": self.output[1]}
        return {
            "agent_node_id": self.node,
            "node_type_name": self.name,
            "meter": self.meter,
            "output": output,
            unit: self.quantity,
            "price": str(self.price),
            "credits": str(self.amount),
        }


@dataclass(frozen=True, slots=True)
class Bill:
    """The bill of a run: its lines in topological order."""

    lines: tuple[Line, ...]

    @property
    def total(self) -> Decimal:
        """The exact sum of all lines."""
        return _sum(line.amount for line in self.lines)

    def by_tile(self) -> dict[str, Decimal]:
        """Return the cost of each tile, including the outputs that it delivers."""
        amounts: dict[str, list[Decimal]] = {}
        for line in self.lines:
            amounts.setdefault(line.node, []).append(line.amount)
        return {node: _sum(iter(tile_amounts)) for node, tile_amounts in amounts.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return the bill as JSON data; credits are text."""
        return {"total": str(self.total), "lines": [line.to_dict() for line in self.lines]}


def _sum(amounts: Iterator[Decimal]) -> Decimal:
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


def _amount(quantity: int, unit_price: Decimal, meter: Meter, decimals: int) -> Decimal:
    """Return the price of `quantity`, given the price of one unit of the meter, rounded half up."""
    # A fraction, so that nothing is rounded before the one rounding that counts.
    exact = Fraction(unit_price) * quantity * 10**decimals / _UNITS[meter]
    return Decimal(f"{(2 * exact.numerator + exact.denominator) // (2 * exact.denominator)}E-{decimals}")


def bill_of(plan: Plan, record: RunRecord, table: PriceTable | None = None) -> Bill:
    """Return the bill of a simulation or a run.

    The bill charges the work of tiles that completed, fully or partially, or that failed only to deliver, and
    the outputs that exist. Other failed work is not charged. Free work is not listed.
    """
    return Bill(tuple(_lines(plan, record, table or PriceTable.read())))


class _MediaAmount(NamedTuple):
    """Milliseconds of media, and images."""

    ms: int = 0
    images: int = 0


CHARGED = frozenset({NodeStatus.COMPLETED, NodeStatus.PARTIAL_COMPLETE})
"""The statuses of tiles whose work is charged."""


def _lines(plan: Plan, record: RunRecord, table: PriceTable) -> Iterator[Line]:
    """Yield the lines of a run's bill."""
    made, metered = _made_amounts(record), _metered_ms(record)
    delivered: dict[str, list[Output]] = {}
    for output in record.outputs:
        delivered.setdefault(output.raw.get("delivered_by", output.node), []).append(output)
    worked = {failure.by for failure in record.failures}
    worked.update(node for node, entry in record.nodes.items() if entry.status in CHARGED)
    prices: dict[tuple[str, Category], Price] = {}
    for node in plan.order:
        kind = plan.tile(node).type
        if node in worked:
            key = (kind.name, kind.category)
            price = prices.get(key) or prices.setdefault(key, table.of(*key))
            received = sum(made[before].ms for before in plan.graph.pred[node] if before in made)
            amounts = made.get(node, _MediaAmount())
            meters: tuple[tuple[Meter, int, Decimal], ...] = (
                ("input_minute", metered.get(node, 0) + received, price.input_minute),
                ("made_second", amounts.ms, price.made_second),
                ("made_image", amounts.images, price.made_image),
            )
            for meter, quantity, unit_price in meters:
                if quantity and unit_price:
                    amount = _amount(quantity, unit_price, meter, table.decimals)
                    yield Line(node, kind.name, meter, quantity, unit_price, amount)
        for output in delivered.get(node, ()):
            quantity, unit_price = output.duration_ms or 0, table.output_minute
            if quantity and unit_price:
                amount = _amount(quantity, unit_price, "output_minute", table.decimals)
                ref = (output.node, output.index)
                yield Line(node, kind.name, "output_minute", quantity, unit_price, amount, ref)


def _made_amounts(record: RunRecord) -> dict[str, _MediaAmount]:
    """Return the media that each tile made."""
    made: dict[str, _MediaAmount] = {}
    for item in record.items:
        amount = made.get(item["agent_node_id"], _MediaAmount())
        ms, image = item.get("duration_ms") or 0, item["kind"] == "image"
        made[item["agent_node_id"]] = _MediaAmount(amount.ms + ms, amount.images + image)
    return made


def _metered_ms(record: RunRecord) -> dict[str, int]:
    """Return the metered milliseconds of each input tile."""
    metered: dict[str, int] = {}
    for source in record.inputs:
        node = source["agent_node_id"]
        metered[node] = metered.get(node, 0) + (source["metered_ms"] or 0)
    return metered
