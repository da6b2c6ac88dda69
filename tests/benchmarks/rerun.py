"""One table of what a run costs that has been done before: `python -m tests.benchmarks.rerun`.

Each row is whole processes of `tessera run`, imports included, medians of CPU seconds; what they did is read
from their records.
"""

from __future__ import annotations

import compileall
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tessera
import tessera.nodes
from tests.benchmarks.clock import cpu, machine
from tests.benchmarks.rows import Row, print_table
from tests.support.media import FIXTURES, MEDIA

AGENT = FIXTURES / "agents" / "single.json"
TALK = MEDIA / "talk.mp4"
_MOST_S = 0.6


def once(workspace: Path, *more: str) -> tuple[float, dict[str, Any]]:
    """The CPU seconds of one run, and its record."""
    line = [sys.executable, "-m", "tessera.cli", "run", str(AGENT), "--input", str(TALK), "--json", *more]
    before = cpu()
    done = subprocess.run(
        [*line, "--workspace", str(workspace)], check=True, capture_output=True, cwd=FIXTURES.parent
    )
    return cpu() - before, json.loads(done.stdout)


def row(
    case: str, workspace: Path, rounds: Sequence[Sequence[str]], target: str = "–", most: float = 0
) -> Row:
    """The median of several runs, and what the last one did."""
    runs = [once(workspace, *more) for more in rounds]
    spent = statistics.median(seconds for seconds, _record in runs)
    record = runs[-1][1]
    worked = sum(one["work"]["how"] == "ran" for one in record["nodes"])
    rendered = sum(not one["reused"] for one in record["outputs"])
    did = f"{worked} tiles worked, {rendered} renders"
    return Row(case, spent, None, target, did, not most or (spent < most and not worked and not rendered))


def main() -> None:
    # As an installation does; else a checkout is compiled in every process.
    for package in (tessera, tessera.nodes):
        compileall.compile_dir(str(Path(next(iter(package.__path__)))), quiet=2)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        other = [["--set", f"Reframe.aspect_ratio={ratio}"] for ratio in ("1:1", "4:5", "16:9")]
        most = f"< {_MOST_S} s, nothing done"
        cases = (
            lambda: row("the first run", home, [[]]),
            lambda: row("the same again", home, [[]] * 5, most, _MOST_S),
            lambda: row("with one parameter changed", home, other),
            lambda: row("the first again", home, [[]] * 3, most, _MOST_S),
        )
        print_table(case() for case in cases)
    facts = machine()
    print(f"\nCPU time; {facts['cpu']}, {facts['cores']} cores, {facts['python']}")


if __name__ == "__main__":
    main()
