"""ffmpeg commands, and the feeds that run beside one: streams made by other processes and fed by pipes.

A filter graph with a branch for each of thousands of cuts grows without bound in time and memory. So a
sound of many cuts is decoded by a process of its own, from which a `SoundFeed` picks the samples in blocks;
and a picture that reads files from many places is made by one process after another, as a `StreamFeed`. So
is a sound whose rate or channels change in its source.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FEED_OUTPUT", "Command", "Feed", "Reel", "SoundFeed", "StreamFeed", "Take"]

FEED_OUTPUT = "feed:out"
"""The placeholder for the output pipe in a command that feeds another."""


@dataclass(frozen=True, slots=True)
class Take:
    """A range of `count` samples of a reel, from the sample `first`. The first `fade_in` samples fade in, the
    last `fade_out` fade out.
    """

    reel: int
    first: int
    count: int
    fade_in: int = 0
    fade_out: int = 0


@dataclass(frozen=True, slots=True)
class Reel:
    """A decoded sound: a command decodes it into 32-bit floats, channels interleaved, on `FEED_OUTPUT`.

    It is read while it is decoded if its takes ascend. Otherwise it is written to a file first (`spooled`).
    """

    command: Command
    spooled: bool


@dataclass(frozen=True, slots=True)
class SoundFeed:
    """A sound made of takes of reels, in sequence. `name` is the placeholder of its pipe in the command."""

    name: str
    channels: int
    reels: tuple[Reel, ...]
    takes: tuple[Take, ...]


@dataclass(frozen=True, slots=True)
class StreamFeed:
    """Raw frames or samples in NUT, by one command after another; each gives them their final times."""

    name: str
    parts: tuple[Command, ...]


Feed = SoundFeed | StreamFeed


@dataclass(frozen=True, slots=True)
class Command:
    """An ffmpeg command: arguments without the program; files that it reads (name, text), in the folder
    that it runs in; and what is fed to it.
    """

    args: tuple[str, ...]
    scripts: tuple[tuple[str, str], ...] = ()
    feeds: tuple[Feed, ...] = ()
