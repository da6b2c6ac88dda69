"""Agents, plans, requests and records of runs, read into one shape in which two of them can be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from tessera.agent import AgentTemplate, read_json
from tessera.errors import Document, Fault, RequestError
from tessera.graph.load import UnknownTiles, load_agent
from tessera.graph.model import build_graph
from tessera.graph.plan import Plan, topological_order
from tessera.request import RunRequest, SourceRef, read_request

__all__ = ["Kind", "TileView", "View", "kind_of", "read_view"]

Kind = Literal["agent", "plan", "request", "run"]
Key = str
"""A tile's id in lower case."""
Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TileView:
    """A tile; `state` says why one that is not in a run's graph is not."""

    id: str
    name: str
    type_id: str
    state: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """What can be compared of a document. What a kind does not have is empty.

    Attributes
    ----------
    mode
        Of a record: `run` or `simulation`.
    gone
        Tiles that the request takes out of the graph.
    edges
        (source, target) → the removed tiles led past.
    fed_by
        What feeds each tile, in the order in which its items arrive.
    order
        The tiles in topological order.
    parameters
        Tile → parameter → (value, origin).
    known
        Of a record: what a parameter that it overrides would be without that.
    inputs
        Video Input (None: the only one) → its sources, each as pairs of names and values.
    statuses, made
        Of a record: of each tile (None: of the run) its status and message; how many items it made.
    outputs
        Of a record: (tile, index) → what the output is.
    """

    kind: Kind
    name: str = ""
    mode: str = ""
    tiles: Mapping[Key, TileView] = field(default_factory=dict)
    gone: Mapping[Key, TileView] = field(default_factory=dict)
    edges: Mapping[tuple[Key, Key], tuple[Key, ...]] = field(default_factory=dict)
    fed_by: Mapping[Key, tuple[Key, ...]] = field(default_factory=dict)
    order: tuple[Key, ...] = ()
    parameters: Mapping[Key, Mapping[str, tuple[Any, str | None]]] = field(default_factory=dict)
    known: Mapping[tuple[Key, str], tuple[Any, str | None]] = field(default_factory=dict)
    ignored: Mapping[Key, str] = field(default_factory=dict)
    inputs: Mapping[Key | None, tuple[tuple[tuple[str, Any], ...], ...]] = field(default_factory=dict)
    members: Facts = field(default_factory=dict)
    statuses: Mapping[Key | None, tuple[str, str | None]] = field(default_factory=dict)
    made: Mapping[Key, int] = field(default_factory=dict)
    outputs: Mapping[tuple[Key, int], Facts] = field(default_factory=dict)
    ids: Mapping[Key, str] = field(default_factory=dict)

    def id_of(self, key: Key) -> str:
        """A tile's id as the document writes it."""
        if key in self.tiles:
            return self.tiles[key].id
        return self.gone[key].id if key in self.gone else self.ids.get(key, key)


def read_view(document: Any, unknown_tiles: UnknownTiles = "error") -> View:
    """A document, told by its members, as what can be compared of it.

    Raises
    ------
    RequestError
        It is none of the four kinds, or faults were found in it.
    """
    if isinstance(document, AgentTemplate):
        return _of_agent(document)
    if isinstance(document, Plan):
        return _of_plan(document)
    raw = document.to_dict() if hasattr(document, "to_dict") else read_json(document, "request")
    kind = kind_of(raw)
    if kind == "agent":
        return _of_agent(load_agent(raw, unknown_tiles=unknown_tiles))
    if kind == "plan":
        return _of_plan(Plan.from_dict(raw))
    if kind == "run":
        return _of_record(raw)
    request, _outline, faults = read_request(raw)
    if request is None or faults:
        raise RequestError(faults)
    return _of_request(request)


