"""Placeholder media of a stated size and length, for the simulation of tiles that cannot run offline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from tessera.context import Context
from tessera.media.algebra.expression import Picture, Sound, even
from tessera.media.algebra.item import Item, Video
from tessera.node import Made
from tessera.nodes._per_video import each_video
from tessera.text.wording import count

__all__ = ["blank_video", "join_videos", "report_unreadable_size", "size_of", "spoken_seconds"]

_WORDS_PER_SECOND = Fraction(150, 60)
_RATE = Fraction(30)


def spoken_seconds(script: str) -> Fraction:
    """Return the seconds that a script takes at 150 words a minute, at least 1 s."""
    return max(Fraction(len(script.split())) / _WORDS_PER_SECOND, Fraction(1))


def size_of(resolution: str, aspect_ratio: str) -> tuple[int, int]:
    """Return width and height of, for example, `720p` at `9:16`.

    The number of lines is the shorter side. Values that cannot be parsed are read as 720p and 16:9;
    `report_unreadable_size` reports them.
    """
    lines = _lines_of(resolution) or 720
    aspect = _aspect_of(aspect_ratio) or Fraction(16, 9)
    long = max(even(round(lines * max(aspect, 1 / aspect))), 2)
    return (long, even(lines)) if aspect >= 1 else (even(lines), long)


def report_unreadable_size(ctx: Context, resolution: str, aspect_ratio: str) -> None:
    """Report parameters of these names for which `size_of` takes a default."""
    if _lines_of(resolution) is None:
        ctx.not_as_asked("resolution", "720p", "a simulation reads lines such as 1080p, from 16p to 8192p")
    if _aspect_of(aspect_ratio) is None:
        ctx.not_as_asked("aspect_ratio", "16:9", "a simulation reads two whole numbers, such as 9:16")


def _lines_of(resolution: str) -> int | None:
    digits = resolution.lower().removesuffix("p")
    # The length is checked first: Python refuses to convert very long digit strings.
    is_read = digits.isdecimal() and len(digits) <= 4 and 16 <= int(digits) <= 8192
    return int(digits) if is_read else None


def _aspect_of(aspect_ratio: str) -> Fraction | None:
    across, _, down = aspect_ratio.partition(":")
    is_read = all(side.isdecimal() and len(side) <= 3 and int(side) > 0 for side in (across, down))
    return Fraction(int(across), int(down)) if is_read else None


def blank_video(width: int, height: int, seconds: Fraction, *, has_sound: bool) -> Video:
    """Return a placeholder video of this size and length at 30 frames/s, whose asset does not exist."""
    key = f"described:{width}x{height}:{seconds}"
    picture = Picture.source(key, width=width, height=height, rate=_RATE, duration=seconds)
    return Video(picture, Sound.silence(seconds) if has_sound else None)


def join_videos(inputs: Sequence[Item]) -> Iterator[Made]:
    """Yield all incoming videos joined in order: in the size of the first, with sound if any has sound."""
    videos = [video for _item, video in each_video(inputs)]
    if not videos:
        return
    first = videos[0].picture
    picture = first.then(*(video.picture.scale(first.width, first.height) for video in videos[1:]))
    with_sound = [video.sound for video in videos if video.sound is not None]
    sound: Sound | None = None
    if with_sound:
        # Parts must have equal rates and channels: sound in another format than the first is left silent.
        rate, channels = with_sound[0].rate, with_sound[0].channels
        parts = [
            video.sound
            if video.sound is not None and (video.sound.rate, video.sound.channels) == (rate, channels)
            else Sound.silence(video.duration, rate=rate, channels=channels)
            for video in videos
        ]
        sound = parts[0].then(*parts[1:])
    why = f"{count(len(videos), 'video')} one after another"
    yield Made(Video(picture, sound), tuple(inputs), why, "described")
