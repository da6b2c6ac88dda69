"""`assert_plan`: one-line assertions on the plan of an agent and a request; failures name the cause."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Self, TypedDict, Unpack

from tessera.errors import RequestError
from tessera.graph.load import UnknownTiles
from tessera.graph.plan import plan
from tessera.node import Catalogue
from tessera.request import RunRequest
from tessera.testing.notation import edges as edge_specs
from tessera.testing.notation.names import Names
from tessera.testing.notation.parser import AgentSource, parse
from tessera.testing.notation.parser import agent as build_agent
from tessera.testing.plan_outcome import PlanOutcome
from tessera.testing.request_builder import Inputs, build_request, with_dummy_facts
from tessera.testing.session import current_session
from tessera.testing.simulation import SimulationOutcome

__all__ = ["PlanAssertion", "assert_plan"]


class LoadOptions(TypedDict, total=False):
    """The options of `load_agent`."""

    catalogue: Catalogue | None
    unknown_tiles: UnknownTiles


_ANY: Any = object()
_MAX_SUBJECT = 160


RequestSource = RunRequest | str | bytes | os.PathLike[str] | Mapping[str, Any]
"""A request as `plan` takes it."""


def assert_plan(
    agent: AgentSource,
    request: RequestSource | None = None,
    *,
    ignore: Iterable[str] = (),
    set: Mapping[str, Any] | None = None,
    inputs: Inputs = None,
    facts: Any = None,
    stubs: Mapping[str, Any] | None = None,
    **loading: Unpack[LoadOptions],
) -> PlanAssertion:
    """Plan a run of an agent and return assertions on the plan.

    Parameters
    ----------
    agent
        The notation, an `AgentTemplate`, or any other source that `tessera.testing.agent` accepts.
    request
        A request as `plan` takes it. In an object, `<clips>` replaces the id of that tile.
    ignore, set
        Additions to the request, by tile name: `["captions"]`, `{"clips.num_clips": 3}`.
    inputs
        An id, a URL or a list of them for the only Video Input; an object for several Video Inputs:
        `{"host": "a", "guest": ["b", "c"]}`. By default, if the request has no sources, each Video Input
        that runs gets a placeholder video.
    facts
        Facts about the inputs as `simulate` takes them, for the assertions on items, durations and outputs.
        The id of a placeholder video is the name of its tile; without other facts it is 60,000 ms of
        speech, 1920×1080 pixels, 30 frames/s.
    stubs
        Stubbed results and faults of tiles by tile name, as `simulate` takes them.
    catalogue, unknown_tiles
        As in `load_agent`.

    Returns
    -------
    PlanAssertion
        Each method makes one assertion and returns the object, for chaining. If the request is rejected,
        every method except `raises` fails.

    Raises
    ------
    NotationError
        If the notation cannot be parsed, or a name matches no tile.

    Examples
    --------
    >>> a = "input > rough_cut > {captions, mirror} > watermark > destination"
    >>> p = assert_plan(a, ignore=["captions"], set={"watermark.logo_size": 50})
    >>> p = p.edges("rough_cut > watermark via captions", "mirror > watermark").removed("captions")
    >>> p = p.param("watermark.logo_size", 50, origin="override").outputs(2)
    """
    template: Any = None
    try:
        template = build_agent(agent, **loading)
    except RequestError as error:
        return PlanAssertion(None, None, error, {}, "an invalid agent")
    names = Names(template)
    ignored = [ignore] if isinstance(ignore, str) else list(ignore)
    try:
        body = build_request(names, request, ignored, set or {}, inputs)
        planned = plan(template, body, **loading)
    except RequestError as error:
        return PlanAssertion(names, None, error, {}, _subject(names, ignored, set))
    session = current_session()
    if session is not None and session.coverage is not None and not _is_generated():
        session.coverage.add(template, planned)
    options = {"facts": facts, "stubs": {names.id(name): stub for name, stub in (stubs or {}).items()}}
    return PlanAssertion(names, planned, None, options, _subject(names, ignored, set))


def _is_generated() -> bool:
    """Return True if Hypothesis generates the agents of this test, which do not count for coverage."""
    hypothesis = sys.modules.get("hypothesis")
    return hypothesis is not None and bool(hypothesis.currently_in_test_context())


def _subject(names: Names, ignored: Sequence[str], overrides: Mapping[str, Any] | None) -> str:
    """Return one line that names the agent and the changes of the request, for failure messages."""
    changes = " and ".join(
        [
            *([f"ignoring {', '.join(ignored)}"] if ignored else []),
            *([f"setting {json.dumps(overrides, ensure_ascii=False, default=str)}"] if overrides else []),
        ]
    )
    text = f"{names.template.name or 'the agent'}{' ' + changes if changes else ''}"
    return text if len(text) <= _MAX_SUBJECT else text[: _MAX_SUBJECT - 1] + "…"


class PlanAssertion(PlanOutcome):
    """Assertions on a plan, or on a rejected request; see `assert_plan`.

    Examples
    --------
    >>> p = assert_plan("input > clips(num_clips=3) > mirror > destination")
    >>> p = p.tiles("input > clips > mirror > destination").has_edges("clips > mirror")
    >>> p = p.param("clips.num_clips", 3, origin="template").items(clips=3).outputs(3)
    """

    # the graph

    def edges(self, *specs: str) -> Self:
        """Assert that each named edge exists with exactly this `via`, and that no other edge is rewired.

        Examples
        --------
        >>> p = assert_plan("input > captions > mirror > destination", ignore=["captions"])
        >>> p = p.edges("input > mirror via captions")
        """
        __tracebackhide__ = True
        rewired = [edge for edge, via in edge_specs.edges_of(self.plan).items() if via]
        return self._compare("edges", specs, rewired)

    def has_edges(self, *specs: str) -> Self:
        """Assert that each named edge exists with exactly this `via`; other edges are allowed.

        Examples
        --------
        >>> p = assert_plan("input > captions > destination").has_edges("input > captions")
        """
        __tracebackhide__ = True
        return self._compare("edges", specs, ())

    def only_edges(self, *specs: str) -> Self:
        """Assert that the plan has exactly the named edges.

        Examples
        --------
        >>> p = assert_plan("input > captions > destination").only_edges("input > captions > destination")
        """
        __tracebackhide__ = True
        return self._compare("all edges", specs, edge_specs.edges_of(self.plan))

    def _compare(self, title: str, specs: Sequence[str], required: Iterable[edge_specs.Edge]) -> Self:
        __tracebackhide__ = True
        names = self.names()
        diff = edge_specs.EdgeDiff(names, self.plan, edge_specs.read_edges(specs, names), required)
        if diff:
            raise self._fail(f"{title} differ (- expected, + actual):\n{diff}")
        return self

    def no_edges(self, *specs: str) -> Self:
        """Assert that the plan has none of the named edges, with any `via`.

        Examples
        --------
        >>> p = assert_plan("input > captions > destination").no_edges("input > destination")
        """
        __tracebackhide__ = True
        names, actual = self.names(), edge_specs.edges_of(self.plan)
        unwanted = [edge for edge in edge_specs.read_edges(specs, names) if edge in actual]
        if unwanted:
            lines = [f"  + {edge_specs.edge_text(edge, actual[edge], names.name_of)}" for edge in unwanted]
            raise self._fail("\n".join(["the plan has unexpected edges:", *lines]))
        return self

    def tiles(self, *tiles: str) -> Self:
        """Assert that exactly these tiles run.

        Examples
        --------
        >>> p = assert_plan("input > captions > destination").tiles("input", "captions", "destination")
        """
        __tracebackhide__ = True
        return self._compare_tiles("tiles that run", tiles, self.plan.order)

    def removed(self, *tiles: str) -> Self:
        """Assert that exactly these tiles are ignored.

        Examples
        --------
        >>> p = assert_plan("input > captions > destination", ignore=["captions"]).removed("captions")
        """
        __tracebackhide__ = True
        return self._compare_tiles("ignored tiles", tiles, self.plan.changes.removed)

    def skipped(self, *tiles: str) -> Self:
        """Assert that exactly these tiles are skipped: nothing that runs leads to them.

        Examples
        --------
        >>> p = assert_plan("input > destination; captions").skipped("captions")
        """
        __tracebackhide__ = True
        return self._compare_tiles("skipped tiles", tiles, self.plan.changes.skipped)

    def _compare_tiles(self, title: str, tiles: Sequence[str], actual: Sequence[str]) -> Self:
        __tracebackhide__ = True
        names = self.names()
        wanted = _tile_ids(names, tiles)
        missing = [names.name_of[node] for node in wanted if node not in actual]
        extra = [names.name_of[node] for node in actual if node not in wanted]
        if missing or extra:
            lines = [f"  - {name}{self._state(name)}" for name in missing]
            lines += [f"  + {name}{self._state(name)}" for name in extra]
            raise self._fail(f"{title} differ (- expected, + actual):\n" + "\n".join(lines))
        return self

    def _state(self, name: str) -> str:
        """Return the state of a tile in the plan, in brackets."""
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
        """Assert that the named tiles run in this order; other tiles may run in between.

        Examples
        --------
        >>> p = assert_plan("input > clips > destination")
        >>> p = p.order("input", "destination").order("input > clips > destination")
        """
        __tracebackhide__ = True
        names = self.names()
        wanted = _tile_ids(names, tiles)
        actual = [node for node in self.plan.order if node in wanted]
        absent = [names.name_of[node] for node in wanted if node not in actual]
        if absent:
            raise self._fail("; ".join(f"{name} does not run{self._state(name)}" for name in absent))
        if actual != wanted:
            lines = [" > ".join(names.name_of[node] for node in nodes) for nodes in (wanted, actual)]
            raise self._fail(f"the order differs (- expected, + actual):\n  - {lines[0]}\n  + {lines[1]}")
        return self

    # parameters

    def param(
        self,
        name: str,
        value: Any = _ANY,
        *,
        origin: Literal["default", "template", "override"] | None = None,
    ) -> Self:
        """Assert the value and the origin of the parameter `"tile.parameter"`.

        Parameters
        ----------
        name
            Tile name and parameter, joined by a dot.
        value
            The expected value; not checked by default. `3` equals `3.0`, but not `True`.
        origin
            The expected origin of the value; not checked by default.

        Examples
        --------
        >>> p = assert_plan("input > clips > destination", set={"clips.num_clips": 3})
        >>> p = p.param("clips.num_clips", 3, origin="override")
        """
        __tracebackhide__ = True
        names = self.names()
        tile_name, _dot, parameter = name.partition(".")
        node = names.id(tile_name)
        if node not in self.plan.graph:
            raise self._fail(f"{tile_name} does not run{self._state(tile_name)}")
        known = self.plan.tile(node).parameters()
        if parameter not in known:
            from tessera.text.nearest import comma_list, suggestion

            hint = suggestion(parameter, known) or f"; it has: {comma_list(known)}"
            raise self._fail(f"{tile_name} has no parameter {parameter!r}{hint}")
        found = known[parameter]
        if value is not _ANY and not _equal(found["value"], value):
            actual = f"{_json(found['value'])} ({found['origin']})"
            raise self._fail(f"{name} is {actual}, expected {_json(value)}")
        if origin is not None and found["origin"] != origin:
            actual = f"{_json(found['value'])} with origin {found['origin']}"
            raise self._fail(f"{name} is {actual}, expected origin {origin}")
        return self

    # the results of a simulation

    def _simulation(self) -> SimulationOutcome:
        __tracebackhide__ = True
        _ = self.plan
        assert self._simulated is not None
        return self._simulated

    def facts(self) -> Any:
        """Return the facts of the simulation: those of the test, and placeholders for other inputs."""
        return with_dummy_facts(self.names(), self._simulation().options.get("facts"))

    def items(self, counts: Mapping[str, int] | None = None, /, **more: int) -> Self:
        """Assert the number of items that each named tile produces in a simulation.

        Examples
        --------
        >>> p = assert_plan("input > clips(num_clips=3) > destination").items(clips=3)
        """
        __tracebackhide__ = True
        problem = self._simulation().items({**(counts or {}), **more})
        if problem:
            raise self._fail(problem)
        return self

    def durations(self, seconds: Mapping[str, Any] | None = None, /, **more: Any) -> Self:
        """Assert the durations of the items of each named tile, in seconds, to the millisecond.

        Examples
        --------
        >>> p = assert_plan("input > mirror > destination").durations(mirror=60)
        """
        __tracebackhide__ = True
        problem = self._simulation().durations({**(seconds or {}), **more})
        if problem:
            raise self._fail(problem)
        return self

    def why(self, reasons: Mapping[str, str] | None = None, /, **more: str) -> Self:
        """Assert that an item of each named tile has a reason that contains this text.

        Examples
        --------
        >>> p = assert_plan("input > clips(num_clips=3) > destination").why(clips="rank 1 of 3")
        """
        __tracebackhide__ = True
        problem = self._simulation().why({**(reasons or {}), **more})
        if problem:
            raise self._fail(problem)
        return self

    def credits(self, total: int | float | str) -> Self:
        """Assert the credits of the whole run, by the default prices, exactly.

        Examples
        --------
        >>> p = assert_plan("input > mirror > destination").credits("0.70")
        """
        __tracebackhide__ = True
        problem = self._simulation().credits(total)
        if problem:
            raise self._fail(problem)
        return self

    def makespan(self, at_most: float) -> Self:
        """Assert the expected duration of the run in seconds, by the default costs and workers.

        Examples
        --------
        >>> p = assert_plan("input > mirror > destination").makespan(at_most=120)
        """
        __tracebackhide__ = True
        problem = self._simulation().makespan(at_most)
        if problem:
            raise self._fail(problem)
        return self

    def outputs(self, *expected: int | str | Mapping[str, Any], in_order: bool = True) -> Self:
        """Assert the outputs of the run: their number, or each of them.

        Parameters
        ----------
        expected
            One number; or for each output a tile name or an object of expected facts: `tile`, `seconds`, and
            members of an output such as `width` and `height` (pixels), `kind`, `fps`, `has_audio`.
        in_order
            False if the outputs may come in any order.

        Examples
        --------
        >>> p = assert_plan("input > mirror > destination")
        >>> p = p.outputs(1).outputs({"seconds": 60, "width": 1920, "height": 1080})
        """
        __tracebackhide__ = True
        problem = self._simulation().outputs(expected, in_order=in_order)
        if problem:
            raise self._fail(problem)
        return self

    # snapshots

    def snapshot(self, name: str) -> Self:
        """Assert that the plan equals the snapshot `__snapshots__/NAME.json` beside the test.

        `pytest --tessera-update-snapshots` writes the file. It needs a running pytest session:
        `assert_plan(a).snapshot("plain")`.
        """
        __tracebackhide__ = True
        from tessera.testing.snapshot import check_snapshot, snapshot_text

        problem = check_snapshot(name, snapshot_text(self.names(), self.plan))
        if problem:
            raise self._fail(problem)
        return self


def _tile_ids(names: Names, tiles: Sequence[str]) -> list[str]:
    """Return the ids of tiles that are named one by one or in texts of the notation."""
    found: list[str] = []
    for text in tiles:
        if re.search(r"[>{};\n]", text):
            found += [names.id(mention.name) for mention in parse(text).mentions]
        else:
            found += [names.id(name) for name in text.split(",")]
    return list(dict.fromkeys(found))


def _equal(actual: Any, expected: Any) -> bool:
    """Return True if two values are the same JSON: `3` equals `3.0`, but `True` does not equal `1`."""
    return json.dumps(_normal_numbers(actual), sort_keys=True) == json.dumps(
        _normal_numbers(expected), sort_keys=True, default=str
    )


def _normal_numbers(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _normal_numbers(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_normal_numbers(member) for member in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
