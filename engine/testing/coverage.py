"""Graph coverage: the parts of each agent that the plans of a test suite exercise."""

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
"""The counted parts: tiles that run, edges of the template that run, edges of fan-outs (both taken and left
out while the source tile runs), ignored tiles, overridden parameters."""

_PARTS: Sequence[Part] = get_args(Part)
_MISSING_TEXT: Mapping[Part, str] = {
    "tiles": "never run",
    "edges": "never run",
    "branches": "never seen",
    "ignored": "never ignored",
    "parameters": "never overridden",
}
_SHOWN_AGENTS = 20
_SHOWN_NAMES = 8
_MAX_LABEL = 36


@dataclass(slots=True)
class AgentCoverage:
    """The coverage of one agent: the names of all parts (`targets`) and of the exercised ones (`hit`)."""

    label: str
    targets: dict[Part, dict[str, None]]
    hit: dict[Part, set[str]]
    plans: int = 0

    @classmethod
    def empty(cls, template: AgentTemplate, notation: str) -> AgentCoverage:
        """Return the coverage of an agent before any plan."""
        name_of = Names(template).name_of
        open_tiles = [tile for tile in template if tile.type.category not in ("input", "trigger", "output")]
        parameters = [f"{name_of[node]}.{name}" for node, name in _overridable(template)]
        targets: dict[Part, Iterable[str]] = {
            "tiles": name_of.values(),
            "edges": [_edge(name_of, edge.source, edge.target) for edge in template.connections],
            "branches": [
                f"{edge} {case}" for edge in _branches(template, name_of) for case in ("taken", "left out")
            ],
            "ignored": [name_of[tile.id] for tile in open_tiles],
            "parameters": parameters,
        }
        label = template.name or notation.split("\n", 1)[0]
        return cls(
            label if len(label) <= _MAX_LABEL else label[: _MAX_LABEL - 1] + "…",
            {part: dict.fromkeys(targets[part]) for part in _PARTS},
            {part: set() for part in _PARTS},
        )

    def add(self, template: AgentTemplate, plan: Plan) -> None:
        """Count the parts that a plan exercises."""
        name_of = Names(template).name_of
        self.plans += 1
        self.hit["tiles"].update(name_of[node] for node in plan.order)
        self.hit["ignored"].update(name_of[node] for node in plan.changes.removed)
        overridden = [f"{name_of[change.node]}.{change.parameter}" for change in plan.changes.overridden]
        # A test may override a parameter that the template neither sets nor offers: it counts too.
        self.targets["parameters"].update(dict.fromkeys(overridden))
        self.hit["parameters"].update(overridden)
        for edge in template.connections:
            text = _edge(name_of, edge.source, edge.target)
            if plan.graph.has_edge(edge.source, edge.target):
                self.hit["edges"].add(text)
                self.hit["branches"].add(f"{text} taken")
            elif edge.source in plan.graph:
                self.hit["branches"].add(f"{text} left out")

    def count(self, part: Part) -> tuple[int, int]:
        """Return the number of exercised parts and of all parts of a kind."""
        targets = self.targets[part]
        return sum(name in self.hit[part] for name in targets), len(targets)

    def missing(self, part: Part) -> list[str]:
        """Return the names of the parts of a kind that no plan exercises."""
        return [name for name in self.targets[part] if name not in self.hit[part]]

    def totals(self) -> tuple[int, int]:
        """Return the number of exercised parts and of all parts, over all kinds."""
        counts = [self.count(part) for part in _PARTS]
        return sum(hit for hit, _total in counts), sum(total for _hit, total in counts)


def _edge(name_of: Mapping[str, str], source: str, target: str) -> str:
    return f"{name_of[source]} > {name_of[target]}"


def _branches(template: AgentTemplate, name_of: Mapping[str, str]) -> Iterator[str]:
    """Yield the edges of tiles that feed more than one tile."""
    targets: dict[str, int] = {}
    for edge in template.connections:
        targets[edge.source] = targets.get(edge.source, 0) + 1
    for edge in template.connections:
        if targets[edge.source] > 1:
            yield _edge(name_of, edge.source, edge.target)


def _overridable(template: AgentTemplate) -> Iterator[tuple[str, str]]:
    """Yield the parameters that a suite should override: those that the export offers, or else sets."""
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
    """The parts of each agent that a suite of plans exercises.

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
        """Count the parts that a plan exercises. Agents with equal name and notation count as one."""
        # The entry keeps the template alive, so that no other template can take its `id()`.
        entry = self._keys.get(id(template))
        if entry is None:
            entry = self._keys[id(template)] = (template, f"{template.name or ''}\n{to_notation(template)}")
        key = entry[1]
        if key not in self.agents:
            self.agents[key] = AgentCoverage.empty(template, key.split("\n", 1)[1])
        self.agents[key].add(template, plan)

    @property
    def percent(self) -> float:
        """The exercised share of all parts, in percent (0 to 100); 0 if no plan was counted."""
        return _percent(agent.totals() for agent in self.agents.values())

    def report(self) -> str:
        """Return a table of the agents, the least covered first, with the parts that no plan exercises."""
        if not self.agents:
            return "no plan was checked by an assertion"
        agents = sorted(self.agents.values(), key=lambda agent: (_percent([agent.totals()]), agent.label))
        rows = [["agent", *_PARTS, "total"]]
        for agent in agents[:_SHOWN_AGENTS]:
            counts = ["{}/{}".format(*agent.count(part)) for part in _PARTS]
            rows.append([agent.label, *counts, f"{_percent([agent.totals()]):.0f} %"])
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = []
        for index, row in enumerate(rows):
            cells = [row[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            lines.append("  ".join(cells))
            if index:
                lines += _missing_lines(agents[index - 1])
        if len(agents) > _SHOWN_AGENTS:
            lines.append(f"and {len(agents) - _SHOWN_AGENTS} more agents")
        plans = sum(agent.plans for agent in agents)
        totals = f"{count(plans, 'plan')} of {count(len(agents), 'agent')}"
        lines.append(f"{totals}: {self.percent:.1f} % exercised")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the coverage as JSON values."""
        return {
            key: {
                "label": agent.label,
                "plans": agent.plans,
                "wanted": {part: list(names) for part, names in agent.targets.items()},
                "hit": {part: sorted(names) for part, names in agent.hit.items()},
            }
            for key, agent in self.agents.items()
        }

    def merge(self, other: Mapping[str, Any]) -> Self:
        """Add the coverage of another process, as returned by its `to_dict`."""
        for key, data in other.items():
            agent = self.agents.setdefault(
                key,
                AgentCoverage(data["label"], {part: {} for part in _PARTS}, {part: set() for part in _PARTS}),
            )
            agent.plans += data["plans"]
            for part in _PARTS:
                agent.targets[part].update(dict.fromkeys(data["wanted"][part]))
                agent.hit[part].update(data["hit"][part])
        return self

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=1) + "\n"


def _percent(totals: Iterable[tuple[int, int]]) -> float:
    counts = list(totals)
    targets = sum(total for _hit, total in counts)
    return 100 * sum(hit for hit, _total in counts) / targets if targets else 0.0


def _missing_lines(agent: AgentCoverage) -> Iterator[str]:
    """Yield the parts of an agent that no plan exercises, one line per kind of part."""
    for part in _PARTS:
        names = agent.missing(part)
        if names:
            more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
            yield f"    {part} {_MISSING_TEXT[part]}: {', '.join(names[:_SHOWN_NAMES])}{more}"
