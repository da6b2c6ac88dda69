"""The step between plan and run: ids become media, clips are checked against it, metered time is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tessera.context import InputMedia
from tessera.errors import Fault, RequestError, TesseraError
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
from tessera.text.masking import masked_url

if TYPE_CHECKING:
    from tessera.graph.model import Tile
    from tessera.inputs.answer_recorder import AnswerSource
    from tessera.inputs.fetch.fetcher import Fetched, Look

__all__ = ["Resolved", "ResolvedInput", "resolve_inputs", "sound_of", "video_of"]

_CHANNELS = {1: 1, 2: 2, 6: 6}
_FETCHED = ("video_url", "youtube_url", "signed_url", "mimir")


@dataclass(frozen=True, slots=True)
class Source:
    """What a URL led to."""

    look: Look
    fetched: Fetched

    @property
    def duration(self) -> Fraction:
        """Seconds of the whole source, which may be longer than what was fetched of it."""
        of_asset = self.fetched.asset.info.duration
        return (self.look.duration or of_asset) if self.fetched.part else of_asset


@dataclass(frozen=True, slots=True)
class ResolvedInput:
    """One source of one Video Input, found and measured.

    Attributes
    ----------
    metered_ms
        The duration of what is kept.
    asset
        None where only facts are known.
    source
        What was looked at and fetched, where it is a URL.
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
    """All inputs of a run, in the order of the plan's bindings, and what there is to warn of."""

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
    """Find every input of a plan.

    URLs are looked at when all ids are found, and fetched when nothing that was seen is wrong.

    Parameters
    ----------
    facts
        Given in a simulation, where they come first and may stand for media that is not there; None in a run.
    renders
        The asset id of an earlier run's output, by its render id.
    fetcher
        Who is asked of URLs; None refuses them.

    Raises
    ------
    Cancelled
        Meanwhile the run was cancelled.
    RequestError
        Every input that is unknown, is no video, or whose clip does not fit, each with its JSON pointer.
    """
    resolver = _Resolver(plan, library, facts, renders, fetcher)
    if fetcher is not None:
        resolver.fetch(fetcher)
    return resolver.resolved()


class _Refused(Exception):
    """An input that cannot be used, and why."""


class _Resolver:
    """Finds the inputs of one plan; collects faults."""

    def __init__(
        self,
        plan: Plan,
        library: Library,
        facts: Mapping[str, MediaFacts] | None,
        renders: Callable[[str], str | None],
        fetcher: AnswerSource | None,
    ) -> None:
        self.library, self.facts, self.renders = library, facts, renders
        self.asked = [(plan.tile(one.node), ref) for one in plan.inputs for ref in one.sources]
        self.sources: dict[str, Source | TesseraError] = {}
        self.notices: list[Notice] = []
        self.fetches = fetcher is not None

    def resolved(self) -> Resolved:
        """Every input, each once; raises with every fault."""
        found = self._each(self._resolve)
        return Resolved(tuple(found), tuple(self.notices))

    def fetch(self, fetcher: AnswerSource) -> None:
        """Look at every URL, and fetch all, unless an input is wrong already."""
        places = {_place(ref): ref for _tile, ref in self.asked if ref.form in _FETCHED}
        if not places:
            return
        self._each(lambda tile, ref: None if ref.form in _FETCHED else self._resolve(tile, ref))
        self.notices.clear()
        looks = fetcher.look(places)

        def looked_at(_tile: Tile, ref: SourceRef) -> None:
            look = looks.get(_place(ref))
            if isinstance(look, TesseraError):
                raise _Refused(str(look))
            if look is not None and look.duration is not None:
                _clip(ref, look.duration, look.name, [])

        self._each(looked_at)
        seen = {url: look for url, look in looks.items() if not isinstance(look, TesseraError)}
        wanted: dict[str, list[Range | None]] = {}
        for _tile, ref in self.asked:
            look = seen.get(_place(ref))
            if look is not None:
                whole = look.duration is None
                clip = None if whole else _clip(ref, look.duration or Fraction(0), look.name, [])
                wanted.setdefault(_place(ref), []).append(clip)
        for url, fetched in fetcher.fetch(seen, wanted).items():
            if isinstance(fetched, TesseraError):
                self.sources[url] = fetched
            else:
                self.sources[url] = Source(seen[url], fetched)

    def _each(self, work: Callable[[Tile, SourceRef], Any]) -> list[Any]:
        found, faults = [], []
        for tile, ref in self.asked:
            try:
                found.append(work(tile, ref))
            except _Refused as refused:
                faults.append(Fault(ref.loc, "request", f"{tile.name} {tile.id}: {refused}"))
        if faults:
            raise RequestError(faults)
        return found

    def _resolve(self, tile: Tile, ref: SourceRef) -> ResolvedInput:
        facts = self.facts or {}
        known = facts.get(masked_url(ref.key).lower()) or facts.get("*")
        if known is not None:
            key = masked_url(ref.key)
            video, name = _video_of_facts(key, known), known.name or key
            clip = _clip(ref, video.duration, name, self.notices)
            return ResolvedInput(
                tile.id, ref, InputMedia(video, clip, name), _kept(clip, video), None, "facts"
            )
        if ref.form in _FETCHED and self.fetches:
            return self._fetched(tile, ref)
        asset = self._stored(ref)
        if asset.info.picture is None or asset.info.kind != "video":
            raise _Refused(f"{asset.name} has no moving picture (it is {asset.info.kind}); a video is needed")
        video = self._video(ref, asset, asset.name)
        clip = _clip(ref, video.duration, asset.name, self.notices)
        media = InputMedia(video, clip, asset.name)
        return ResolvedInput(tile.id, ref, media, _kept(clip, video), asset, "real")

    def _fetched(self, tile: Tile, ref: SourceRef) -> ResolvedInput:
        """An input that is a URL. Where only a part of the source was fetched, its clip lies within that."""
        source = self.sources[_place(ref)]
        if isinstance(source, TesseraError):
            raise _Refused(str(source))
        asset, part, name = source.fetched.asset, source.fetched.part, source.look.name
        video = self._video(ref, asset, name)
        clip = _clip(ref, source.duration, name, self.notices)
        metered = to_ms(clip[1] - clip[0] if clip else source.duration)
        if part is not None and clip is not None:
            start, end = max(clip[0] - part[0], Fraction(0)), min(clip[1] - part[0], video.duration)
            if start >= end:
                raise _past(ref, name, part[1])
            clip = (start, end) if (start, end) != (Fraction(0), video.duration) else None
        return ResolvedInput(tile.id, ref, InputMedia(video, clip, name), metered, asset, "real", source)

    def _video(self, ref: SourceRef, asset: Asset, name: str) -> Video:
        said = [f"{name} {note}" for note in asset.info.notes]
        self.notices += [Notice("media", one, ref.loc, "request") for one in said]
        return video_of(asset.id, asset.info)

    def _stored(self, ref: SourceRef) -> Asset:
        simulated = self.facts is not None
        if ref.form not in ("video_id", "node_render_id"):
            shown = masked_url(ref.key)
            if simulated:
                stated = '"duration_ms": …, "width": …, "height": …, "fps": "30000/1001", …'
                what = f'facts={{"{shown}": {{{stated}}}}}'
                raise _Refused(f"nothing is known of {shown}: a simulation fetches nothing; give {what}")
            raise _Refused(f"{ref.form} inputs are not supported yet ({shown}): give a file or a video_id")
        try:
            wanted = self.renders(ref.key) if ref.form == "node_render_id" else ref.key
            asset = self.library.get(wanted) if wanted is not None else None
        except TesseraError as error:
            raise _Refused(str(error)) from None
        if asset is None:
            hint = " (or give facts of it)" if simulated else ""
            raise _Refused(f"unknown {ref.form} {ref.key}: the workspace holds none{hint}")
        return asset


