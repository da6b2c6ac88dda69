"""The step between plan and run: ids become media, clips are checked against it, metered time is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from engine.context import InputMedia
from engine.errors import Fault, RequestError, TesseraError
from engine.graph.plan import Plan
from engine.inputs.facts import MediaFacts
from engine.inputs.library import Asset, Library
from engine.media.expr import Picture, Sound, even
from engine.media.info import MediaInfo
from engine.media.item import Video
from engine.media.time import Range, ms, to_ms
from engine.notice import Notice
from engine.request import SourceRef

if TYPE_CHECKING:
    from engine.graph.model import Tile

__all__ = ["Resolved", "ResolvedInput", "resolve_inputs", "sound_of", "video_of"]

_CHANNELS = {1: 1, 2: 2, 6: 6}


@dataclass(frozen=True, slots=True)
class ResolvedInput:
    """One source of one Video Input, found and measured.

    `asset` is None where only facts are known; `metered_ms` is the duration of what is kept.
    """

    node: str
    ref: SourceRef
    media: InputMedia
    metered_ms: int
    asset: Asset | None
    origin: str


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
) -> Resolved:
    """Find every input of a plan.

    Parameters
    ----------
    facts
        Given in a simulation, where they come first and may stand for media that is not there; None in a run.
    renders
        The asset id of an earlier run's output, by its render id.

    Raises
    ------
    RequestError
        Every input that is unknown, is no video, or whose clip does not fit, each with its JSON pointer.
    """
    found: list[ResolvedInput] = []
    faults: list[Fault] = []
    notices: list[Notice] = []
    for binding in plan.inputs:
        tile = plan.tile(binding.node)
        for ref in binding.sources:
            try:
                found.append(_resolve(tile, ref, library, facts, renders, notices))
            except _Refused as refused:
                faults.append(Fault(ref.loc, "request", f"{tile.name} {tile.id}: {refused}"))
    if faults:
        raise RequestError(faults)
    return Resolved(tuple(found), tuple(notices))


class _Refused(Exception):
    """An input that cannot be used, and why."""


def _resolve(
    tile: Tile,
    ref: SourceRef,
    library: Library,
    facts: Mapping[str, MediaFacts] | None,
    renders: Callable[[str], str | None],
    notices: list[Notice],
) -> ResolvedInput:
    known = (facts or {}).get(ref.key.lower()) or (facts or {}).get("*")
    asset: Asset | None = None
    if known is None:
        asset = _stored(ref, library, renders, simulated=facts is not None)
        if asset.info.picture is None or asset.info.kind != "video":
            raise _Refused(f"{asset.name} has no moving picture (it is {asset.info.kind}); a video is needed")
        video, name, origin = video_of(asset.id, asset.info), asset.name, "real"
        said = [f"{asset.name} {note}" for note in asset.info.notes]
        notices += [Notice("media", one, ref.loc, "request") for one in said]
    else:
        video, name, origin = _video_of_facts(ref.key, known), known.name or ref.key, "facts"
    clip = _clip(ref, video.duration, name, notices)
    kept = clip[1] - clip[0] if clip else video.duration
    return ResolvedInput(tile.id, ref, InputMedia(video, clip, name), to_ms(kept), asset, origin)


def _stored(
    ref: SourceRef, library: Library, renders: Callable[[str], str | None], *, simulated: bool
) -> Asset:
    if ref.form not in ("video_id", "node_render_id"):
        if simulated:
            stated = '"duration_ms": …, "width": …, "height": …, "fps": "30000/1001", …'
            what = f'facts={{"{ref.key}": {{{stated}}}}}'
            raise _Refused(f"nothing is known of {ref.key}: a simulation fetches nothing; give {what}")
        raise _Refused(f"{ref.form} inputs are not supported yet ({ref.key}): give a file or a video_id")
    try:
        wanted = renders(ref.key) if ref.form == "node_render_id" else ref.key
        asset = library.get(wanted) if wanted is not None else None
    except TesseraError as error:
        raise _Refused(str(error)) from None
    if asset is None:
        hint = " (or give facts of it)" if simulated else ""
        raise _Refused(f"unknown {ref.form} {ref.key}: the workspace holds none{hint}")
    return asset


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
        raise _Refused(
            f"the clip of {name} starts at {ref.start_ms} ms, at or past its end at {to_ms(duration)} ms"
        )
    if end > duration:
        what = f"the clip of {name} ends at {ref.end_ms} ms, past its end at {to_ms(duration)} ms; clamped"
        notices.append(Notice("clip_clamped", what, ref.loc, "request"))
        end = duration
    return None if (start, end) == (Fraction(0), duration) else (start, end)


def by_node(inputs: Iterable[ResolvedInput]) -> dict[str, tuple[InputMedia, ...]]:
    """What each Video Input was given, in order."""
    found: dict[str, list[InputMedia]] = {}
    for one in inputs:
        found.setdefault(one.node, []).append(one.media)
    return {node: tuple(media) for node, media in found.items()}
