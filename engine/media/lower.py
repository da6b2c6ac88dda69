"""Lowering: an expression as a graph of ffmpeg filters, built with ffmpeg-python.

Exactness
---------
Sources are opened with `-copyts`, so that frames carry the container's own presentation times; a range is cut
by
whole ticks of one time base that holds those times exactly, never by seconds in floating point. Seeking only
skips
what need not be decoded: it aims well before a range, and the cut itself is made by `trim` and `atrim`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor, lcm
from pathlib import Path
from typing import Any

from engine.media.expr import Expr, Image, Picture, Sound, walk
from engine.media.info import MediaInfo
from engine.media.probe import DEMUXERS, PROTOCOLS
from engine.media.time import Range

__all__ = ["Gain", "Located", "Lowering", "Measured", "Resolver"]

_SEEK_MARGIN = Fraction(1)
"""Seconds before a range at which to begin: more than the reach of B-frames and of a codec's overlap."""

_TICKS = 90_000
"""The least ticks per second of an output's time base."""

_MOST_TICKS = 400_000
"""The most: `interleave` counts in microseconds, and ticks of 2.5 µs come back from them unharmed."""

_MATRICES = {"bt2020c": "bt2020"}
"""What the scale filter calls a matrix, where that is not what a stream's tag calls it."""

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


@dataclass(frozen=True, slots=True)
class Located:
    """A source as the compiler meets it: where the file is, and what a probe said of it."""

    path: Path
    info: MediaInfo


Resolver = Callable[[Expr], Located]
"""Finds the file of a source or drawn leaf."""


@dataclass(frozen=True, slots=True)
class Gain:
    """How a `loudness` node is met: a gain in dB, and whether a limiter must hold the peaks."""

    db: float
    limit: bool


Measured = Mapping[str, Gain]
"""Digest of a `loudness` node → its gain."""


