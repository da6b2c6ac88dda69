"""Lowering of expressions to graphs of ffmpeg filters, built with ffmpeg-python.

Exactness
---------
Sources are opened with `-copyts`, so that frames carry the container's own presentation times; a range is
cut by whole ticks of one time base that holds those times exactly, never by seconds in floating point.
Seeking only skips what need not be decoded: it aims at a keyframe before a range, and the cut itself is
made by `trim`, `select` and `atrim`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, lcm
from pathlib import Path
from typing import Any

from tessera.media.algebra.expression import Expr, Image, Picture, Sound
from tessera.media.algebra.timeline import CutPass, cut_passes, is_timeline, pieces_of
from tessera.media.ffmpeg.colors import BT709, Colors, conformed, output_colors
from tessera.media.ffmpeg.last_picture import before_held, held
from tessera.media.ffmpeg.pictures_on_screen import PicturesOnScreen, Stills, stills_of_source
from tessera.media.ffmpeg.sound_lowering import (
    FedSound,
    Measured,
    SoundLowering,
    SoundPlan,
    SteadySound,
    plan_sound,
)
from tessera.media.ffmpeg.steady import deinterlaced, input_options, oriented, steadied
from tessera.media.probe.info import MediaInfo, has_guessed_times
from tessera.media.probe.probe import DEMUXERS, PROTOCOLS

__all__ = ["Located", "Lowering", "Resolver"]

_SEEK_MARGIN = Fraction(1)
"""Seconds before a range at which decoding starts: more than B-frames and codec overlap reach back."""

_TICKS = 90_000
"""The fewest ticks per second of an output's time base."""

_MOST_TICKS = 400_000
"""The most ticks per second: `interleave` counts in µs, and ticks of 2.5 µs survive that rounding."""

_INDEXED = ("mov", "matroska")
"""Demuxers that seek to a keyframe at or before the requested time."""

SKIPPED = Fraction(20)
"""The longest gap in seconds that is decoded and dropped; a longer gap is skipped by a second seek."""


@dataclass(frozen=True, slots=True)
class Located:
    """The file of a source and the result of probing it."""

    path: Path
    info: MediaInfo


Resolver = Callable[[Expr], Located]
"""A function that finds the file of a source or drawn leaf."""


