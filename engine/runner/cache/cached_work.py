"""Finished work in the tile cache: its stored form, and its items as if another tile had made them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from tessera.database.statements import decoding
from tessera.deviation import Deviation
from tessera.errors import WorkspaceError
from tessera.media.algebra.item import Item
from tessera.store.run_store import RunStore
from tessera.text.checked import json_object

__all__ = ["CachedItems", "CachedWork", "Hit", "read_cached_work"]


@dataclass(frozen=True, slots=True)
class CachedWork:
    """Finished work.

    Attributes
    ----------
    run_id, node
        The run and the tile that did it.
    count
        The number of items that the tile made.
    refs
        The items that it received, each as (tile, index).
    answers
        The answers that it got, each as (question, subject, analyser).
    logs
        The lines that it logged.
    deviations
        Where it did not follow its parameters.
    """

    run_id: str
    node: str
    count: int
    refs: tuple[tuple[str, int], ...]
    answers: tuple[tuple[str, str, str], ...]
    logs: tuple[str, ...]
    deviations: tuple[Deviation, ...] = ()

    def stale(self, analyser_of: Callable[[str, str], str]) -> str | None:
        """Return the reason why the tile would now make other items, or None if it would make the same.

        Parameters
        ----------
        analyser_of
            Returns the current analyser for a question about a subject, or "" if there is none.
        """
        for question, about, analyser in self.answers:
            current = analyser_of(question, about)
            if analyser != current:
                return f"analyser of {question} {analyser} → {current or 'none'}"
        return None

    def to_json(self) -> str:
        """Return the stored form; `read_cached_work` reads it."""
        return json.dumps(
            {
                "count": self.count,
                "refs": self.refs,
                "answers": sorted(self.answers),
                "logs": self.logs,
                "deviations": [[one.parameter, one.made, one.why] for one in self.deviations],
            }
        )


def read_cached_work(run_id: str, node: str, text: str) -> CachedWork:
    """Read finished work from its stored form.

    Raises
    ------
    WorkspaceError
        If the text is not such work.
    """
    with decoding(f"the work of {node} in run {run_id}"):
        body = json_object(text)
        refs = tuple((str(parent), int(index)) for parent, index in body["refs"])
        answers = tuple((str(question), str(about), str(by)) for question, about, by in body["answers"])
        logs = tuple(map(str, body["logs"]))
        deviations = tuple(
            Deviation(str(parameter), str(made), str(why))
            for parameter, made, why in body.get("deviations", ())  # absent in work of earlier versions
        )
        return CachedWork(run_id, node, int(body["count"]), refs, answers, logs, deviations)


@dataclass(frozen=True, slots=True)
class Hit:
    """A cache hit.

    Attributes
    ----------
    by
        The run that did the work, in words.
    items
        Its items, as if the tile of this run had made them.
    answers
        The answers that it got, each as (question, subject).
    logs
        The lines that it logged.
    deviations
        Where it did not follow its parameters.
    """

    by: str
    items: tuple[Item, ...]
    answers: tuple[tuple[str, str], ...]
    logs: tuple[str, ...]
    deviations: tuple[Deviation, ...] = ()


class CachedItems:
    """The items of finished work. The items of a run are read once, when one of its tiles is needed.

    Parameters
    ----------
    run_id
        The run that uses the cache.
    """

    def __init__(self, store: RunStore, run_id: str) -> None:
        self._store, self._run_id = store, run_id
        self._own: dict[str, tuple[Item, ...]] = {}
        self._by_run: dict[str, Mapping[str, tuple[Item, ...]]] = {}
        self._unreadable: set[str] = set()

    def add_own(self, node: str, items: tuple[Item, ...]) -> None:
        """Add the items that a tile of this run has made."""
        self._own[node] = items

    def own_count(self, node: str) -> int:
        """Return the number of items that a tile of this run has made."""
        return len(self._own[node])

    def hit(self, cached: CachedWork, node: str, inputs: Sequence[Item]) -> Hit | None:
        """Return finished work as if a tile of this run had done it, or None if its items are gone.

        Parameters
        ----------
        node
            The tile of this run.
        inputs
            The items that reach it.
        """
        made = self._items_of(cached)
        if made is None or len(cached.refs) != len(inputs):
            return None
        renamed = {ref: item.ref for ref, item in zip(cached.refs, inputs, strict=True)}
        if any(parent not in renamed for item in made for parent in item.parents):
            return None
        items = tuple(
            replace(item, node=node, parents=tuple(renamed[parent] for parent in item.parents))
            for item in made
        )
        answers = tuple((question, about) for question, about, _analyser in cached.answers)
        own = cached.run_id == self._run_id
        by = "this run, before it was resumed" if own else f"run {cached.run_id}"
        return Hit(by, items, answers, cached.logs, cached.deviations)

    def _items_of(self, cached: CachedWork) -> tuple[Item, ...] | None:
        if cached.run_id == self._run_id and cached.node in self._own:
            return self._own[cached.node]
        made = self._by_run.get(cached.run_id, {}).get(cached.node, ())
        if len(made) != cached.count and cached.run_id not in self._unreadable:
            # That run is not loaded yet, or was loaded while it was still in progress.
            try:
                self._by_run[cached.run_id] = self._store.items(cached.run_id)
            except WorkspaceError:
                self._unreadable.add(cached.run_id)
            made = self._by_run.get(cached.run_id, {}).get(cached.node, ())
        return made if len(made) == cached.count else None
