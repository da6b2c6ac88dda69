"""Premiere Export: the newspaper tiles, which hand over an editable project."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tessera.context import Context
from tessera.media.algebra.item import Item, Project
from tessera.node import Kind, Made, NodeType, ours_id
from tessera.nodes._each import each_video

__all__ = ["PremiereExport"]


class PremiereExport(NodeType):
    name = "Premiere Export"
    type_id = ours_id(name)
    category = "export"
    summary = "Makes one Premiere project of all incoming videos, its clips linked to their sources."
    aliases = ("News UK", "Sun")
    source = "ours"
    produces = Kind.PROJECT
    combines = True

    def described(self, ctx: Context, inputs: Sequence[Item], params: Any) -> Iterable[Made]:
        sequences = tuple(video for _item, video in each_video(inputs))
        yield Made(Project(sequences), tuple(inputs), f"a project of {len(sequences)} sequences", "described")
