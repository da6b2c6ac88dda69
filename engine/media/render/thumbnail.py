"""The picture that stands for a video: sharp, bright enough, full of detail and not within a transition.

A few short looks into the video are compared. A look starts at a key frame, since reaching one costs the
least, and takes the next frames that others refer to: they show whether the picture is within a fade. The
number of looks depends on the size of a frame alone, so that a video always has the same thumbnail.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.errors import RenderError
from tessera.files import whole_file

if TYPE_CHECKING:
    import av
    from PIL.Image import Image as PillowImage

__all__ = ["write_thumbnail"]

_LOOKS = tuple(Fraction(*one) for one in ((1, 3), (2, 3), (1, 2), (5, 6), (1, 6), (1, 12)))
"""Where to look, as fractions of the duration: of equal pictures, that of the first look is taken."""
_FRAMES = 3
"""The frames of one look. Three tell a fade, whose middle picture is the mean of the others, from motion."""
_LOOK_PX, _ALL_PX, _SEARCH_PX = 20_000_000, 18_000_000, 45_000_000
"""The pixels to decode: in looks, with a walk through a video with few key frames, and in a video that shows
nothing good so far."""
_WALK_STOPS = 12
"""The most frames that are judged on a walk."""
_SIDE = 320
"""The longer side in pixels at which pictures are judged."""
_DARK, _GREY, _WHITE = 16.0, 48.0, 250.0
"""The mean brightness, 0–255: at `_DARK` a picture is worth nothing, from `_GREY` to `_WHITE` the whole."""
_SPREAD = 24.0
"""The standard deviation of brightness below which a picture is the flatter, the less it is worth."""
_DETAIL = 40.0
"""The mean step between neighbouring pixels above which more is noise rather than detail."""
_MOVED, _NONLINEAR, _FADED = 1.5, 0.35, 0.8
"""A change of at least `_MOVED` counts as a fade if less than `_NONLINEAR` of it is not linear in time. A
picture within a fade loses up to `_FADED` of its worth."""
_PROMINENT, _PREFERENCE = 12.0, 0.6
"""A picture that differs by `_PROMINENT` or more from the mean of all gains `_PREFERENCE` of its worth: it
shows what comes and goes, such as a person in front of a wall."""
_GOOD = 2.0
"""A picture of this worth needs no walk: a sharp one has 3 and more, a flat or black one less than 1."""


@dataclass(frozen=True)
class _Candidate:
    """A picture, its brightness at a small size, and what it is worth by itself."""

    frame: av.VideoFrame
    grey: PillowImage
    worth: float


def write_thumbnail(media: Path, output: Path, *, width: int = 640) -> None:
    """Write a JPEG of the most telling picture of a video, upright and at most `width` pixels wide.

    Raises
    ------
    MediaError
        If the video cannot be read.
    RenderError
        If the thumbnail cannot be written.
    StopIteration
        If the video has no picture.
    """
    from tessera.media.probe.probe import open_media

    with open_media(media) as container:
        frame = _best(container)
        picture = _upright(frame, width)
    try:
        with whole_file(output) as partial:
            picture.save(partial, "JPEG", quality=85)
    except OSError as error:
        raise RenderError(f"cannot write {output}: {error.strerror or error}") from None


def _best(container: Any) -> av.VideoFrame:
    """Return the best picture of the looks, and of a walk from the first look on if they saw too little."""
    stream = container.streams.video[0]
    size = max(stream.width * stream.height, 1)
    frames: list[av.VideoFrame] = []
    looks = _LOOKS[: max(_LOOK_PX // (size * _FRAMES), 2)]
    candidates: list[_Candidate] = []
    for at in looks:
        seen = list(_frames_from(container, at, _FRAMES, {frame.pts for frame in frames}))
        frames += seen
        candidates += _judged(seen)
    is_good = any(one.worth >= _GOOD for one in candidates)
    left = (_ALL_PX if is_good else _SEARCH_PX) // size - len(frames)
    # A walk of few frames shows hardly more than the look where it begins.
    if not is_good or (len(frames) < _FRAMES * len(looks) and left > 2 * _FRAMES):
        walked = list(_frames_from(container, _LOOKS[0], max(left, _FRAMES)))
        candidates += _judged(walked[:: -(-len(walked) // _WALK_STOPS) or 1])
    if not candidates:
        raise StopIteration
    mean = _mean([one.grey for one in candidates])
    return max(candidates, key=lambda one: one.worth * _prominence(one.grey, mean)).frame


def _frames_from(
    container: Any, at: Fraction, count: int, visited: Collection[int | None] = ()
) -> Iterator[av.VideoFrame]:
    """Yield frames from the key frame before a fraction of the duration; none if that one was visited.

    Frames that no other refers to are left out: they cost time, and others are near.
    """
    stream = container.streams.video[0]
    if container.duration:
        container.seek((container.start_time or 0) + int(container.duration * at), backward=True)
    stream.codec_context.skip_frame = "NONREF"
    for number, packet in enumerate(container.demux(stream)):
        if not number and packet.pts in visited:
            return
        for frame in packet.decode():
            if count <= 0:
                return
            count -= 1
            yield frame


def _judged(frames: Sequence[av.VideoFrame]) -> list[_Candidate]:
    """Return frames with their worth. Each is compared with its neighbours, to know a fade."""
    greys = [_grey(frame) for frame in frames]
    found = []
    for index, frame in enumerate(frames):
        first = min(max(index - 1, 0), len(frames) - _FRAMES)
        fade = _fade(frames[first : first + _FRAMES], greys[first : first + _FRAMES]) if first >= 0 else 0.0
        found.append(_Candidate(frame, greys[index], _telling(greys[index]) * (1 - _FADED * fade)))
    return found


def _grey(frame: av.VideoFrame) -> PillowImage:
    """Return the brightness of a frame as a small picture."""
    from PIL import Image

    scale = min(_SIDE / max(frame.width, frame.height), 1.0)
    width, height = (max(round(side * scale), 1) for side in (frame.width, frame.height))
    small = frame.reformat(width=width, height=height, format="gray", interpolation="AREA")
    plane = small.planes[0]
    return Image.frombuffer("L", (width, height), bytes(plane), "raw", "L", plane.line_size, 1)


def _telling(grey: PillowImage) -> float:
    """Return how much a picture shows, from 0 (black or flat) to 40: its detail, less in the dark."""
    from PIL import ImageChops, ImageStat

    stat = ImageStat.Stat(grey)
    mean, spread = stat.mean[0], stat.stddev[0]
    steps = (
        ImageStat.Stat(ImageChops.difference(grey, ImageChops.offset(grey, *by))).mean[0]
        for by in ((1, 0), (0, 1))
    )
    light = (mean - _DARK) / (_GREY - _DARK) if mean < _GREY else (255.0 - mean) / (255.0 - _WHITE)
    return min(sum(steps), _DETAIL) * min(max(light, 0.0), 1.0) * min(spread / _SPREAD, 1.0)


def _mean(greys: Sequence[PillowImage]) -> PillowImage:
    """Return the mean of pictures of one size."""
    from PIL import Image

    mean = greys[0]
    for number, grey in enumerate(greys[1:], 2):
        mean = Image.blend(mean, grey.resize(mean.size), 1 / number)
    return mean


def _prominence(grey: PillowImage, mean: PillowImage) -> float:
    """Return the factor for a picture that shows more than what is always there, from 1."""
    from PIL import ImageChops, ImageStat

    differs = ImageStat.Stat(ImageChops.difference(grey.resize(mean.size), mean)).mean[0]
    return float(1 + _PREFERENCE * min(differs / _PROMINENT, 1.0))


def _fade(frames: Sequence[av.VideoFrame], greys: Sequence[PillowImage]) -> float:
    """Return how well a fade explains the change of three pictures, 0–1.

    In a fade, also one between two pictures, the middle one is the mean of the others, weighted by time.
    """
    from PIL import Image, ImageChops, ImageStat

    start, middle, end = (frame.pts or 0 for frame in frames)
    share = (middle - start) / (end - start) if end > start else 0.5
    changed = ImageStat.Stat(ImageChops.difference(greys[0], greys[2])).mean[0]
    if changed < _MOVED:
        return 0.0
    expected = Image.blend(greys[0], greys[2], min(max(share, 0.0), 1.0))
    off = ImageStat.Stat(ImageChops.difference(greys[1], expected)).mean[0]
    return float(max(1 - off / (_NONLINEAR * changed), 0.0))


def _upright(frame: av.VideoFrame, width: int) -> PillowImage:
    """Return a frame as a picture, at most `width` pixels wide when it is turned as it is shown."""
    turned = frame.rotation % 360
    shown = frame.height if turned in (90, 270) else frame.width
    scale = min(Fraction(width, max(shown, 1)), Fraction(1))
    size = [max(round(side * scale), 1) for side in (frame.width, frame.height)]
    picture: PillowImage = frame.to_image(  # type: ignore[no-untyped-call]
        width=size[0], height=size[1], interpolation="AREA"
    )
    return picture.rotate(turned, expand=True) if turned else picture
