"""Strategies for agents, rewrites and requests that are right.

Everything is built of small numbers and lists, so that a failing example shrinks to a short chain of Mirrors.
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
from tessera.testing.request_builder import dummies, running, starting
from tessera.testing.strategies.parameters import fitting, parameters

__all__ = ["agents", "notations", "requests", "rewrites"]

_OFTEN = 4
"""How many times as often as other types the simplest ones are drawn, and Video Inputs to start with."""

_SIMPLEST = ("Mirror", "Clips", "Captions", "Rough Cut", "Watermark")
_T = TypeVar("_T")


def _types(tiles: Sequence[str] | None, catalogue: Catalogue | None) -> list[type[NodeType]]:
    """The types to draw from, the simplest first."""
    if catalogue is None:
        from tessera.settings import default_catalogue

        catalogue = default_catalogue()
    if tiles is not None:
        types = Types(catalogue)
        return [one for name in tiles if (one := types.find(name)) is not None]
    simplest = [one for name in _SIMPLEST if (one := catalogue.find(name)) is not None]
    return [*simplest * _OFTEN, *(one for one in catalogue if one not in simplest)]


_Tile = tuple[type[NodeType], list[int], dict[str, Any]]
_BACK = st.lists(st.integers(0, 7), max_size=2)


@cache
def _tiles(kinds: tuple[Any, ...], with_parameters: bool, most: int) -> st.SearchStrategy[list[_Tile]]:
    """Tiles to add: the type of each, which of the tiles before it feed it (steps back), its parameters."""
    kind_of = st.sampled_from(kinds)

    @st.composite
    def tile(draw: st.DrawFn) -> _Tile:
        kind: type[NodeType] = draw(kind_of)
        return kind, draw(_BACK), draw(parameters(kind)) if with_parameters else {}

    return st.lists(tile(), max_size=max(most, 0)) if kinds else st.builds(list)


@st.composite
def notations(
    draw: st.DrawFn,
    *,
    max_tiles: int = 8,
    tiles: Sequence[str] | None = None,
    with_parameters: bool = True,
    catalogue: Catalogue | None = None,
) -> str:
    """Agents in the notation. Parameters as in `agents`."""
    known = _types(tiles, catalogue)
    starts = [one for one in known if one.is_input()] * _OFTEN + [one for one in known if one.is_trigger()]
    starts = starts or [one for one in _types(None, catalogue) if one.is_input()]
    kinds = [draw(st.sampled_from(starts))]
    own: list[dict[str, Any]] = [{} for _ in kinds]
    edges: list[tuple[int, int]] = []
    for kind, back, values in draw(_tiles(tuple(known), with_parameters, max_tiles - 1)):
        feeding = [
            at for at, one in enumerate(kinds) if one.produces is not None and one.produces in kind.accepts
        ]
        needed = back if kind.is_generator() else back or [0]
        sources = dict.fromkeys(feeding[max(-1 - steps, -len(feeding))] for steps in needed if feeding)
        edges += [(source, len(kinds)) for source in sources]
        kinds.append(kind)
        own.append(fitting(kind, values))
    plain: dict[str, str] = {}
    full: dict[str, str] = {}
    seen: dict[str, int] = {}
    for at, (kind, values) in enumerate(zip(kinds, own, strict=True)):
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
    """Agents that load, and can be planned with `requests` or `rewrites` of them.

    Parameters
    ----------
    max_tiles
        The most tiles that one has.
    tiles
        The types to draw from; by default all that are installed.
    with_parameters
        Whether tiles set some of their parameters.
    """
    drawn = notations(max_tiles=max_tiles, tiles=tiles, with_parameters=with_parameters, catalogue=catalogue)
    return drawn.map(agent) if catalogue is None else drawn.map(lambda text: agent(text, catalogue=catalogue))


def _ignorable(template: AgentTemplate) -> list[str]:
    """The tiles that may be left out together: the first start is kept, and every new edge fits."""
    feeds = {edge.source for edge in template.connections}
    fed = {edge.target for edge in template.connections}
    first = starting(template)[:1]

    def passes(tile: Tile) -> bool:
        kind = tile.type.produces
        return tile.id not in fed or tile.id not in feeds or tile.type.accepts == {kind}

    return [tile.id for tile in template if passes(tile) and tile.id not in first]


def _some(draw: st.DrawFn, values: Sequence[_T], most: int | None = None) -> list[_T]:
    return draw(st.lists(st.sampled_from(values), unique=True, max_size=most)) if values else []


@st.composite
def rewrites(draw: st.DrawFn, of_agent: Any) -> dict[str, Any]:
    """What `assert_plan` takes to rewrite an agent: `{"ignore": [names], "set": {"clips.num_clips": 3}}`.

    Parameters
    ----------
    of_agent
        The notation, or what else `tessera.testing.agent` takes.
    """
    template = agent(of_agent)
    of = Names(template).of
    ignored = _some(draw, _ignorable(template))
    runs = set(running(template, ignored))
    open_tiles = [tile for tile in template if tile.id in runs and not tile.type.protected()]
    overrides: dict[str, Any] = {}
    for at in _some(draw, range(len(open_tiles)), 2):
        tile = open_tiles[at]
        values = fitting(tile.type, draw(parameters(tile.type, least=1)), tile.explicit)
        overrides |= {f"{of[tile.id]}.{name}": value for name, value in values.items()}
    return {"ignore": [of[node] for node in ignored], "set": overrides}


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
    st.builds(lambda key, own: {"id": key, **own}, _KEYS, _ranges()), min_size=1, max_size=2
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
    """The source members of a request or of an entry of it, in one or two forms."""
    forms = draw(st.lists(st.sampled_from(list(_FORMS)), min_size=1, max_size=2, unique=True))
    return {**{form: draw(_FORMS[form]) for form in forms}, **draw(_ranges())}


@st.composite
def requests(draw: st.DrawFn, of_agent: Any) -> dict[str, Any]:
    """Requests that an agent takes: inputs in any form, tiles ignored, parameters overridden."""
    template = agent(of_agent)
    names = Names(template)
    rewrite = draw(rewrites(template))
    ignored = [names.id(name) for name in rewrite["ignore"]]
    request: dict[str, Any] = {"ignore_nodes": ignored} if ignored else {}
    for name, value in rewrite["set"].items():
        tile, _dot, parameter = name.partition(".")
        request.setdefault("update_params", {}).setdefault(names.id(tile), {})[parameter] = value
    wanted = dummies(names, ignored)
    if len(wanted) == 1 and draw(st.booleans().map(lambda several: not several)):
        return {**request, **draw(_sources())}
    entries = [{"agent_node_id": node, **draw(_sources())} for node in draw(st.permutations(wanted))]
    return {**request, "video_inputs": entries} if entries else request
