"""Stated facts about media: a simulation uses them in place of a file."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tessera.agent import read_json
from tessera.errors import Fault, RequestError, pointer
from tessera.media.algebra.time import ms, parse_rate
from tessera.media.probe.info import Exact
from tessera.text.masking import masked_url
from tessera.validation import faults_of, shown

__all__ = ["Facts", "MediaFacts", "read_facts"]

Facts = Mapping[str, "MediaFacts"]
"""Facts by asset id or masked URL, in lower case; `"*"` applies to every other input."""


_MOST_MS = 10**10
"""The longest stated duration: 115 days, in milliseconds."""
_MOST_SIDE = 10**6
_MOST_SAMPLES_PER_S = 10**7


def _rate(value: Any) -> Fraction:
    return parse_rate(value)


def _in_range(seconds: Fraction) -> Fraction:
    if not 0 < seconds <= ms(_MOST_MS):
        raise ValueError(f"must be more than 0 and at most {_MOST_MS // 1000:,} seconds, not {seconds}")
    return seconds


class MediaFacts(BaseModel):
    """The stated facts of one input or asset.

    `duration` (exact seconds) takes precedence over `duration_ms`; `name` is the display name in records.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    name: str | None = None
    duration_ms: Annotated[int, Field(gt=0, le=_MOST_MS, strict=True)] | None = None
    duration: Annotated[Exact, AfterValidator(_in_range)] | None = None
    width: Annotated[int, Field(ge=1, le=_MOST_SIDE, strict=True)] | None = None
    height: Annotated[int, Field(ge=1, le=_MOST_SIDE, strict=True)] | None = None
    fps: Annotated[Fraction, BeforeValidator(_rate)] | None = None
    has_audio: bool = True
    sample_rate: Annotated[int, Field(ge=1, le=_MOST_SAMPLES_PER_S, strict=True)] = 48_000
    channels: Annotated[int, Field(ge=1, le=64, strict=True)] = 2
    speech: tuple[tuple[int, int], ...] | None = None
    levels_dbfs: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] | None = None

    @property
    def seconds(self) -> Fraction | None:
        """The duration in exact seconds, or None if none is stated."""
        if self.duration is not None:
            return self.duration
        return ms(self.duration_ms) if self.duration_ms is not None else None


def read_facts(source: Any) -> dict[str, MediaFacts]:
    """Read facts from a path, JSON text, or a dict of dicts or `MediaFacts`; None yields an empty dict.

    Raises
    ------
    RequestError
        If any fact is invalid: every fault, each with a JSON pointer into the facts.
    """
    if source is None:
        return {}
    raw = read_json(source, "request")
    if not isinstance(raw, Mapping):
        raise RequestError([Fault("", "request", "facts are an object: {id, URL or '*': facts}")])
    found: dict[str, MediaFacts] = {}
    faults: list[Fault] = []
    for key, value in raw.items():
        if isinstance(value, MediaFacts):
            found[masked_url(key).lower()] = value
            continue
        try:
            facts = MediaFacts.model_validate(value)
        except ValidationError as error:
            known = tuple(MediaFacts.model_fields)
            faults += [
                fault
                for _path, fault in faults_of(error, value, "request", base=(masked_url(key),), known=known)
            ]
            continue
        for index, (start, end) in enumerate(facts.speech or ()):
            if not 0 <= start < end <= _MOST_MS:
                message = (
                    f"a range of speech is [start_ms, end_ms] with 0 ≤ start < end ≤ {_MOST_MS}, "
                    f"not [{shown(start)}, {shown(end)}]"
                )
                faults.append(Fault(pointer(masked_url(key), "speech", index), "request", message))
        found[masked_url(key).lower()] = facts
    if faults:
        raise RequestError([Fault(f.loc, f.document, f"facts: {f.message}") for f in faults])
    return found
