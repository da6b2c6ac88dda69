"""Reads agents, plans, requests and records of runs into one comparable shape, the `View`."""

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
from tessera.text.masking import masked_url

__all__ = ["Kind", "TileView", "View", "kind_of", "read_view"]

Kind = Literal["agent", "plan", "request", "run"]
Key = str
"""A tile's id in lower case."""
Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TileView:
    """A tile; for a tile outside the run's graph, `state` is the reason: `ignored` or `skipped`."""

    id: str
    name: str
    type_id: str
    state: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """The comparable content of a document. Attributes that a kind of document lacks are empty.

    Attributes
    ----------
    mode
        For a record: `run` or `simulation`.
    absent
        Tiles that are not in the run's graph: ignored or skipped.
    edges
        (source, target) → the removed tiles between them (`via`).
    feeders
        Tile → the tiles that feed it, in the order in which their items arrive.
    order
        The tiles in topological order.
    parameters
        Tile → parameter → (value, origin).
    original_values
        For a record: (tile, parameter) → the value before the override.
    inputs
        Video Input (None: the only one) → its sources, each as pairs of names and values.
    statuses
        For a record: tile (None: the run) → status and message.
    item_counts
        For a record: tile → number of items produced.
    outputs
        For a record: (tile, index) → the facts about the output.
    ids
        For a request: tile key → id as the document spells it.
    """

    kind: Kind
    name: str = ""
    mode: str = ""
    tiles: Mapping[Key, TileView] = field(default_factory=dict)
    absent: Mapping[Key, TileView] = field(default_factory=dict)
    edges: Mapping[tuple[Key, Key], tuple[Key, ...]] = field(default_factory=dict)
    feeders: Mapping[Key, tuple[Key, ...]] = field(default_factory=dict)
    order: tuple[Key, ...] = ()
    parameters: Mapping[Key, Mapping[str, tuple[Any, str | None]]] = field(default_factory=dict)
    original_values: Mapping[tuple[Key, str], tuple[Any, str | None]] = field(default_factory=dict)
    ignored: Mapping[Key, str] = field(default_factory=dict)
    inputs: Mapping[Key | None, tuple[tuple[tuple[str, Any], ...], ...]] = field(default_factory=dict)
    members: Facts = field(default_factory=dict)
    statuses: Mapping[Key | None, tuple[str, str | None]] = field(default_factory=dict)
    item_counts: Mapping[Key, int] = field(default_factory=dict)
    outputs: Mapping[tuple[Key, int], Facts] = field(default_factory=dict)
    ids: Mapping[Key, str] = field(default_factory=dict)

    def id_of(self, key: Key) -> str:
        """Return a tile's id as the document spells it."""
        if key in self.tiles:
            return self.tiles[key].id
        return self.absent[key].id if key in self.absent else self.ids.get(key, key)


def read_view(document: Any, unknown_tiles: UnknownTiles = "error") -> View:
    """Read a document of any kind into a `View`; the kind follows from its members.

    Raises
    ------
    RequestError
        If the document is of none of the four kinds or has faults.
    """
    if isinstance(document, AgentTemplate):
        return _agent_view(document)
    if isinstance(document, Plan):
        return _plan_view(document)
    raw = document.to_dict() if hasattr(document, "to_dict") else read_json(document, "request")
    kind = kind_of(raw)
    if kind == "agent":
        return _agent_view(load_agent(raw, unknown_tiles=unknown_tiles))
    if kind == "plan":
        return _plan_view(Plan.from_dict(raw))
    if kind == "run":
        return _record_view(raw)
    request, _outline, faults = read_request(raw)
    if request is None or faults:
        raise RequestError(faults)
    return _request_view(request)


def kind_of(raw: Any) -> Kind:
    """Return the kind of a document, judged by its members.

    Raises
    ------
    RequestError
        If the document is of none of the four kinds.

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
    message = "not an agent, plan, request or record of a run: it has the members of none of them"
    raise _request_error(message, "request")


def _request_error(message: str, document: Document) -> RequestError:
    return RequestError([Fault("", document, message)])


def _agent_view(template: AgentTemplate) -> View:
    graph = build_graph(template)
    tiles = {tile.id.lower(): TileView(tile.id, tile.name, tile.type.type_id.lower()) for tile in template}
    parameters = {tile.id.lower(): _parameter_values(tile) for tile in template}
    edges = {(edge.source.lower(), edge.target.lower()): () for edge in template.connections}
    return View(
        "agent",
        template.name or "",
        tiles=tiles,
        edges=edges,
        feeders=_feeders(edges, {tile.id.lower(): tile.index for tile in template}),
        order=tuple(node.lower() for node in topological_order(graph)),
        parameters=parameters,
    )


def _parameter_values(tile: Any) -> dict[str, tuple[Any, str | None]]:
    return {name: (value["value"], value["origin"]) for name, value in tile.parameters().items()}


def _feeders(edges: Mapping[tuple[Key, Key], Any], place: Mapping[Key, int]) -> dict[Key, tuple[Key, ...]]:
    """Return the feeders of each tile that has several, in the template's order."""
    found: dict[Key, list[Key]] = {}
    for source, target in edges:
        found.setdefault(target, []).append(source)
    return {
        node: tuple(sorted(feeders, key=place.__getitem__))
        for node, feeders in found.items()
        if len(feeders) > 1
    }


