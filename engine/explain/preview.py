"""Previews: what stands on the edges of a run, as small drafts, although the run did not render it."""

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
from tessera.text.wording import slug

__all__ = ["Preview", "preview"]

_DRAFT = encode_settings_for("draft")


@dataclass(frozen=True, slots=True)
class Preview:
    """A draft of an item: `index` from 0, the file, and what was said of the item when it was made."""

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
    what: str,
    out: Path,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[Preview]:
    """Render what a tile of a run made as small drafts, at most 640 pixels wide and high.

    The run is left as it is.

    Parameters
    ----------
    what
        `NODE`, all items of this tile (an id, a unique beginning of one, or a unique name), or `NODE:INDEX`,
        one of them, counted from 1.
    out
        The folder for the files.

    Raises
    ------
    RequestError
        There is no such tile or item, or the tile made none.
    WorkspaceError
        Media of the workspace, or the plan of the run, is gone; or `out` cannot be written.
    RenderError
        One cannot be rendered.
    """
    store = RunStore(workspace)
    record = store.folded(run_id)
    node, items = _meant(what, record, store)
    text = store.document(run_id, "plan.json")
    if text is None:
        raise NotFound(f"run {run_id} has no plan kept with it: nothing of it can be rendered")
    decided = Plan.from_dict(text)
    types = {tile.type.type_id: tile.type for _node, tile in decided.graph.nodes(data="node")}
    renderer = Renderer(locator(Library(workspace)), painter(types), cancelled=cancelled, target=_DRAFT)
    name = slug(node.name, "item")
    made = []
    for item in items:
        value = _small(item.value)
        path = out / f"{name}-{node.id[:8]}-{item.index + 1}{suffix_of(value)}"
        renderer.render(value, path)
        about = {"why": item.why, "fidelity": item.fidelity, **describe(item.value)}
        made.append(Preview(node.id, node.name, item.index, path, about))
    return made


def _meant(what: str, record: RunRecord, store: RunStore) -> tuple[NodeRecord, list[Item]]:
    """The tile that is meant, and those of its items that are."""
    name, colon, place = what.rpartition(":") if ":" in what else (what, "", "")
    if colon and not re.fullmatch(r"[1-9][0-9]{0,8}", place):
        raise _refused(f"{what}: give NODE or NODE:INDEX, counted from 1, as in Clips:2")
    node = node_of(record, name)
    items = store.items(record.run_id).get(node.id, ())
    if not items:
        raise _refused(f"{node.name} {node.id} made no items in this run: {_why(node)}")
    if colon and int(place) > len(items):
        raise _refused(
            f"{node.name} {node.id} made {len(items)} item{'s' if len(items) > 1 else ''}, not {place}"
        )
    return node, [items[int(place) - 1]] if colon else [*items]


def _why(node: NodeRecord) -> str:
    if node.status == "completed":
        return "it delivers what others made, or nothing reached it"
    return f"it is {node.status.value.replace('_', ' ')}"


def _refused(message: str) -> RequestError:
    return RequestError([Fault("", "request", message)])


def _small(value: Value) -> Value:
    """A picture is made smaller here; for videos the target does that."""
    if not isinstance(value, Image) or max(value.width, value.height) <= 640:
        return value
    longest = max(value.width, value.height)
    return value.scale(max(value.width * 640 // longest, 1), max(value.height * 640 // longest, 1))
