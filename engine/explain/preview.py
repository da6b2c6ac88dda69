"""Previews: a run's intermediate items, which the run itself does not render, as small drafts."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tessera.errors import Fault, NotFound, RequestError
from tessera.graph.plan import Plan
from tessera.inputs.assets.library import Library
from tessera.media.algebra.expression import Image
from tessera.media.algebra.item import Item, Value, describe
from tessera.media.ffmpeg.encode_settings import encode_settings_for
from tessera.media.probe.file_formats import suffix_of
from tessera.media.render.renderer import Renderer
from tessera.record.node_lookup import node_of
from tessera.record.record import NodeRecord, RunRecord
from tessera.runner.workers.leaf_files import locator, painter
from tessera.store.run_store import RunStore
from tessera.text.wording import count, slug

__all__ = ["Preview", "preview"]

_DRAFT = encode_settings_for("draft")


@dataclass(frozen=True, slots=True)
class Preview:
    """A draft of an item: its `index` from 0, its file, and the record's description of the item."""

    node: str
    name: str
    index: int
    path: Path
    about: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return {
            "agent_node_id": self.node,
            "node_type_name": self.name,
            "index": self.index,
            "path": str(self.path),
            **self.about,
        }


def preview(
    workspace: Path,
    run_id: str,
    selector: str,
    out: Path,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[Preview]:
    """Render the items of a tile of a run as small drafts, at most 640 pixels wide and high.

    The run does not change.

    Parameters
    ----------
    selector
        `NODE` for all items of a tile (an id, a unique beginning of one, or a unique name), or `NODE:INDEX`
        for one of them, counted from 1.
    out
        The folder for the files.

    Raises
    ------
    RequestError
        If there is no such tile or item, or the tile made no items.
    WorkspaceError
        If media of the workspace or the plan of the run is missing, or `out` cannot be written.
    RenderError
        If an item cannot be rendered.
    """
    store = RunStore(workspace)
    record = store.fold_events(run_id)
    node, items = _selected(selector, record, store)
    text = store.document(run_id, "plan.json")
    if text is None:
        raise NotFound(f"the workspace has no plan of run {run_id}, so its items cannot be rendered")
    plan = Plan.from_dict(text)
    types = {tile.type.type_id: tile.type for _node, tile in plan.graph.nodes(data="node")}
    renderer = Renderer(locator(Library(workspace)), painter(types), cancelled=cancelled, target=_DRAFT)
    name = slug(node.name, "item")
    previews = []
    for item in items:
        value = _small(item.value)
        path = out / f"{name}-{node.id[:8]}-{item.index + 1}{suffix_of(value)}"
        renderer.render(value, path)
        about = {"why": item.why, "fidelity": item.fidelity, **describe(item.value)}
        previews.append(Preview(node.id, node.name, item.index, path, about))
    return previews


def _selected(selector: str, record: RunRecord, store: RunStore) -> tuple[NodeRecord, list[Item]]:
    """Return the selected tile and its selected items."""
    # Only the last colon can separate an index, since names of tiles may contain colons.
    name, colon, number = selector.rpartition(":") if ":" in selector else (selector, "", "")
    if colon and not re.fullmatch(r"[1-9][0-9]{0,8}", number):
        raise _request_error(f"{selector}: give NODE or NODE:INDEX, counted from 1, as in Clips:2")
    node = node_of(record, name)
    items = store.items(record.run_id).get(node.id, ())
    if not items:
        raise _request_error(f"{node.name} {node.id} made no items in this run: {_empty_reason(node)}")
    if colon and int(number) > len(items):
        raise _request_error(f"{node.name} {node.id} made {count(len(items), 'item')}, not {number}")
    return node, [items[int(number) - 1]] if colon else [*items]


def _empty_reason(node: NodeRecord) -> str:
    """Return the reason why a tile made no items."""
    if node.status == "completed":
        return "it delivers the items of other tiles, or received none"
    return f"it is {node.status.value.replace('_', ' ')}"


def _request_error(message: str) -> RequestError:
    return RequestError([Fault("", "request", message)])


def _small(value: Value) -> Value:
    """Return an image scaled down to 640 pixels; the draft encode settings already limit videos."""
    if not isinstance(value, Image) or max(value.width, value.height) <= 640:
        return value
    longest = max(value.width, value.height)
    return value.scale(max(value.width * 640 // longest, 1), max(value.height * 640 // longest, 1))
