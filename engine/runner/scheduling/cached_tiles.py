"""The scheduler's use of the tile cache: which tiles start, and which take work that exists."""

from __future__ import annotations

from collections.abc import Iterator

from tessera.record.events import NodeWork
from tessera.runner.cache.cached_work import Hit
from tessera.runner.cache.tile_cache import TileCache
from tessera.runner.scheduling.run_state import RunState
from tessera.runner.workers.messages import Logged, Message, QuestionAnswered, TileJob, Worked

__all__ = ["CachedTiles", "messages_of"]


def messages_of(node: str, hit: Hit) -> Iterator[Message]:
    """Yield the messages of the work that a cache hit repeats, so that the record has the same answers and
    logs.
    """
    for question, about in hit.answers:
        yield QuestionAnswered(node, question, about, "cached")
    for text in hit.logs:
        yield Logged(node, text)
    yield Worked(node, hit.items, hit.deviations)


class CachedTiles:
    """The tiles of one run and the cache.

    Parameters
    ----------
    cache
        None disables the cache: each tile runs.
    """

    def __init__(self, state: RunState, cache: TileCache | None) -> None:
        self._state, self._cache = state, cache

    def skips(self, job: TileJob) -> bool:
        """Return True if a tile starts without asking the cache: nothing of it may be reused or saved."""
        if self._cache is None:
            return True
        if job.faults:
            self._emit_ran(job.key, f"by {job.faults[0].cause}")
        return job.known_items is not None or job.stub is not None or bool(job.faults)

    def look_up(self, job: TileJob) -> Hit | None:
        """Return cached work for a tile, or queue it for a claim; `start_claimed` returns it later."""
        assert self._cache is not None
        return self._cache.look_up(job.key, job.inputs)

    def start_claimed(self) -> list[str]:
        """Return the tiles whose claim is committed, those with the greatest priority first."""
        if self._cache is None:
            return []
        priorities = self._state.spec.priorities
        claimed = sorted(self._cache.start_claimed(), key=lambda lookup: -priorities.get(lookup.node, 0.0))
        for lookup in claimed:
            self._emit_ran(lookup.node, lookup.why)
        return [lookup.node for lookup in claimed]

    def take_arrived(self) -> list[tuple[str, Hit]]:
        """Return the tiles whose work another run has finished meanwhile, with that work."""
        return self._cache.take_arrived() if self._cache is not None else []

    def cancel_waiting(self) -> list[str]:
        """Stop waiting for other runs, and return the tiles that were waiting."""
        return [lookup.node for lookup in self._cache.cancel_waiting()] if self._cache is not None else []

    def is_due(self) -> bool:
        """Return True if the next commit has something to write for the cache."""
        return self._cache is not None and self._cache.is_due()

    def is_urgent(self) -> bool:
        """Return True if a tile waits for the next commit, or may start at once."""
        return self._cache is not None and self._cache.is_urgent()

    def emit_cached(self, node: str, hit: Hit) -> None:
        """Record that a tile takes work that exists."""
        self._state.emit(NodeWork(at=self._state.now(), node=node, how="cached", why=f"as in {hit.by}"))

    def _emit_ran(self, node: str, why: str) -> None:
        self._state.emit(NodeWork(at=self._state.now(), node=node, how="ran", why=why))

    # running tiles

    def note(self, message: QuestionAnswered | Logged) -> None:
        """Add an answer or a log line to the work of a running tile."""
        if self._cache is None:
            return
        match message:
            case QuestionAnswered(node, question, about):
                self._cache.note_answer(node, question, about)
            case Logged(str(node), text):
                self._cache.note_log(node, text)

    def finish(self, message: Worked) -> None:
        """Queue the finished work of a tile for the cache."""
        if self._cache is not None:
            self._cache.finish(message.key, message.items, message.deviations)

    def release(self, node: str) -> None:
        """Release the claim of a tile that has ended without work to save."""
        if self._cache is not None:
            self._cache.release(node)
