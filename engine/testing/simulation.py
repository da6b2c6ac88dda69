"""Compares the results of a simulation with the expectations of a test: items, durations, outputs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import networkx as nx

from tessera.errors import TesseraError
from tessera.graph.plan import Plan
from tessera.record.record import RunRecord
from tessera.testing.notation.names import Names
from tessera.testing.request_builder import with_dummy_facts

if TYPE_CHECKING:
    from tessera.forecast.forecast import Forecast

__all__ = ["SimulationOutcome"]


class SimulationOutcome:
    """The simulation of one plan, run on first use. Each check returns the failure as text, or None."""

    def __init__(self, names: Names, plan: Plan, options: Mapping[str, Any], subject: str) -> None:
        self.names, self.plan, self.options, self.subject = names, plan, options, subject

    @cached_property
    def record(self) -> RunRecord:
        """The record of the simulation.

        Raises
        ------
        AssertionError
            If the plan cannot be simulated with these facts.
        """
        from tessera.runner.entry import simulate

        try:
            return simulate(
                self.plan,
                facts=with_dummy_facts(self.names, self.options.get("facts")),
                stubs=self.options.get("stubs"),
                # A folder that cannot exist: results must not depend on what a workspace has cached.
                workspace=Path(os.devnull, "no-workspace"),
            )
        except TesseraError as error:
            reason = self.names.with_names(str(error))
            raise AssertionError(f"{self.subject}: the plan cannot be simulated: {reason}") from None

    def _items(self, node: str) -> list[dict[str, Any]]:
        return [item for item in self.record.items if item["agent_node_id"] == node]

    def items(self, counts: Mapping[str, int]) -> str | None:
        """Check the number of items that tiles produce."""
        lines = []
        for name, wanted in counts.items():
            node = self.names.id(name)
            made = len(self._items(node))
            if made != wanted:
                lines.append(f"  {name}: expected {wanted}, got {made}{self._reason(node)}")
        return "\n".join(["items differ:", *lines]) if lines else None

    def durations(self, seconds: Mapping[str, Any]) -> str | None:
        """Check the durations of the items of tiles, in seconds."""
        lines = []
        for name, value in seconds.items():
            node = self.names.id(name)
            wanted = [_ms(duration) for duration in (value if isinstance(value, list | tuple) else [value])]
            made = [item.get("duration_ms") for item in self._items(node)]
            if made != wanted:
                text = f"expected {_durations_text(wanted)}, got {_durations_text(made)}"
                lines.append(f"  {name}: {text}{self._reason(node)}")
        return "\n".join(["durations differ:", *lines]) if lines else None

    def _reason(self, node: str) -> str:
        """Return the cause of an unexpected result: the errors of a tile, or the reasons of its items."""
        if node not in self.record.nodes:
            return " (it does not run)"
        tile = self.record.node(node)
        message = [tile.message] if tile.message and tile.message not in tile.errors else []
        errors = "; ".join([*tile.errors, *message])
        reasons = "; ".join(dict.fromkeys(item["why"] for item in self._items(node) if item["why"]))
        text = self.names.with_names(errors or reasons)
        return f" ({tile.status.value}: {text})" if errors else f" ({text})" if text else ""

    def why(self, reasons: Mapping[str, str]) -> str | None:
        """Check that an item of each tile has a reason with this text."""
        lines = []
        for name, wanted in reasons.items():
            node = self.names.id(name)
            if not any(wanted in str(item["why"]) for item in self._items(node)):
                lines.append(f"  {name}: no item says {wanted!r}{self._reason(node)}")
        return "\n".join(["reasons differ:", *lines]) if lines else None

    def credits(self, total: int | float | str) -> str | None:
        """Check the credits of the bill."""
        bill = self._forecast.bill
        if bill.total == Decimal(str(total)):
            return None
        lines = (
            f"  {self.names.name_of.get(line.node, line.name)}, {line.meter}: {line.amount}"
            for line in bill.lines
        )
        return "\n".join([f"expected {total} credits, got {bill.total}:", *lines])

    def makespan(self, at_most: float) -> str | None:
        """Check the expected duration of the run in seconds."""
        schedule = self._forecast.schedule.to_dict()
        if schedule["makespan"] <= at_most:
            return None
        path = ", ".join(
            f"{self.names.name_of[task.node]} {task.duration / 1e6:g} s"
            for task in self._forecast.schedule.critical_path
        )
        return f"expected at most {at_most:g} s, got {schedule['makespan']:g} s; the longest path: {path}"

    @cached_property
    def _forecast(self) -> Forecast:
        """The expected duration and cost of the run."""
        from tessera.forecast.forecast import WORKERS, forecast

        made = forecast(self.plan, self.record, workers=WORKERS).forecast
        assert made is not None
        return made

    def outputs(self, expected: Sequence[int | str | Mapping[str, Any]], *, in_order: bool) -> str | None:
        """Check the number of outputs, or each output."""
        actual = self.record.outputs
        if len(expected) == 1 and isinstance(expected[0], int):
            wanted: list[Mapping[str, Any]] = []
            matches = len(actual) == expected[0]
            title = f"expected {expected[0]} outputs, got {len(actual)}:"
        else:
            wanted = [facts if isinstance(facts, Mapping) else {"tile": str(facts)} for facts in expected]
            found = [self._output(output.raw) for output in actual]
            if not in_order:
                actual = [actual[place] for place in _matched(wanted, found)]
                found = [self._output(output.raw) for output in actual]
            matches = len(found) == len(wanted) and all(
                not list(_differences(facts, output)) for facts, output in zip(wanted, found, strict=True)
            )
            title = f"outputs differ (expected {len(wanted)}, got {len(actual)}):"
        if matches:
            return None
        lines = []
        for index, item in enumerate(actual):
            facts = self._output(item.raw)
            shown = ", ".join(
                f"{name} {facts[name]}"
                for name in ("tile", "kind", "seconds", "width", "height")
                if name in facts
            )
            lines.append(f"  {index + 1}. {shown}")
            for expectation in wanted[index : index + 1]:
                lines += [f"      {text}" for text in _differences(expectation, facts)]
        for entry in self.record.errors:
            messages = self.names.with_names("; ".join(entry["messages"]))
            lines.append(f"  {self.names.name_of[entry['original_node_id']]} failed: {messages}")
        return "\n".join([title, *lines])

    def _output(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Return an output with the name of its tile and its duration in seconds."""
        output = {**raw, "tile": self.names.name_of[str(raw["original_node_id"])]}
        if raw.get("duration_ms") is not None:
            output["seconds"] = float(Fraction(raw["duration_ms"], 1000))
        return output


