"""Media expressions as readable text, before and after the optimiser, with their ffmpeg commands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import count, product
from pathlib import Path
from string import ascii_lowercase
from typing import Any

from tessera.errors import RenderError
from tessera.media.algebra.expression import Expr, Picture, Sound, dump, walk
from tessera.media.algebra.optimiser import RULES, Rule, optimise
from tessera.media.algebra.time import seconds_text
from tessera.media.copy.stream_copy import plan_copy
from tessera.media.ffmpeg.compiler import (
    Command,
    Encode,
    EncodeSettings,
    Gain,
    Resolver,
    compile_render,
    compile_together,
)
from tessera.media.process.process import Finished, ffmpeg_path
from tessera.media.render.loudness import LoudnessMeter

__all__ = [
    "Naming",
    "RenderExplanation",
    "args_text",
    "explain_render",
    "ffmpeg_name",
    "joint_command",
    "leaf_text",
    "text_of",
]

Naming = Callable[[str], str]
"""A function that returns the display name of an asset, given its id."""

_LINE = 96
"""The largest number of characters of a definition on one line."""

_INLINE = 2
"""The largest number of operations of an expression that is written inside another instead of named."""

_PARTS = 6
"""The largest number of parts of a join that are written out; the others are counted."""


@dataclass(frozen=True, slots=True)
class RenderExplanation:
    """An output's expression before and after optimisation, the rules that were applied, and its commands.

    Attributes
    ----------
    before, after
        The roots by name: `picture`, `sound`.
    fired
        The rules that were applied, each with its count.
    commands
        The ffmpeg commands of a run, in order.
    measures
        True if a command measures a loudness that the last one needs. Before the measurement, the last
        command shows a gain of 0 dB.
    ways
        The way in which the picture and the sound get into the file: `encoded`, `copied` packet by packet, or
        `cut` (copied except for a few pictures at the edges).
    note
        The reason why a picture or sound that could have been copied is encoded.
    encode, gains
        The encode of the last command, unless that command is a measurement, and its gains.
    """

    before: Mapping[str, Expr]
    after: Mapping[str, Expr]
    fired: tuple[tuple[Rule, int], ...] = ()
    commands: tuple[Command, ...] = ()
    measures: bool = False
    ways: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    encode: Encode | None = None
    gains: Mapping[str, Gain] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "before": {name: dump(root) for name, root in self.before.items()},
            "after": {name: dump(root) for name, root in self.after.items()},
            "rules": [
                {"name": rule.name, "law": rule.law, "exactness": rule.exactness, "count": number}
                for rule, number in self.fired
            ],
            "commands": [[ffmpeg_name(), *command.args] for command in self.commands],
            "scripts": [dict(command.scripts) for command in self.commands],
            "measures": self.measures,
            "ways": dict(self.ways),
            "note": self.note,
        }


def ffmpeg_name() -> str:
    """Return the path of ffmpeg, or its usual name if it is not installed, since a simulation needs none."""
    try:
        return ffmpeg_path()
    except RenderError:
        return "ffmpeg"


def explain_render(
    picture: Picture | None,
    sound: Sound | None,
    output: Path,
    resolve: Resolver,
    target: EncodeSettings | None = None,
) -> RenderExplanation:
    """Explain the render of a picture, a sound or both, with the same functions that a run renders with."""
    target = target or EncodeSettings()
    before: dict[str, Expr] = {}
    if picture is not None:
        before["picture"] = picture
    if sound is not None:
        before["sound"] = sound
    used = Counter[str]()
    after = {name: optimise(root, fired=used) for name, root in before.items()}
    commands: list[Command] = []

    def record_command(command: Command) -> Finished:
        commands.append(command)
        return Finished((), _FAKE_LEVELS)

    picture_node, sound_node = _picture(after.get("picture")), _sound(after.get("sound"))
    meter = LoudnessMeter(record_command, resolve, Path())
    if sound_node is not None:
        sound_node = meter.level(sound_node)
    # The measured gains are unknown without a run, so the command shows 0 dB.
    gains = dict.fromkeys(meter.gains, Gain(0.0, True))
    ways: dict[str, str] = dict.fromkeys(before, "encoded")
    note = ""
    if picture_node is not None:
        plan = plan_copy(picture_node, sound_node, meter.resolve, target)
        note = plan.note
        if plan.picture is not None:
            ways["picture"] = "cut" if plan.picture.encoded else "copied"
            picture_node = None
        if plan.sound is not None:
            ways["sound"] = "copied"
            sound_node = None
    encode = Encode(picture_node, sound_node, output) if picture_node or sound_node else None
    if encode is not None:
        commands.append(compile_render(picture_node, sound_node, output, meter.resolve, gains, target))
    fired = tuple((rule, used[rule.name]) for rule in RULES if used[rule.name])
    return RenderExplanation(before, after, fired, tuple(commands), bool(gains), ways, note, encode, gains)


def joint_command(
    outputs: Sequence[RenderExplanation], resolve: Resolver, target: EncodeSettings | None = None
) -> Command:
    """Return the command that makes several outputs and replaces the last command of each."""
    encodes = [output.encode for output in outputs if output.encode is not None]
    gains = {digest: gain for output in outputs for digest, gain in output.gains.items()}
    return compile_together(encodes, resolve, gains, target or EncodeSettings())


_FAKE_LEVELS = "  I: -30.0 LUFS\n  Peak: 0.0 dBFS\n"
"""The output of a pretended measurement, with levels that need both a gain and a limiter."""


def _picture(node: Expr | None) -> Picture | None:
    assert node is None or isinstance(node, Picture)
    return node


def _sound(node: Expr | None) -> Sound | None:
    assert node is None or isinstance(node, Sound)
    return node


# text


def text_of(roots: Mapping[str, Expr], naming: Naming) -> list[str]:
    """Return expressions as definitions of one or a few lines; a shared part is named and defined once.

    Examples
    --------
    >>> talk = Picture.source("t", width=640, height=360, rate=Fraction(25), duration=Fraction(60))
    >>> clip = talk.keep([(Fraction(1), Fraction(4))]).flip(horizontal=True)
    >>> text_of({"picture": clip}, lambda asset: "talk.mp4")
    ['picture = talk.mp4.keep(1–4 s).flip(left to right)']
    """
    return _Writer(roots, naming).lines


class _Writer:
    """Writes each node once, inputs before the nodes that use them, and never recurses."""

    def __init__(self, roots: Mapping[str, Expr], naming: Naming) -> None:
        self.naming, self.lines = naming, list[str]()
        self.new_names = _names()
        self.chains: dict[Expr, tuple[str, list[str]]] = {}
        nodes = list(walk(*roots.values()))
        uses = Counter(source for node in nodes for source in node.inputs)
        names = {root: name for name, root in roots.items()}
        for node in nodes:
            self.chains[node] = self._chain(node)
            if node in names:
                self._define(node, names[node])
            elif node.inputs and uses[node] > 1:
                self._define(node, next(self.new_names))

    def _chain(self, node: Expr) -> tuple[str, list[str]]:
        """Return the head of a node's chain and the operations on it.

        The chain takes over its first input's list. An input with other users has no operations to share:
        it is a leaf, or it has been named.
        """
        if not node.inputs:
            return leaf_text(node, self.naming), []
        if node.op == "concat":
            parts = [self._inline(part) for part in node.inputs[:_PARTS]]
            more = len(node.inputs) - len(parts)
            return f"join({', '.join(parts)}{f', and {more:,} more' if more else ''})", []
        head, steps = self.chains[node.inputs[0]]
        steps = steps or []
        layer = f"{self._inline(node.inputs[1])} " if node.op == "overlay" else ""
        steps.append(f".{node.op}({layer}{args_text(node)})")
        return head, steps

    def _inline(self, node: Expr) -> str:
        """Return the text of a node inside another: written out if it is short, otherwise its name."""
        if len(self.chains[node][1]) > _INLINE:
            self._define(node, next(self.new_names))
        head, steps = self.chains[node]
        return "".join((head, *steps))

    def _define(self, node: Expr, name: str) -> None:
        head, steps = self.chains[node]
        line = f"{name} = {head}{''.join(steps)}"
        if len(line) <= _LINE:
            self.lines.append(line)
        else:
            self.lines += [f"{name} = {head}", *(f"    {step}" for step in steps)]
        # Every later use of the node is written as its name.
        self.chains[node] = name, []


def _names() -> Iterator[str]:
    """Yield a, b, …, z, aa, ab, …"""
    for length in count(1):
        for letters in product(ascii_lowercase, repeat=length):
            yield "".join(letters)


def leaf_text(node: Expr, naming: Naming) -> str:
    """Describe an expression without inputs in a few words."""
    if node.op == "source":
        return naming(node.arg("asset"))
    if isinstance(node, Sound):
        return f"silence({seconds_text(node.duration)} s)"
    return f"{node.arg('painter')}({node.arg('width')}×{node.arg('height')})"


def args_text(node: Any) -> str:
    """Describe the arguments of an operation in a few words."""
    match node.op:
        case "keep":
            return _ranges_text(node.arg("ranges"))
        case "crop":
            return f"{node.width}×{node.height} at {node.arg('x')}, {node.arg('y')}"
        case "scale":
            return f"{node.width}×{node.height}"
        case "flip":
            axes = (("horizontal", "left to right"), ("vertical", "top to bottom"))
            return " and ".join(words for axis, words in axes if node.arg(axis))
        case "blur":
            return f"radius {node.arg('radius')}"
        case "overlay":
            opacity = node.arg("opacity")
            return f"at {node.arg('x')}, {node.arg('y')}" + (
                f", opacity {float(opacity):g}" if opacity != 1 else ""
            )
        case "loudness":
            return f"{float(node.arg('lufs')):g} LUFS, peaks of {float(node.arg('peak')):g} dBTP"
        case _:
            return f"{len(node.inputs):,} parts" if node.op == "concat" else ""


def _ranges_text(ranges: Sequence[tuple[Fraction, Fraction]]) -> str:
    if len(ranges) <= 3:
        return ", ".join(f"{seconds_text(start)}–{seconds_text(end)}" for start, end in ranges) + " s"
    total = seconds_text(sum((end - start for start, end in ranges), Fraction(0)))
    span = f"{seconds_text(ranges[0][0])}–{seconds_text(ranges[-1][1])}"
    return f"{len(ranges):,} ranges of {span} s, {total} s in all"
