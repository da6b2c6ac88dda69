"""The values that edges carry, and the items that wrap them with their lineage."""

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
    """A picture and its sound on the same timeline; None means that there is no audio stream."""

    picture: Picture
    sound: Sound | None = None

    @property
    def duration(self) -> Fraction:
        return self.picture.duration

    def keep(self, ranges: Iterable[Range]) -> Video:
        """Cut the picture and the sound at the same ranges."""
        ranges = tuple(ranges)
        return Video(self.picture.keep(ranges), self.sound.keep(ranges) if self.sound else None)

    def with_picture(self, picture: Picture) -> Video:
        return Video(picture, self.sound)

    def with_sound(self, sound: Sound | None) -> Video:
        return Video(self.picture, sound)


@dataclass(frozen=True, slots=True)
class Audio:
    """Sound without a picture."""

    sound: Sound

    @property
    def duration(self) -> Fraction:
        return self.sound.duration


@dataclass(frozen=True, slots=True)
class Project:
    """An editable project with one sequence per video."""

    sequences: tuple[Video, ...]


Value = Video | Audio | Image | Project


def kind_of(value: Value) -> Kind:
    """Return the kind of a value."""
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
    """Return a digest that is the same for equal values."""
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
    """Return the expressions of a value."""
    match value:
        case Video(picture, sound):
            return (picture, sound) if sound else (picture,)
        case Audio(sound):
            return (sound,)
        case Image():
            return (value,)
        case Project(sequences):
            return tuple(expr for video in sequences for expr in exprs_of(video))


def kept_of(value: Value) -> tuple[SourceRange, ...]:
    """Return the source ranges that a value shows."""
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
    """Return the facts of a value for a record: kind, duration, size, frame rate, presence of audio."""
    facts: dict[str, Any] = {"kind": kind_of(value).value}
    match value:
        case Video(picture, sound):
            facts |= {
                "duration_ms": to_ms(picture.duration),
                "width": picture.width,
                "height": picture.height,
                "fps": str(picture.rate),
                "has_audio": sound is not None,
            }
        case Audio(sound):
            facts |= {"duration_ms": to_ms(sound.duration), "has_audio": True}
        case Image():
            facts |= {"width": value.width, "height": value.height}
        case Project(sequences):
            facts |= {"sequences": len(sequences)}
    return facts


@dataclass(frozen=True, slots=True)
class Item:
    """A value on an edge, with its lineage.

    Attributes
    ----------
    node, index
        The tile that made the item, and its position among that tile's items. Together they identify it.
    parents
        The (node, index) of each item that it was made from.
    why
        The reason for its content, in a few words.
    fidelity
        `"real"`, `"described"` (derived from kinds and parameters only) or `"placeholder"`.
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
