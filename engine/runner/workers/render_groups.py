"""Renders of one run that share a decoder: whoever's turn comes first makes them all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from tessera.errors import Cancelled
from tessera.media.algebra.item import Item
from tessera.runner.cache.render_cache import CachedRender
from tessera.runner.workers.worker import Stopped

__all__ = ["RenderGroups"]

_POLL_S = 0.1

_Ref = tuple[str, int]
_MakeAll = Callable[[Sequence[Item]], Mapping[_Ref, CachedRender]]


class _Group:
    """Items that are rendered together, once: what becomes of it is for each of them to take."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = tuple(items)
        self.tried = False
        self.made: Mapping[_Ref, CachedRender] = {}
        self.lock = threading.Lock()


class RenderGroups:
    """Which renders of a run are made together. Called from several threads.

    Parameters
    ----------
    is_there
        Whether the render of an item was made before: then it needs no decoder.
    """

    def __init__(self, is_there: Callable[[Item], bool] = lambda _item: False) -> None:
        self._is_there = is_there
        self._groups: dict[_Ref, _Group] = {}

    def announce(self, items: Sequence[Item]) -> None:
        """These are to be rendered now: find those that gain by a common decoder."""
        items = [item for item in items if not self._is_there(item)] if len(items) > 1 else []
        if len(items) < 2:
            return
        from tessera.media.render.decoder_groups import groups_of

        for numbers in groups_of([item.value for item in items]):
            group = _Group([items[number] for number in numbers])
            self._groups.update((item.ref, group) for item in group.items)

    def beside(self, item: Item) -> tuple[Item, ...]:
        """The items that the render of this one most likely makes: its group's, where it is the first."""
        group = self._groups.get(item.ref)
        return group.items if group is not None and group.items[0].ref == item.ref else (item,)

    def take(self, item: Item, make: _MakeAll, stopped: Stopped) -> CachedRender | None:
        """The render of an item that is made together with others, by `make` where this is the first of them;
        None where it has to be rendered by itself, as it has no others, or something failed.

        Raises
        ------
        Cancelled
            `stopped()` became true.
        """
        group = self._groups.get(item.ref)
        if group is None:
            return None
        while not group.lock.acquire(timeout=_POLL_S):
            if stopped():
                raise Cancelled("the run was cancelled")
        try:
            if not group.tried:
                group.tried = True
                group.made = make(group.items)
            return group.made.get(item.ref)
        finally:
            group.lock.release()
