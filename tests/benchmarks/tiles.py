"""What tiles one after another cost, beside ffmpeg commands that do the same: one of them, or one a tile.

Every encode on both sides is x264 veryfast at crf 18, repeatable, with as many threads as it likes, one
process at a time. The sources are known to both: what is
measured is the render.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

from PIL import Image as Pillow

from tessera.inputs.resolve import video_of
from tessera.media.algebra.expression import Image
from tessera.media.algebra.item import Video
from tessera.media.ffmpeg.compiler import Located
from tessera.media.ffmpeg.encode_settings import REPEATABLE
from tessera.media.probe.probe import probe
from tessera.media.process.process import ffmpeg_path
from tessera.media.render.decoder_groups import groups_of
from tessera.media.render.renderer import Renderer
from tessera.nodes.reframe import reframe
from tests.benchmarks.rows import Row, race
from tests.benchmarks.sources import moving

__all__ = [
    "blurred_padding",
    "one_command",
    "one_encode_a_tile",
    "same_bytes",
    "shapes_together",
    "three_clips",
]

_LOGO = Path(__file__).parents[2] / "fixtures" / "media" / "logo.png"
_X264 = f"-c:v libx264 -preset veryfast -crf 18 -x264-params {REPEATABLE} -pix_fmt yuv420p"
_TALL = "crop=606:1080:656:0,scale=1080:1920:flags=bicubic"
_MARK = "[1:v]format=rgba,colorchannelmixer=aa=0.8[mark]"
_AT = 20
"""Pixels between the logo and the corner."""


@cache
def _known(path: Path) -> Located:
    return Located(path, probe(path))


def _video(path: Path) -> Video:
    return video_of(str(path), _known(path).info)


def _render(video: Video, output: Path) -> None:
    _renderer().render(video, output)


def _renderer() -> Renderer:
    def paint(leaf: Image) -> Pillow.Image:
        raise ValueError(f"{leaf} is not drawn here")

    return Renderer(lambda asset: _known(Path(asset)), paint)


def _marked(video: Video, *, flipped: bool) -> Video:
    """Reframed to 9:16, mirrored where asked for, with a logo in a corner."""
    picture, _how = reframe(video.picture, Fraction(9, 16))
    if flipped:
        picture = picture.flip(horizontal=True)
    info = _known(_LOGO).info.picture
    assert info is not None
    logo = Image.source(str(_LOGO), width=info.width, height=info.height)
    return video.with_picture(picture.overlay(logo, _AT, _AT, opacity=Fraction(4, 5)))


def _ffmpeg(args: str, *output: Path | str) -> str:
    """Run ffmpeg; what it wrote to stderr."""
    command = [ffmpeg_path(), "-hide_banner", "-nostdin", "-y", *args.split(), *map(str, output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
    return done.stderr


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        yield Path(folder)


@dataclass(frozen=True, slots=True)
class _Chain:
    """Seconds of three ways to the same picture, and how near each comes to a lossless one (VMAF).

    `ours_s` was measured in turn with `command_s`, `again_s` with `steps_s`.
    """

    ours_s: float
    command_s: float
    again_s: float
    steps_s: float
    ours_vmaf: float
    command_vmaf: float
    steps_vmaf: float


@cache
def _chain(folder: Path, short: bool) -> _Chain:
    """Reframe → Mirror → Watermark over 60 s, in the short form over the first 10 s."""
    source = moving(folder, 60)
    seconds = 10 if short else 60
    video = _marked(_video(source).keep([(Fraction(0), Fraction(seconds))]), flipped=True)
    graph = f"[0:v]{_TALL},hflip[tall];{_MARK};[tall][mark]overlay={_AT}:{_AT}[out]"
    whole = f"-t {seconds} -i {source}"
    with _scratch() as place:
        ours, command = place / "ours.mp4", place / "command.mp4"
        ours_s, command_s = race(
            lambda: _render(video, ours),
            lambda: _ffmpeg(
                f"{whole} -i {_LOGO} -filter_complex {graph} -map [out] -map 0:a {_X264} -c:a copy", command
            ),
            rounds=3,
        )
        steps = place / "step3.mp4"
        again_s, steps_s = race(lambda: _render(video, ours), lambda: _steps(whole, place), rounds=3)
        ideal = place / "ideal.mkv"
        _ffmpeg(
            f"-t 10 -i {source} -i {_LOGO} -filter_complex {graph} -map [out] -c:v ffv1 -pix_fmt yuv420p",
            ideal,
        )
        found = [_vmaf(one, ideal) for one in (ours, command, steps)]
    return _Chain(ours_s, command_s, again_s, steps_s, *found)


def _steps(whole: str, place: Path) -> None:
    """One encode for each tile."""
    first, second, third = (place / f"step{number}.mp4" for number in (1, 2, 3))
    _ffmpeg(f"{whole} -vf {_TALL} {_X264} -c:a copy", first)
    _ffmpeg(f"-i {first} -vf hflip {_X264} -c:a copy", second)
    graph = f"{_MARK};[0:v][mark]overlay={_AT}:{_AT}[out]"
    _ffmpeg(f"-i {second} -i {_LOGO} -filter_complex {graph} -map [out] -map 0:a {_X264} -c:a copy", third)


def _vmaf(made: Path, ideal: Path) -> float:
    """The VMAF of every fifth of the first 300 frames."""
    graph = "[0:v]settb=1/30,setpts=N[a];[1:v]settb=1/30,setpts=N[b];[a][b]libvmaf=n_subsample=5:n_threads=2"
    told = _ffmpeg(f"-i {made} -i {ideal} -frames:v 300 -filter_complex {graph} -f null", "-")
    return float(re.findall(r"VMAF score: ([\d.]+)", told)[-1])


def one_command(folder: Path, short: bool) -> Row:
    """Reframe → Mirror → Watermark beside one command with the same filters."""
    found = _chain(folder, short)
    ratio = found.ours_s / found.command_s
    return Row(
        "Reframe → Mirror → Watermark, one command",
        found.ours_s,
        found.command_s,
        "≤ 1.10 ×",
        f"{ratio:.2f} ×",
        ratio <= 1.10,
        f"(VMAF {found.ours_vmaf:.1f}, of the command {found.command_vmaf:.1f})",
    )


def one_encode_a_tile(folder: Path, short: bool) -> Row:
    """Reframe → Mirror → Watermark beside three commands, each of which encodes."""
    found = _chain(folder, short)
    faster, better = found.steps_s / found.again_s, found.ours_vmaf - found.steps_vmaf
    return Row(
        "Reframe → Mirror → Watermark, one encode a tile",
        found.again_s,
        found.steps_s,
        "≥ 2.4 × faster, VMAF + 5",
        f"{faster:.2f} × faster, VMAF {better:+.2f}",
        faster >= 2.4 and better >= 5,
        f"({found.ours_vmaf:.1f} and {found.steps_vmaf:.1f})",
    )


def shapes_together(folder: Path, short: bool) -> Row:
    """Three shapes of one video by one decoder, beside one command for each."""
    source, seconds = moving(folder, 60), 10 if short else 60
    video = _video(source).keep([(Fraction(0), Fraction(seconds))])
    tall, square = (reframe(video.picture, ratio)[0] for ratio in (Fraction(9, 16), Fraction(1)))
    shapes = [video.with_picture(one) for one in (tall, square, video.picture.flip(horizontal=True))]
    if groups_of(shapes) != [[0, 1, 2]]:
        raise RuntimeError("the shapes do not share a decoder")
    with _scratch() as place:
        ours = [(shape, place / f"ours{number}.mp4") for number, shape in enumerate(shapes)]

        def theirs() -> None:
            for number, filters in enumerate((_TALL, "crop=1080:1080:420:0", "hflip")):
                _ffmpeg(f"-t {seconds} -i {source} -vf {filters} {_X264} -c:a copy", place / f"{number}.mp4")

        ours_s, theirs_s = race(lambda: _renderer().render_together(ours), theirs, rounds=3)
    faster = theirs_s / ours_s
    case = f"three shapes of one video, {seconds} s, one decoder"
    return Row(case, ours_s, theirs_s, "≥ 1 × faster", f"{faster:.2f} × faster", faster >= 1)


def same_bytes(folder: Path, short: bool) -> Row:
    """What it costs that an encode gives the same bytes each time: x264's own way beside it."""
    source, seconds = moving(folder, 60), 5 if short else 20
    free = _X264.replace(f"-x264-params {REPEATABLE} ", "")
    with _scratch() as place:
        ours_s, theirs_s = race(
            lambda: _ffmpeg(f"-t {seconds} -i {source} -vf hflip -an {_X264}", place / "ours.mp4"),
            lambda: _ffmpeg(f"-t {seconds} -i {source} -vf hflip -an {free}", place / "theirs.mp4"),
        )
    ratio = ours_s / theirs_s
    case = f"an encode of {seconds} s that repeats itself: x264's default"
    return Row(case, ours_s, theirs_s, "≤ 1.25 ×", f"{ratio:.2f} ×", ratio <= 1.25)


