"""Mimir Export: upload of renders to a Mimir workspace."""

from __future__ import annotations

from pydantic import Field

from tessera import node
from tessera.node import ours_id

__all__ = ["MimirExport"]


class MimirExport(node.NodeType):
    name = "Mimir Export"
    type_id = ours_id(name)
    category = "output"
    summary = "Uploads the renders to a folder in Mimir."
    source = "ours"
    produces = None

    class Params(node.Params):
        mimir_folder_id: str | None = Field(None, description="Mimir folder to upload to")
        file_name: str = Field(
            "", description="Name of the file; blank gives render.mp4, render-1.mp4 and so on"
        )
        link_to_mimir_asset: bool = Field(False, description="Link the render to a Mimir item")
        mimir_parent_item_id: str | None = Field(
            None, description="Mimir item to link to; null uses the item that the video came from"
        )
