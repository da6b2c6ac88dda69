"""Expressions as a person reads them, and what the optimiser and the compiler make of them."""

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
from tessera.media.ffmpeg.process import Finished, ffmpeg_path
from tessera.media.render.loudness import LoudnessMeter

__all__ = [
    "Explained",
    "Naming",
    "args_text",
    "explain",
    "explain_together",
    "leaf_text",
    "program",
    "text_of",
]

Naming = Callable[[str], str]
"""What an asset is called, by its id."""

_LINE = 96
"""Characters of a definition that stands on one line."""

_INLINE = 2
"""Operations of an expression that stands within another without a name."""

_PARTS = 6
"""Parts of a join that are written out; of more, the first ones are."""


@dataclass(frozen=True, slots=True)
class Explained:
    """An output's expression before and after, and what it took to get there and what it will take to render.

    Attributes
    ----------
    before, after
        The roots by name: `picture`, `sound`.
    fired
        Each rule that was used, and how often.
    commands
        The ffmpeg commands of a run, in order.
    measures
        Whether a command measures a loudness that the last one uses: until then that shows a gain of 0 dB.
    ways
        How the picture and the sound come into the file: `encoded`, `copied` packet by packet, or `cut`
        (copied but for a few pictures at the edges).
    note
        Why what might have been copied is encoded.
    asked, gains
        What the last command encodes, where that is not a measurement; and the gains that it has.
    """

    before: Mapping[str, Expr]
    after: Mapping[str, Expr]
    fired: tuple[tuple[Rule, int], ...] = ()
    commands: tuple[Command, ...] = ()
    measures: bool = False
    ways: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    asked: Encode | None = None
    gains: Mapping[str, Gain] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "before": {name: dump(root) for name, root in self.before.items()},
            "after": {name: dump(root) for name, root in self.after.items()},
            "rules": [
                {"name": rule.name, "law": rule.law, "exactness": rule.exactness, "count": number}
                for rule, number in self.fired
            ],
            "commands": [[program(), *command.args] for command in self.commands],
            "scripts": [dict(command.scripts) for command in self.commands],
            "measures": self.measures,
            "ways": dict(self.ways),
            "note": self.note,
        }


def program() -> str:
    """The ffmpeg that renders; a simulation needs none, and calls it by its usual name."""
    try:
        return ffmpeg_path()
    except RenderError:
        return "ffmpeg"


def explain(
    picture: Picture | None,
    sound: Sound | None,
    output: Path,
    resolve: Resolver,
    target: EncodeSettings | None = None,
) -> Explained:
    """What a render of a picture, a sound or both does, by the functions that render."""
    target = target or EncodeSettings()
    before: dict[str, Expr] = {}
    if picture is not None:
        before["picture"] = picture
    if sound is not None:
        before["sound"] = sound
    used = Counter[str]()
    after = {name: optimise(root, fired=used) for name, root in before.items()}
    commands: list[Command] = []

    def pretend(command: Command) -> Finished:
        commands.append(command)
        return Finished((), _LEVELS)

    seen, heard = _picture(after.get("picture")), _sound(after.get("sound"))
    leveller = LoudnessMeter(pretend, resolve, Path())
    if heard is not None:
        heard = leveller.level(heard)
    gains = dict.fromkeys(leveller.gains, Gain(0.0, True))
    ways: dict[str, str] = dict.fromkeys(before, "encoded")
    note = ""
    if seen is not None:
        plan = plan_copy(seen, heard, leveller.resolve, target)
        note = plan.note
        if plan.picture is not None:
            ways["picture"] = "cut" if plan.picture.encoded else "copied"
            seen = None
        if plan.sound is not None:
            ways["sound"] = "copied"
            heard = None
    asked = Encode(seen, heard, output) if seen is not None or heard is not None else None
    if asked is not None:
        commands.append(compile_render(seen, heard, output, leveller.resolve, gains, target))
    fired = tuple((rule, used[rule.name]) for rule in RULES if used[rule.name])
    return Explained(before, after, fired, tuple(commands), bool(gains), ways, note, asked, gains)


