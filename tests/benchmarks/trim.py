"""What copying wins: `python -m tests.benchmarks.trim FOLDER`, with sources in FOLDER, made where they lack.

Both sides run in turn, each as its user would run it; hashing and probing of the source are left out.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from statistics import median

from tessera.inputs.resolve import video_of
from tessera.media.algebra.item import Value, Video
from tessera.media.ffmpeg.compiler import Located
from tessera.media.probe.probe import probe
from tessera.media.process.process import ffmpeg_path
from tessera.media.render.renderer import Rendered, Renderer
from tessera.media.render.thumbnail import write_thumbnail
from tests.benchmarks.rows import Row, print_table, race
from tests.benchmarks.sources import moving
from tests.support.media import paint

__all__ = [
    "CASES",
    "beside_a_copy",
    "beside_a_full_encode",
    "beside_smartcut",
    "own_part",
    "sound_alone",
    "thumbnails",
]

START, END, IDR = Fraction(123456, 1000), Fraction(423789, 1000), Fraction(125)
"""The trim, and the first IDR picture within it (groups of 250 at 30 frames/s)."""

X264 = "-c:v libx264 -preset veryfast -crf 18"
_PIECE_S = 30


def beside_a_copy(folder: Path, short: bool) -> Row:
    """An exact trim, beside an inexact copy and a command that encodes the head alone."""
    value, render = _source(folder)
    with _scratch() as scratch:
        made = render(value.keep([(START, END)]), scratch / "ours.mp4").made
        source = moving(folder, 600)

        def theirs() -> None:
            _ffmpeg(f"-ss {float(START)} -to {float(END)} -i {source} -c copy {scratch}/copy.mp4")
            _ffmpeg(f"-ss {float(START)} -to {IDR} -i {source} -an {X264} {scratch}/head.mp4")

        ours, opponent = race(
            lambda: render(value.keep([(START, END)]), scratch / "ours.mp4"), theirs, 3 if short else 5
        )
    assert made is not None
    note = f"{made.frames_copied} frames copied, {made.frames_encoded} encoded"
    ratio = ours / opponent
    return Row(
        "trim beside a copy and the head", ours, opponent, "≤ 1.5 ×", f"{ratio:.2f} ×", ratio <= 1.5, note
    )


def beside_a_full_encode(folder: Path, short: bool) -> Row:
    """The trim beside encoding all of it: that is measured once, in the short form on a piece of 30 s."""
    value, render = _source(folder)
    seconds = _PIECE_S if short else END - START
    with _scratch() as scratch:
        source = moving(folder, 600)
        whole = _seconds(
            lambda: _ffmpeg(
                f"-ss {float(START)} -t {float(seconds)} -i {source} {X264} -c:a aac {scratch}/full.mp4"
            )
        ) * float((END - START) / seconds)
        trim = value.keep([(START, END)])
        ours = median(_seconds(lambda: render(trim, scratch / "ours.mp4")) for _round in range(5))
    note = f"(from {_PIECE_S} s of it)" if short else ""
    times = whole / ours
    return Row(
        "trim beside the full encode", ours, whole, "≥ 60 × faster", f"{times:.0f} ×", times >= 60, note
    )


def beside_smartcut(folder: Path, short: bool) -> Row:
    """The trim beside the `smartcut` package, where it is installed."""
    value, render = _source(folder)
    program = shutil.which("smartcut")
    with _scratch() as scratch:

        def ours() -> None:
            render(value.keep([(START, END)]), scratch / "ours.mp4")

        if program is None:
            alone = _seconds(ours)
            return Row("trim beside smartcut", alone, None, "≥ 6 × faster", "not installed", False)
        command = [program, str(moving(folder, 600)), str(scratch / "theirs.mp4"), "--keep"]
        span = f"{float(START)},{float(END)}"

        def theirs() -> None:
            subprocess.run([*command, span], check=True, capture_output=True)

        fast, slow = race(ours, theirs, 1 if short else 5)
    times = slow / fast
    return Row("trim beside smartcut", fast, slow, "≥ 6 × faster", f"{times:.1f} ×", times >= 6)


def sound_alone(folder: Path, short: bool) -> Row:
    """Audio Enhance alone, beside a measuring pass and a copy of the picture with the same filters."""
    value, render = _source(folder)
    assert value.sound is not None
    better = value.with_sound(value.sound.denoise().loudness(Fraction(-16), Fraction(-3, 2)))
    source = moving(folder, 600)
    with _scratch() as scratch:
        done = render(better, scratch / "ours.mp4")
        gain = next(iter(done.measured.values()))["gain_db"]
        clean = "apad=pad_len=1200,afftdn=nr=12:nf=-40:tn=1,atrim=start_sample=1200,asetpts=N/SR/TB"
        limit = (
            "aresample=192000,alimiter=limit=0.84140:level=0:latency=1:attack=5:release=50,aresample=48000"
        )

        def theirs() -> None:
            _ffmpeg(f"-i {source} -vn -af {clean},ebur128=peak=true:framelog=quiet -f null -")
            filters = f"{clean},volume={gain}dB:precision=float,{limit},aformat=sample_fmts=fltp"
            _ffmpeg(f"-i {source} -c:v copy -af {filters} -c:a aac -b:a 256k {scratch}/theirs.mp4")

        ours, opponent = race(lambda: render(better, scratch / "ours.mp4"), theirs, 1 if short else 3)
        same = _packets(source) == _packets(scratch / "ours.mp4")
    ratio = ours / opponent
    note = "picture bit-identical" if same else "PICTURE CHANGED"
    return Row(
        "Audio Enhance alone", ours, opponent, "≤ 1.10 ×", f"{ratio:.2f} ×", same and ratio <= 1.1, note
    )


def own_part(folder: Path, short: bool) -> Row:
    """The engine's own CPU time of a render that is encoded by ffmpeg: all that is not ffmpeg's."""
    source = moving(folder, 60)
    located = Located(source, probe(source))
    value = video_of("source", located.info)
    clip = value.keep([(Fraction(10), Fraction(11))])
    flipped = clip.with_picture(clip.picture.flip(horizontal=True))
    renderer = Renderer(lambda _asset: located, paint)
    with _scratch() as scratch:
        renderer.render(flipped, scratch / "ours.mp4")
        begun = time.process_time()
        rounds = 3 if short else 5
        for _round in range(rounds):
            renderer.render(flipped, scratch / "ours.mp4")
        spent = (time.process_time() - begun) / rounds
    return Row("own part of a render (CPU)", spent, None, "< 0.06 s", f"{spent * 1000:.0f} ms", spent < 0.06)


def thumbnails(folder: Path, short: bool) -> Row:
    """The CPU time of a thumbnail, the worst of several of videos of 20 s and of 10 min."""
    worst = 0.0
    with _scratch() as scratch:
        write_thumbnail(moving(folder, 20), scratch / "thumb.jpg")
        for seconds in (20, 600):
            source = moving(folder, seconds)
            for _round in range(2 if short else 5):
                begun = time.process_time()
                write_thumbnail(source, scratch / "thumb.jpg")
                worst = max(worst, time.process_time() - begun)
    return Row("thumbnail (CPU, the worst)", worst, None, "< 0.2 s", f"{worst * 1000:.0f} ms", worst < 0.2)


CASES: tuple[Callable[[Path, bool], Row], ...] = (
    beside_a_copy,
    beside_a_full_encode,
    beside_smartcut,
    sound_alone,
    own_part,
    thumbnails,
)


def _source(folder: Path) -> tuple[Video, Callable[[Value, Path], Rendered]]:
    source = moving(folder, 600)
    located = Located(source, probe(source))
    return video_of("source", located.info), Renderer(lambda _asset: located, paint).render


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tessera-bench-") as name:
        yield Path(name)


def _ffmpeg(args: str) -> None:
    subprocess.run([ffmpeg_path(), "-v", "error", "-nostdin", "-y", *args.split()], check=True)


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _packets(path: Path) -> str:
    """The hash of a file's video packets."""
    command = [ffmpeg_path(), "-v", "error", "-i", str(path), "-map", "0:v", "-c", "copy", "-f", "hash", "-"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> None:
    folder, short = Path(sys.argv[1]), "--short" in sys.argv
    print_table(case(folder, short) for case in CASES)


if __name__ == "__main__":
    main()