class Lowering:
    """Lowers the expressions of one command: opens inputs, splits what is shared, emits filters."""

    def __init__(self, resolve: Resolver, measured: Measured, roots: Sequence[Expr]) -> None:
        self.resolve, self.measured, self.roots = resolve, measured, roots
        self.nodes = list(walk(*roots))
        self.sources = {
            node: resolve(node) for node in self.nodes if not node.inputs and node.op != "silence"
        }
        self.uses = _uses(self.nodes, roots)
        self.inputs: dict[Any, Any] = {}
        self.made: dict[Expr, list[Any]] = {}
        self.opened = 0
        infos = [located.info for node, located in self.sources.items() if isinstance(node, Picture)]
        self.ticks = _common_ticks(infos)
        self.colors = _colors(infos)

    def picture_output(self, picture: Picture) -> Any:
        return self.lower(picture).filter("format", "yuv420p")

    def sound_output(self, sound: Sound) -> Any:
        return self.lower(sound)

    def lower(self, root: Expr) -> Any:
        """The stream of an expression. Inputs come first, so nothing recurses."""
        for node in walk(root, prune=self._is_ready):
            if node in self.made:
                continue
            inputs = [] if _is_cut_source(node) else [self._take(one) for one in node.inputs]
            stream = getattr(self, f"_{node.medium}_{node.op}")(node, inputs)
            self.made[node] = self._shared(node, stream)
        return self._take(root)

    def _is_ready(self, node: Expr) -> bool:
        """Whether nothing below this node need be lowered for it."""
        return node in self.made or _is_cut_source(node)

    def _take(self, node: Expr) -> Any:
        return self.made[node].pop()

    def _shared(self, node: Expr, stream: Any) -> list[Any]:
        uses = self.uses[node]
        if uses == 1:
            return [stream]
        split = stream.filter_multi_output("asplit" if isinstance(node, Sound) else "split", uses)
        return [split[index] for index in range(uses)]

    # sources

    def _apart(self) -> str:
        """A term without effect that sets one use of a source apart: ffmpeg-python takes equal filters for
        one.
        """
        self.opened += 1
        return f"+0*{self.opened}"

    def _open(self, node: Expr, low: Fraction) -> tuple[Any, MediaInfo, Fraction]:
        """The input of a source, opened well before its time `low`; its info; and the time of its first
        frame.

        The picture and the sound of an asset share one input where they begin near each other.
        """
        import ffmpeg

        located = self.sources[node]
        info = located.info
        picture, sound = info.picture, info.sound
        zero = picture.start * picture.time_base if picture else (sound.start if sound else Fraction(0))
        options: dict[str, Any] = {"protocol_whitelist": PROTOCOLS, "format_whitelist": DEMUXERS}
        begin = zero + low - _SEEK_MARGIN
        if low > 2 * _SEEK_MARGIN:
            begin = Fraction(floor(begin * 10), 10)
            options |= {"ss": f"{float(begin):.1f}", "seek_timestamp": 1, "noaccurate_seek": None}
        key = (located.path, options.get("ss"))
        if key not in self.inputs:
            self.inputs[key] = ffmpeg.input(f"file:{located.path.absolute()}", **options)
        return self.inputs[key], info, zero

    def _picture_source(self, node: Picture, _inputs: list[Any], ranges: Sequence[Range] = ()) -> Any:
        ranges = ranges or [(Fraction(0), node.duration)]
        opened, info, zero = self._open(node, min(start for start, _end in ranges))
        assert info.picture is not None
        stream = opened[str(info.picture.index)].filter("settb", f"1/{self.ticks}{self._apart()}")
        stream = self._cut_picture(stream, zero, ranges)
        scale: dict[str, Any] = {}
        if info.picture.sar != 1 or (node.width, node.height) != (info.picture.width, info.picture.height):
            scale |= {"w": node.width, "h": node.height}
        if info.picture.color_range == "pc" or _is_rgb(info):
            scale |= {"out_range": "tv", "out_color_matrix": "bt709" if _is_rgb(info) else "auto"}
        if info.picture.color_matrix not in (None, self.colors["colorspace"]) and not _is_rgb(info):
            # ffmpeg would convert where the sources meet, wherever the optimiser has put that.
            scale["out_color_matrix"] = _MATRICES.get(self.colors["colorspace"], self.colors["colorspace"])
        if scale:
            stream = stream.filter("scale", **scale).filter("setsar", 1)
        # In one layout from the source on, crops and overlays give the same pixels in any order.
        return stream if info.picture.pixel_format == "yuv420p" else stream.filter("format", "yuv420p")

    def _sound_source(self, node: Sound, _inputs: list[Any], ranges: Sequence[Range] = ()) -> Any:
        ranges = ranges or [(Fraction(0), node.duration)]
        opened, info, zero = self._open(node, min(start for start, _end in ranges))
        assert info.sound is not None
        layout = LAYOUTS[node.channels]
        stream = opened[str(info.sound.index)].filter("asettb", f"intb{self._apart()}")
        stream = stream.filter("aformat", sample_fmts="fltp", sample_rates=node.rate, channel_layouts=layout)
        stream = stream.filter("asettb", f"1/{node.rate}")
        return self._cut_sound(stream, zero, ranges, node.rate, gaps=True)

    def _sound_silence(self, node: Sound, _inputs: list[Any]) -> Any:
        import ffmpeg

        source = ffmpeg.input(f"anullsrc=r={node.rate}:cl={LAYOUTS[node.channels]}", f="lavfi")
        count = _samples(node.duration, node.rate)
        return source["0"].filter("atrim", end_sample=count).filter("aformat", sample_fmts="fltp")

    def _image_source(self, node: Image, _inputs: list[Any]) -> Any:
        import ffmpeg

        located = self.sources[node]
        if located.path not in self.inputs:
            options = {"protocol_whitelist": PROTOCOLS, "f": "png_pipe"}
            self.inputs[located.path] = ffmpeg.input(f"file:{located.path.absolute()}", **options)
        return self.inputs[located.path]["0"].filter("format", "rgba")

    _image_drawn = _image_source

    # cuts

    def _picture_keep(self, node: Picture, inputs: list[Any]) -> Any:
        source = node.inputs[0]
        if _is_cut_source(node) and isinstance(source, Picture):
            return self._picture_source(source, [], node.arg("ranges"))
        return self._cut_picture(inputs[0], Fraction(0), node.arg("ranges"))

    def _sound_keep(self, node: Sound, inputs: list[Any]) -> Any:
        source = node.inputs[0]
        if _is_cut_source(node) and isinstance(source, Sound):
            return self._sound_source(source, [], node.arg("ranges"))
        return self._cut_sound(inputs[0], Fraction(0), node.arg("ranges"), node.rate, gaps=False)

    def _cut_picture(self, stream: Any, zero: Fraction, ranges: Sequence[Range]) -> Any:
        """Keep the frames of each range, times from 0 on; `zero`: t = 0 on the stream's clock."""
        pieces = []
        at = Fraction(0)
        for start, end in ranges:
            first, last = ceil((zero + start) * self.ticks), ceil((zero + end) * self.ticks)
            pieces.append((first, last, floor((zero + start - at) * self.ticks)))
            at += end - start
        if len(pieces) == 1:
            first, last, shift = pieces[0]
            cut = stream.filter("trim", start_pts=first, end_pts=last)
            return cut.filter("setpts", f"PTS-({shift})") if shift else cut
        if all(before[1] <= after[0] for before, after in pairwise(pieces)):
            kept = _tree([(first, f"lt(pts,{last})") for first, last, _shift in pieces], "pts")
            moved = _tree([(first, f"PTS-({shift})") for first, _last, shift in pieces], "PTS")
            whole = stream.filter("trim", start_pts=pieces[0][0], end_pts=pieces[-1][1])
            return whole.filter("select", kept).filter("setpts", moved)
        split = stream.filter_multi_output("split", len(pieces))
        parts = [
            split[index].filter("trim", start_pts=first, end_pts=last).filter("setpts", f"PTS-({shift})")
            for index, (first, last, shift) in enumerate(pieces)
        ]
        return self._interleave(parts)

    def _cut_sound(
        self, stream: Any, zero: Fraction, ranges: Sequence[Range], rate: int, *, gaps: bool
    ) -> Any:
        """Keep the samples of each range; with `gaps`, silence stands where the stream has none.

        The n-th sample of the result is that of the time n / rate: the parts' lengths add up without drift.
        """
        pieces, at = [], Fraction(0)
        for start, end in ranges:
            count = _samples(at + end - start, rate) - _samples(at, rate)
            pieces.append((_samples(zero + start, rate), count))
            at += end - start
        streams = [stream]
        if len(pieces) > 1:
            split = stream.filter_multi_output("asplit", len(pieces))
            streams = [split[index] for index in range(len(pieces))]
        parts = [
            _cut_samples(one, first, count, gaps)
            for one, (first, count) in zip(streams, pieces, strict=True)
            if count
        ]
        return parts[0] if len(parts) == 1 else _concat(parts, video=0, audio=1)

    # pictures

    def _picture_concat(self, node: Picture, inputs: list[Any]) -> Any:
        at, parts = Fraction(0), []
        for one, stream in zip(node.inputs, inputs, strict=True):
            assert isinstance(one, Picture)
            shift = ceil(at * self.ticks)
            parts.append(stream.filter("setpts", f"PTS+{shift}") if shift else stream)
            at += one.duration
        return self._interleave(parts)

    def _interleave(self, parts: list[Any]) -> Any:
        """Pictures one after another that carry their final times already."""
        import ffmpeg

        return ffmpeg.filter(parts, "interleave", n=len(parts)).filter("settb", f"1/{self.ticks}")

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
            matrix = self.colors.get("colorspace", "bt709")
            layer = layer.filter("scale", out_color_matrix=matrix, out_range="tv").filter(
                "format", "yuva420p"
            )
        options = {"eof_action": "repeat", "format": "yuv420"}
        if isinstance(node.inputs[1], Picture):
            # Both may have been cut in other steps: their times are equal but for the rounding to ticks.
            options["ts_sync_mode"] = "nearest"
        return inputs[0].overlay(layer, x=node.arg("x"), y=node.arg("y"), **options)

    def _image_scale(self, node: Image, inputs: list[Any]) -> Any:
        return inputs[0].filter("scale", node.width, node.height, flags="lanczos+accurate_rnd")

    # sounds

    def _sound_concat(self, node: Sound, inputs: list[Any]) -> Any:
        at, parts = Fraction(0), []
        for one, stream in zip(node.inputs, inputs, strict=True):
            assert isinstance(one, Sound)
            count = _samples(at + one.duration, node.rate) - _samples(at, node.rate)
            at += one.duration
            if count:
                parts.append(_cut_samples(stream, 0, count, gaps=False))
        return parts[0] if len(parts) == 1 else _concat(parts, video=0, audio=1)

    def _sound_denoise(self, node: Sound, inputs: list[Any]) -> Any:
        # afftdn delays its input by 1/40 s at any rate: measured with an impulse.
        delay, count = node.rate // 40, _samples(node.duration, node.rate)
        padded = inputs[0].filter("apad", pad_len=delay)
        clean = padded.filter("afftdn", nr=12, nf=-40, tn=1)
        return _restart(clean.filter("atrim", start_sample=delay, end_sample=delay + count))

    def _sound_loudness(self, node: Sound, inputs: list[Any]) -> Any:
        gain = self.measured[node.digest]
        stream = inputs[0].filter("volume", f"{gain.db:.2f}dB", precision="float")
        if not gain.limit:
            return stream
        # Limited at four times the rate, so that peaks between the samples are held as well.
        ceiling = 10 ** (float(node.arg("peak")) / 20)
        stream = stream.filter("aresample", node.rate * 4)
        stream = stream.filter("alimiter", limit=f"{ceiling:.5f}", level=0, latency=1, attack=5, release=50)
        stream = stream.filter("aresample", node.rate).filter("aformat", sample_fmts="fltp")
        return _cut_samples(stream, 0, _samples(node.duration, node.rate), gaps=False)


