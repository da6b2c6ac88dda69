"""Graph coverage: what of each agent the plans of a test suite exercised."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from tessera.agent import AgentTemplate
from tessera.graph.plan import Plan
from tessera.testing.notation.names import Names
from tessera.testing.notation.writer import to_notation
from tessera.text.wording import count

__all__ = ["AgentCoverage", "GraphCoverage", "Part"]

Part = Literal["tiles", "edges", "branches", "ignored", "parameters"]
"""What is counted: tiles that ran, edges of the template that ran, edges of fan-outs both taken and left out
while the tile before them ran, tiles that were ignored, parameters that were overridden."""

_PARTS: Sequence[Part] = get_args(Part)
_LACKING: Mapping[Part, str] = {
    "tiles": "never run",
    "edges": "never run",
    "branches": "never seen",
    "ignored": "never ignored",
    "parameters": "never overridden",
}
_SHOWN_AGENTS = 20
_SHOWN_NAMES = 8
_LONGEST_LABEL = 36


@dataclass(slots=True)
class AgentCoverage:
    """One agent: what there is to exercise, and what was."""

    label: str
    wanted: dict[Part, dict[str, None]]
    hit: dict[Part, set[str]]
    plans: int = 0

    @classmethod
    def of(cls, template: AgentTemplate, notation: str) -> AgentCoverage:
        of = Names(template).of
        open_tiles = [tile for tile in template if tile.type.category not in ("input", "trigger", "output")]
        parameters = [f"{of[node]}.{name}" for node, name in _overridable(template)]
        wanted: dict[Part, Iterable[str]] = {
            "tiles": of.values(),
            "edges": [_edge(of, edge.source, edge.target) for edge in template.connections],
            "branches": [
                f"{edge} {how}" for edge in _branches(template, of) for how in ("taken", "left out")
            ],
            "ignored": [of[tile.id] for tile in open_tiles],
            "parameters": parameters,
        }
        label = template.name or notation.split("\n", 1)[0]
        return cls(
            label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 1] + "…",
            {part: dict.fromkeys(wanted[part]) for part in _PARTS},
            {part: set() for part in _PARTS},
        )

    def add(self, template: AgentTemplate, plan: Plan) -> None:
        """Count what a plan exercises."""
        of = Names(template).of
        self.plans += 1
        self.hit["tiles"].update(of[node] for node in plan.order)
        self.hit["ignored"].update(of[node] for node in plan.changes.removed)
        overridden = [f"{of[one.node]}.{one.parameter}" for one in plan.changes.overridden]
        self.wanted["parameters"].update(dict.fromkeys(overridden))
        self.hit["parameters"].update(overridden)
        for edge in template.connections:
            text = _edge(of, edge.source, edge.target)
            if plan.graph.has_edge(edge.source, edge.target):
                self.hit["edges"].add(text)
                self.hit["branches"].add(f"{text} taken")
            elif edge.source in plan.graph:
                self.hit["branches"].add(f"{text} left out")

    def count(self, part: Part) -> tuple[int, int]:
        """How many were exercised, of how many."""
        wanted = self.wanted[part]
        return sum(name in self.hit[part] for name in wanted), len(wanted)

    def missing(self, part: Part) -> list[str]:
        """What was not exercised."""
        return [name for name in self.wanted[part] if name not in self.hit[part]]

    def totals(self) -> tuple[int, int]:
        """The counts of all parts together."""
        counts = [self.count(part) for part in _PARTS]
        return sum(hit for hit, _all in counts), sum(of for _hit, of in counts)


def _edge(of: Mapping[str, str], source: str, target: str) -> str:
    return f"{of[source]} > {of[target]}"


def _branches(template: AgentTemplate, of: Mapping[str, str]) -> Iterator[str]:
    """The edges of tiles that feed more than one."""
    feeds: dict[str, int] = {}
    for edge in template.connections:
        feeds[edge.source] = feeds.get(edge.source, 0) + 1
    for edge in template.connections:
        if feeds[edge.source] > 1:
            yield _edge(of, edge.source, edge.target)


def _overridable(template: AgentTemplate) -> Iterator[tuple[str, str]]:
    """The parameters that a suite should override: those that the export offers, else those that it sets."""
    offered = template.extra.get("update_params_template")
    if isinstance(offered, Mapping) and offered:
        for node, values in offered.items():
            tile = template.get(str(node))
            if tile is not None and isinstance(values, Mapping) and not tile.type.protected():
                yield from ((tile.id, name) for name in values if name in tile.values())
        return
    for tile in template:
        if not tile.type.protected():
            yield from ((tile.id, name) for name in tile.explicit)


class GraphCoverage:
    """What of each agent a suite of plans exercised.

    Examples
    --------
    >>> from tessera.testing import GraphCoverage, agent, assert_plan
    >>> a = agent("input > {captions, mirror} > destination")
    >>> coverage = GraphCoverage()
    >>> coverage.add(a, assert_plan(a, ignore=["captions"]).plan)
    >>> round(coverage.percent)
    57
    """

    def __init__(self) -> None:
        self.agents: dict[str, AgentCoverage] = {}
        self._keys: dict[int, tuple[AgentTemplate, str]] = {}

    def add(self, template: AgentTemplate, plan: Plan) -> None:
        """Count what a plan of this agent exercises. Agents that are written alike are one."""
        held = self._keys.get(id(template))
        if held is None:
            held = self._keys[id(template)] = (template, f"{template.name or ''}\n{to_notation(template)}")
        key = held[1]
        if key not in self.agents:
            self.agents[key] = AgentCoverage.of(template, key.split("\n", 1)[1])
        self.agents[key].add(template, plan)

    @property
    def percent(self) -> float:
        """What was exercised of all there is, in percent; 0 where nothing was counted."""
        return _percent(one.totals() for one in self.agents.values())

    def report(self) -> str:
        """A table of the agents, the least exercised first, with what was not."""
        if not self.agents:
            return "no plan was asserted on"
        agents = sorted(self.agents.values(), key=lambda one: (_percent([one.totals()]), one.label))
        rows = [["agent", *_PARTS, "total"]]
        for one in agents[:_SHOWN_AGENTS]:
            counts = ["{}/{}".format(*one.count(part)) for part in _PARTS]
            rows.append([one.label, *counts, f"{_percent([one.totals()]):.0f} %"])
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = []
        for index, row in enumerate(rows):
            cells = [row[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            lines.append("  ".join(cells))
            if index:
                lines += _lacking(agents[index - 1])
        if len(agents) > _SHOWN_AGENTS:
            lines.append(f"and {count(len(agents) - _SHOWN_AGENTS, 'more agent')}")
        plans = sum(one.plans for one in agents)
        said = f"{count(plans, 'plan')} of {count(len(agents), 'agent')}"
        lines.append(f"{said}: {self.percent:.1f} % exercised")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The coverage as JSON values."""
        return {
            key: {
                "label": one.label,
                "plans": one.plans,
                "wanted": {part: list(names) for part, names in one.wanted.items()},
                "hit": {part: sorted(names) for part, names in one.hit.items()},
            }
            for key, one in self.agents.items()
        }

    def merge(self, other: Mapping[str, Any]) -> Self:
        """Take in the coverage of another process, as its `to_dict` gave it."""
        for key, one in other.items():
            mine = self.agents.setdefault(
                key,
                AgentCoverage(one["label"], {part: {} for part in _PARTS}, {part: set() for part in _PARTS}),
            )
            mine.plans += one["plans"]
            for part in _PARTS:
                mine.wanted[part].update(dict.fromkeys(one["wanted"][part]))
                mine.hit[part].update(one["hit"][part])
        return self

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=1) + "\n"


def _percent(totals: Iterable[tuple[int, int]]) -> float:
    counts = list(totals)
    wanted = sum(of for _hit, of in counts)
    return 100 * sum(hit for hit, _of in counts) / wanted if wanted else 0.0


def _lacking(one: AgentCoverage) -> Iterator[str]:
    """What of an agent was not exercised, a line for each part."""
    for part in _PARTS:
        names = one.missing(part)
        if names:
            more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
            yield f"    {part} {_LACKING[part]}: {', '.join(names[:_SHOWN_NAMES])}{more}"
