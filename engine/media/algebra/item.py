"""What edges carry: values of a kind, and the items that wrap them with their lineage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tessera.kinds import Kind
from tessera.media.algebra.expression import Expr, Image, Picture, Sound, SourceRange
from tessera.media.algebra.time import Range, to_ms

__all__ = ["Audio", "Image", "Item", "Project", "Value", "Video", "describe", "kind_of"]


@dataclass(frozen=True, slots=True)
class Video:
    """A picture and, on the same timeline, its sound (None: no audio stream at all)."""

    picture: Picture
    sound: Sound | None = None

    @property
    def duration(self) -> Fraction:
        return self.picture.duration

    def keep(self, ranges: Iterable[Range]) -> Video:
        """Picture and sound cut alike."""
        ranges = tuple(ranges)
        return Video(self.picture.keep(ranges), self.sound.keep(ranges) if self.sound else None)

    def with_picture(self, picture: Picture) -> Video:
        return Video(picture, self.sound)

    def with_sound(self, sound: Sound | None) -> Video:
        return Video(self.picture, sound)


@dataclass(frozen=True, slots=True)
class Audio:
    """Sound alone."""

    sound: Sound

    @property
    def duration(self) -> Fraction:
        return self.sound.duration


@dataclass(frozen=True, slots=True)
class Project:
    """An editable project whose sequences show these videos."""

    sequences: tuple[Video, ...]


Value = Video | Audio | Image | Project


def kind_of(value: Value) -> Kind:
    """The kind of a value."""
    match value:
        case Video():
            return Kind.VIDEO
        case Audio():
            return Kind.AUDIO
        case Image():
            return Kind.IMAGE
        case Project():
            return Kind.PROJECT


def digest_of(value: Value) -> str:
    """A digest that equal values share."""
    match value:
        case Video(picture, sound):
            return picture.digest + (sound.digest if sound else "")
        case Audio(sound):
            return sound.digest
        case Image():
            return value.digest
        case Project(sequences):
            return ".".join(digest_of(video) for video in sequences)


def exprs_of(value: Value) -> tuple[Expr, ...]:
    """The expressions that a value is made of."""
    match value:
        case Video(picture, sound):
            return (picture, sound) if sound else (picture,)
        case Audio(sound):
            return (sound,)
        case Image():
            return (value,)
        case Project(sequences):
            return tuple(one for video in sequences for one in exprs_of(video))


def kept_of(value: Value) -> tuple[SourceRange, ...]:
    """The ranges of sources that a value shows."""
    match value:
        case Video(picture, _):
            return picture.kept
        case Audio(sound):
            return sound.kept
        case Image():
            return ()
        case Project(sequences):
            return tuple(piece for video in sequences for piece in video.picture.kept)


def describe(value: Value) -> dict[str, Any]:
    """What a record says of a value: kind, duration, size, frame rate, presence of audio."""
    described: dict[str, Any] = {"kind": kind_of(value).value}
    match value:
        case Video(picture, sound):
            described |= {
                "duration_ms": to_ms(picture.duration),
                "width": picture.width,
                "height": picture.height,
                "fps": str(picture.rate),
                "has_audio": sound is not None,
            }
        case Audio(sound):
            described |= {"duration_ms": to_ms(sound.duration), "has_audio": True}
        case Image():
            described |= {"width": value.width, "height": value.height}
        case Project(sequences):
            described |= {"sequences": len(sequences)}
    return described


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that stands on an edge: a value, the tile that made it, and why.

    Attributes
    ----------
    node, index
        The tile that made it, and its place among what that tile made: together its id.
    parents
        The (node, index) of the items that it was made from.
    why
        In a few words, why it is as it is.
    fidelity
        `"real"`, `"described"` (made from kinds and parameters alone) or `"placeholder"`.
    """

    node: str
    index: int
    value: Value
    parents: tuple[tuple[str, int], ...] = ()
    why: str = ""
    fidelity: str = "real"

    @property
    def ref(self) -> tuple[str, int]:
        return (self.node, self.index)