def _samples(seconds: Fraction, rate: int) -> int:
    """The number of samples before an instant (halves up)."""
    return floor(seconds * rate + Fraction(1, 2))


def _restart(stream: Any) -> Any:
    """Times from 0 on, one sample after another."""
    return stream.filter("asetpts", "N/SR/TB")


def _cut_samples(stream: Any, first: int, count: int, gaps: bool) -> Any:
    """`count` samples from the one at time `first` on, in ticks of one sample; short of them, silence
    follows.
    """
    if gaps:
        stream = stream.filter("atrim", start_pts=first, end_pts=first + count).filter(
            "asetpts", f"PTS-({first})"
        )
        options = {"async": 1, "first_pts": 0, "min_hard_comp": 0.01}
        stream = stream.filter("aresample", **options)
    elif first:
        stream = stream.filter("atrim", start_sample=first)
    padded = (
        stream.filter("apad", whole_len=count)
        if first == 0 or gaps
        else _restart(stream).filter("apad", whole_len=count)
    )
    return _restart(padded.filter("atrim", end_sample=count))


def _concat(parts: list[Any], *, video: int, audio: int) -> Any:
    import ffmpeg

    return ffmpeg.concat(*parts, v=video, a=audio)


def _tree(leaves: Sequence[tuple[int, str]], time: str) -> str:
    """An expression that picks, by binary search over the leaves' starts, the last leaf that starts by
    `time`.
    """
    level = [(start, text) for start, text in leaves]
    while len(level) > 1:
        level = [
            (level[at][0], f"if(lt({time},{level[at + 1][0]}),{level[at][1]},{level[at + 1][1]})")
            if at + 1 < len(level)
            else level[at]
            for at in range(0, len(level), 2)
        ]
    return level[0][1]


