"""Record the answers that a run gets from outside: URLs, archive items and earlier renders.

Most runs ask nothing, so the source of the answers is opened on first use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tessera.errors import TesseraError
    from tessera.inputs.fetch.fetcher import Fetched, Inspection
    from tessera.inputs.recorded_answers import Answer
    from tessera.media.algebra.time import Range
    from tessera.request import SourceRef

__all__ = ["AnswerRecorder", "AnswerSource"]


class AnswerSource(Protocol):
    """Inspects and fetches the external sources of a run: the live network, or a recording."""

    def inspect(self, sources: Mapping[str, SourceRef]) -> dict[str, Inspection | TesseraError]:
        """See `Fetcher.inspect`."""

    def fetch(
        self, inspections: Mapping[str, Inspection], wanted: Mapping[str, Sequence[Range | None]]
    ) -> dict[str, Fetched | TesseraError]:
        """See `Fetcher.fetch`."""


class AnswerRecorder:
    """Forwards questions to an answer source and records the answers.

    Parameters
    ----------
    outside
        Opens the answer source on first use.
    renders
        Return the asset id of an earlier run's output, by its render id.
    """

    def __init__(self, outside: Callable[[], AnswerSource], renders: Callable[[str], str | None]) -> None:
        self._open_source, self._renders = outside, renders
        self._refs: dict[str, SourceRef] = {}
        self._answers: dict[tuple[str, str, str | None], Answer] = {}
        self._assets: dict[str, str] = {}

    @cached_property
    def _source(self) -> AnswerSource:
        return self._open_source()

    def to_json(self) -> str:
        """Return the recorded answers as the JSON of an `AnswerLog`."""
        if not self._answers and not self._assets:
            return "{}"
        from tessera.inputs.recorded_answers import AnswerLog

        return AnswerLog(answers=tuple(self._answers.values()), renders=dict(self._assets)).model_dump_json()

    def render(self, render_id: str) -> str | None:
        """Return the asset id of a render and record it, or None if the render is unknown."""
        asset = self._renders(render_id)
        if asset is not None:
            self._assets[render_id.lower()] = asset
        return asset

    def inspect(self, sources: Mapping[str, SourceRef]) -> dict[str, Inspection | TesseraError]:
        self._refs |= sources
        return self._source.inspect(sources)

    def fetch(
        self, inspections: Mapping[str, Inspection], wanted: Mapping[str, Sequence[Range | None]]
    ) -> dict[str, Fetched | TesseraError]:
        from tessera.inputs.fetch.fetcher import Fetched
        from tessera.inputs.recorded_answers import answer_of

        fetched_by_place = self._source.fetch(inspections, wanted)
        for place, fetched in fetched_by_place.items():
            if isinstance(fetched, Fetched):
                answer = answer_of(self._refs[place], inspections[place], fetched, wanted[place])
                self._answers[(answer.form, answer.question, answer.artifact)] = answer
        return fetched_by_place