def blurred_padding(folder: Path, short: bool) -> Row:
    """Reframe of a tall video to 16:9 over blurred padding, beside one command with a blur of the whole."""
    source, seconds = _tall(folder), 5 if short else 20
    video = _video(source).keep([(Fraction(0), Fraction(seconds))])
    picture, _how = reframe(video.picture, Fraction(16, 9))
    back = "crop=1080:606:0:656,scale=1920:1080:flags=bicubic,boxblur=20:2"
    graph = f"[0:v]split[a][b];[a]{back}[back];[b]scale=608:1080[whole];[back][whole]overlay=656:0[out]"
    with _scratch() as place:
        ours, theirs = place / "ours.mp4", place / "theirs.mp4"
        ours_s, theirs_s = race(
            lambda: _render(video.with_picture(picture), ours),
            lambda: _ffmpeg(
                f"-t {seconds} -i {source} -filter_complex {graph} -map [out] -map 0:a {_X264} -c:a copy",
                theirs,
            ),
            rounds=3,
        )
        alike = min(_pad_ssim(ours, theirs, left) for left in (0, 1264))
    faster = theirs_s / ours_s
    return Row(
        f"Reframe with blurred padding, {seconds} s",
        ours_s,
        theirs_s,
        "≥ 1.6 × faster, SSIM ≥ 0.95",
        f"{faster:.2f} × faster, SSIM {alike:.3f}",
        faster >= 1.6 and alike >= 0.95,
    )