def _matched(wanted: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the places of the outputs in the order in which most of them meet an expectation."""
    graph = nx.Graph()
    sides = [("wanted", place) for place in range(len(wanted))]
    graph.add_nodes_from([*sides, *(("found", place) for place in range(len(found)))])
    graph.add_edges_from(
        (side, ("found", place))
        for side, facts in zip(sides, wanted, strict=True)
        for place, output in enumerate(found)
        if not any(_differences(facts, output))
    )
    pairs = nx.bipartite.hopcroft_karp_matching(graph, sides)
    places = [pairs[side][1] if side in pairs else None for side in sides]
    rest = iter(sorted(set(range(len(found))) - set(places)))
    chosen = [place if place is not None else next(rest, None) for place in places]
    return [place for place in (*chosen, *rest) if place is not None]


def _differences(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> Iterator[str]:
    for name, wanted in expected.items():
        found = actual.get(name)
        same = found is not None and _ms(found) == _ms(wanted) if name == "seconds" else found == wanted
        if not same:
            yield f"{name}: expected {wanted!r}, got {found!r}"


def _ms(seconds: Any) -> int:
    """Convert seconds, as a number or text, to whole milliseconds."""
    return round(Fraction(str(seconds)) * 1000)


def _durations_text(durations: Sequence[Any]) -> str:
    texts = ("no duration" if ms is None else f"{float(Fraction(ms, 1000)):g} s" for ms in durations)
    return ", ".join(texts) or "no items"
