"""Premiere Export: the newspaper tiles, which hand over an editable project."""

from __future__ import annotations

from engine.node import Kind, NodeType, ours_id

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
