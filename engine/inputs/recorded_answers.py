"""What a run asked of the world outside of it, and answers from what was noted then.

A question is a URL or an item as it may be shown: without what signs it, and without any secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from tessera.errors import TesseraError
from tessera.inputs.fetch.download_cache import key_of
from tessera.inputs.fetch.fetcher import Fetched, Look
from tessera.inputs.fetch.http_file import HttpLook
from tessera.inputs.fetch.rules import FetchError
from tessera.inputs.fetch.ytdlp_site import About, SiteLook
from tessera.media.algebra.time import Range, to_ms
from tessera.media.probe.info import Exact
from tessera.request import SourceForm, SourceRef
from tessera.text.masking import masked_url

if TYPE_CHECKING:
    from tessera.inputs.assets.asset import Asset

__all__ = ["Answer", "AnswerLog", "RecordedAnswers", "answer_of", "shown"]


class Answer(BaseModel):
    """What the world answered to one question.

    Attributes
    ----------
    question, key
        What was asked for, as it may be shown, and a digest of it that a new signature does not change.
    duration
        Seconds, as a site said.
    asset, part
        The media that came of it, and the range of the source that it holds; None: the whole.
    asked
        The range in which all lies that was asked for; None: the whole.
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
    def shown(self) -> str:
        """The question as a message names it."""
        return shown(SourceRef(self.form, self.question, artifact=self.artifact))


class AnswerLog(BaseModel):
    """All that the world answered in one run: of URLs and items; and the assets of earlier runs' renders."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    answers: tuple[Answer, ...] = ()
    renders: dict[str, str] = {}


def answer_of(ref: SourceRef, look: Look, fetched: Fetched, wanted: Sequence[Range | None]) -> Answer:
    """What the world answered: to this question, seen so, of which these ranges were wanted."""
    return Answer(
        form=ref.form,
        question=masked_url(ref.key),
        key=key_of(ref.key),
        artifact=ref.artifact,
        name=look.name,
        duration=look.duration,
        about=look.about,
        source_info=dict(look.source_info) if look.source_info is not None else None,
        asset=fetched.asset.id,
        part=fetched.part,
        asked=_hull(wanted),
    )


def _hull(ranges: Sequence[Range | None]) -> Range | None:
    """The range in which all lie; None where one of them is the whole."""
    kept = [one for one in ranges if one is not None]
    if len(kept) < len(ranges) or not kept:
        return None
    return min(start for start, _end in kept), max(end for _start, end in kept)


def shown(ref: SourceRef) -> str:
    """A question as a message names it."""
    artifact = f" ({ref.artifact})" if ref.artifact is not None else ""
    return f"{ref.form} {masked_url(ref.key)}{artifact}"


class RecordedAnswers:
    """Answers from what was told before, and asks nobody.

    Parameters
    ----------
    asset
        An asset by its id; it is there.
    recording
        What messages call the source of the answers.
    """

    def __init__(self, recorded: AnswerLog, asset: Callable[[str], Asset], recording: str) -> None:
        self._recorded, self._asset, self._recording = recorded, asset, recording
        self._of: dict[str, Answer] = {}

    def answer(self, ref: SourceRef) -> Answer | None:
        """What was answered to a question; None where it was not asked."""
        same = [one for one in self._recorded.answers if (one.form, one.artifact) == (ref.form, ref.artifact)]
        question = masked_url(ref.key)
        exact = [one for one in same if one.question == question]
        return next(iter(exact or [one for one in same if one.key == key_of(ref.key)]), None)

    def render(self, render_id: str) -> str | None:
        """The asset id of a render."""
        return self._recorded.renders.get(render_id.lower())

    def look(self, sources: Mapping[str, SourceRef]) -> dict[str, Look | TesseraError]:
        found: dict[str, Look | TesseraError] = {}
        for place, ref in sources.items():
            answer = self.answer(ref)
            if answer is None:
                found[place] = FetchError(f"{shown(ref)} is not in {self._recording}")
            else:
                self._of[place] = answer
                found[place] = _look(place, answer)
        return found

    def fetch(
        self, looks: Mapping[str, Look], wanted: Mapping[str, Sequence[Range | None]]
    ) -> dict[str, Fetched | TesseraError]:
        return {place: self._fetched(self._of[look.key], wanted[place]) for place, look in looks.items()}

    def _fetched(self, answer: Answer, wanted: Sequence[Range | None]) -> Fetched | TesseraError:
        asked = _hull(wanted)
        held = _hull([one for one in (answer.part, answer.asked) if one is not None])
        if answer.part is not None and held is not None and not _within(asked, held):
            said = "the whole" if asked is None else _milliseconds(asked)
            what = f"{said} of {answer.shown} is not in {self._recording}"
            return FetchError(f"{what}, which holds {_milliseconds(held)} of it")
        return Fetched(self._asset(answer.asset), answer.part)


def _within(asked: Range | None, held: Range) -> bool:
    return asked is not None and held[0] <= asked[0] and asked[1] <= held[1]


def _milliseconds(one: Range) -> str:
    return f"{to_ms(one[0])} to {to_ms(one[1])} ms"


def _look(place: str, answer: Answer) -> Look:
    """What was seen of a source; what it would be fetched by is not known, and not needed."""
    found: HttpLook | SiteLook = HttpLook(answer.question, None, False, None, None, "media")
    if answer.about is not None:
        in_parts = answer.part is not None
        found = SiteLook(answer.question, answer.about, answer.duration, None, in_parts, {})
    return Look(place, answer.name, found, answer.source_info)
