"""Groups of renders that share a decoder: the first render that starts makes the whole group."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from tessera.errors import Cancelled
from tessera.media.algebra.item import Item
from tessera.runner.cache.render_cache import CachedRender
from tessera.runner.workers.messages import Stopped

__all__ = ["RenderGroups"]

_POLL_S = 0.1

_Ref = tuple[str, int]
_MakeAll = Callable[[Sequence[Item]], Mapping[_Ref, CachedRender]]


class _Group:
    """Items that are rendered together, once. Each render takes its own result from the group."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = tuple(items)
        self.attempted = False
        self.made: Mapping[_Ref, CachedRender] = {}
        self.lock = threading.Lock()


class RenderGroups:
    """The groups of renders in a run. Thread-safe.

    Parameters
    ----------
    is_cached
        Returns True if an item is rendered already and needs no decoder.
    """

    def __init__(self, is_cached: Callable[[Item], bool] = lambda _item: False) -> None:
        self._is_cached = is_cached
        self._groups: dict[_Ref, _Group] = {}

    def announce(self, items: Sequence[Item]) -> None:
        """Group those of the next items to render that gain from a common decoder."""
        items = [item for item in items if not self._is_cached(item)] if len(items) > 1 else []
        if len(items) < 2:
            return
        from tessera.media.render.decoder_groups import groups_of

        for numbers in groups_of([item.value for item in items]):
            group = _Group([items[number] for number in numbers])
            self._groups.update((item.ref, group) for item in group.items)

    def group_items(self, item: Item) -> tuple[Item, ...]:
        """Return the items that the render of this one is expected to make: its group if it is the first,
        else itself.
        """
        group = self._groups.get(item.ref)
        return group.items if group is not None and group.items[0].ref == item.ref else (item,)

    def take(self, item: Item, make: _MakeAll, stopped: Stopped) -> CachedRender | None:
        """Return the render of an item from its group, made by `make` on the first call.

        Return None if the item has no group or its group failed, so that it must be rendered alone.

        Raises
        ------
        Cancelled
            If `stopped()` becomes true.
        """
        group = self._groups.get(item.ref)
        if group is None:
            return None
        while not group.lock.acquire(timeout=_POLL_S):
            if stopped():
                raise Cancelled("the run was cancelled")
        try:
            if not group.attempted:
                group.attempted = True
                group.made = make(group.items)
            return group.made.get(item.ref)
        finally:
            group.lock.release()
