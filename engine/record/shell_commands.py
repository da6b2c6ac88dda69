"""ffmpeg commands of renders as lines for a shell, and what of them can no longer be had.

A render runs its commands in a folder of its own, which is gone when it ends. So that a line can be pasted
anywhere, a filter graph that was in a file there is put into the line, and what the command wrote there is
written to the folder where the line is pasted. What Tessera itself fed, or drew, cannot be named by a line.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tessera.media.probe.file_formats import OUTPUT_STEM, SINGLE_STREAM_SUFFIX
from tessera.node import ID_PATTERN

__all__ = ["Pasted", "paste"]

_LONGEST = 100_000
"""Bytes of one argument: Linux takes 131,072."""

_PIPE = re.compile(r"pipe:(\d+)")


@dataclass(frozen=True, slots=True)
class Pasted:
    """A command as it ran, and as a line for bash.

    Attributes
    ----------
    runs
        Whether the line does what the command did. The lines of one render stand in their order: one may
        read what one before it has written.
    notes
        What differs from what ran, and why it does not run.
    """

    argv: tuple[str, ...]
    line: str
    runs: bool
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"argv": list(self.argv), "line": self.line, "runs": self.runs, "notes": list(self.notes)}


def paste(
    commands: Sequence[Sequence[str]],
    scripts: Mapping[str, str],
    name: str,
    renders: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Pasted, ...]:
    """The commands of one render.

    Parameters
    ----------
    scripts
        The texts of the files in the render's folder that they name.
    name
        What the file is called that is written, without its suffix; of several, the first.
    renders
        What files are called that several renders write together, by the render's id in their names.
    """
    written: dict[str, str] = {}
    return tuple(_Line(argv, scripts, name, renders, written).pasted() for argv in commands)


class _Line:
    """One command on its way to a line. `written`: what those before it have written, path → name here."""

    def __init__(
        self,
        argv: Sequence[str],
        scripts: Mapping[str, str],
        name: str,
        renders: Mapping[str, str],
        written: dict[str, str],
    ) -> None:
        self.argv, self.scripts, self.written = tuple(argv), scripts, written
        self.name, self.renders = name, renders
        self.notes: list[str] = []
        self.runs, self.outputs = True, 0

    def pasted(self) -> Pasted:
        words, index = [shlex.quote(self.argv[0])], 1
        while index < len(self.argv):
            arg = self.argv[index]
            if arg in _ALONE:
                words.append(arg)
            elif arg.startswith("-") and arg != "-":
                index += 1
                words += self._option(arg, self.argv[index])
            else:
                words.append(shlex.quote(self._output(arg)))
            index += 1
        return Pasted(self.argv, " ".join(words), self.runs, tuple(self.notes))

    def _option(self, name: str, value: str) -> list[str]:
        if name == "-/filter_complex":
            return self._graph(value)
        return [name, shlex.quote(self._input(value) if name == "-i" else value)]

    def _graph(self, name: str) -> list[str]:
        text = self.scripts.get(name)
        if text is None:
            self.runs = False
            self.notes.append(f"reads the filter graph {name}, which is gone")
            return ["-/filter_complex", shlex.quote(name)]
        if len(text.encode()) <= _LONGEST:
            return ["-filter_complex", shlex.quote(text)]
        self.notes.append("for bash: its filter graph is too long for an argument")
        return ["-/filter_complex", f"<(printf %s {shlex.quote(text)})"]

    def _input(self, given: str) -> str:
        if _PIPE.fullmatch(given):
            self.runs = False
            self.notes.append(f"reads {given}, which Tessera fed while it ran: it cannot run alone")
            return given
        path = given.removeprefix("file:")
        if path in self.written:
            return f"file:{self.written[path]}"
        if path.startswith("/") and not Path(path).exists():
            self.runs = False
            self.notes.append(f"reads {path}, which is no longer there")
        return given

    def _output(self, given: str) -> str:
        if _PIPE.fullmatch(given):
            self.notes.append(f"wrote to {given}, which fed another command: here that is thrown away")
            return "/dev/null"
        path = Path(given)
        if not path.is_absolute() and not _is_own(given):
            return given
        here = path.name if path.suffix == ".w64" else f"{self._called(path)}{path.suffix}"
        self.written[given] = here
        self.notes.append(f"writes {here} into the folder that you are in; it wrote {given}")
        return here

    def _called(self, path: Path) -> str:
        """The name of an output: that of its render, where the file's own name tells which that is."""
        half = SINGLE_STREAM_SUFFIX if path.stem.endswith(SINGLE_STREAM_SUFFIX) else ""
        render = ID_PATTERN.search(path.name)
        if render is not None and render[0] in self.renders:
            return self.renders[render[0]] + half
        if _is_own(str(path)):
            return f"{self.name}{half}"
        self.outputs += 1
        number = self.outputs + any(map(_is_own, self.argv))
        return f"{self.name}-of-{number}{half}" if number > 1 else f"{self.name}{half}"


def _is_own(name: str) -> bool:
    return name.startswith((f"{OUTPUT_STEM}.", f"{OUTPUT_STEM}{SINGLE_STREAM_SUFFIX}."))


_ALONE = frozenset({"-hide_banner", "-nostdin", "-nostats", "-copyts", "-y"})
"""The options without a value among those that we give."""
