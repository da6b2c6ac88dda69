"""`assert_plan`: what a request makes of an agent, asserted in a line, with failures that say the cause."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Self

from tessera.errors import RequestError
from tessera.graph.load import UnknownTiles
from tessera.graph.plan import plan
from tessera.node import Catalogue
from tessera.testing.notation import edges as edge_specs
from tessera.testing.notation.names import Names
from tessera.testing.notation.parser import agent as build_agent
from tessera.testing.notation.parser import parse
from tessera.testing.plan_outcome import PlanOutcome
from tessera.testing.request_builder import Inputs, build_request
from tessera.testing.session import current_session
from tessera.testing.simulation import SimulationOutcome

__all__ = ["PlanAssertion", "assert_plan"]

_ANY: Any = object()
_LONGEST_HEAD = 160


def assert_plan(
    agent: Any,
    request: Any = None,
    *,
    ignore: Iterable[str] = (),
    set: Mapping[str, Any] | None = None,
    inputs: Inputs = None,
    facts: Any = None,
    stubs: Mapping[str, Any] | None = None,
    catalogue: Catalogue | None = None,
    unknown_tiles: UnknownTiles = "error",
) -> PlanAssertion:
    """Plan a run of an agent, to be asserted on.

    Parameters
    ----------
    agent
        The notation, an `AgentTemplate`, or what else `tessera.testing.agent` takes.
    request
        A request as `plan` takes it. Where an id stands in an object, `<clips>` stands for that tile's.
    ignore, set
        More of the request, by the names of tiles: `["captions"]`, `{"clips.num_clips": 3}`.
    inputs
        An id, a URL, or some of them, for the only Video Input; an object for several: `{"host": "a",
        "guest": ["b", "c"]}`. Left out, each Video Input that runs gets a video where the request gives none.
    facts
        What `simulate` takes, for the assertions on items, durations and outputs. The id of a video that was
        left out is its tile's name; unless facts say otherwise, it is one minute of speech, 1920×1080, 30
        frames/s.
    stubs
        What tiles make, answer or suffer in the simulation, by their names; as `simulate` takes it.

    Returns
    -------
    PlanAssertion
        Each of its methods asserts one thing, and returns it again. A request that is refused fails all of
        them but `raises`.

    Raises
    ------
    NotationError
        The notation cannot be read, or a name is not that of a tile.

    Examples
    --------
    >>> a = "input > rough_cut > {captions, mirror} > watermark > destination"
    >>> p = assert_plan(a, ignore=["captions"], set={"watermark.logo_size": 50})
    >>> p = p.edges("rough_cut > watermark via captions", "mirror > watermark").removed("captions")
    >>> p = p.param("watermark.logo_size", 50, origin="override").outputs(2)
    """
    template: Any = None
    try:
        template = build_agent(agent, catalogue=catalogue, unknown_tiles=unknown_tiles)
    except RequestError as error:
        return PlanAssertion(None, None, error, {}, "an agent that does not load")
    names = Names(template)
    ignored = [ignore] if isinstance(ignore, str) else list(ignore)
    try:
        body = build_request(names, request, ignored, set or {}, inputs)
        made = plan(template, body, catalogue=catalogue, unknown_tiles=unknown_tiles)
    except RequestError as error:
        return PlanAssertion(names, None, error, {}, _head(names, ignored, set))
    session = current_session()
    if session is not None and session.coverage is not None and not _is_drawn():
        session.coverage.add(template, made)
    told = {"facts": facts, "stubs": {names.id(name): stub for name, stub in (stubs or {}).items()}}
    return PlanAssertion(names, made, None, told, _head(names, ignored, set))


def _is_drawn() -> bool:
    """Whether Hypothesis draws this test's agents: they are not what a suite is to cover."""
    hypothesis = sys.modules.get("hypothesis")
    return hypothesis is not None and bool(hypothesis.currently_in_test_context())


