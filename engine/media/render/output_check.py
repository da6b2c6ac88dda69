"""The check of a finished file against its promise: the streams, sizes, lengths and rates of its expression.

Simulation describes an output by its expression: a file that differs would make the two disagree. The check
reads the facts of the file with the probe that reads every other file. The caller keeps these facts, so that
the file is not probed again.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from tessera.errors import MediaError, RenderError
from tessera.media.algebra.expression import Expr, Picture, Sound
from tessera.media.algebra.time import seconds_text
from tessera.media.algebra.timeline import is_timeline, pieces_of
from tessera.media.ffmpeg.compiler import Resolver
from tessera.media.probe.info import MediaInfo, PictureInfo, SoundInfo
from tessera.text.wording import count

__all__ = ["check_output", "probe_output"]

_SAMPLES = 2048
"""The samples by which a sound may be longer or shorter: two frames of AAC, of which the first and
the last may be partly empty.
"""
_CLOCK = Fraction(1, 500)
"""The rounding of a container's clock in seconds: both ends are rounded, to whole milliseconds at worst."""


def probe_output(path: Path) -> MediaInfo:
    """Read the facts of a finished file.

    Raises
    ------
    RenderError
        If the file cannot be read, or has no stream with content.
    """
    from tessera.media.probe.probe import probe

    try:
        return probe(path)
    except MediaError as error:
        raise RenderError(f"the finished file cannot be used: {error}") from None


def check_output(info: MediaInfo, picture: Picture | None, sound: Sound | None, resolve: Resolver) -> None:
    """Check that a file with these facts keeps the promise of a picture, a sound, or both.

    Checked are the streams, the size, length and number of pictures, and the rate, channels and length of the
    sound. Whether each picture is the right one is the matter of tests.

    Parameters
    ----------
    resolve
        Return the file of a leaf, whose frame rate tells the number of pictures.

    Raises
    ------
    RenderError
        If it does not, with what was promised and what the file has.
    """
    faults = [
        *_presence_faults("a picture", info.picture, picture),
        *_presence_faults("sound", info.sound, sound),
    ]
    if info.picture is not None and picture is not None:
        faults += _picture_faults(info.picture, picture, resolve)
    if info.sound is not None and sound is not None:
        faults += _sound_faults(info.sound, sound)
    if faults:
        raise RenderError(f"the finished file is not what was promised: {'; '.join(faults)}")


def _presence_faults(what: str, made: object | None, promised: object | None) -> Iterator[str]:
    if made is None and promised is not None:
        yield f"{what} was promised, but it has none"
    if made is not None and promised is None:
        yield f"it has {what}, but none was promised"


def _picture_faults(made: PictureInfo, picture: Picture, resolve: Resolver) -> Iterator[str]:
    if (made.width, made.height) != (picture.width, picture.height):
        yield f"its picture is {made.width}×{made.height}, not {picture.width}×{picture.height}"
    length = made.duration - made.held
    if abs(length - picture.duration) > 1 / picture.rate + _CLOCK:
        yield _wrong_length("picture", length, picture.duration)
    expected = _expected_pictures(picture, resolve)
    if expected is not None and abs(made.frames - expected[0]) > expected[1]:
        yield f"it has {count(made.frames, 'picture')}, not {round(expected[0])}"


def _expected_pictures(picture: Picture, resolve: Resolver) -> tuple[Fraction, int] | None:
    """Return the number of pictures, and by how much it may be off; None if the rates do not tell it.

    They do not if one varies, or if pictures are missing in a source. A range begins with the picture on
    screen at its start, so each may have one picture more or less.
    """
    pieces = pieces_of(_timed_by(picture))
    pictures = Fraction(0)
    for leaf, start, end in pieces:
        info = _constant_source(leaf, resolve)
        if info is None:
            return None
        pictures += (end - start) * info.rate
    return pictures, len(pieces) + 1


def _timed_by(node: Expr) -> Expr:
    """Return the cut, join or source from which a picture has its times: its filters keep them."""
    while not is_timeline(node) and node.inputs:
        node = node.inputs[0]
    return node


def _constant_source(leaf: Expr, resolve: Resolver) -> PictureInfo | None:
    """Return the facts of a piece's source if its pictures follow at a constant rate, else None."""
    source = _timed_by(leaf)
    if source.inputs:
        return None
    located = resolve(source)
    info = located.info.picture
    if info is None or info.variable or info.skipped or located.info.lost:
        return None
    # Of a picture that stays longer than its rate says, such as the only one of a file, the rate is a guess.
    stays = abs(info.duration - info.held - info.frames / info.rate)
    return info if stays <= 1 / info.rate else None


def _sound_faults(made: SoundInfo, sound: Sound) -> Iterator[str]:
    if (made.rate, made.channels) != (sound.rate, sound.channels):
        held, promised = (f"{one.rate:,} Hz, {count(one.channels, 'channel')}" for one in (made, sound))
        yield f"its sound has {held}, not {promised}"
    if abs(made.duration - sound.duration) > Fraction(_SAMPLES, made.rate) + _CLOCK:
        yield _wrong_length("sound", made.duration, sound.duration)


def _wrong_length(what: str, made: Fraction, promised: Fraction) -> str:
    return f"its {what} lasts {seconds_text(made)} s, not {seconds_text(promised)} s"
