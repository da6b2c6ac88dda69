"""Clips: several short videos out of a long one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from pydantic import Field

from engine import node
from engine.context import Context
from engine.media.item import Item, Made, Video
from engine.media.time import ms, seconds_text, to_ms
from nodes._each import each_video
from nodes._windows import Window, best_windows

__all__ = ["Clips"]

_USUAL_LENGTH_MS = 30_000
_USUAL_COUNT = 3


class Clips(node.NodeType):
    type_id = "bcc5cb04-76b7-48e9-a344-0e8a29c19be0"
    name = "Clips"
    category = "edit"
    summary = "Finds the best moments of a video and makes each a clip of its own."

    class Params(node.Params):
        prompt: str = Field("", description="Which moments to look for; empty means the best ones")
        num_clips: int | None = Field(
            None, ge=1, le=20, description="How many clips to make; null lets the tile decide"
        )
        target_duration: float | None = Field(
            None, ge=1, le=300, description="Length of a clip in seconds; null lets the tile decide"
        )

    def run(self, ctx: Context, inputs: Sequence[Item], params: Params) -> Iterable[Made]:
        for item, video in each_video(inputs):
            length_ms = _length(params.target_duration, params.num_clips, video)
            fitting = to_ms(video.duration) // length_ms
            if video.duration <= ms(length_ms) or not fitting:
                why = f"no longer than {seconds_text(ms(length_ms))} s, so it is one clip as it is"
                yield Made(video, (item,), why)
                continue
            count = min(params.num_clips or _USUAL_COUNT, fitting)
            found = best_windows(
                int(video.duration * 1000), length_ms, count, ctx.speech(video), ctx.levels(video)
            )
            if params.num_clips is None:
                found = _worth_it(found)
            yield from _clips(item, video, found, length_ms)


def _length(target_duration: float | None, num_clips: int | None, video: Video) -> int:
    """The length of a clip in ms: what is asked for; else 30 s, or less so that the number asked for fits."""
    if target_duration is not None:
        return to_ms(Fraction(str(target_duration)))
    return max(min(_USUAL_LENGTH_MS, int(video.duration * 1000) // (num_clips or 1)), 1)


def _worth_it(windows: Sequence[Window]) -> list[Window]:
    """The windows with at least half as much speech as the best one."""
    most = max(window.speech_ms for window in windows)
    return [window for window in windows if 2 * window.speech_ms >= most]


def _clips(item: Item, video: Video, windows: Sequence[Window], length_ms: int) -> Iterable[Made]:
    ranked = sorted(windows, key=lambda window: (-window.score, window.start_ms))
    for window in windows:
        start, end = ms(window.start_ms), ms(window.start_ms + length_ms)
        share = round(100 * window.speech_ms / length_ms)
        place = ranked.index(window) + 1
        why = f"rank {place} of {len(windows)}: speech in {share} % of {seconds_text(start)}–{seconds_text(end)} s"
        yield Made(video.keep([(start, end)]), (item,), why)
