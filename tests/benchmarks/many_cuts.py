"""A render of thousands of cuts beside a plain transcode of as much video."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from tessera.inputs.resolve import video_of
from tessera.media.algebra.item import Video
from tessera.media.ffmpeg.lowering import Located
from tessera.media.probe.probe import probe
from tessera.media.process.process import ffmpeg_path
from tessera.media.render.renderer import Renderer
from tests.benchmarks.rows import Row, race
from tests.benchmarks.sources import moving

__all__ = ["many_cuts"]

_CUTS_PER_HOUR = 5_000
_KEPT = Fraction(3, 5)
_MOST_MB = 400
_MOST_RATIO = 1.10


def many_cuts(folder: Path, short: bool) -> Row:
    """5,000 cuts over an hour of 720p (833 over 10 min in the short form): wall time against a transcode of
    as much video in one piece, and the peak memory of all processes together.
    """
    seconds = 600 if short else 3600
    source = moving(folder, seconds, height=720)
    info = probe(source)
    cuts = seconds * _CUTS_PER_HOUR // 3600
    cut = _cut(video_of("source", info), cuts)
    renderer = Renderer(lambda _asset: Located(source, info), _no_painter)
    kept = float(cut.duration)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        out = Path(scratch)
        theirs = _transcode(source, kept, out / "theirs.mp4")
        peak = _Peak()

        def ours() -> None:
            with peak.watched():
                renderer.render(cut, out / "ours.mp4")

        ours_s, theirs_s = race(ours, theirs, rounds=3 if short else 1)
    ratio = ours_s / theirs_s
    return Row(
        case=f"{cuts:,} cuts over {seconds // 60} min 720p",
        ours_s=ours_s,
        theirs_s=theirs_s,
        target=f"≤ {_MOST_RATIO:.2f} ×, < {_MOST_MB} MB",
        reached=f"{ratio:.2f} ×, {peak.megabytes:.0f} MB",
        met=ratio <= _MOST_RATIO and peak.megabytes < _MOST_MB,
    )


def _cut(video: Video, cuts: int) -> Video:
    """Three fifths of every part, the parts being as many as the cuts."""
    part = video.duration / cuts
    return video.keep([(index * part, (index + _KEPT) * part) for index in range(cuts)])


def _no_painter(_leaf: Any) -> Any:
    raise AssertionError("nothing is drawn here")


def _transcode(source: Path, seconds: float, output: Path) -> Callable[[], Any]:
    coding = "-c:v libx264 -preset veryfast -crf 18 -pix_fmt yuv420p -c:a aac -b:a 256k -movflags +faststart"
    opened = ["-v", "error", "-nostdin", "-y", "-i", str(source), "-t", f"{seconds:.3f}"]
    command = [ffmpeg_path(), *opened, *coding.split(), str(output)]
    return lambda: subprocess.run(command, check=True)


@dataclass
class _Peak:
    """The most memory that this process's descendants and its own growth took together, shared pages
    counted once.
    """

    megabytes: float = 0.0

    @contextmanager
    def watched(self) -> Iterator[None]:
        done = threading.Event()
        before = _proportional(os.getpid())

        def watch() -> None:
            while not done.wait(0.2):
                everyone = sum(map(_proportional, _family(os.getpid())))
                self.megabytes = max(self.megabytes, (everyone - before) / 1024)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


def _family(root: int) -> list[int]:
    """A process and all that it started, and those in turn."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(path.parent.name))
    found, waiting = [], [root]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def _proportional(process: int) -> int:
    """The proportional set size of a process in KiB; 0 where it has ended."""
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)
