"""Lowering of sounds.

Cuts
----
A piece of a sound starts at the sample nearest its start, and the n-th sample of a timeline has the time
n / rate, so the lengths of pieces add up without drift. At a join of two pieces that are not adjacent in
their source, the first piece fades out over its last 4 ms and the second fades in over its first 4 ms,
linearly (over half of a shorter piece), so that the join does not click. The ends of a timeline and joins
of adjacent pieces are not faded: the number and order of cuts make no difference.

Filters cut a few pieces. Many pieces, or pieces out of order of a sound that filters make, are cut outside
ffmpeg and fed to it (see `command`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING, Any

from tessera.media.algebra.expression import Expr, Sound
from tessera.media.algebra.timeline import CutPass, Piece, cut_passes, pieces_of
from tessera.media.ffmpeg.command import Take

if TYPE_CHECKING:
    from tessera.media.probe.info import MediaInfo

__all__ = [
    "LAYOUTS",
    "FedSound",
    "Gain",
    "Measured",
    "SoundPlan",
    "SteadySound",
    "plan_sound",
    "samples_before",
]


@dataclass(frozen=True, slots=True)
class Gain:
    """The measured gain of a `loudness` node in dB, and True in `limit` if a limiter must hold its peaks."""

    db: float
    limit: bool


Measured = Mapping[str, Gain]
"""Digest of a `loudness` node → its gain."""

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}

_FADE_MS = 4
_MOST_FILTERED = 16
"""The most pieces that filters cut; beyond about 100, their time grows quadratically."""

_LIMITER_RATE = 4


@dataclass(frozen=True, slots=True)
class FedSound:
    """A sound that is fed to ffmpeg: takes of reels (decoded sounds, and True if one is spooled to a file).

    `name` is the placeholder of its pipe in the command.
    """

    name: str
    node: Sound
    reels: tuple[tuple[Sound, bool], ...]
    takes: tuple[Take, ...]


@dataclass(frozen=True, slots=True)
class SoundPlan:
    """The way to make a timeline of sounds: filters over the decoding passes, or a feed if there are none.

    `takes` are the pieces in samples; their `reel` is the number of the decoding pass.
    """

    runs: tuple[CutPass, ...]
    takes: tuple[Take, ...]
    reels: tuple[tuple[Sound, bool], ...] = ()


def plan_sound(node: Sound, reach: Fraction) -> SoundPlan:
    """Plan a timeline of sounds. A decoding pass skips at most `reach` seconds between its ranges."""
    pieces = pieces_of(node)
    runs = cut_passes(pieces, reach)
    filtered = [run.leaf for run in runs if run.leaf.op != "source"]
    if len(pieces) <= _MOST_FILTERED and len(filtered) == len(set(filtered)):
        numbers = [number for number, run in enumerate(runs) for _range in run.ranges]
        return SoundPlan(tuple(runs), tuple(_takes(pieces, node.rate, numbers)))
    return _plan_feed(pieces, node.rate)


def _takes(pieces: Sequence[Piece], rate: int, reels: Sequence[int]) -> list[Take]:
    """Return the pieces in samples of their leaves, without those shorter than one sample."""
    counted: list[Take] = []
    at, end = Fraction(0), 0
    for (_leaf, start, finish), reel in zip(pieces, reels, strict=True):
        at += finish - start
        begin, end = end, samples_before(at, rate)
        if begin < end:
            counted.append(Take(reel, samples_before(start, rate), end - begin))
    fade = rate * _FADE_MS // 1000
    faded = []
    for index, take in enumerate(counted):
        fall = min(fade, take.count // 2)
        into = fall if index else 0
        out = fall if index < len(counted) - 1 else 0
        faded.append(Take(take.reel, take.first, take.count, into, out))
    return faded


def _plan_feed(pieces: Sequence[Piece], rate: int) -> SoundPlan:
    """Plan a feed with one reel for each leaf, cut to the samples that are needed."""
    numbers: dict[Expr, int] = {}
    reels = [numbers.setdefault(piece.leaf, len(numbers)) for piece in pieces]
    takes = _takes(pieces, rate, reels)
    spans: dict[int, tuple[int, int]] = {}
    ascend = dict.fromkeys(numbers.values(), True)
    for take in takes:
        low, high = spans.get(take.reel, (take.first, 0))
        ascend[take.reel] = ascend[take.reel] and high <= take.first
        spans[take.reel] = (min(low, take.first), max(high, take.first + take.count))
    made = []
    for leaf, reel in numbers.items():
        assert isinstance(leaf, Sound)
        low, high = spans.get(reel, (0, 1))
        span = (Fraction(low, rate), min(Fraction(high, rate), leaf.duration))
        made.append((leaf.keep([span]) if span[0] < span[1] else leaf, ascend[reel]))
    moved = tuple(
        Take(take.reel, take.first - spans[take.reel][0], take.count, take.fade_in, take.fade_out)
        for take in takes
    )
    return SoundPlan((), moved, tuple((sound, not ascends) for sound, ascends in made))


@dataclass(frozen=True, slots=True)
class SteadySound:
    """The sound of a source that varies, made steady by a command of its own: `stream` as ffmpeg-python's
    value, whose times are `STEADY_SHIFT` seconds later than those of the source.

    ffmpeg configures a filter graph anew when a sound's rate or channels change, and everything in the graph
    begins again. In this command's graph nothing can be lost by that.
    """

    name: str
    stream: Any


STEADY_SHIFT = 1000
"""NUT has no times before 0, which sounds can have: their decoders may need a run-up."""


class SoundLowering:
    """The part of `Lowering` that lowers sounds."""

    measured: Measured
    sound_plans: dict[Expr, SoundPlan]
    fed: list[FedSound]
    steady: list[SteadySound]

    def open(self, node: Expr, low: Fraction) -> tuple[Any, MediaInfo, Fraction]:
        raise NotImplementedError

    def apart(self) -> str:
        raise NotImplementedError

    def _sound_timeline(self, node: Sound, inputs: list[Any]) -> Any:
        plan = self.sound_plans[node]
        if not plan.runs:
            return self._fed(node, plan)
        parts = []
        for number, run in enumerate(plan.runs):
            takes = [take for take in plan.takes if take.reel == number]
            if not takes:
                continue
            if run.leaf.op == "source" and isinstance(run.leaf, Sound):
                stream, zero = self._open_sound(run.leaf, run.ranges[0][0])
            else:
                stream, zero = inputs.pop(0), None
            split = [stream]
            if len(takes) > 1:
                branches = stream.filter_multi_output("asplit", len(takes))
                split = [branches[index] for index in range(len(takes))]
            parts += [_cut_samples(one, take, zero) for one, take in zip(split, takes, strict=True)]
        return _joined(parts)

    def _fed(self, node: Sound, plan: SoundPlan) -> Any:
        """Register a feed and return its stream as an input of the command."""
        import ffmpeg

        name = f"feed:{len(self.fed)}"
        self.fed.append(FedSound(name, node, plan.reels, plan.takes))
        opened = ffmpeg.input(name, f="f32le", ar=node.rate, ch_layout=LAYOUTS[node.channels])
        return _restart(opened["0"].filter("asettb", f"1/{node.rate}"))

    def _open_sound(self, node: Sound, low: Fraction) -> tuple[Any, int]:
        """Return the sound of a source from shortly before `low` on, in ticks of one sample, and the tick of
        t = 0.
        """
        opened, info, zero = self.open(node, low)
        assert info.sound is not None
        layout = LAYOUTS[node.channels]
        stream = opened[str(info.sound.index)].filter("asettb", f"intb{self.apart()}")
        stream = stream.filter("aformat", sample_fmts="fltp", sample_rates=node.rate, channel_layouts=layout)
        if info.sound.varies:
            stream = self._steady(stream, node.rate)
        return stream.filter("asettb", f"1/{node.rate}"), samples_before(zero, node.rate)

    def _steady(self, stream: Any, rate: int) -> Any:
        """Register a command that makes this stream, and return its output as an input of the command."""
        import ffmpeg

        name = f"feed:steady-{len(self.steady)}"
        late = stream.filter("asettb", f"1/{rate}").filter("asetpts", f"PTS+{STEADY_SHIFT * rate}")
        self.steady.append(SteadySound(name, late))
        fed = ffmpeg.input(name, f="nut")["0"].filter("asettb", f"1/{rate}")
        return fed.filter("asetpts", f"PTS-{STEADY_SHIFT * rate}")

    def _sound_source(self, node: Sound, _inputs: list[Any]) -> Any:
        stream, zero = self._open_sound(node, Fraction(0))
        return _cut_samples(stream, Take(0, 0, samples_before(node.duration, node.rate)), zero)

    def _sound_silence(self, node: Sound, _inputs: list[Any]) -> Any:
        import ffmpeg

        source = ffmpeg.input(f"anullsrc=r={node.rate}:cl={LAYOUTS[node.channels]}", f="lavfi")
        count = samples_before(node.duration, node.rate)
        return source["0"].filter("atrim", end_sample=count).filter("aformat", sample_fmts="fltp")

    def _sound_denoise(self, node: Sound, inputs: list[Any]) -> Any:
        # afftdn delays its input by 1/40 s at any sample rate (measured with an impulse).
        delay, count = node.rate // 40, samples_before(node.duration, node.rate)
        padded = inputs[0].filter("apad", pad_len=delay)
        clean = padded.filter("afftdn", nr=12, nf=-40, tn=1)
        return _restart(clean.filter("atrim", start_sample=delay, end_sample=delay + count))

    def _sound_loudness(self, node: Sound, inputs: list[Any]) -> Any:
        gain = self.measured[node.digest]
        stream = inputs[0].filter("volume", f"{gain.db:.2f}dB", precision="float")
        if not gain.limit:
            return stream
        # Limiting at four times the rate also holds the peaks between samples (true peaks).
        ceiling = 10 ** (float(node.arg("peak")) / 20)
        stream = stream.filter("aresample", node.rate * _LIMITER_RATE)
        stream = stream.filter("alimiter", limit=f"{ceiling:.5f}", level=0, latency=1, attack=5, release=50)
        stream = stream.filter("aresample", node.rate).filter("aformat", sample_fmts="fltp")
        return _cut_samples(stream, Take(0, 0, samples_before(node.duration, node.rate)))


def samples_before(seconds: Fraction, rate: int) -> int:
    """Return the number of samples before an instant (halves round up)."""
    return floor(seconds * rate + Fraction(1, 2))


def _restart(stream: Any) -> Any:
    """Number the samples of a stream from 0 on."""
    return stream.filter("asetpts", "N/SR/TB")


def _cut_samples(stream: Any, take: Take, zero: int | None = None) -> Any:
    """Return the samples of a take, padded with silence to its length.

    With `zero`, the times of the stream are ticks of one sample, `zero` is t = 0, and gaps become silence.
    Without it, the samples of the stream are contiguous from t = 0.
    """
    count = take.count
    if zero is not None:
        first = zero + take.first
        stream = stream.filter("atrim", start_pts=first, end_pts=first + count)
        stream = stream.filter("asetpts", f"PTS-({first})")
        stream = stream.filter("aresample", **{"async": 1, "first_pts": 0, "min_hard_comp": 0.01})
    elif take.first:
        stream = _restart(stream.filter("atrim", start_sample=take.first))
    stream = _restart(stream.filter("apad", whole_len=count).filter("atrim", end_sample=count))
    if take.fade_in:
        stream = stream.filter("afade", t="in", ss=0, ns=take.fade_in, curve="tri")
    if take.fade_out:
        stream = stream.filter("afade", t="out", ss=count - take.fade_out, ns=take.fade_out, curve="tri")
    return stream


def _joined(parts: list[Any]) -> Any:
    import ffmpeg

    return parts[0] if len(parts) == 1 else ffmpeg.concat(*parts, v=0, a=1)
