"""A process that does each piece of work in a child with limits, and says what came of it.

The child may take 4 GiB of address space, 40 s of processor time and 60 s in all, and may write files of
200 MB. An ffmpeg that it starts is held to the same.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.samples import unchanged
from tests.fuzz.subject import SUBJECTS

__all__ = ["Outcome", "Workbench", "workbench"]

_ROOT = Path(__file__).parents[2]
_MEMORY = 4 * 2**30
_CPU_S = 40
_WALL_S = 60.0
_FILE = 200_000_000


@dataclass(frozen=True)
class Outcome:
    """What came of one input: the exit codes, or the reason why there are none, and what was printed."""

    codes: tuple[int, ...]
    ended: str
    said: str

    @property
    def fault(self) -> str:
        """What is wrong, in a few words that are equal for equal faults, or an empty string."""
        if self.ended:
            return self.ended
        for line in self.said.splitlines():
            if (
                line.startswith(("internal error:", '{"detail": "internal error'))
                or '"internal error:' in line
            ):
                return line.strip()[:160]
        if "Traceback (most recent call last)" in self.said:
            return "traceback: " + self.said.strip().splitlines()[-1][:160]
        return "" if self.codes and set(self.codes) <= {0, 1, 2} else f"exit codes {self.codes}"


class Workbench:
    """The process, which has imported everything once and forks for each input."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.limits"],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def outcome(self, kind: str, data: bytes) -> Outcome:
        """Return what comes of an input."""
        with tempfile.TemporaryDirectory(prefix="tessera-fuzz-") as folder:
            file = Path(folder) / ("input" + {"media": ".mp4", "archives": ".zip"}.get(kind, ".json"))
            file.write_bytes(data)
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps([kind, str(file)]) + "\n")
            self._process.stdin.flush()
            codes, ended = json.loads(self._process.stdout.readline())
            said = (Path(folder) / "said").read_text("utf-8", "replace")
        return Outcome(tuple(codes), ended, said)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


@contextlib.contextmanager
def workbench() -> Iterator[Workbench]:
    """Yield a workbench that is closed afterwards."""
    made = Workbench()
    try:
        yield made
    finally:
        made.close()


def _work(kind: str, file: Path, result: Path) -> None:
    """Do the work in this process, a fork, and end it."""
    import resource

    os.setsid()
    os.chdir(file.parent)
    os.environ.update(TESSERA_WORKSPACE="ws", HOME=str(file.parent))
    for limit, value in (("AS", _MEMORY), ("CPU", _CPU_S), ("FSIZE", _FILE), ("CORE", 0)):
        resource.setrlimit(getattr(resource, f"RLIMIT_{limit}"), (value, value))
    said = os.open(file.parent / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(said, stream)
    sys.stdin = os.fdopen(os.open(os.devnull, os.O_RDONLY))
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    try:
        result.write_text(json.dumps(SUBJECTS[kind](file)))
    except BaseException:
        traceback.print_exc()
        result.write_text("[]")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _outcome(kind: str, file: Path) -> tuple[list[int], str]:
    result = file.parent / "codes"
    child = os.fork()
    if child == 0:
        _work(kind, file, result)
    end, status = time.monotonic() + _WALL_S, 0
    while not (waited := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < end:
        time.sleep(0.002)
    ended = ""
    if not waited[0]:
        ended = f"takes more than {_WALL_S:g} s"
    elif os.WIFSIGNALED(status := waited[1]):
        ended = f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if not waited[0]:
        os.waitpid(child, 0)
    (file.parent / "said").touch()
    return json.loads(result.read_text()) if result.exists() else [], ended


def main() -> None:
    """Read inputs from standard input, one a line, and print what came of each."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        os.environ["TESSERA_WORKSPACE"] = folder
        for kind in ("documents", "archives"):  # imports what the children need
            file = Path(folder) / kind
            file.write_bytes(unchanged(kind))
            SUBJECTS[kind](file)
    for line in sys.stdin:
        kind, name = json.loads(line)
        print(json.dumps(_outcome(kind, Path(name))), flush=True)


if __name__ == "__main__":
    main()