def explain_together(
    parts: Sequence[Explained], resolve: Resolver, target: EncodeSettings | None = None
) -> Command:
    """The command that makes several outputs in place of the last one of each."""
    asked = [part.asked for part in parts if part.asked is not None]
    gains = {digest: gain for part in parts for digest, gain in part.gains.items()}
    return compile_together(asked, resolve, gains, target or EncodeSettings())


_LEVELS = "  I: -30.0 LUFS\n  Peak: 0.0 dBFS\n"
"""What stands for a measurement: loud enough to be raised, and in need of a limiter."""


def _picture(node: Expr | None) -> Picture | None:
    assert node is None or isinstance(node, Picture)
    return node


def _sound(node: Expr | None) -> Sound | None:
    assert node is None or isinstance(node, Sound)
    return node


# text


def text_of(roots: Mapping[str, Expr], naming: Naming) -> list[str]:
    """Expressions as definitions, a line or a few each: what is used twice has a name and stands once.

    Examples
    --------
    >>> talk = Picture.source("t", width=640, height=360, rate=Fraction(25), duration=Fraction(60))
    >>> clip = talk.keep([(Fraction(1), Fraction(4))]).flip(horizontal=True)
    >>> text_of({"picture": clip}, lambda asset: "talk.mp4")
    ['picture = talk.mp4.keep(1–4 s).flip(left to right)']
    """
    return _Writer(roots, naming).lines


class _Writer:
    """Writes each node once, inputs before what uses them, and never recurses."""

    def __init__(self, roots: Mapping[str, Expr], naming: Naming) -> None:
        self.naming, self.lines = naming, list[str]()
        self.letters = _letters()
        self.chains: dict[Expr, tuple[str, list[str]]] = {}
        nodes = list(walk(*roots.values()))
        uses = Counter(one for node in nodes for one in node.inputs)
        names = {root: name for name, root in roots.items()}
        for node in nodes:
            self.chains[node] = self._chain(node)
            if node in names:
                self._define(node, names[node])
            elif node.inputs and uses[node] > 1:
                self._define(node, next(self.letters))

    def _chain(self, node: Expr) -> tuple[str, list[str]]:
        """What a node begins with, and the operations upon that. Its first input's list is used up."""
        if not node.inputs:
            return leaf_text(node, self.naming), []
        if node.op == "concat":
            parts = [self._short(one) for one in node.inputs[:_PARTS]]
            more = len(node.inputs) - len(parts)
            return f"join({', '.join(parts)}{f', and {more:,} more' if more else ''})", []
        head, steps = self.chains[node.inputs[0]]
        steps = steps or []
        layer = f"{self._short(node.inputs[1])} " if node.op == "overlay" else ""
        steps.append(f".{node.op}({layer}{args_text(node)})")
        return head, steps

    def _short(self, node: Expr) -> str:
        """A node within another: written out where it is short, else by a name."""
        if len(self.chains[node][1]) > _INLINE:
            self._define(node, next(self.letters))
        head, steps = self.chains[node]
        return "".join((head, *steps))

    def _define(self, node: Expr, name: str) -> None:
        head, steps = self.chains[node]
        line = f"{name} = {head}{''.join(steps)}"
        if len(line) <= _LINE:
            self.lines.append(line)
        else:
            self.lines += [f"{name} = {head}", *(f"    {step}" for step in steps)]
        self.chains[node] = name, []


def _letters() -> Iterator[str]:
    """a, b, …, z, aa, ab, …"""
    for length in count(1):
        for letters in product(ascii_lowercase, repeat=length):
            yield "".join(letters)


def leaf_text(node: Expr, naming: Naming) -> str:
    """What an expression without inputs is, in a few words."""
    if node.op == "source":
        return naming(node.arg("asset"))
    if isinstance(node, Sound):
        return f"silence({seconds_text(node.duration)} s)"
    return f"{node.arg('painter')}({node.arg('width')}×{node.arg('height')})"


def args_text(node: Any) -> str:
    """The arguments of an operation, in a few words."""
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
