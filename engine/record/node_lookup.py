"""Names of tiles and items of a run that is looked at."""

from __future__ import annotations

from tessera.errors import Fault, RequestError
from tessera.inputs.local import meant
from tessera.record.record import NodeRecord, RunRecord
from tessera.text.nearest import suggestion

__all__ = ["node_of"]


def node_of(record: RunRecord, text: str) -> NodeRecord:
    """The tile of a run that an id, a unique beginning of one, or a unique name means.

    Raises
    ------
    RequestError
        None, or more than one.
    """
    nodes = list(record.nodes.values())
    found = meant(nodes, text)
    if len(found) == 1:
        return found[0]
    if found:
        what = f"{text!r} could mean {len(found)} tiles: {', '.join(node.id for node in found[:6])}"
    else:
        near = suggestion(text, [*(node.name for node in nodes), *(node.id for node in nodes)])
        what = f"no tile {text!r} is in run {record.run_id}{near}"
    raise RequestError([Fault("", "request", what)])
