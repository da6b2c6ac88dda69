"""Find a tile of a run record by the text that a user typed."""

from __future__ import annotations

from tessera.errors import Fault, RequestError
from tessera.inputs.local import matching_tiles
from tessera.record.record import NodeRecord, RunRecord
from tessera.text.nearest import suggestion

__all__ = ["node_of"]


def node_of(record: RunRecord, text: str) -> NodeRecord:
    """Return the tile of a run that `text` names: an id, a unique prefix of one, or a unique name.

    Raises
    ------
    RequestError
        If no tile matches, or more than one.
    """
    nodes = list(record.nodes.values())
    matches = matching_tiles(nodes, text)
    if len(matches) == 1:
        return matches[0]
    if matches:
        message = f"{text!r} could mean {len(matches)} tiles: {', '.join(node.id for node in matches[:6])}"
    else:
        nearest = suggestion(text, [*(node.name for node in nodes), *(node.id for node in nodes)])
        message = f"run {record.run_id} has no tile {text!r}{nearest}"
    raise RequestError([Fault("", "request", message)])
