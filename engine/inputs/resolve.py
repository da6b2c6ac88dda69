"""Resolve a plan's inputs: find their media, check clips against it, and compute metered durations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tessera.context import InputMedia
from tessera.errors import NO_FACTS, Fault, RequestError, TesseraError
from tessera.graph.plan import Plan
from tessera.inputs.assets.asset import Asset
from tessera.inputs.assets.library import Library
from tessera.inputs.facts import MediaFacts
from tessera.media.algebra.expression import Picture, Sound, even
from tessera.media.algebra.item import Video
from tessera.media.algebra.time import Range, ms, to_ms
from tessera.media.probe.info import MediaInfo
from tessera.notice import Notice
from tessera.request import SourceRef

if TYPE_CHECKING:
    from tessera.graph.model import Tile
    from tessera.inputs.answer_recorder import AnswerSource
    from tessera.inputs.fetch.fetcher import Fetched, Inspection

__all__ = ["Resolved", "ResolvedInput", "resolve_inputs", "sound_of", "video_of"]

_CHANNELS = {1: 1, 2: 2, 6: 6}
_FETCHED = ("video_url", "youtube_url", "signed_url", "mimir")


@dataclass(frozen=True, slots=True)
class Source:
    """The inspection of a URL and the media fetched from it."""

    inspection: Inspection
    fetched: Fetched

    @property
    def duration(self) -> Fraction:
        """The duration of the whole source in seconds; the fetched media may be only a part of it."""
        of_asset = self.fetched.asset.info.duration
        return (self.inspection.duration or of_asset) if self.fetched.part else of_asset


@dataclass(frozen=True, slots=True)
class ResolvedInput:
    """One source of one Video Input, resolved to media.

    Attributes
    ----------
    metered_ms
        The duration of the kept range.
    asset
        None if only facts are known.
    source
        The inspection and the fetched media of a URL.
    """

    node: str
    ref: SourceRef
    media: InputMedia
    metered_ms: int
    asset: Asset | None
    origin: str
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class Resolved:
    """All inputs of a run, in the order of the plan's bindings, and the warnings."""

    inputs: tuple[ResolvedInput, ...]
    warnings: tuple[Notice, ...]


def resolve_inputs(
    plan: Plan,
    library: Library,
    *,
    facts: Mapping[str, MediaFacts] | None = None,
    renders: Callable[[str], str | None] = lambda _render_id: None,
    fetcher: AnswerSource | None = None,
) -> Resolved:
    """Resolve every input of a plan.

    URLs are inspected after all ids are found, and fetched only if no inspection reveals a fault.

    Parameters
    ----------
    facts
        Used only in a simulation, where they take precedence and can replace absent media; None in a run.
    renders
        Return the asset id of an earlier run's output, by its render id.
    fetcher
        Inspects and fetches URLs; None rejects them.

    Raises
    ------
    Cancelled
        If the run is cancelled meanwhile.
    RequestError
        If an input is unknown, is not a video, or has a clip that does not fit: every fault, each with its
        JSON pointer.
    """
    resolver = _Resolver(plan, library, facts, renders, fetcher)
    if fetcher is not None:
        resolver.fetch(fetcher)
    return resolver.resolved()


class _Unusable(Exception):
    """An input that cannot be used; the message is the reason."""


class _NoFacts(_Unusable):
    """An input of a simulation without media and without facts."""