def _plan_view(plan: Plan) -> View:
    tiles = [plan.tile(node) for node in plan.order]
    edges = {
        (source.lower(), target.lower()): tuple(node.lower() for node in via)
        for source, target, via in plan.graph.edges(data="via")
    }
    return View(
        "plan",
        plan.agent_name or "",
        tiles={tile.id.lower(): TileView(tile.id, tile.name, tile.type.type_id.lower()) for tile in tiles},
        absent=_absent_tiles(plan.changes.to_dict()),
        edges=edges,
        feeders=_feeders(edges, {tile.id.lower(): tile.index for tile in tiles}),
        order=tuple(node.lower() for node in plan.order),
        parameters={tile.id.lower(): _parameter_values(tile) for tile in tiles},
        inputs={binding.node.lower(): tuple(map(_source, binding.sources)) for binding in plan.inputs},
    )


def _absent_tiles(changes: Facts) -> dict[Key, TileView]:
    states = {"removed": "ignored", "skipped": "skipped"}
    return {
        node.lower(): TileView(node, "", "", state)
        for member, state in states.items()
        for node in changes.get(member, ())
    }


def _source(ref: SourceRef) -> tuple[tuple[str, Any], ...]:
    """Return the comparable facts of a source, without the signature of a URL, which is new each time."""
    signed = ref.form == "signed_url"
    key = masked_url(urlsplit(ref.key)._replace(query="").geturl()) if signed else ref.masked_key
    facts = {
        ref.form: key,
        "input_clip_start_ms": ref.start_ms or None,
        "input_clip_end_ms": ref.end_ms,
        "artifact": ref.artifact,
    }
    return tuple((name, value) for name, value in facts.items() if value is not None)


def _request_view(request: RunRequest) -> View:
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


def _record_view(raw: Facts) -> View:
    try:
        return _RecordReader(raw).view()
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise _request_error(f"not a record of a run: {reason}", "request") from None


class _RecordReader:
    """Reads the result of `RunRecord.to_dict()`."""

    def __init__(self, raw: Facts) -> None:
        self.raw, self.changes = raw, raw.get("changes") or {}
        # Each run gives its inputs new ids, so outputs refer to them by number here.
        self.input_numbers = {
            str(source[member]).lower(): f"input {number}"
            for number, source in enumerate(raw["inputs"], 1)
            for member in ("video_id", "key")
            if source.get(member)
        }

    def view(self) -> View:
        nodes = list(self.raw.get("nodes", ()))
        tiles = {
            node["original_node_id"].lower(): TileView(
                node["original_node_id"], node["node_type_name"], node["node_type_id"].lower()
            )
            for node in nodes
        }
        statuses: dict[Key | None, tuple[str, str | None]] = {
            None: (self.raw["status"], self.raw.get("status_message"))
        }
        statuses |= {
            node["original_node_id"].lower(): (node["status"], node.get("status_message")) for node in nodes
        }
        overridden = list(self.changes.get("overridden", ()))
        parameters: dict[Key, dict[str, tuple[Any, str | None]]] = {}
        for change in overridden:
            values = parameters.setdefault(change["agent_node_id"].lower(), {})
            values[change["parameter"]] = (change["new"], "override")
        return View(
            "run",
            self.raw.get("agent_name") or "",
            "simulation" if self.raw.get("mode") == "simulate" else "run",
            tiles=tiles,
            absent=_absent_tiles(self.changes),
            edges={
                (edge["source"].lower(), edge["target"].lower()): tuple(node.lower() for node in edge["via"])
                for edge in self.changes.get("rewired", ())
            },
            parameters=parameters,
            original_values={
                (change["agent_node_id"].lower(), change["parameter"]): (change["old"], "not overridden")
                for change in overridden
            },
            inputs=self.inputs(),
            statuses=statuses,
            item_counts={
                node["original_node_id"].lower(): node["items"] for node in nodes if "items" in node
            },
            outputs=self.outputs(),
        )

    def inputs(self) -> dict[Key | None, tuple[tuple[tuple[str, Any], ...], ...]]:
        found: dict[Key | None, tuple[tuple[tuple[str, Any], ...], ...]] = {}
        for source in self.raw["inputs"]:
            node = source.get("agent_node_id")
            facts = tuple(
                (name, tuple(value) if isinstance(value, list) else value)
                for name in _INPUT_FACTS
                if (value := source.get(name)) is not None
            )
            key = node.lower() if node else None
            found[key] = (*found.get(key, ()), facts)
        return found

    def outputs(self) -> dict[tuple[Key, int], Facts]:
        found: dict[tuple[Key, int], Facts] = {}
        for position, output in enumerate(self.raw["outputs"]):
            facts = {name: output[name] for name in _OUTPUT_FACTS if output.get(name) is not None}
            facts["sources"] = list(self.ranges(output.get("sources") or ()))
            found[output["original_node_id"].lower(), output.get("index", position)] = facts
        return found

    def ranges(self, sources: Any) -> Iterator[dict[str, Any]]:
        """Yield the source ranges of an output, with the number of an input in place of its id."""
        for source_range in sources:
            source = str(source_range.get("source", ""))
            yield {**source_range, "source": self.input_numbers.get(source.lower(), source)}