def kind_of(raw: Any) -> Kind:
    """Which kind of document this is, by its members.

    Raises
    ------
    RequestError
        It is none.

    Examples
    --------
    >>> kind_of({"ignore_nodes": []})
    'request'
    """
    if isinstance(raw, dict):
        if "connections" in raw and ("agent_nodes" in raw or "nodes" in raw):
            return "agent"
        if {"tiles", "edges", "order"} <= raw.keys():
            return "plan"
        if {"run_id", "status", "outputs"} <= raw.keys():
            return "run"
        if not raw or raw.keys() & RunRequest.model_fields.keys():
            return "request"
    what = "is none of an agent, a plan, a request or the record of a run: it has none of their members"
    raise _refused(what, "request")


def _refused(message: str, document: Document) -> RequestError:
    return RequestError([Fault("", document, message)])


def _of_agent(template: AgentTemplate) -> View:
    graph = build_graph(template)
    tiles = {tile.id.lower(): TileView(tile.id, tile.name, tile.type.type_id.lower()) for tile in template}
    parameters = {tile.id.lower(): _values(tile) for tile in template}
    edges = {(edge.source.lower(), edge.target.lower()): () for edge in template.connections}
    return View(
        "agent",
        template.name or "",
        tiles=tiles,
        edges=edges,
        fed_by=_fed_by(edges, {tile.id.lower(): tile.index for tile in template}),
        order=tuple(node.lower() for node in topological_order(graph)),
        parameters=parameters,
    )


def _values(tile: Any) -> dict[str, tuple[Any, str | None]]:
    return {name: (one["value"], one["origin"]) for name, one in tile.parameters().items()}


def _fed_by(edges: Mapping[tuple[Key, Key], Any], place: Mapping[Key, int]) -> dict[Key, tuple[Key, ...]]:
    """What feeds each tile that is fed by several, in the template's order."""
    found: dict[Key, list[Key]] = {}
    for source, target in edges:
        found.setdefault(target, []).append(source)
    return {
        node: tuple(sorted(feeders, key=place.__getitem__))
        for node, feeders in found.items()
        if len(feeders) > 1
    }


def _of_plan(plan: Plan) -> View:
    tiles = [plan.tile(node) for node in plan.order]
    edges = {
        (source.lower(), target.lower()): tuple(node.lower() for node in via)
        for source, target, via in plan.graph.edges(data="via")
    }
    return View(
        "plan",
        plan.agent_name or "",
        tiles={tile.id.lower(): TileView(tile.id, tile.name, tile.type.type_id.lower()) for tile in tiles},
        gone=_gone(plan.changes.to_dict()),
        edges=edges,
        fed_by=_fed_by(edges, {tile.id.lower(): tile.index for tile in tiles}),
        order=tuple(node.lower() for node in plan.order),
        parameters={tile.id.lower(): _values(tile) for tile in tiles},
        inputs={binding.node.lower(): tuple(map(_source, binding.sources)) for binding in plan.inputs},
    )


def _gone(changes: Facts) -> dict[Key, TileView]:
    states = {"removed": "ignored", "skipped": "skipped"}
    return {
        node.lower(): TileView(node, "", "", state)
        for member, state in states.items()
        for node in changes.get(member, ())
    }


def _source(ref: SourceRef) -> tuple[tuple[str, Any], ...]:
    """A source as it is compared: the signature of a signed URL is new each time."""
    signed = ref.form == "signed_url"
    key = urlsplit(ref.key)._replace(query="", fragment="").geturl() if signed else ref.key
    facts = {
        ref.form: key,
        "input_clip_start_ms": ref.start_ms or None,
        "input_clip_end_ms": ref.end_ms,
        "artifact": ref.artifact,
    }
    return tuple((name, value) for name, value in facts.items() if value is not None)


def _of_request(request: RunRequest) -> View:
    inputs: dict[Key | None, tuple[tuple[tuple[str, Any], ...], ...]] = {}
    ids: dict[Key, str] = {}
    top = tuple(map(_source, request.refs()))
    if top:
        inputs[None] = top
    for entry in request.video_inputs or ():
        key = entry.agent_node_id.lower()
        inputs[key] = (*inputs.get(key, ()), *map(_source, entry.refs()))
        ids.setdefault(key, entry.agent_node_id)
    overrides = request.update_params or {}
    ids.update({node.lower(): node for node in (*overrides, *(request.ignore_nodes or ()))})
    return View(
        "request",
        parameters={
            node.lower(): {name: (value, None) for name, value in values.items()}
            for node, values in overrides.items()
        },
        ignored={node.lower(): node for node in request.ignore_nodes or ()},
        inputs=inputs,
        members={"callback_url": request.callback_url} if request.callback_url else {},
        ids=ids,
    )


