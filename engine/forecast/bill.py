"""What a run costs in credits: a price table, and the bill of a run.

The hosted product meters a run by the duration of its inputs, and does not publish what each tile costs. The
prices here are ours, in round numbers: put your own into a JSON file.

Credits are `Decimal`. Each line of a bill is rounded half up to the table's `decimals`, once; the rounded
lines are added up.
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
from tessera.record.record import Output, RunRecord
from tessera.record.status import NodeStatus

__all__ = ["CHARGED", "EXACT", "Bill", "Line", "Price", "PriceTable", "Ref", "price"]

Credits = Annotated[Decimal, Field(ge=0, max_digits=20, allow_inf_nan=False)]
Ref = tuple[str, int]
"""An item: the tile that made it, and its place among what that tile made."""
Meter = Literal["input_minute", "made_second", "made_image", "output_minute"]

_UNITS: Mapping[Meter, int] = {
    "input_minute": 60_000,
    "made_second": 1_000,
    "made_image": 1,
    "output_minute": 60_000,
}
"""How many of what is counted (milliseconds, images) a price is for."""

EXACT = Context(prec=400)
"""Holds the sum of any lines without rounding."""


class Price(BaseModel):
    """The price of a tile's work, in credits.

    Attributes
    ----------
    input_minute
        For each minute of media that reaches the tile; for an input, of its metered duration, which is that
        of the clip.
    made_second
        For each second of video and sound that it makes.
    made_image
        For each picture that it makes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    input_minute: Credits = Decimal(0)
    made_second: Credits = Decimal(0)
    made_image: Credits = Decimal(0)

    def under(self, other: Price | None) -> Price:
        """This price, with what `other` states explicitly in place of its own."""
        return self if other is None else self.model_copy(update=other.model_dump(exclude_unset=True))


def _a(**prices: str) -> Price:
    return Price(**{name: Decimal(text) for name, text in prices.items()})


_BY_CATEGORY: dict[Category, Price] = {
    "input": _a(),
    "trigger": _a(),
    "edit": _a(input_minute="1"),
    "style": _a(input_minute="1"),
    "sound": _a(input_minute="1"),
    "generate": _a(made_second="1", made_image="1"),
    "export": _a(),
    "output": _a(),
}
_BY_NAME: dict[str, Price] = {
    "Mirror": _a(input_minute="0.2"),
    "Watermark": _a(input_minute="0.2"),
    "Color Correction": _a(input_minute="0.2"),
    "Clips": _a(input_minute="2"),
    "Rough Cut": _a(input_minute="2"),
    "Motion Graphics": _a(input_minute="10"),
    "Voice": _a(input_minute="5"),
    "AI Voiceover": _a(input_minute="3"),
    "AI Music": _a(input_minute="3"),
    "AI B-Roll": _a(input_minute="20", made_second="0"),
    "AI Augment": _a(input_minute="20", made_second="0"),
    "Audio Generation": _a(made_second="0.1"),
}


class PriceTable(BaseModel):
    """Prices by the name of a node type, else by its category, and of rendered outputs.

    Attributes
    ----------
    decimals
        The decimal places that each line of a bill is rounded to.
    output_minute
        Credits for each minute of output.
    tiles
        By name: what differs from the category's price.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    decimals: Annotated[int, Field(ge=0, le=12, strict=True)] = 2
    output_minute: Credits = Decimal("0.5")
    categories: dict[Category, Price] = _BY_CATEGORY
    tiles: dict[str, Price] = _BY_NAME

    @classmethod
    def read(cls, document: Any = None) -> PriceTable:
        """Our table, with what a document (a dict, JSON text or a path) states in place of ours.

        Examples
        --------
        >>> table = PriceTable.read({"output_minute": 0, "tiles": {"captions": {"input_minute": "1.25"}}})
        >>> table.of("Captions", "style").input_minute, table.of("Outro", "style").input_minute
        (Decimal('1.25'), Decimal('1'))

        Raises
        ------
        RequestError
            Every fault of the document.
        """
        ours = cls()
        if document is None:
            return ours
        given = read_table(document, cls, "prices")
        stated = given.model_fields_set
        tiles, known = dict(ours.tiles), {name_key(name): name for name in ours.tiles}
        for name, own in given.tiles.items() if "tiles" in stated else ():
            here = known.get(name_key(name), name)
            tiles[here] = tiles[here].under(own) if here in tiles else own
        categories = dict(ours.categories)
        for category, own in given.categories.items() if "categories" in stated else ():
            categories[category] = categories[category].under(own)
        return given.model_copy(update={"tiles": tiles, "categories": categories})

    def of(self, name: str, category: Category) -> Price:
        """The price of a tile of this type."""
        usual = self.categories.get(category) or _BY_CATEGORY[category]
        own = next((one for known, one in self.tiles.items() if name_key(known) == name_key(name)), None)
        return usual.under(own)

    def to_dict(self) -> dict[str, Any]:
        """The table as JSON values, credits as text; `read` reads them."""
        return {
            "decimals": self.decimals,
            "output_minute": str(self.output_minute),
            "categories": {name: _texts(one) for name, one in self.categories.items()},
            "tiles": {name: _texts(one) for name, one in self.tiles.items()},
        }


def _texts(one: Price) -> dict[str, str]:
    return {name: str(value) for name, value in one.model_dump(exclude_unset=True).items()}


# the bill


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill.

    Attributes
    ----------
    node, name
        The tile that it is for; of an output, the one that delivers it.
    meter, quantity
        What is counted, and how many: milliseconds, or images.
    price, amount
        Credits for one unit of the meter, and for this line.
    output
        Of an output: the (tile, index) of the item.
    """

    node: str
    name: str
    meter: Meter
    quantity: int
    price: Decimal
    amount: Decimal
    output: Ref | None = None

    def to_dict(self) -> dict[str, Any]:
        """The line as JSON values, credits as text."""
        counted = "images" if self.meter == "made_image" else "ms"
        made = self.output and {"agent_node_id": self.output[0], "index": self.output[1]}
        return {
            "agent_node_id": self.node,
            "node_type_name": self.name,
            "meter": self.meter,
            "output": made,
            counted: self.quantity,
            "price": str(self.price),
            "credits": str(self.amount),
        }