def _tall(folder: Path) -> Path:
    """A tall source of 20 s, made where it is not there."""
    made = folder / "tall-20s.mp4"
    if not made.exists():
        partial = made.with_suffix(".part.mp4")
        x264 = "-c:v libx264 -preset veryfast -crf 23 -g 250 -sc_threshold 0 -bf 3 -pix_fmt yuv420p"
        _ffmpeg(f"-t 20 -i {moving(folder, 60)} -vf {_TALL},setsar=1 {x264} -c:a copy", partial)
        partial.replace(made)
    return made


def _pad_ssim(one: Path, other: Path, left: int) -> float:
    """The structural similarity of the padding of two files, 656 pixels wide from `left` on."""
    sides = ";".join(f"[{at}:v]settb=1/30,setpts=N,crop=656:1080:{left}:0[s{at}]" for at in (0, 1))
    told = _ffmpeg(f"-i {one} -i {other} -filter_complex {sides};[s0][s1]ssim -f null", "-")
    return float(re.findall(r"SSIM .*All:([\d.]+)", told)[-1])


def three_clips(folder: Path, short: bool) -> Row:
    """Clips at 10, 30 and 50 minutes of an hour, reframed and marked, beside three commands that seek.

    Both sides make one clip after the other.
    """
    source, seconds = moving(folder, 3600), 5 if short else 20
    starts = (600, 1800, 3000)
    graph = f"[0:v]{_TALL}[tall];{_MARK};[tall][mark]overlay={_AT}:{_AT}[out]"
    whole = _marked(_video(source), flipped=False)
    with _scratch() as place:

        def ours() -> None:
            for start in starts:
                clip = whole.keep([(Fraction(start), Fraction(start + seconds))])
                _render(clip, place / f"ours{start}.mp4")

        def theirs() -> None:
            for start in starts:
                seek = f"-ss {start} -t {seconds} -i {source} -i {_LOGO} -filter_complex {graph}"
                _ffmpeg(
                    f"{seek} -map [out] -map 0:a {_X264} -c:a aac -b:a 128k", place / f"theirs{start}.mp4"
                )

        ours_s, theirs_s = race(ours, theirs, rounds=3)
        counts = _frames(place, "ours", starts), _frames(place, "theirs", starts)
    assert counts[0] == counts[1], counts
    ratio = ours_s / theirs_s
    return Row(
        f"three clips of {seconds} s of an hour, reframed and marked",
        ours_s,
        theirs_s,
        "≤ 1.10 ×",
        f"{ratio:.2f} ×",
        ratio <= 1.10,
    )


def _frames(place: Path, name: str, starts: Sequence[int]) -> list[int]:
    infos = [probe(place / f"{name}{start}.mp4").picture for start in starts]
    return [info.frames for info in infos if info is not None]
