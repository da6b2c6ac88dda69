"""One table of what renders cost, beside ffmpeg commands: `python -m tests.benchmarks.media`.

Both sides of a case run in turn in this process; times are medians of wall time. Sources are made where they
are not there, of which nothing is measured.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from tessera.media.process.process import ffmpeg_version
from tests.benchmarks import many_cuts, tiles, trim
from tests.benchmarks.clock import machine
from tests.benchmarks.rows import Row, print_table

Case = Callable[[Path, bool], Row]

CASES: tuple[Case, ...] = (
    tiles.one_command,
    tiles.one_encode_a_tile,
    tiles.blurred_padding,
    tiles.three_clips,
    tiles.shapes_together,
    tiles.same_bytes,
    *trim.CASES,
    many_cuts.many_cuts,
)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.media", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--short", action="store_true", help="shorter ranges of the same sources")
    parser.add_argument(
        "--sources",
        type=Path,
        metavar="DIR",
        default=Path(tempfile.gettempdir()) / "tessera-bench",
        help="where the sources are kept (%(default)s)",
    )
    parser.add_argument("--only", metavar="WORD", help="the cases whose function's name holds this")
    parser.add_argument("--json", action="store_true", help="the rows as one JSON document")
    wanted = parser.parse_args(argv)
    wanted.sources.mkdir(parents=True, exist_ok=True)
    chosen = [case for case in CASES if (wanted.only or "") in case.__name__]
    rows = (case(wanted.sources.absolute(), wanted.short) for case in chosen)
    facts = {**machine(), "ffmpeg": ffmpeg_version()}
    if wanted.json:
        cases = [asdict(row) for row in rows]
        document = {"machine": facts, "short": wanted.short, "cases": cases}
        print(json.dumps(document, ensure_ascii=False, indent=1))
        return
    print_table(rows)
    short = "; short: less than what the targets are for" if wanted.short else ""
    print(f"\n{facts['cpu']}, {facts['cores']} cores, {facts['python']}, ffmpeg {facts['ffmpeg']}{short}")


if __name__ == "__main__":
    main()
