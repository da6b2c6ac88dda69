"""Strategies for valid agents, rewrites and requests.

They draw only small numbers and lists, so that a failing example shrinks to a short chain of Mirrors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from hypothesis import strategies as st

from tessera.agent import AgentTemplate, Tile
from tessera.node import Catalogue, NodeType
from tessera.testing.notation.names import Names, Types, short_name
from tessera.testing.notation.parser import agent
from tessera.testing.notation.writer import text_of, with_params
from tessera.testing.request_builder import input_tiles, running_tiles, start_tiles
from tessera.testing.strategies.parameters import fitting, parameters

__all__ = ["agents", "notations", "requests", "rewrites"]

_WEIGHT = 4
"""The weight of the simplest types among all types, and of Video Inputs among starts; others weigh 1."""

_SIMPLEST = ("Mirror", "Clips", "Captions", "Rough Cut", "Watermark")
_T = TypeVar("_T")


def _types(tiles: Sequence[str] | None, catalogue: Catalogue | None) -> list[type[NodeType]]:
    """Return the types to draw from, the simplest first: Hypothesis shrinks towards the first."""
    if catalogue is None:
        from tessera.settings import default_catalogue

        catalogue = default_catalogue()
    if tiles is not None:
        types = Types(catalogue)
        return [found for name in tiles if (found := types.find(name)) is not None]
    simplest = [found for name in _SIMPLEST if (found := catalogue.find(name)) is not None]
    return [*simplest * _WEIGHT, *(node_type for node_type in catalogue if node_type not in simplest)]


_Tile = tuple[type[NodeType], list[int], dict[str, Any]]
_STEPS_BACK = st.lists(st.integers(0, 7), max_size=2)


@cache
def _tiles(kinds: tuple[Any, ...], with_parameters: bool, max_size: int) -> st.SearchStrategy[list[_Tile]]:
    """Generate tiles: the type of each, the earlier tiles that feed it (as steps back), its parameters."""
    kind_of = st.sampled_from(kinds)

    @st.composite
    def tile(draw: st.DrawFn) -> _Tile:
        kind: type[NodeType] = draw(kind_of)
        return kind, draw(_STEPS_BACK), draw(parameters(kind)) if with_parameters else {}

    return st.lists(tile(), max_size=max(max_size, 0)) if kinds else st.builds(list)


@st.composite
def notations(
    draw: st.DrawFn,
    *,
    max_tiles: int = 8,
    tiles: Sequence[str] | None = None,
    with_parameters: bool = True,
    catalogue: Catalogue | None = None,
) -> str:
    """Generate agents in the notation. Parameters as in `agents`.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from tessera.testing import agent, strategies
    >>> @settings(max_examples=5)
    ... @given(strategies.notations(max_tiles=3))
    ... def test_the_notation_can_be_read(text):
    ...     assert agent(text).nodes
    >>> test_the_notation_can_be_read()
    """
    types = _types(tiles, catalogue)
    inputs = [node_type for node_type in types if node_type.is_input()]
    starts = inputs * _WEIGHT + [node_type for node_type in types if node_type.is_trigger()]
    starts = starts or [node_type for node_type in _types(None, catalogue) if node_type.is_input()]
    kinds = [draw(st.sampled_from(starts))]
    parameter_sets: list[dict[str, Any]] = [{} for _ in kinds]
    edges: list[tuple[int, int]] = []
    for kind, back, values in draw(_tiles(tuple(types), with_parameters, max_tiles - 1)):
        feeders = [
            at for at, feeder in enumerate(kinds) if feeder.produces and feeder.produces in kind.accepts
        ]
        # A generator may run without connections; any other tile needs at least one feeder.
        needed = back if kind.is_generator() else back or [0]
        sources = dict.fromkeys(feeders[max(-1 - steps, -len(feeders))] for steps in needed if feeders)
        edges += [(source, len(kinds)) for source in sources]
        kinds.append(kind)
        parameter_sets.append(fitting(kind, values))
    plain: dict[str, str] = {}
    full: dict[str, str] = {}
    seen: dict[str, int] = {}
    for at, (kind, values) in enumerate(zip(kinds, parameter_sets, strict=True)):
        base = short_name(kind)
        seen[base] = seen.get(base, 0) + 1
        plain[str(at)] = name = base if seen[base] == 1 else f"{base}_{seen[base]}"
        full[str(at)] = with_params(name, values)
    return text_of([(str(source), str(target)) for source, target in edges], plain, full)


def agents(
    *,
    max_tiles: int = 8,
    tiles: Sequence[str] | None = None,
    with_parameters: bool = True,
    catalogue: Catalogue | None = None,
) -> st.SearchStrategy[AgentTemplate]:
    """Generate valid agents, which can be planned with their `requests` or `rewrites`.

    Parameters
    ----------
    max_tiles
        The largest number of tiles of an agent.
    tiles
        The names of the types to draw from; by default all installed types.
    with_parameters
        True to set some parameters of tiles.
    catalogue
        The known node types; by default all installed ones.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from tessera.testing import assert_plan, strategies
    >>> @settings(max_examples=5)
    ... @given(strategies.agents(max_tiles=3, tiles=["input", "mirror"]))
    ... def test_every_plan_starts_with_an_input(a):
    ...     assert a.get(assert_plan(a).plan.order[0]).name == "Video Input"
    >>> test_every_plan_starts_with_an_input()
    """
    texts = notations(max_tiles=max_tiles, tiles=tiles, with_parameters=with_parameters, catalogue=catalogue)
    return texts.map(agent) if catalogue is None else texts.map(lambda text: agent(text, catalogue=catalogue))


def _ignorable(template: AgentTemplate) -> list[str]:
    """Return the tiles that may be ignored together: the first start is kept, and every new edge is valid."""
    sources = {edge.source for edge in template.connections}
    targets = {edge.target for edge in template.connections}
    first = start_tiles(template)[:1]

    def keeps_kind(tile: Tile) -> bool:
        # An inner tile whose output kind differs from its input kind would connect incompatible tiles.
        inner = tile.id in targets and tile.id in sources
        return not inner or tile.type.accepts == {tile.type.produces}

    return [tile.id for tile in template if keeps_kind(tile) and tile.id not in first]


def _draw_subset(draw: st.DrawFn, values: Sequence[_T], max_size: int | None = None) -> list[_T]:
    return draw(st.lists(st.sampled_from(values), unique=True, max_size=max_size)) if values else []


@st.composite
def rewrites(draw: st.DrawFn, of_agent: Any) -> dict[str, Any]:
    """Generate rewrites as arguments of `assert_plan`: `{"ignore": [names], "set": {"clips.num_clips": 3}}`.

    Parameters
    ----------
    of_agent
        The notation, or any other source that `tessera.testing.agent` accepts.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from tessera.testing import assert_plan, strategies
    >>> @settings(max_examples=5)
    ... @given(strategies.rewrites("input > captions > destination"))
    ... def test_ignored_tiles_are_removed(rewrite):
    ...     assert_plan("input > captions > destination", **rewrite).removed(*rewrite["ignore"])
    >>> test_ignored_tiles_are_removed()
    """
    template = agent(of_agent)
    name_of = Names(template).name_of
    ignored = _draw_subset(draw, _ignorable(template))
    runs = set(running_tiles(template, ignored))
    open_tiles = [tile for tile in template if tile.id in runs and not tile.type.protected()]
    overrides: dict[str, Any] = {}
    for at in _draw_subset(draw, range(len(open_tiles)), 2):
        tile = open_tiles[at]
        values = fitting(tile.type, draw(parameters(tile.type, minimum=1)), tile.explicit)
        overrides |= {f"{name_of[tile.id]}.{name}": value for name, value in values.items()}
    return {"ignore": [name_of[node] for node in ignored], "set": overrides}


_KEYS = st.text("abc", min_size=1, max_size=3)
_IDS = st.lists(_KEYS, min_size=1, max_size=3)
_URLS = st.lists(_KEYS.map("https://example.org/{}".format), min_size=1, max_size=3)


@st.composite
def _ranges(draw: st.DrawFn) -> dict[str, int]:
    start, length = draw(st.integers(0, 2000)), draw(st.integers(0, 2000))
    return {
        **({"input_clip_start_ms": start} if start else {}),
        **({"input_clip_end_ms": start + length} if length else {}),
    }


_CLIPPED_IDS = st.lists(
    st.builds(lambda key, clip: {"id": key, **clip}, _KEYS, _ranges()), min_size=1, max_size=2
)
_FORMS: Mapping[str, st.SearchStrategy[Any]] = {
    "video_ids": _IDS,
    "video_urls": _URLS,
    "node_render_ids": _IDS,
    "youtube_urls": _URLS,
    "signed_urls": _URLS,
    "video_id_inputs": _CLIPPED_IDS,
}


@st.composite
def _sources(draw: st.DrawFn) -> dict[str, Any]:
    """Generate the source members of a request or of one of its entries, in one or two forms."""
    forms = draw(st.lists(st.sampled_from(list(_FORMS)), min_size=1, max_size=2, unique=True))
    return {**{form: draw(_FORMS[form]) for form in forms}, **draw(_ranges())}


@st.composite
def requests(draw: st.DrawFn, of_agent: Any) -> dict[str, Any]:
    """Generate valid requests to an agent: inputs in any form, ignored tiles, overridden parameters.

    Parameters
    ----------
    of_agent
        The notation, or any other source that `tessera.testing.agent` accepts.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from tessera.testing import assert_plan, strategies
    >>> @settings(max_examples=5)
    ... @given(strategies.requests("input > captions > destination"))
    ... def test_requests_can_be_planned(request):
    ...     assert_plan("input > captions > destination", request).has_edges()
    >>> test_requests_can_be_planned()
    """
    template = agent(of_agent)
    names = Names(template)
    rewrite = draw(rewrites(template))
    ignored = [names.id(name) for name in rewrite["ignore"]]
    request: dict[str, Any] = {"ignore_nodes": ignored} if ignored else {}
    for name, value in rewrite["set"].items():
        tile, _dot, parameter = name.partition(".")
        request.setdefault("update_params", {}).setdefault(names.id(tile), {})[parameter] = value
    inputs = input_tiles(names, ignored)
    if len(inputs) == 1 and draw(st.booleans().map(lambda several: not several)):
        return {**request, **draw(_sources())}
    entries = [{"agent_node_id": node, **draw(_sources())} for node in draw(st.permutations(inputs))]
    return {**request, "video_inputs": entries} if entries else request
