"""Picture and sound of different length: what a player shows, and the notes that say so.

Players keep the last picture on the screen until the sound ends, and are silent after a sound that ends
first.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from tessera.media.probe.info import MediaInfo, PictureInfo, SoundInfo
from tessera.media.stream_facts.damage import seconds

__all__ = ["with_both_lengths"]

_PADDING_S = Fraction(1, 20)
"""The longest difference that is not content: encoders fill up the last packet of a sound."""

_SILENCE_S = Fraction(1, 2)
"""The shortest silence after a sound that ends first that is worth a note: nothing is left out."""


def with_both_lengths(info: MediaInfo) -> MediaInfo:
    """Return the facts of a video whose picture lasts until its sound ends, with notes on what differs."""
    picture, sound = info.picture, info.sound
    if picture is None or sound is None:
        return info
    zero = picture.start * picture.time_base
    more = sound.start + sound.duration - zero - picture.duration
    notes = (*info.notes, *_notes(picture, sound, zero, more))
    if more > _PADDING_S:
        picture = picture.model_copy(update={"duration": picture.duration + more, "held": more})
    return info.model_copy(update={"picture": picture, "notes": notes})


def _notes(picture: PictureInfo, sound: SoundInfo, zero: Fraction, more: Fraction) -> Iterator[str]:
    before, end = zero - sound.start, sound.start + sound.duration - zero
    if before > _PADDING_S:
        yield (
            f"has {seconds(min(before, sound.duration))} s of sound before its first picture,"
            " which are left out"
        )
    if end <= 0:
        return
    lengths = f"{seconds(picture.duration)} s of picture and {seconds(end)} s of sound"
    if more > _PADDING_S:
        yield f"has {lengths}: its last picture stays until the sound ends"
    elif -more > _SILENCE_S:
        yield f"has {lengths}: silence follows the sound"
