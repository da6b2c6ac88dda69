"""The compiler, which turns optimised expressions into ffmpeg commands."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from hashlib import blake2b
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

from tessera.media.algebra.expression import Picture, Sound
from tessera.media.algebra.optimiser import optimise
from tessera.media.algebra.time import Range
from tessera.media.ffmpeg.command import FEED_OUTPUT, Command, Feed, Reel, SoundFeed, StreamFeed
from tessera.media.ffmpeg.encode_settings import REPEATABLE, EncodeSettings, sized
from tessera.media.ffmpeg.lowering import Located, Lowering, Resolver
from tessera.media.ffmpeg.sound_lowering import FedSound, Gain, Measured, SteadySound
from tessera.media.probe.info import MediaInfo
from tessera.media.render.decoder_groups import start_of

__all__ = [
    "Command",
    "Encode",
    "EncodeSettings",
    "Gain",
    "Located",
    "Measured",
    "Resolver",
    "compile_measure",
    "compile_render",
    "compile_together",
]

_AAC_BITRATES = {1: "160k", 2: "256k", 6: "448k"}
"""Bit rate by channel count. Lower rates raised the peaks of limited speech by up to 2.4 dB when measured."""

_MOST_OPENED = 8
"""The most picture decoders that one command opens for cuts: one of 1080p takes up to 50 MB."""

_INLINE_GRAPH = 60_000
"""The most characters of a filter graph on the command line; a longer graph goes into a file."""


@dataclass(frozen=True, slots=True)
class Encode:
    """The content of one output file: a picture, a sound or both."""

    picture: Picture | None
    sound: Sound | None
    output: Path


def compile_render(
    picture: Picture | None,
    sound: Sound | None,
    output: Path,
    resolve: Resolver,
    measured: Measured,
    target: EncodeSettings,
) -> Command:
    """Return the command that renders a picture, a sound, or both into an MP4 file."""
    picture = picture and sized(picture, target)
    lowering = Lowering(resolve, measured, [one for one in (picture, sound) if one is not None])
    made, feeds = _output(Encode(picture, sound, output), lowering, target)
    return _command(lowering, [made], feeds)


def compile_together(
    encodes: Sequence[Encode], resolve: Resolver, measured: Measured, target: EncodeSettings
) -> Command:
    """Return the command that renders several videos of one source with a single decoder (see
    `decoder_groups`).
    """
    pictures = [one.picture for one in encodes if one.picture is not None]
    common = min(start_of(picture) for picture in pictures)
    encodes = [replace(one, picture=one.picture and sized(one.picture, target)) for one in encodes]
    roots = [half for one in encodes for half in (one.picture, one.sound) if half is not None]
    lowering = Lowering(resolve, measured, roots, common=common)
    made, feeds = zip(*(_output(one, lowering, target) for one in encodes), strict=True)
    return _command(lowering, made, [feed for some in feeds for feed in some])


def _output(encode: Encode, lowering: Lowering, target: EncodeSettings) -> tuple[Any, list[Feed]]:
    """Return an output of a command, and the feeds that it needs."""
    streams, options, feeds = [], dict[str, Any](), list[Feed]()
    if encode.picture is not None:
        parts = _parts(encode.picture, lowering)
        if parts:
            feeds.append(_feed_picture(encode.picture, parts, lowering))
            streams.append(lowering.fed_picture(feeds[0].name))
        else:
            streams.append(lowering.picture_output(encode.picture))
        options |= _picture_options(encode.picture, lowering, target)
    if encode.sound is not None:
        streams.append(lowering.sound_output(encode.sound))
        options |= _sound_options(encode.sound, target)
    suffix = {"f": "nut"} if target.lossless else {"f": "mp4", "movflags": "+faststart"}
    return _into(streams, str(encode.output), {**options, **suffix}), feeds


def compile_measure(
    sound: Sound, resolve: Resolver, measured: Measured, *, peak: bool = True, keep: Path | None = None
) -> Command:
    """Return the command that prints the EBU R128 loudness and the true peak of a sound to stderr.

    `keep` is a file (`.w64`) to which the command writes the samples of the sound.
    """
    lowering = Lowering(resolve, measured, [sound])
    stream = lowering.sound_output(sound).filter("ebur128", peak="true" if peak else "none", framelog="quiet")
    if keep is not None:
        return _command(lowering, [_into([stream], str(keep), {"f": "w64", "c:a": "pcm_f32le"})])
    return _command(lowering, [_into([stream], "-", {"f": "null"})])


def _compile_reel(sound: Sound, resolve: Resolver, measured: Measured) -> Command:
    """Return the command that decodes a sound for a feed."""
    lowering = Lowering(resolve, measured, [sound])
    options = {"f": "f32le", "c:a": "pcm_f32le"}
    return _command(lowering, [_into([lowering.sound_output(sound)], FEED_OUTPUT, options)])


def _feed_sound(fed: FedSound, resolve: Resolver, measured: Measured) -> SoundFeed:
    reels = tuple(Reel(_compile_reel(sound, resolve, measured), spooled) for sound, spooled in fed.reels)
    return SoundFeed(fed.name, fed.node.channels, reels, fed.takes)


def _parts(picture: Picture, lowering: Lowering) -> list[Range]:
    """Split a picture into parts that each open few files; return no parts if one command suffices.

    Parts start at the start of a decoding pass if the timeline with the most passes is as long as the whole.
    """
    opened = sum(len(runs) for runs in lowering.picture_runs.values())
    if opened <= _MOST_OPENED:
        return []
    node, runs = max(lowering.picture_runs.items(), key=lambda pair: len(pair[1]))
    count = -(-opened // _MOST_OPENED)
    starts = [picture.duration * index / count for index in range(count)]
    if node.duration == picture.duration:  # type: ignore[attr-defined]
        starts = [run.at for run in runs[::_MOST_OPENED]]
    return list(pairwise([*starts, picture.duration]))


def _feed_picture(picture: Picture, parts: Sequence[Range], whole: Lowering) -> StreamFeed:
    """Return the feed of a picture that is made in parts.

    The picture is halved repeatedly, since the cost of a cut grows with its number of ranges.
    """
    commands = []
    waiting = [(picture, parts)]
    while waiting:
        one, within = waiting.pop()
        if len(within) == 1:
            commands.append(_compile_part(one, within[0][0], whole))
            continue
        half, start = len(within) // 2, within[0][0]
        for ranges in (within[half:], within[:half]):
            cut = optimise(one.keep([(ranges[0][0] - start, ranges[-1][1] - start)]))
            assert isinstance(cut, Picture)
            waiting.append((cut, ranges))
    return StreamFeed("feed:picture", tuple(commands))


def _compile_part(part: Picture, at: Fraction, whole: Lowering) -> Command:
    lowering = Lowering(whole.resolve, whole.measured, [part], part_of=whole)
    stream = lowering.picture_output(part).filter("setpts", f"PTS+{ceil(at * whole.ticks)}")
    raw = {"f": "nut", "write_index": 0, "c:v": "rawvideo", "pix_fmt": "yuv420p"}
    times = {"fps_mode": "passthrough", "enc_time_base": f"1:{whole.ticks}"}
    return _command(lowering, [_into([stream], FEED_OUTPUT, {**raw, **times})])


def _picture_options(picture: Picture, lowering: Lowering, target: EncodeSettings) -> dict[str, Any]:
    options: dict[str, Any] = {
        "fps_mode": "passthrough",
        "enc_time_base": f"1:{lowering.ticks}",
        "pix_fmt": "yuv420p",
    }
    if target.lossless:
        return {**options, "c:v": "ffv1"}
    return {
        **options,
        "c:v": "libx264",
        "preset": target.preset,
        "crf": target.crf,
        "x264-params": REPEATABLE,
        "video_track_timescale": lowering.ticks,
        "bsf:v": _lasting(ceil(picture.duration * lowering.ticks)),
        "color_range": "tv",
        **lowering.colors.options(),
    }


def _lasting(end: int) -> str:
    """Return a bitstream filter with which the last picture ends at `end`, in ticks.

    The file's length is the latest end of a packet. Each packet may last to the end of all: a picture ends
    where the next one begins.
    """
    return f"setts=pts=PTS:dts=DTS:duration=max(1\\,{end}-PTS)"


def _sound_options(sound: Sound, target: EncodeSettings) -> dict[str, Any]:
    if target.lossless:
        return {"c:a": "pcm_f32le"}
    return {"c:a": "aac", "b:a": _AAC_BITRATES[sound.channels]}


def _into(streams: list[Any], output: str, options: Mapping[str, Any]) -> Any:
    import ffmpeg

    flags = {"fflags": "+bitexact", "flags:v": "+bitexact", "flags:a": "+bitexact", "map_metadata": -1}
    return ffmpeg.output(*streams, output, **options, **flags)


def _has_undecodable(info: MediaInfo) -> bool:
    """Return True if a file has packets without a picture, or is damaged."""
    return bool(info.lost or (info.picture is not None and info.picture.skipped))


def _command(lowering: Lowering, outputs: Sequence[Any], feeds: Sequence[Feed] = ()) -> Command:
    import ffmpeg

    built = outputs[0] if len(outputs) == 1 else ffmpeg.merge_outputs(*outputs)
    built = built.global_args("-copyts", "-y")
    if any(_has_undecodable(located.info) for located in lowering.sources.values()):
        # Packets without a picture count as errors of decoding; by default, two thirds of them end ffmpeg.
        built = built.global_args("-max_error_rate", "1")
    with _deep(20 * len(lowering.nodes)):
        args, scripts = _with_scripts(built.compile(cmd="ffmpeg")[1:])
    sounds = (_feed_sound(fed, lowering.resolve, lowering.measured) for fed in lowering.fed)
    return Command(args, scripts, (*feeds, *sounds, *map(_feed_steady, lowering.steady)))


def _feed_steady(sound: SteadySound) -> StreamFeed:
    """Return the feed of a sound that varies in its source."""
    options = {"f": "nut", "write_index": 0, "c:a": "pcm_f32le"}
    made = _into([sound.stream], FEED_OUTPUT, options).global_args("-copyts", "-y")
    return StreamFeed(sound.name, (Command(tuple(made.compile(cmd="ffmpeg")[1:])),))


def _with_scripts(args: list[str]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Return the arguments, and as a script the filter graph that is too long for the command line."""
    scripts: list[tuple[str, str]] = []
    for index, arg in enumerate(args):
        if arg == "-filter_complex" and len(args[index + 1]) > _INLINE_GRAPH:
            graph = args[index + 1]
            name = f"graph-{blake2b(graph.encode(), digest_size=6).hexdigest()}.txt"
            scripts.append((name, graph))
            args[index : index + 2] = ["-/filter_complex", name]
            break
    return tuple(args), tuple(scripts)


@contextmanager
def _deep(calls: int) -> Iterator[None]:
    """Raise the recursion limit for ffmpeg-python, which sorts a graph recursively."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, calls + 2_000))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