class _Resolver:
    """Resolves the inputs of one plan and collects faults."""

    def __init__(
        self,
        plan: Plan,
        library: Library,
        facts: Mapping[str, MediaFacts] | None,
        renders: Callable[[str], str | None],
        fetcher: AnswerSource | None,
    ) -> None:
        self.library, self.facts, self.renders = library, facts, renders
        self.sources_of = [(plan.tile(one.node), ref) for one in plan.inputs for ref in one.sources]
        self.sources: dict[str, Source | TesseraError] = {}
        self.notices: list[Notice] = []
        self.fetches = fetcher is not None

    def resolved(self) -> Resolved:
        """Return every input; raise once with all faults."""
        found = self._each(self._resolve)
        return Resolved(tuple(found), tuple(self.notices))

    def fetch(self, fetcher: AnswerSource) -> None:
        """Inspect every URL, then fetch all, unless another input is already faulty."""
        places = {_source_key(ref): ref for _tile, ref in self.sources_of if ref.form in _FETCHED}
        if not places:
            return
        self._each(lambda tile, ref: None if ref.form in _FETCHED else self._resolve(tile, ref))
        self.notices.clear()
        infos = fetcher.inspect(places)

        def check_inspection(_tile: Tile, ref: SourceRef) -> None:
            inspection = infos.get(_source_key(ref))
            if isinstance(inspection, TesseraError):
                raise _Unusable(str(inspection))
            if inspection is not None and inspection.duration is not None:
                _clip(ref, inspection.duration, inspection.name, [])

        self._each(check_inspection)
        known = {
            url: inspection for url, inspection in infos.items() if not isinstance(inspection, TesseraError)
        }
        wanted: dict[str, list[Range | None]] = {}
        for _tile, ref in self.sources_of:
            inspection = known.get(_source_key(ref))
            if inspection is not None:
                whole = inspection.duration is None
                clip = None if whole else _clip(ref, inspection.duration or Fraction(0), inspection.name, [])
                wanted.setdefault(_source_key(ref), []).append(clip)
        for url, fetched in fetcher.fetch(known, wanted).items():
            if isinstance(fetched, TesseraError):
                self.sources[url] = fetched
            else:
                self.sources[url] = Source(known[url], fetched)

    def _each(self, work: Callable[[Tile, SourceRef], Any]) -> list[Any]:
        found, faults = [], []
        for tile, ref in self.sources_of:
            try:
                found.append(work(tile, ref))
            except _Unusable as refused:
                code = NO_FACTS if isinstance(refused, _NoFacts) else "invalid"
                faults.append(Fault(ref.loc, "request", f"{tile.name} {tile.id}: {refused}", code))
        if faults:
            raise RequestError(faults)
        return found

    def _resolve(self, tile: Tile, ref: SourceRef) -> ResolvedInput:
        facts = self.facts or {}
        known = facts.get(ref.masked_key.lower()) or facts.get("*")
        if known is not None:
            key = ref.masked_key
            video, name = _video_of_facts(key, known), ref.name or known.name or key
            clip = _clip(ref, video.duration, name, self.notices)
            return ResolvedInput(
                tile.id, ref, InputMedia(video, clip, name), _clip_length_ms(clip, video), None, "facts"
            )
        if ref.form in _FETCHED and self.fetches:
            return self._fetched(tile, ref)
        asset = self._stored(ref)
        name = ref.name or asset.name
        if asset.info.picture is None or asset.info.kind != "video":
            raise _Unusable(f"{name} has no moving picture (it is {asset.info.kind}); a video is needed")
        video = self._video(ref, asset, name)
        clip = _clip(ref, video.duration, name, self.notices)
        media = InputMedia(video, clip, name)
        return ResolvedInput(tile.id, ref, media, _clip_length_ms(clip, video), asset, "real")

    def _fetched(self, tile: Tile, ref: SourceRef) -> ResolvedInput:
        """Resolve a URL; if only a part was fetched, shift the clip into that part."""
        source = self.sources[_source_key(ref)]
        if isinstance(source, TesseraError):
            raise _Unusable(str(source))
        asset, part, name = source.fetched.asset, source.fetched.part, source.inspection.name
        video = self._video(ref, asset, name)
        clip = _clip(ref, source.duration, name, self.notices)
        metered = to_ms(clip[1] - clip[0] if clip else source.duration)
        if part is not None and clip is not None:
            start, end = max(clip[0] - part[0], Fraction(0)), min(clip[1] - part[0], video.duration)
            if start >= end:
                raise _start_past_end(ref, name, part[1])
            clip = (start, end) if (start, end) != (Fraction(0), video.duration) else None
        return ResolvedInput(tile.id, ref, InputMedia(video, clip, name), metered, asset, "real", source)

    def _video(self, ref: SourceRef, asset: Asset, name: str) -> Video:
        messages = [f"{name} {note}" for note in asset.info.notes]
        self.notices += [Notice("media", one, ref.loc, "request") for one in messages]
        return video_of(asset.id, asset.info)

    def _stored(self, ref: SourceRef) -> Asset:
        simulated = self.facts is not None
        if ref.form not in ("video_id", "node_render_id"):
            masked = ref.masked_key
            if simulated:
                what = f"there are no facts of {masked}: a simulation does not fetch"
                raise _NoFacts(f"{what}; {_facts_to_add(masked)}")
            raise _Unusable(f"{ref.form} inputs are not supported yet ({masked}): use a file or a video_id")
        try:
            wanted = self.renders(ref.key) if ref.form == "node_render_id" else ref.key
            asset = self.library.get(wanted) if wanted is not None else None
        except TesseraError as error:
            raise _Unusable(str(error)) from None
        if asset is None:
            what = f"unknown {ref.form} {ref.key}: the workspace holds none"
            raise _NoFacts(f"{what}; {_facts_to_add(ref.key)}") if simulated else _Unusable(what)
        return asset


