"""ffmpeg commands, and what must run beside one: sound that is cut outside of it and fed to it through a
pipe.

A filter graph with a branch for each of thousands of cuts grows without bound in time and memory. So a
sound of many cuts is decoded by a process of its own, from which `Feed` picks the samples in blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FEED_OUTPUT", "Command", "Feed", "Reel", "Take"]

FEED_OUTPUT = "feed:out"
"""Stands in a reel's command for the pipe that it writes to."""


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
class Feed:
    """Takes of reels, one after another. `name` stands in the command that reads it for the pipe."""

    name: str
    channels: int
    reels: tuple[Reel, ...]
    takes: tuple[Take, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """An ffmpeg command: arguments without the program; files that it reads (name, text), in the folder
    that it runs in; and what is fed to it.
    """

    args: tuple[str, ...]
    scripts: tuple[tuple[str, str], ...] = ()
    feeds: tuple[Feed, ...] = ()
