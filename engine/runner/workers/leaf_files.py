"""The sources of expression leaves in a workspace: files of assets, and pictures that tiles draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from tessera.errors import NotFound, RenderError
from tessera.inputs.assets.library import Library
from tessera.media.algebra.expression import Image
from tessera.node import NodeType

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

    from tessera.media.ffmpeg.lowering import Located

__all__ = ["locator", "painter"]


def locator(library: Library) -> Callable[[str], Located]:
    """Return a function that finds the file of an asset. It raises `WorkspaceError` if the asset is
    missing.
    """
    from tessera.media.ffmpeg.lowering import Located

    def locate(asset_id: str) -> Located:
        asset = library.get(asset_id)
        if asset is None:
            raise NotFound(f"asset {asset_id} is no longer in the workspace")
        return Located(asset.path, asset.info)

    return locate


def painter(types: Mapping[str, type[NodeType]]) -> Callable[[Image], PillowImage]:
    """Return a function that draws a leaf with the painter of its node type, found by type id."""

    def paint(leaf: Image) -> PillowImage:
        kind = types[leaf.arg("type_id")]
        picture: PillowImage = kind.painters[leaf.arg("painter")](
            leaf.width, leaf.height, **dict(leaf.arg("values"))
        )
        if picture.size != (leaf.width, leaf.height):
            raise RenderError(f"{kind.name} drew {picture.size}, not {leaf.width}×{leaf.height}")
        return picture

    return paint
