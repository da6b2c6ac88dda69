"""ffmpeg commands, and what must run beside one: streams that are made outside of it and fed to it by pipes.

A filter graph with a branch for each of thousands of cuts grows without bound in time and memory. So a
sound of many cuts is decoded by a process of its own, from which a `SoundFeed` picks the samples in blocks;
and a picture that reads files from many places is made by one process after another, as a `PictureFeed`.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FEED_OUTPUT", "Command", "Feed", "PictureFeed", "Reel", "SoundFeed", "Take"]

FEED_OUTPUT = "feed:out"
"""Stands in a command that feeds another for the pipe that it writes to."""


@dataclass(frozen=True, slots=True)
class Take:
    """`count` samples from the sample `first` of a reel on, the first `fade_in` of them rising, the last
    `fade_out` falling.
    """

    reel: int
    first: int
    count: int
    fade_in: int = 0
    fade_out: int = 0


@dataclass(frozen=True, slots=True)
class Reel:
    """A sound that a command decodes into 32-bit floats, channels interleaved, on `FEED_OUTPUT`.

    It is read while it is made where its takes ascend; else it is written to a file first (`spooled`).
    """

    command: Command
    spooled: bool


@dataclass(frozen=True, slots=True)
class SoundFeed:
    """Takes of reels, one after another. `name` stands in the command that reads it for the pipe."""

    name: str
    channels: int
    reels: tuple[Reel, ...]
    takes: tuple[Take, ...]


@dataclass(frozen=True, slots=True)
class PictureFeed:
    """Raw frames in NUT, by one command after another; each gives its frames their final times."""

    name: str
    parts: tuple[Command, ...]


Feed = SoundFeed | PictureFeed


@dataclass(frozen=True, slots=True)
class Command:
    """An ffmpeg command: arguments without the program; files that it reads (name, text), in the folder
    that it runs in; and what is fed to it.
    """

    args: tuple[str, ...]
    scripts: tuple[tuple[str, str], ...] = ()
    feeds: tuple[Feed, ...] = ()
