"""Clips: several short videos from a long one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import ceil

from pydantic import Field

from tessera import node
from tessera.context import Context
from tessera.media.algebra.item import Item, Video
from tessera.media.algebra.time import ms, seconds_text, to_ms
from tessera.node import Made
from tessera.nodes._per_video import each_video
from tessera.nodes._windows import Window, best_windows
from tessera.text.wording import count

__all__ = ["Clips"]

_DEFAULT_LENGTH = Fraction(30)
_DEFAULT_COUNT = 3


class Clips(node.NodeType):
    type_id = "bcc5cb04-76b7-48e9-a344-0e8a29c19be0"
    name = "Clips"
    category = "edit"
    summary = "Finds the best moments of a video and makes a clip of each."

    class Params(node.Params):
        prompt: str = Field("", description="Moments to look for; empty means the best ones")
        num_clips: int | None = Field(
            None, ge=1, le=20, description="Number of clips; null lets the tile decide"
        )
        target_duration: float | None = Field(
            None, ge=1, le=300, description="Length of a clip in seconds; null lets the tile decide"
        )

    def run(self, ctx: Context, inputs: Sequence[Item], params: Params) -> Iterable[Made]:
        for item, video in each_video(inputs):
            length = _length(params.target_duration, params.num_clips, video)
            if video.duration <= length:
                _report_short_video(ctx, params, video, length)
                why = f"no longer than {seconds_text(length)} s, so it stays one clip"
                yield Made(video, (item,), why)
                continue
            number = min(params.num_clips or _DEFAULT_COUNT, video.duration // length)
            _report_few(ctx, params.num_clips, number, video, length)
            found = best_windows(video.duration, length, number, ctx.speech(video), ctx.levels(video))
            if params.num_clips is None:
                found = _with_enough_speech(found)
            yield from _clips(item, video, found, length)


def _length(target_duration: float | None, num_clips: int | None, video: Video) -> Fraction:
    """Return the requested length of a clip; else 30 s, or less so that the requested number fits."""
    if target_duration is not None:
        return Fraction(str(target_duration))
    share = video.duration / (num_clips or 1)
    if share >= _DEFAULT_LENGTH or share == video.duration:
        return min(_DEFAULT_LENGTH, share)
    # Whole milliseconds, and at least one frame.
    return ms(max(int(share * 1000), ceil(1000 / video.picture.rate)))


def _report_short_video(ctx: Context, params: Clips.Params, video: Video, length: Fraction) -> None:
    """Report that a video no longer than one clip stays one clip, if more or a longer one is asked for."""
    _report_few(ctx, params.num_clips, 1, video, length)
    if params.target_duration is not None and video.duration < length:
        whole = f"{seconds_text(video.duration)} s"
        ctx.not_as_asked("target_duration", whole, f"the video is {whole} long")


def _report_few(ctx: Context, asked: int | None, made: int, video: Video, length: Fraction) -> None:
    if asked is not None and made < asked:
        clips = f"{count(made, 'clip')} of {seconds_text(length)} s"
        ctx.not_as_asked("num_clips", str(made), f"a video of {seconds_text(video.duration)} s holds {clips}")


def _with_enough_speech(windows: Sequence[Window]) -> list[Window]:
    """Return the windows with at least half as much speech as the best one."""
    most = max(window.share for window in windows)
    return [window for window in windows if 2 * window.share >= most]


def _clips(item: Item, video: Video, windows: Sequence[Window], length: Fraction) -> Iterable[Made]:
    ranked = sorted(windows, key=lambda window: (-window.score, window.start))
    for window in windows:
        start, end = window.start, window.start + length
        rank = f"rank {ranked.index(window) + 1} of {len(windows)}"
        why = f"{rank}: speech in {round(100 * window.share)} % of {_clock(start)}–{_clock(end)}"
        yield Made(video.keep([(start, end)]), (item,), why)


def _clock(time: Fraction) -> str:
    """Return a time as text: `0:12.4`, `1:02:03`."""
    minutes, left = divmod(to_ms(time), 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{left // 1000:02}" + f".{left % 1000:03}".rstrip("0").rstrip(".")
    return f"{hours}:{minutes:02}:{seconds}" if hours else f"{minutes}:{seconds}"
