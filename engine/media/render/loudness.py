"""Loudness in two passes: measure a sound, then compute its gain."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from tessera.errors import RenderError
from tessera.media.algebra.expression import Expr, Sound, rebuild, walk
from tessera.media.ffmpeg.compiler import Command, Gain, Located, Resolver, compile_measure
from tessera.media.ffmpeg.sound_lowering import LAYOUTS
from tessera.media.probe.info import MediaInfo, SoundInfo
from tessera.media.process.process import Finished

__all__ = ["LoudnessMeter", "read_levels"]

_TRUE_PEAK_MARGIN = 0.1
_QUIET_LUFS = -69.0
_CHEAP = frozenset({"source", "silence", "keep", "concat"})
"""Operations that cost no more than reading their result from a file."""

_LONGEST_KEPT = Fraction(1800)
"""The longest sound, in seconds, that is kept uncompressed: 700 MB of stereo."""


@dataclass
class LoudnessMeter:
    """Measures the `loudness` nodes of a sound.

    The input of such a node is kept in a file while it is measured, if that saves computing it again.

    Attributes
    ----------
    run
        Run an ffmpeg command.
    locate
        Return the file of a leaf.
    gains
        Gains, by the digest of the `loudness` node in the returned sound.
    measured
        Measurements, by the digest of the `loudness` node in the given sound.
    commands
        The ffmpeg commands that ran.
    """

    run: Callable[[Command], Finished]
    locate: Resolver
    folder: Path
    gains: dict[str, Gain] = field(default_factory=dict)
    measured: dict[str, dict[str, Any]] = field(default_factory=dict)
    commands: list[tuple[str, ...]] = field(default_factory=list)
    kept: dict[str, Located] = field(default_factory=dict)

    def resolve(self, node: Expr) -> Located:
        """Return the file of a leaf, or of a kept sound."""
        if node.medium == "sound" and node.arg("asset") in self.kept:
            return self.kept[node.arg("asset")]
        return self.locate(node)

    def level(self, sound: Sound) -> Sound:
        """Measure all gains of a sound. Return the sound with kept files in place of computed inputs."""
        for original in [node for node in walk(sound) if node.op == "loudness"]:
            node = next(one for one in walk(sound) if one.op == "loudness" and one.digest not in self.gains)
            assert isinstance(node, Sound)
            met = self._measure(node, original.digest)
            if met is not node:
                sound = _replaced(sound, node, met)
        return sound

    def _measure(self, node: Sound, digest: str) -> Sound:
        """Find a node's gain. If a limiter must act, measure the limited sound again."""
        wanted, ceiling = float(node.arg("lufs")), float(node.arg("peak"))
        met, (loudness, peak) = self._first(node)
        if loudness <= _QUIET_LUFS:
            self.gains[met.digest] = Gain(0.0, False)
            self.measured[digest] = {"loudness_lufs": None, "true_peak_dbtp": None, "gain_db": 0.0}
            return met
        gain = wanted - loudness
        limit = peak + gain > ceiling - _TRUE_PEAK_MARGIN
        self.gains[met.digest] = Gain(gain, limit)
        if limit:
            limited, _peak = self._levels(met, peak=False)
            gain += min(wanted - limited, 6.0)
            self.gains[met.digest] = Gain(gain, True)
        self.measured[digest] = {"loudness_lufs": loudness, "true_peak_dbtp": peak, "gain_db": round(gain, 2)}
        return met

    def _first(self, node: Sound) -> tuple[Sound, tuple[float, float]]:
        """Return the node with an input that is cheap to read, and the levels of that input."""
        inner = node.inputs[0]
        assert isinstance(inner, Sound)
        if inner.duration > _LONGEST_KEPT or all(one.op in _CHEAP for one in walk(inner)):
            return node, self._levels(inner)
        path = self.folder / f"{inner.digest}.w64"
        found = self._levels(inner, keep=path)
        sound = SoundInfo(
            index=0,
            codec="pcm_f32le",
            rate=inner.rate,
            channels=inner.channels,
            layout=LAYOUTS[inner.channels],
            duration=inner.duration,
        )
        self.kept[path.name] = Located(path, MediaInfo(kind="audio", container="w64", sound=sound))
        read = Sound.source(path.name, rate=inner.rate, channels=inner.channels, duration=inner.duration)
        return read.loudness(node.arg("lufs"), node.arg("peak")), found

    def _levels(self, sound: Sound, *, peak: bool = True, keep: Path | None = None) -> tuple[float, float]:
        finished = self.run(compile_measure(sound, self.resolve, self.gains, peak=peak, keep=keep))
        self.commands += [*finished.fed, finished.command]
        return read_levels(finished.stderr)


def _replaced(root: Sound, old: Sound, new: Sound) -> Sound:
    becomes: dict[Expr, Expr] = {old: new}
    for node in walk(root, prune=lambda one: one is old):
        if node is not old:
            becomes[node] = rebuild(node, tuple(becomes[one] for one in node.inputs))
    found = becomes[root]
    assert isinstance(found, Sound)
    return found


_LEVEL = re.compile(r"^\s*(I|Peak):\s+(-?inf|-?[\d.]+) (?:LUFS|dBFS)", re.MULTILINE)


def read_levels(stderr: str) -> tuple[float, float]:
    """Read the integrated loudness (LUFS) and the true peak (dBTP; NaN if not measured) from the summary that
    ebur128 prints.
    """
    found = dict(_LEVEL.findall(stderr))
    try:
        return float(found["I"]), float(found.get("Peak", "nan"))
    except KeyError:
        raise RenderError("the loudness could not be measured: ffmpeg printed no summary") from None
