"""Who is asked of what lies outside of a run, and what was answered. Most runs ask nothing: what answers them
is made when somebody does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tessera.errors import TesseraError
    from tessera.inputs.fetch.fetcher import Fetched, Look
    from tessera.inputs.recorded_answers import Answer
    from tessera.media.algebra.time import Range
    from tessera.request import SourceRef

__all__ = ["AnswerRecorder", "AnswerSource"]


class AnswerSource(Protocol):
    """Who answers what a run asks of the world: the world, or a recording."""

    def look(self, sources: Mapping[str, SourceRef]) -> dict[str, Look | TesseraError]:
        """See `Fetcher.look`."""

    def fetch(
        self, looks: Mapping[str, Look], wanted: Mapping[str, Sequence[Range | None]]
    ) -> dict[str, Fetched | TesseraError]:
        """See `Fetcher.fetch`."""


class AnswerRecorder:
    """Asks on, and notes what is answered.

    Parameters
    ----------
    outside
        Gives who is asked, once somebody asks.
    renders
        The asset id of an earlier run's output, by its render id.
    """

    def __init__(self, outside: Callable[[], AnswerSource], renders: Callable[[str], str | None]) -> None:
        self._open, self._renders = outside, renders
        self._refs: dict[str, SourceRef] = {}
        self._found: dict[tuple[str, str, str | None], Answer] = {}
        self._made: dict[str, str] = {}

    @cached_property
    def _outside(self) -> AnswerSource:
        return self._open()

    def to_json(self) -> str:
        """What has been answered: a `AnswerLog`."""
        if not self._found and not self._made:
            return "{}"
        from tessera.inputs.recorded_answers import AnswerLog

        return AnswerLog(answers=tuple(self._found.values()), renders=dict(self._made)).model_dump_json()

    def render(self, render_id: str) -> str | None:
        """The asset id of a render."""
        asset = self._renders(render_id)
        if asset is not None:
            self._made[render_id.lower()] = asset
        return asset

    def look(self, sources: Mapping[str, SourceRef]) -> dict[str, Look | TesseraError]:
        self._refs |= sources
        return self._outside.look(sources)

    def fetch(
        self, looks: Mapping[str, Look], wanted: Mapping[str, Sequence[Range | None]]
    ) -> dict[str, Fetched | TesseraError]:
        from tessera.inputs.fetch.fetcher import Fetched
        from tessera.inputs.recorded_answers import answer_of

        found = self._outside.fetch(looks, wanted)
        for place, fetched in found.items():
            if isinstance(fetched, Fetched):
                answer = answer_of(self._refs[place], looks[place], fetched, wanted[place])
                self._found[(answer.form, answer.question, answer.artifact)] = answer
        return found
