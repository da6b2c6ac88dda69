"""Iteration over incoming videos, for tiles that process each one separately."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tessera.media.algebra.item import Item, Video

__all__ = ["each_video"]


def each_video(inputs: Iterable[Item]) -> Iterator[tuple[Item, Video]]:
    """Yield each incoming item with its video.

    The engine delivers only videos to a tile that accepts only videos.
    """
    for item in inputs:
        assert isinstance(item.value, Video)
        yield item, item.value