@dataclass(frozen=True, slots=True)
class Bill:
    """What a run costs: its lines, in topological order."""

    lines: tuple[Line, ...]

    @property
    def total(self) -> Decimal:
        """All lines together, exactly."""
        return _sum(line.amount for line in self.lines)

    def by_tile(self) -> dict[str, Decimal]:
        """What each tile costs, with the outputs that it delivers."""
        amounts: dict[str, list[Decimal]] = {}
        for line in self.lines:
            amounts.setdefault(line.node, []).append(line.amount)
        return {node: _sum(iter(found)) for node, found in amounts.items()}

    def to_dict(self) -> dict[str, Any]:
        """The bill as JSON values, credits as text."""
        return {"total": str(self.total), "lines": [line.to_dict() for line in self.lines]}


def _sum(amounts: Iterator[Decimal]) -> Decimal:
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


def _amount(quantity: int, unit_price: Decimal, meter: Meter, decimals: int) -> Decimal:
    """`quantity` at a price for one unit of the meter, rounded half up."""
    exact = Fraction(unit_price) * quantity * 10**decimals / _UNITS[meter]
    return Decimal(f"{(2 * exact.numerator + exact.denominator) // (2 * exact.denominator)}E-{decimals}")


def price(plan: Plan, record: RunRecord, table: PriceTable | None = None) -> Bill:
    """The bill of a simulation or a run.

    Work that was done is charged: that of tiles that completed, in whole or in part, or that failed only to
    deliver; and outputs that are there. What else failed is not charged, and what is free not listed.
    """
    return Bill(tuple(_lines(plan, record, table or PriceTable.read())))


class _Made(NamedTuple):
    """What a tile has made: milliseconds of media, and images."""

    ms: int = 0
    images: int = 0


CHARGED = frozenset({NodeStatus.COMPLETED, NodeStatus.PARTIAL_COMPLETE})


def _lines(plan: Plan, record: RunRecord, table: PriceTable) -> Iterator[Line]:
    made, metered = _made(record), _metered(record)
    delivered: dict[str, list[Output]] = {}
    for output in record.outputs:
        delivered.setdefault(output.raw.get("delivered_by", output.node), []).append(output)
    worked = {failure.by for failure in record.failures}
    worked.update(node for node, one in record.nodes.items() if one.status in CHARGED)
    prices: dict[tuple[str, Category], Price] = {}
    for node in plan.order:
        kind = plan.tile(node).type
        if node in worked:
            key = (kind.name, kind.category)
            own = prices.get(key) or prices.setdefault(key, table.of(*key))
            reached = sum(made[before].ms for before in plan.graph.pred[node] if before in made)
            mine = made.get(node, _Made())
            counted: tuple[tuple[Meter, int, Decimal], ...] = (
                ("input_minute", metered.get(node, 0) + reached, own.input_minute),
                ("made_second", mine.ms, own.made_second),
                ("made_image", mine.images, own.made_image),
            )
            for meter, quantity, unit_price in counted:
                if quantity and unit_price:
                    amount = _amount(quantity, unit_price, meter, table.decimals)
                    yield Line(node, kind.name, meter, quantity, unit_price, amount)
        for output in delivered.get(node, ()):
            quantity, unit_price = output.duration_ms or 0, table.output_minute
            if quantity and unit_price:
                amount = _amount(quantity, unit_price, "output_minute", table.decimals)
                ref = (output.node, output.raw["index"])
                yield Line(node, kind.name, "output_minute", quantity, unit_price, amount, ref)


def _made(record: RunRecord) -> dict[str, _Made]:
    made: dict[str, _Made] = {}
    for item in record.items:
        before = made.get(item["agent_node_id"], _Made())
        ms, image = item.get("duration_ms") or 0, item["kind"] == "image"
        made[item["agent_node_id"]] = _Made(before.ms + ms, before.images + image)
    return made


def _metered(record: RunRecord) -> dict[str, int]:
    """The metered milliseconds of each input tile."""
    metered: dict[str, int] = {}
    for one in record.inputs:
        metered[one["agent_node_id"]] = metered.get(one["agent_node_id"], 0) + (one["metered_ms"] or 0)
    return metered
