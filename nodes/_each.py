"""What the tiles that work on each incoming video share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tessera.media.algebra.item import Item, Video

__all__ = ["each_video"]


def each_video(inputs: Iterable[Item]) -> Iterator[tuple[Item, Video]]:
    """Every incoming item with its value; the engine delivers none of another kind to a tile that takes
    videos.
    """
    for item in inputs:
        assert isinstance(item.value, Video)
        yield item, item.value