def _place(ref: SourceRef) -> str:
    """What is looked at and fetched once: a URL, or an artifact of an item."""
    return ref.key if ref.artifact is None else f"{ref.artifact} of {ref.key}"


def _kept(clip: Range | None, video: Video) -> int:
    """The milliseconds that a clip keeps."""
    return to_ms(clip[1] - clip[0] if clip else video.duration)


def video_of(asset: str, info: MediaInfo) -> Video:
    """The whole of a video asset as a value: even size, its sound on the picture's timeline."""
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
    """The whole of an audio asset."""
    if info.sound is None:
        raise ValueError("no sound")
    return _sound(asset, info.sound.rate, info.sound.channels, info.duration)


def _sound(asset: str, rate: int, channels: int, duration: Fraction) -> Sound:
    """A source's sound at a rate and with a channel count that AAC carries."""
    usable = rate if rate in (22_050, 24_000, 32_000, 44_100, 48_000) else 48_000
    return Sound.source(asset, rate=usable, channels=_CHANNELS.get(channels, 2), duration=duration)


def _video_of_facts(key: str, facts: MediaFacts) -> Video:
    lacking = [
        name
        for name, value in (
            ("duration_ms", facts.seconds),
            ("width", facts.width),
            ("height", facts.height),
            ("fps", facts.fps),
        )
        if value is None
    ]
    if lacking:
        raise _Refused(f"the facts of {key} lack {', '.join(lacking)}")
    assert facts.seconds
    assert facts.fps
    assert facts.width
    assert facts.height
    if min(facts.width, facts.height) < 2:
        raise _Refused(
            f"the facts of {key} say {facts.width}×{facts.height}: a video must be at least 2×2 pixels"
        )
    asset = key.lower()
    whole = Picture.source(
        asset, width=facts.width, height=facts.height, rate=facts.fps, duration=facts.seconds
    )
    sound = _sound(asset, facts.sample_rate, facts.channels, facts.seconds) if facts.has_audio else None
    return Video(whole.crop(0, 0, even(whole.width), even(whole.height)), sound)


def _clip(ref: SourceRef, duration: Fraction, name: str, notices: list[Notice]) -> Range | None:
    """The range to keep, or None for the whole.

    A start at or past the end is refused; an end past it is clamped, with a warning.
    """
    if ref.start_ms is None and ref.end_ms is None:
        return None
    start, end = ms(ref.start_ms or 0), duration if ref.end_ms is None else ms(ref.end_ms)
    if start >= duration:
        raise _past(ref, name, duration)
    if end > duration:
        what = f"the clip of {name} ends at {ref.end_ms} ms, past its end at {to_ms(duration)} ms; clamped"
        notices.append(Notice("clip_clamped", what, ref.loc, "request"))
        end = duration
    return None if (start, end) == (Fraction(0), duration) else (start, end)


def _past(ref: SourceRef, name: str, end: Fraction) -> _Refused:
    return _Refused(f"the clip of {name} starts at {ref.start_ms} ms, at or past its end at {to_ms(end)} ms")


def by_node(inputs: Iterable[ResolvedInput]) -> dict[str, tuple[InputMedia, ...]]:
    """What each Video Input was given, in order."""
    found: dict[str, list[InputMedia]] = {}
    for one in inputs:
        found.setdefault(one.node, []).append(one.media)
    return {node: tuple(media) for node, media in found.items()}
