"""Premiere Export: an editable project; two newspapers have it under their own names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tessera.context import Context
from tessera.media.algebra.item import Item, Project
from tessera.node import Kind, Made, NodeType, ours_id
from tessera.nodes._per_video import each_video
from tessera.text.wording import count

__all__ = ["PremiereExport"]


class PremiereExport(NodeType):
    name = "Premiere Export"
    type_id = ours_id(name)
    category = "export"
    summary = "Makes one Premiere project of all incoming videos, with clips linked to their sources."
    aliases = ("News UK", "Sun")
    source = "ours"
    produces = Kind.PROJECT
    combines = True

    def described(self, ctx: Context, inputs: Sequence[Item], params: Any) -> Iterable[Made]:
        sequences = tuple(video for _item, video in each_video(inputs))
        why = f"a project of {count(len(sequences), 'sequence')}"
        yield Made(Project(sequences), tuple(inputs), why, "described")