def _is_cut_source(node: Expr) -> bool:
    """Whether this is a cut made straight from a file: it seeks by itself, whoever else uses the file."""
    return node.op == "keep" and node.inputs[0].op == "source"


def _uses(nodes: Sequence[Expr], roots: Iterable[Expr]) -> dict[Expr, int]:
    uses = dict.fromkeys(nodes, 0)
    for node in nodes:
        for one in () if _is_cut_source(node) else node.inputs:
            uses[one] += 1
    for root in roots:
        uses[root] += 1
    return uses


def _common_ticks(infos: Sequence[MediaInfo]) -> int:
    """Ticks per second that hold every source's times exactly, at least 90,000; or nearly, where that were
    too many.
    """
    exact = 1
    for info in infos:
        assert info.picture is not None
        exact = lcm(exact, info.picture.time_base.denominator)
    if exact > _MOST_TICKS:
        return 4 * _TICKS
    return exact * -(-_TICKS // exact)


def _is_rgb(info: MediaInfo) -> bool:
    return bool(info.picture and (info.picture.pixel_format or "").startswith(("rgb", "bgr", "gbr", "pal")))


def _colors(infos: Sequence[MediaInfo]) -> dict[str, str]:
    """The colour tags of an output: those of its first source; by its height where that has none."""
    picture = infos[0].picture if infos else None
    if picture is None:
        return {}
    usual = "bt709" if picture.height >= 720 or picture.width >= 1280 or _is_rgb(infos[0]) else "smpte170m"
    matrix = picture.color_matrix or usual
    return {
        "color_primaries": picture.color_primaries or usual,
        "color_trc": picture.color_transfer or usual,
        "colorspace": "bt709" if _is_rgb(infos[0]) else matrix,
    }