class Lowering(SoundLowering):
    """The lowering of one command: it opens inputs, splits shared streams and emits filters.

    Cuts and joins are lowered as the pieces that they amount to (see `timeline`), straight from the
    files where the pieces come from sources: each run seeks by itself.
    """

    def __init__(
        self,
        resolve: Resolver,
        measured: Measured,
        roots: Sequence[Expr],
        *,
        part_of: Lowering | None = None,
        common: Fraction | None = None,
    ) -> None:
        """Plan the lowering of the roots.

        `part_of` is the lowering of the whole picture, whose time base and colours its parts share.
        `common` is the time from which the pictures of several outputs read their single source together.
        """
        self.resolve, self.measured, self.roots, self.common = resolve, measured, roots, common
        self.sound_plans: dict[Expr, SoundPlan] = {}
        self.picture_runs: dict[Expr, list[CutPass]] = {}
        self.held = PicturesOnScreen(self._stills)
        self.below: dict[Expr, tuple[Expr, ...]] = {}
        self.sources: dict[Expr, Located] = {}
        self.nodes = self._ordered(roots)
        self.uses = _uses(self.nodes, self.below, roots)
        self.inputs: dict[Any, Any] = {}
        self.repeats: Counter[Any] = Counter()
        self.made: dict[Expr, list[Any]] = {}
        self.fed: list[FedSound] = []
        self.steady: list[SteadySound] = []
        self.opened = 0
        infos = [located.info for node, located in self.sources.items() if isinstance(node, Picture)]
        self.ticks: int = part_of.ticks if part_of else _common_ticks(infos)
        self.colors: Colors = part_of.colors if part_of else output_colors(infos) or BT709

    def _ordered(self, roots: Iterable[Expr]) -> list[Expr]:
        """Return every node that this command lowers for the roots, each after its inputs."""
        found: dict[Expr, None] = {}
        entered: set[Expr] = set()
        stack = list(roots)[::-1]
        while stack:
            node = stack[-1]
            if node in entered:
                found.setdefault(stack.pop())
                continue
            entered.add(node)
            if node not in self.below:
                self.below[node] = self._plan(node)
            stack.extend(one for one in reversed(self.below[node]) if one not in entered)
        return list(found)

    def _plan(self, node: Expr) -> tuple[Expr, ...]:
        """Decide how to lower a node, and return the nodes whose streams it takes, in order."""
        if not is_timeline(node):
            if not node.inputs and node.op != "silence":
                self._locate(node)
            return node.inputs
        if isinstance(node, Sound):
            self.sound_plans[node] = plan_sound(node, SKIPPED)
            runs = list(self.sound_plans[node].runs)
        else:
            pieces = pieces_of(node)
            runs = self.picture_runs[node] = cut_passes(pieces, SKIPPED, self.held.times(pieces))
        for run in runs:
            if run.leaf.op == "source":
                self._locate(run.leaf)
        return tuple(run.leaf for run in runs if run.leaf.op != "source")

    def _locate(self, leaf: Expr) -> None:
        if leaf not in self.sources:
            self.sources[leaf] = self.resolve(leaf)

    def _stills(self, source: Expr) -> Stills:
        self._locate(source)
        picture = self.sources[source].info.picture
        assert picture is not None
        return stills_of_source(picture)

    def picture_output(self, picture: Picture) -> Any:
        return self.lower(picture).filter("format", "yuv420p")

    def fed_picture(self, name: str) -> Any:
        """Return the input of a fed picture, whose frames have their final times."""
        import ffmpeg

        return ffmpeg.input(name, f="nut")["0"].filter("settb", f"1/{self.ticks}")

    def sound_output(self, sound: Sound) -> Any:
        return self.lower(sound)

    def lower(self, root: Expr) -> Any:
        """Return the stream of an expression. Inputs are lowered first, so nothing recurses."""
        for node in self._ordered([root]):
            if node not in self.made:
                inputs = [self._take(one) for one in self.below[node]]
                op = "timeline" if is_timeline(node) else node.op
                lowered = getattr(self, f"_{node.medium}_{op}")(node, inputs)
                self.made[node] = self._shared(node, lowered)
        return self._take(root)

    def _take(self, node: Expr) -> Any:
        return self.made[node].pop()

    def _shared(self, node: Expr, stream: Any) -> list[Any]:
        uses = self.uses[node]
        if uses == 1:
            return [stream]
        split = stream.filter_multi_output("asplit" if isinstance(node, Sound) else "split", uses)
        return [split[index] for index in range(uses)]

    # sources

    def apart(self) -> str:
        """Return a term without effect that makes a filter unique: ffmpeg-python merges equal filters."""
        self.opened += 1
        return f"+0*{self.opened}"

    def open(self, node: Expr, low: Fraction) -> tuple[Any, MediaInfo, Fraction]:
        """Return the input of a source, opened well before its time `low`, its info, and the time of its
        first frame.

        The picture and the sound of an asset share an input if they start near each other. Two uses of one
        picture in one output never share one: the frames of the later use would wait for the end of the
        first.
        """
        import ffmpeg

        common = self.common if isinstance(node, Picture) else None
        low = low if common is None else common
        located = self.sources[node]
        info = located.info
        if isinstance(node, Picture):
            low = before_held(info.picture, low)
        picture, sound = info.picture, info.sound
        zero = picture.start * picture.time_base if picture else (sound.start if sound else Fraction(0))
        options: dict[str, Any] = {"protocol_whitelist": PROTOCOLS, "format_whitelist": DEMUXERS}
        options |= input_options(picture) if picture else {}
        margin = _seek_margin(info, node, low)
        if margin is not None:
            options |= {
                "ss": f"{float(zero + low - margin):.6f}",
                "seek_timestamp": 1,
                "noaccurate_seek": None,
            }
        same = (located.path, options.get("ss"))
        repeat = 0 if common is not None else self.repeats[same, node.medium]
        self.repeats[same, node.medium] += 1
        if repeat:
            # ffmpeg-python merges equal inputs.
            options["thread_queue_size"] = 8 + repeat
        if (*same, repeat) not in self.inputs:
            self.inputs[*same, repeat] = ffmpeg.input(f"file:{located.path.absolute()}", **options)
        return self.inputs[*same, repeat], info, zero

    def _picture_source(self, node: Picture, _inputs: list[Any]) -> Any:
        return self._cut_source(CutPass(node, ((Fraction(0), node.duration),), Fraction(0)))

    def _cut_source(self, run: CutPass) -> Any:
        node = run.leaf
        assert isinstance(node, Picture)
        opened, info, zero = self.open(node, run.ranges[0][0])
        assert info.picture is not None
        picture, size = info.picture, (node.width, node.height)
        stream = opened[str(picture.index)].filter("settb", f"1/{self.ticks}{self.apart()}")
        if has_guessed_times(info.container, picture.codec):
            gap = self.ticks / picture.rate
            stream = stream.filter("setpts", f"floor(N*{gap.numerator}/{gap.denominator})")
        stream = held(stream, picture, run.ranges[-1][1])
        if picture.fields:
            # Before the cut: a frame's neighbours in the source help to deinterlace it. bwdif halves the
            # time base.
            stream = deinterlaced(steadied(stream, picture, size), picture).filter("settb", f"1/{self.ticks}")
            stream = self._cut_picture(stream, zero, run)
        else:
            stream = steadied(self._cut_picture(stream, zero, run), picture, size)
        stream = conformed(oriented(stream, picture), picture, size, self.colors)
        # With one pixel layout from the source on, crops and overlays give the same pixels in any order.
        return stream if info.picture.pixel_format == "yuv420p" else stream.filter("format", "yuv420p")

    def _image_source(self, node: Image, _inputs: list[Any]) -> Any:
        import ffmpeg

        located = self.sources[node]
        if located.path not in self.inputs:
            options = {"protocol_whitelist": PROTOCOLS, "f": "png_pipe"}
            self.inputs[located.path] = ffmpeg.input(f"file:{located.path.absolute()}", **options)
        return self.inputs[located.path]["0"].filter("format", "rgba")

    _image_drawn = _image_source

    # timelines

    def _picture_timeline(self, node: Picture, inputs: list[Any]) -> Any:
        import ffmpeg

        parts = []
        for run in self.picture_runs[node]:
            source = run.leaf.op == "source"
            parts.append(
                self._cut_source(run) if source else self._cut_picture(inputs.pop(0), Fraction(0), run)
            )
        if len(parts) == 1:
            return parts[0]
        return ffmpeg.filter(parts, "interleave", n=len(parts)).filter("settb", f"1/{self.ticks}")

    def _cut_picture(self, stream: Any, zero: Fraction, run: CutPass) -> Any:
        """Return the frames of the ranges of a decoding pass at their final times.

        `zero` is the time of t = 0 in the stream.
        """
        ticks, at = self.ticks, run.at
        pieces = []
        for (start, end), taken in zip(run.ranges, run.held or _starts(run), strict=True):
            first, shift = ceil((zero + start) * ticks), floor((zero + start - at) * ticks)
            time = "PTS"
            if taken < start:
                # The picture on screen at the start appears there, not when it did in the source.
                first, time = floor((zero + taken) * ticks), f"max(PTS,{shift + ceil(at * ticks)})"
            pieces.append((first, ceil((zero + end) * ticks), f"{time}-({shift})" if shift else time))
            at += end - start
        stream = stream.filter("trim", start_pts=pieces[0][0], end_pts=pieces[-1][1])
        if len(pieces) == 1:
            moved = pieces[0][2]
            return stream.filter("setpts", moved) if moved != "PTS" else stream
        kept = _tree([(first, f"lt(pts,{last})") for first, last, _moved in pieces], "pts")
        times = _tree([(first, moved) for first, _last, moved in pieces], "PTS")
        return stream.filter("select", kept).filter("setpts", times)

    # pictures

    def _picture_crop(self, node: Picture, inputs: list[Any]) -> Any:
        return inputs[0].filter("crop", node.width, node.height, node.arg("x"), node.arg("y"), exact=1)

    def _picture_scale(self, node: Picture, inputs: list[Any]) -> Any:
        return (
            inputs[0]
            .filter("scale", node.width, node.height, flags="bicubic+accurate_rnd")
            .filter("setsar", 1)
        )

    def _picture_flip(self, node: Picture, inputs: list[Any]) -> Any:
        stream = inputs[0]
        if node.arg("horizontal"):
            stream = stream.filter("hflip")
        return stream.filter("vflip") if node.arg("vertical") else stream

    def _picture_blur(self, node: Picture, inputs: list[Any]) -> Any:
        radius = min(node.arg("radius"), min(node.width, node.height) // 4)
        return inputs[0].filter("format", "yuv420p").filter("boxblur", radius, 2)

    def _picture_overlay(self, node: Picture, inputs: list[Any]) -> Any:
        layer = inputs[1]
        if isinstance(node.inputs[1], Image):
            if node.arg("opacity") != 1:
                layer = layer.filter("colorchannelmixer", aa=float(node.arg("opacity")))
            layer = layer.filter("scale", out_color_matrix=self.colors.matrix, out_range="tv").filter(
                "format", "yuva420p"
            )
        options = {"eof_action": "repeat", "format": "yuv420"}
        if isinstance(node.inputs[1], Picture):
            # Both may have been cut in different steps, so their times can differ by the rounding to ticks.
            options["ts_sync_mode"] = "nearest"
        return inputs[0].overlay(layer, x=node.arg("x"), y=node.arg("y"), **options)

    def _image_scale(self, node: Image, inputs: list[Any]) -> Any:
        return inputs[0].filter("scale", node.width, node.height, flags="lanczos+accurate_rnd")


def _starts(run: CutPass) -> tuple[Fraction, ...]:
    return tuple(start for start, _end in run.ranges)


def _seek_margin(info: MediaInfo, node: Expr, low: Fraction) -> Fraction | None:
    """Return the seconds before `low` at which to start reading a file, or None to read from its start.

    Without an index of keyframes, a seek can lead to any packet, and decoding starts at the next keyframe. If
    that keyframe is not clean, frames may be incomplete until the next one.

    The index of MP4 holds the decoding times of keyframes. The last keyframe decoded `key_lead` before an
    instant is shown by that instant, and every later frame is coded after it.
    """
    picture, margin = info.picture, _SEEK_MARGIN
    if picture is not None:
        # To deinterlace a frame, ffmpeg needs the one before it.
        before = 2 / picture.rate if picture.fields else Fraction(0)
        if not (info.container.startswith(_INDEXED) and picture.clean_keys):
            if picture.key_gap is None:
                return None
            margin += picture.key_gap
        elif isinstance(node, Picture) and info.container.startswith("mov") and picture.key_lead is not None:
            lead = picture.key_lead + before
            return lead if low > lead else None
    return margin if low > margin + _SEEK_MARGIN else None


def _tree(leaves: Sequence[tuple[int, str]], time: str) -> str:
    """Return an ffmpeg expression that finds the last leaf that starts by `time`, by binary search."""
    level = [(start, text) for start, text in leaves]
    while len(level) > 1:
        level = [
            (level[at][0], f"if(lt({time},{level[at + 1][0]}),{level[at][1]},{level[at + 1][1]})")
            if at + 1 < len(level)
            else level[at]
            for at in range(0, len(level), 2)
        ]
    return level[0][1]


def _uses(
    nodes: Sequence[Expr], below: Mapping[Expr, Sequence[Expr]], roots: Iterable[Expr]
) -> dict[Expr, int]:
    uses = dict.fromkeys(nodes, 0)
    for node in nodes:
        for one in below[node]:
            uses[one] += 1
    for root in roots:
        uses[root] += 1
    return uses


def _common_ticks(infos: Sequence[MediaInfo]) -> int:
    """Return the ticks per second, at least 90,000, that represent the times of all sources exactly, or
    nearly if that takes too many ticks.
    """
    exact = 1
    for info in infos:
        assert info.picture is not None
        exact = lcm(exact, info.picture.time_base.denominator)
    if exact > _MOST_TICKS:
        return 4 * _TICKS
    return exact * -(-_TICKS // exact)
