"""What a simulation of a plan makes, compared with what a test expects: items, durations, outputs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

from tessera.errors import TesseraError
from tessera.graph.plan import Plan
from tessera.record.record import RunRecord
from tessera.testing.notation.names import Names
from tessera.testing.request_builder import with_dummy_facts
from tessera.text.wording import count

__all__ = ["SimulationOutcome"]


class SimulationOutcome:
    """One plan, simulated when it is first asked of. Each question returns what is wrong, or None."""

    def __init__(self, names: Names, plan: Plan, told: Mapping[str, Any], head: str) -> None:
        self.names, self.plan, self.told, self.head = names, plan, told, head

    @cached_property
    def record(self) -> RunRecord:
        """The record of the simulation, which sees no workspace: only the facts.

        Raises
        ------
        AssertionError
            It cannot be simulated with these facts.
        """
        from tessera.runner.entry import simulate

        try:
            return simulate(
                self.plan,
                facts=with_dummy_facts(self.names, self.told.get("facts")),
                stubs=self.told.get("stubs"),
                workspace=Path(os.devnull, "no-workspace"),
            )
        except TesseraError as error:
            raise AssertionError(
                f"{self.head}: it cannot be simulated: {self.names.said(str(error))}"
            ) from None

    def _items(self, node: str) -> list[dict[str, Any]]:
        return [item for item in self.record.items if item["agent_node_id"] == node]

    def items(self, counts: Mapping[str, int]) -> str | None:
        """Whether tiles make so many items."""
        lines = []
        for name, wanted in counts.items():
            node = self.names.id(name)
            made = len(self._items(node))
            if made != wanted:
                lines.append(f"  {name}: expected {wanted}, made {made}{self._reason(node)}")
        return "\n".join(["items differ:", *lines]) if lines else None

    def durations(self, seconds: Mapping[str, Any]) -> str | None:
        """Whether the items of tiles last so long."""
        lines = []
        for name, given in seconds.items():
            node = self.names.id(name)
            wanted = [_ms(one) for one in (given if isinstance(given, list | tuple) else [given])]
            made = [item.get("duration_ms") for item in self._items(node)]
            if made != wanted:
                said = f"expected {_listed(wanted)}, made {_listed(made)}"
                lines.append(f"  {name}: {said}{self._reason(node)}")
        return "\n".join(["durations differ:", *lines]) if lines else None

    def _reason(self, node: str) -> str:
        """What a person needs to know of a tile that made something else."""
        if node not in self.record.nodes:
            return " (it does not run)"
        of = self.record.node(node)
        said = "; ".join([*of.errors, *([of.message] if of.message and of.message not in of.errors else [])])
        whys = "; ".join(dict.fromkeys(item["why"] for item in self._items(node) if item["why"]))
        text = self.names.said(said or whys)
        return f" ({of.status.value}: {text})" if said else f" ({text})" if text else ""

    def outputs(self, expected: Sequence[int | str | Mapping[str, Any]]) -> str | None:
        """Whether the outputs are so many, or each as it is expected."""
        actual = self.record.outputs
        if len(expected) == 1 and isinstance(expected[0], int):
            wanted: list[Mapping[str, Any]] = []
            fine = len(actual) == expected[0]
            head = f"expected {count(expected[0], 'output')}, there are {len(actual)}:"
        else:
            wanted = [one if isinstance(one, Mapping) else {"tile": str(one)} for one in expected]
            found = [self._output(one.raw) for one in actual]
            fine = len(found) == len(wanted) and all(
                not list(_differences(said, one)) for said, one in zip(wanted, found, strict=True)
            )
            head = f"outputs differ (expected {len(wanted)}, there are {len(actual)}):"
        if fine:
            return None
        lines = []
        for index, output in enumerate(actual):
            one = self._output(output.raw)
            shown = ", ".join(
                f"{name} {one[name]}"
                for name in ("tile", "kind", "seconds", "width", "height")
                if name in one
            )
            lines.append(f"  {index + 1}. {shown}")
            lines += (
                [f"      {said}" for said in _differences(wanted[index], one)] if index < len(wanted) else []
            )
        for entry in self.record.errors:
            said = "; ".join(entry["messages"])
            lines.append(f"  {self.names.of[entry['original_node_id']]} failed: {self.names.said(said)}")
        return "\n".join([head, *lines])

    def _output(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """An output with its tile by name, and its duration in seconds."""
        one = {**raw, "tile": self.names.of[str(raw["original_node_id"])]}
        if raw.get("duration_ms") is not None:
            one["seconds"] = float(Fraction(raw["duration_ms"], 1000))
        return one


def _differences(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> Iterator[str]:
    for name, wanted in expected.items():
        found = actual.get(name)
        same = found is not None and _ms(found) == _ms(wanted) if name == "seconds" else found == wanted
        if not same:
            yield f"{name}: expected {wanted!r}, is {found!r}"


def _ms(seconds: Any) -> int:
    """Seconds, as a number or as text, in whole milliseconds."""
    return round(Fraction(str(seconds)) * 1000)


def _listed(durations: Sequence[Any]) -> str:
    said = ", ".join(
        "no duration" if one is None else f"{float(Fraction(one, 1000)):g} s" for one in durations
    )
    return said or "nothing"