def _facts_to_add(key: str) -> str:
    """Return the advice to state the facts of a source that is not there."""
    fields = '"duration_ms": …, "width": …, "height": …, "fps": "30000/1001"'
    return f'add "{key}": {{{fields}}} to the facts'


def _source_key(ref: SourceRef) -> str:
    """Return the key under which a source is inspected and fetched once: a URL, or an artifact of an item."""
    return ref.key if ref.artifact is None else f"{ref.artifact} of {ref.key}"


def _clip_length_ms(clip: Range | None, video: Video) -> int:
    """Return the length of a clip in milliseconds."""
    return to_ms(clip[1] - clip[0] if clip else video.duration)


def video_of(asset: str, info: MediaInfo) -> Video:
    """Return the whole of a video asset as a value: even size, sound on the picture's timeline."""
    picture = info.picture
    if picture is None:
        raise ValueError("no picture")
    whole = Picture.source(
        asset, width=picture.width, height=picture.height, rate=picture.rate, duration=picture.duration
    )
    sound = None
    if info.sound is not None:
        sound = _sound(asset, info.sound.rate, info.sound.channels, picture.duration)
    return Video(whole.crop(0, 0, even(whole.width), even(whole.height)), sound)


def sound_of(asset: str, info: MediaInfo) -> Sound:
    """Return the whole of an audio asset."""
    if info.sound is None:
        raise ValueError("no sound")
    return _sound(asset, info.sound.rate, info.sound.channels, info.duration)


def _sound(asset: str, rate: int, channels: int, duration: Fraction) -> Sound:
    """Return a source's sound at a rate and with a channel count that AAC supports."""
    usable = rate if rate in (22_050, 24_000, 32_000, 44_100, 48_000) else 48_000
    return Sound.source(asset, rate=usable, channels=_CHANNELS.get(channels, 2), duration=duration)


def _video_of_facts(key: str, facts: MediaFacts) -> Video:
    missing = [
        name
        for name, value in (
            ("duration_ms", facts.seconds),
            ("width", facts.width),
            ("height", facts.height),
            ("fps", facts.fps),
        )
        if value is None
    ]
    if missing:
        raise _NoFacts(f"the facts of {key} lack {', '.join(missing)}")
    assert facts.seconds
    assert facts.fps
    assert facts.width
    assert facts.height
    if min(facts.width, facts.height) < 2:
        raise _Unusable(
            f"the facts of {key} say {facts.width}×{facts.height}: a video must be at least 2×2 pixels"
        )
    asset = key.lower()
    whole = Picture.source(
        asset, width=facts.width, height=facts.height, rate=facts.fps, duration=facts.seconds
    )
    sound = _sound(asset, facts.sample_rate, facts.channels, facts.seconds) if facts.has_audio else None
    return Video(whole.crop(0, 0, even(whole.width), even(whole.height)), sound)


def _clip(ref: SourceRef, duration: Fraction, name: str, notices: list[Notice]) -> Range | None:
    """Return the range to keep, or None for the whole.

    A start at or past the end is rejected; an end past it is clamped with a warning.
    """
    if ref.start_ms is None and ref.end_ms is None:
        return None
    start, end = ms(ref.start_ms or 0), duration if ref.end_ms is None else ms(ref.end_ms)
    if start >= duration:
        raise _start_past_end(ref, name, duration)
    if end > duration:
        what = f"the clip of {name} ends at {ref.end_ms} ms, past its end at {to_ms(duration)} ms; clamped"
        notices.append(Notice("clip_clamped", what, ref.loc, "request"))
        end = duration
    return None if (start, end) == (Fraction(0), duration) else (start, end)


def _start_past_end(ref: SourceRef, name: str, end: Fraction) -> _Unusable:
    return _Unusable(f"the clip of {name} starts at {ref.start_ms} ms, at or past its end at {to_ms(end)} ms")


def by_node(inputs: Iterable[ResolvedInput]) -> dict[str, tuple[InputMedia, ...]]:
    """Return the media of each Video Input, in order."""
    found: dict[str, list[InputMedia]] = {}
    for one in inputs:
        found.setdefault(one.node, []).append(one.media)
    return {node: tuple(media) for node, media in found.items()}