def _head(names: Names, ignored: Sequence[str], overrides: Mapping[str, Any] | None) -> str:
    """What was planned, in a line."""
    with_tiles = " and ".join(
        [
            *([f"ignoring {', '.join(ignored)}"] if ignored else []),
            *([f"setting {json.dumps(overrides, ensure_ascii=False, default=str)}"] if overrides else []),
        ]
    )
    said = f"{names.template.name or 'the agent'}{' ' + with_tiles if with_tiles else ''}"
    return said if len(said) <= _LONGEST_HEAD else said[: _LONGEST_HEAD - 1] + "…"


class PlanAssertion(PlanOutcome):
    """A plan (or why there is none) to be asserted on; see `assert_plan`."""

    # the graph

    def edges(self, *specs: str) -> Self:
        """Each named edge is there, with exactly this `via`, and there is no rewired edge besides."""
        __tracebackhide__ = True
        counted = [edge for edge, via in edge_specs.edges_of(self.plan).items() if via]
        return self._compared("edges", specs, counted)

    def has_edges(self, *specs: str) -> Self:
        """Each named edge is there, with exactly this `via`; others may be."""
        __tracebackhide__ = True
        return self._compared("edges", specs, ())

    def only_edges(self, *specs: str) -> Self:
        """The named edges are all that are there."""
        __tracebackhide__ = True
        return self._compared("all edges", specs, edge_specs.edges_of(self.plan))

    def _compared(self, what: str, specs: Sequence[str], counted: Iterable[edge_specs.Edge]) -> Self:
        __tracebackhide__ = True
        names = self.names()
        diff = edge_specs.EdgeDiff(names, self.plan, edge_specs.read_edges(specs, names), counted)
        if diff:
            raise self._fail(f"{what} differ (- expected, + there):\n{diff}")
        return self

    def no_edges(self, *specs: str) -> Self:
        """None of the named edges is there, whatever it leads past."""
        __tracebackhide__ = True
        names, actual = self.names(), edge_specs.edges_of(self.plan)
        there = [edge for edge in edge_specs.read_edges(specs, names) if edge in actual]
        if there:
            found = "\n".join(f"  + {edge_specs.edge_text(edge, actual[edge], names.of)}" for edge in there)
            raise self._fail(f"edges are there that should not be:\n{found}")
        return self

    def tiles(self, *tiles: str) -> Self:
        """Exactly these tiles run."""
        __tracebackhide__ = True
        return self._same("tiles that run", tiles, self.plan.order)

    def removed(self, *tiles: str) -> Self:
        """Exactly these tiles are ignored."""
        __tracebackhide__ = True
        return self._same("ignored tiles", tiles, self.plan.changes.removed)

    def skipped(self, *tiles: str) -> Self:
        """Exactly these tiles do not run because nothing that runs leads to them."""
        __tracebackhide__ = True
        return self._same("skipped tiles", tiles, self.plan.changes.skipped)

    def _same(self, what: str, tiles: Sequence[str], actual: Sequence[str]) -> Self:
        __tracebackhide__ = True
        names = self.names()
        wanted = _listed(names, tiles)
        missing = [names.of[node] for node in wanted if node not in actual]
        extra = [names.of[node] for node in actual if node not in wanted]
        if missing or extra:
            lines = [f"  - {name}{self._where(name)}" for name in missing]
            lines += [f"  + {name}{self._where(name)}" for name in extra]
            raise self._fail(f"{what} differ (- expected, + there):\n" + "\n".join(lines))
        return self

    def _where(self, name: str) -> str:
        """What became of a tile."""
        node = self.names().id(name)
        changes = self.plan.changes
        for state, nodes in (
            ("ignored", changes.removed),
            ("skipped", changes.skipped),
            ("runs", self.plan.order),
        ):
            if node in nodes:
                return f" ({state})"
        return ""

    def order(self, *tiles: str) -> Self:
        """The named tiles run in this order: `order("input", "clips")` or `order("input > clips")`."""
        __tracebackhide__ = True
        names = self.names()
        wanted = _listed(names, tiles)
        actual = [node for node in self.plan.order if node in wanted]
        absent = [names.of[node] for node in wanted if node not in actual]
        if absent:
            raise self._fail("; ".join(f"{name} does not run{self._where(name)}" for name in absent))
        if actual != wanted:
            said = [" > ".join(names.of[node] for node in nodes) for nodes in (wanted, actual)]
            raise self._fail(f"the order differs:\n  - {said[0]}\n  + {said[1]}")
        return self

    # parameters

    def param(
        self,
        name: str,
        value: Any = _ANY,
        *,
        origin: Literal["default", "template", "override"] | None = None,
    ) -> Self:
        """The parameter `"tile.parameter"` has this value, and it came from there."""
        __tracebackhide__ = True
        names = self.names()
        tile_name, _dot, parameter = name.partition(".")
        node = names.id(tile_name)
        if node not in self.plan.graph:
            raise self._fail(f"{tile_name} does not run{self._where(tile_name)}")
        known = self.plan.tile(node).parameters()
        if parameter not in known:
            from tessera.text.nearest import comma_list, suggestion

            hint = suggestion(parameter, known) or f"; its parameters: {comma_list(known)}"
            raise self._fail(f"{tile_name} has no parameter {parameter!r}{hint}")
        found = known[parameter]
        if value is not _ANY and not _equal(found["value"], value):
            raise self._fail(f"{name} is {_json(found['value'])} ({found['origin']}), not {_json(value)}")
        if origin is not None and found["origin"] != origin:
            raise self._fail(f"{name} is {_json(found['value'])} by {found['origin']}, not by {origin}")
        return self

    # what a simulation makes of it

    def _simulation(self) -> SimulationOutcome:
        __tracebackhide__ = True
        _ = self.plan
        assert self._simulated is not None
        return self._simulated

    def items(self, counts: Mapping[str, int] | None = None, /, **more: int) -> Self:
        """So many items are made by these tiles: `items(clips=3)`."""
        __tracebackhide__ = True
        problem = self._simulation().items({**(counts or {}), **more})
        if problem:
            raise self._fail(problem)
        return self

    def durations(self, seconds: Mapping[str, Any] | None = None, /, **more: Any) -> Self:
        """The items of these tiles last so long, in seconds: `durations(clips=[10, 10, 7.5])`."""
        __tracebackhide__ = True
        problem = self._simulation().durations({**(seconds or {}), **more})
        if problem:
            raise self._fail(problem)
        return self

    def outputs(self, *expected: int | str | Mapping[str, Any]) -> Self:
        """What the run hands over: how many, or each in order.

        Each is a tile's name, or an object of what is said of it: `tile`, `seconds`, and members of an output
        such as `width`, `height`, `kind`, `fps`, `has_audio`.
        """
        __tracebackhide__ = True
        problem = self._simulation().outputs(expected)
        if problem:
            raise self._fail(problem)
        return self

    # snapshots

    def snapshot(self, name: str) -> Self:
        """The plan is as `__snapshots__/NAME.json` beside the test has it.

        `pytest --tessera-update-snapshots` writes the file.
        """
        __tracebackhide__ = True
        from tessera.testing.snapshot import check_snapshot, snapshot_text

        problem = check_snapshot(name, snapshot_text(self.names(), self.plan))
        if problem:
            raise self._fail(problem)
        return self


def _listed(names: Names, tiles: Sequence[str]) -> list[str]:
    """The ids of tiles named one by one, or several in a text of the notation."""
    found: list[str] = []
    for text in tiles:
        if re.search(r"[>{};\n]", text):
            found += [names.id(mention.name) for mention in parse(text).mentions]
        else:
            found += [names.id(name) for name in text.split(",")]
    return list(dict.fromkeys(found))


def _equal(actual: Any, expected: Any) -> bool:
    """Whether two values are the same JSON: `True` is not 1, but 3 is 3.0."""
    return json.dumps(_floats(actual), sort_keys=True) == json.dumps(
        _floats(expected), sort_keys=True, default=str
    )


def _floats(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _floats(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_floats(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
