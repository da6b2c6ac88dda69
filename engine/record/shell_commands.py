"""Convert the ffmpeg commands of renders to shell commands.

A render runs its commands in a temporary folder. So that a shell command works in any folder, a filter graph
that was in a file becomes an argument, and each output file goes to the current folder. A stream that Tessera
fed through a pipe cannot be reproduced: its command is marked as not runnable.
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

__all__ = ["ShellCommand", "shell_commands"]

_MAX_ARGUMENT = 100_000
"""The largest size of one argument in bytes: Linux allows 131,072 (MAX_ARG_STRLEN)."""

_PIPE = re.compile(r"pipe:(\d+)")


@dataclass(frozen=True, slots=True)
class ShellCommand:
    """A command as it ran, and as a line for bash.

    Attributes
    ----------
    runs
        True if the line reproduces the command. The lines of one render must run in order, since a line may
        read the output of an earlier one.
    notes
        The differences from the original command, and the reasons why the line does not run.
    """

    argv: tuple[str, ...]
    line: str
    runs: bool
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"argv": list(self.argv), "line": self.line, "runs": self.runs, "notes": list(self.notes)}


def shell_commands(
    commands: Sequence[Sequence[str]],
    scripts: Mapping[str, str],
    name: str,
    renders: Mapping[str, str] = MappingProxyType({}),
) -> tuple[ShellCommand, ...]:
    """Convert the commands of one render.

    Parameters
    ----------
    scripts
        The contents of the files in the render's folder that the commands read.
    name
        The name of the output file without suffix. Further outputs get a number.
    renders
        The names of the output files of renders that share a command, by render id. The id is part of the
        file name in the command.
    """
    written: dict[str, str] = {}
    return tuple(_CommandConverter(argv, scripts, name, renders, written).convert() for argv in commands)


class _CommandConverter:
    """Converts one command.

    Parameters
    ----------
    written
        The output files of the earlier commands of the render: original path → new name.
    """

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

    def convert(self) -> ShellCommand:
        words, index = [shlex.quote(self.argv[0])], 1
        while index < len(self.argv):
            arg = self.argv[index]
            if arg in _FLAGS:
                words.append(arg)
            elif arg.startswith("-") and arg != "-":
                index += 1
                words += self._option(arg, self.argv[index])
            else:
                words.append(shlex.quote(self._output(arg)))
            index += 1
        return ShellCommand(self.argv, " ".join(words), self.runs, tuple(self.notes))

    def _option(self, name: str, value: str) -> list[str]:
        if name == "-/filter_complex":
            return self._graph(value)
        return [name, shlex.quote(self._input(value) if name == "-i" else value)]

    def _graph(self, name: str) -> list[str]:
        text = self.scripts.get(name)
        if text is None:
            self.runs = False
            self.notes.append(f"reads the filter graph {name}, which no longer exists")
            return ["-/filter_complex", shlex.quote(name)]
        if len(text.encode()) <= _MAX_ARGUMENT:
            return ["-filter_complex", shlex.quote(text)]
        # printf is a bash built-in: the limit of the system for arguments does not apply to it.
        self.notes.append("requires bash: its filter graph is too long for an argument")
        return ["-/filter_complex", f"<(printf %s {shlex.quote(text)})"]

    def _input(self, name: str) -> str:
        if _PIPE.fullmatch(name):
            self.runs = False
            self.notes.append(f"reads {name}, which Tessera fed during the render: it cannot run alone")
            return name
        path = name.removeprefix("file:")
        if path in self.written:
            return f"file:{self.written[path]}"
        if path.startswith("/") and not Path(path).exists():
            self.runs = False
            self.notes.append(f"reads {path}, which no longer exists")
        return name

    def _output(self, name: str) -> str:
        if _PIPE.fullmatch(name):
            self.notes.append(f"wrote to {name}, which fed another command: this line discards that output")
            return "/dev/null"
        path = Path(name)
        if not path.is_absolute() and not _is_own_file(name):
            return name
        # A .w64 file is intermediate sound that a later command reads. It is no output, so it keeps its name.
        new_name = path.name if path.suffix == ".w64" else f"{self._output_name(path)}{path.suffix}"
        self.written[name] = new_name
        self.notes.append(f"writes {new_name} in the current folder; the render wrote {name}")
        return new_name

    def _output_name(self, path: Path) -> str:
        """Return the new name of an output: that of its render if the path contains a render id."""
        half = SINGLE_STREAM_SUFFIX if path.stem.endswith(SINGLE_STREAM_SUFFIX) else ""
        render = ID_PATTERN.search(path.name)
        if render is not None and render[0] in self.renders:
            return self.renders[render[0]] + half
        if _is_own_file(str(path)):
            return f"{self.name}{half}"
        self.outputs += 1
        number = self.outputs + any(map(_is_own_file, self.argv))
        return f"{self.name}-of-{number}{half}" if number > 1 else f"{self.name}{half}"


def _is_own_file(name: str) -> bool:
    """Return True for the output that a render names relative to its own folder."""
    return name.startswith((f"{OUTPUT_STEM}.", f"{OUTPUT_STEM}{SINGLE_STREAM_SUFFIX}."))


_FLAGS = frozenset({"-hide_banner", "-nostdin", "-nostats", "-copyts", "-y"})
"""The ffmpeg options without a value that the compiler uses. Every other option has one."""
