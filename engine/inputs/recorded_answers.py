"""Answers to a run's external questions, recorded in one run and replayed in another.

A question is a URL or an item in displayable form: without its signature and without secrets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from tessera.errors import TesseraError
from tessera.inputs.fetch.download_cache import key_of
from tessera.inputs.fetch.fetcher import Fetched, Inspection
from tessera.inputs.fetch.http_file import HttpInfo
from tessera.inputs.fetch.rules import FetchError
from tessera.inputs.fetch.ytdlp_site import About, SiteInfo
from tessera.media.algebra.time import Range, to_ms
from tessera.media.probe.info import Exact
from tessera.request import SourceForm, SourceRef

if TYPE_CHECKING:
    from tessera.inputs.assets.asset import Asset

__all__ = ["Answer", "AnswerLog", "RecordedAnswers", "answer_of", "question_label"]


class Answer(BaseModel):
    """The recorded answer to one question.

    Attributes
    ----------
    question, key
        The question in displayable form, and a digest of it that a new signature does not change.
    duration
        Seconds, as stated by the site.
    asset, part
        The resulting media, and the range of the source that it covers; None: the whole source.
    asked
        The smallest range that covers all requested ranges; None: the whole source.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    form: SourceForm
    question: str
    key: str
    artifact: Literal["highres", "proxy", "auto"] | None = None
    name: str
    duration: Exact | None = None
    about: About | None = None
    source_info: dict[str, str] | None = None
    asset: str
    part: tuple[Exact, Exact] | None = None
    asked: tuple[Exact, Exact] | None = None

    @property
    def question_label(self) -> str:
        """The label of the question in messages."""
        return question_label(SourceRef(self.form, self.question, artifact=self.artifact))


class AnswerLog(BaseModel):
    """All external answers of one run: URLs, items, and the assets of earlier runs' renders."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    answers: tuple[Answer, ...] = ()
    renders: dict[str, str] = {}


def answer_of(ref: SourceRef, info: Inspection, fetched: Fetched, wanted: Sequence[Range | None]) -> Answer:
    """Return the answer to record for a source that was inspected and fetched in these ranges."""
    return Answer(
        form=ref.form,
        question=ref.masked_key,
        key=key_of(ref.key),
        artifact=ref.artifact,
        name=info.name,
        duration=info.duration,
        about=info.about,
        source_info=dict(info.source_info) if info.source_info is not None else None,
        asset=fetched.asset.id,
        part=fetched.part,
        asked=_span(wanted),
    )


def _span(ranges: Sequence[Range | None]) -> Range | None:
    """Return the smallest range that covers all ranges; None if one of them is the whole source."""
    kept = [item for item in ranges if item is not None]
    if len(kept) < len(ranges) or not kept:
        return None
    return min(start for start, _end in kept), max(end for _start, end in kept)


def question_label(ref: SourceRef) -> str:
    """Return the label of a question for messages."""
    artifact = f" ({ref.artifact})" if ref.artifact is not None else ""
    return f"{ref.form} {ref.masked_key}{artifact}"


class RecordedAnswers:
    """Answers questions from a recording, without any network access.

    Parameters
    ----------
    asset
        Return an asset by its id; the asset must be present.
    recording
        The label of the recording in messages.
    """

    def __init__(self, recorded: AnswerLog, asset: Callable[[str], Asset], recording: str) -> None:
        self._log, self._asset, self._recording = recorded, asset, recording
        self._by_key: dict[str, Answer] = {}

    def answer(self, ref: SourceRef) -> Answer | None:
        """Return the recorded answer to a question, or None if there is none."""
        same = [item for item in self._log.answers if (item.form, item.artifact) == (ref.form, ref.artifact)]
        question = ref.masked_key
        exact = [item for item in same if item.question == question]
        return next(iter(exact or [item for item in same if item.key == key_of(ref.key)]), None)

    def render(self, render_id: str) -> str | None:
        """Return the asset id of a render."""
        return self._log.renders.get(render_id.lower())

    def inspect(self, sources: Mapping[str, SourceRef]) -> dict[str, Inspection | TesseraError]:
        found: dict[str, Inspection | TesseraError] = {}
        for place, ref in sources.items():
            answer = self.answer(ref)
            if answer is None:
                found[place] = FetchError(f"{question_label(ref)} is not in {self._recording}")
            else:
                self._by_key[place] = answer
                found[place] = _inspection_from(place, answer)
        return found

    def fetch(
        self, inspections: Mapping[str, Inspection], wanted: Mapping[str, Sequence[Range | None]]
    ) -> dict[str, Fetched | TesseraError]:
        return {
            place: self._fetched(self._by_key[info.key], wanted[place]) for place, info in inspections.items()
        }

    def _fetched(self, answer: Answer, wanted: Sequence[Range | None]) -> Fetched | TesseraError:
        asked = _span(wanted)
        recorded = _span([item for item in (answer.part, answer.asked) if item is not None])
        if answer.part is not None and recorded is not None and not _contains(asked, recorded):
            wanted_text = "the whole" if asked is None else _milliseconds(asked)
            what = f"{wanted_text} of {answer.question_label} is not in {self._recording}"
            return FetchError(f"{what}, which holds {_milliseconds(recorded)} of it")
        return Fetched(self._asset(answer.asset), answer.part)


def _contains(asked: Range | None, recorded: Range) -> bool:
    return asked is not None and recorded[0] <= asked[0] and asked[1] <= recorded[1]


def _milliseconds(item: Range) -> str:
    return f"{to_ms(item[0])} to {to_ms(item[1])} ms"


def _inspection_from(place: str, answer: Answer) -> Inspection:
    """Return the inspection of a recorded source.

    The details needed to fetch it are not recorded: a replay fetches nothing.
    """
    found: HttpInfo | SiteInfo = HttpInfo(answer.question, None, False, None, None, "media")
    if answer.about is not None:
        in_parts = answer.part is not None
        found = SiteInfo(answer.question, answer.about, answer.duration, None, in_parts, {})
    return Inspection(place, answer.name, found, answer.source_info)
