"""Sources of the media benchmarks: long H.264 files with motion in them, made from a fixture."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tessera.media.process.process import ffmpeg_path

__all__ = ["moving"]

_FIXTURE = Path(__file__).parents[2] / "fixtures" / "media" / "talk.mp4"
_LOOP_S = 50
"""A whole number of groups of 250 frames at 30 frames/s: copies of it join to closed groups throughout."""


def moving(folder: Path, seconds: int, *, height: int = 1080) -> Path:
    """A 16:9 video of 30 frames/s: x264 veryfast, crf 23, groups of 250 frames, 3 B-frames, AAC.

    It is kept in `folder` under its name, and made only where it is not there.
    """
    made = folder / f"moving-{height}p-{seconds}s.mp4"
    if made.exists():
        return made
    loop = folder / f"loop-{height}p.mp4"
    if not loop.exists():
        x264 = "-c:v libx264 -preset veryfast -crf 23 -g 250 -sc_threshold 0 -bf 3 -pix_fmt yuv420p"
        picture = f"fps=30,scale={height * 16 // 9}:{height}:flags=bicubic,setsar=1"
        _ffmpeg(f"-stream_loop -1 -i {_FIXTURE} -t {_LOOP_S} -an -vf {picture} {x264}", loop)
    streams = f"-stream_loop -1 -i {loop} -stream_loop -1 -i {_FIXTURE} -map 0:v -map 1:a"
    _ffmpeg(f"{streams} -t {seconds} -c:v copy -c:a aac -b:a 128k -ar 48000 -ac 2 -movflags +faststart", made)
    return made


def _ffmpeg(args: str, output: Path) -> None:
    partial = output.with_suffix(".part.mp4")
    command = [ffmpeg_path(), "-v", "error", "-nostdin", "-y", *args.split(), str(partial)]
    subprocess.run(command, check=True)
    partial.replace(output)