_OUTPUT_FACTS = ("kind", "duration_ms", "width", "height", "fps", "has_audio", "sequences", "media_type")
_INPUT_FACTS = ("duration_ms", "width", "height", "fps", "has_audio", "clip_ms", "metered_ms")


def _of_record(raw: Facts) -> View:
    try:
        return _Record(raw).view()
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise _refused(f"is no record of a run: {reason}", "request") from None


class _Record:
    """Reads one record, as `RunRecord.to_dict()` gives it."""

    def __init__(self, raw: Facts) -> None:
        self.raw, self.changes = raw, raw.get("changes") or {}
        self.numbers = {
            str(one[member]).lower(): f"input {number}"
            for number, one in enumerate(raw["inputs"], 1)
            for member in ("video_id", "key")
            if one.get(member)
        }

    def view(self) -> View:
        nodes = list(self.raw.get("nodes", ()))
        tiles = {
            one["original_node_id"].lower(): TileView(
                one["original_node_id"], one["node_type_name"], one["node_type_id"].lower()
            )
            for one in nodes
        }
        statuses: dict[Key | None, tuple[str, str | None]] = {
            None: (self.raw["status"], self.raw.get("status_message"))
        }
        statuses |= {
            one["original_node_id"].lower(): (one["status"], one.get("status_message")) for one in nodes
        }
        overridden = list(self.changes.get("overridden", ()))
        parameters: dict[Key, dict[str, tuple[Any, str | None]]] = {}
        for one in overridden:
            own = parameters.setdefault(one["agent_node_id"].lower(), {})
            own[one["parameter"]] = (one["new"], "override")
        return View(
            "run",
            self.raw.get("agent_name") or "",
            "simulation" if self.raw.get("mode") == "simulate" else "run",
            tiles=tiles,
            gone=_gone(self.changes),
            edges={
                (one["source"].lower(), one["target"].lower()): tuple(node.lower() for node in one["via"])
                for one in self.changes.get("rewired", ())
            },
            parameters=parameters,
            known={
                (one["agent_node_id"].lower(), one["parameter"]): (one["old"], "not overridden")
                for one in overridden
            },
            inputs=self.inputs(),
            statuses=statuses,
            made={one["original_node_id"].lower(): one["items"] for one in nodes if "items" in one},
            outputs=self.outputs(),
        )

    def inputs(self) -> dict[Key | None, tuple[tuple[tuple[str, Any], ...], ...]]:
        found: dict[Key | None, tuple[tuple[tuple[str, Any], ...], ...]] = {}
        for one in self.raw["inputs"]:
            node = one.get("agent_node_id")
            facts = tuple(
                (name, tuple(value) if isinstance(value, list) else value)
                for name in _INPUT_FACTS
                if (value := one.get(name)) is not None
            )
            key = node.lower() if node else None
            found[key] = (*found.get(key, ()), facts)
        return found

    def outputs(self) -> dict[tuple[Key, int], Facts]:
        found: dict[tuple[Key, int], Facts] = {}
        for at, one in enumerate(self.raw["outputs"]):
            facts = {name: one[name] for name in _OUTPUT_FACTS if one.get(name) is not None}
            facts["sources"] = list(self.ranges(one.get("sources") or ()))
            found[one["original_node_id"].lower(), one.get("index", at)] = facts
        return found

    def ranges(self, sources: Any) -> Iterator[dict[str, Any]]:
        """The ranges of sources that an output shows; an input is told by its place, not by its id."""
        for one in sources:
            source = str(one.get("source", ""))
            yield {**one, "source": self.numbers.get(source.lower(), source)}
