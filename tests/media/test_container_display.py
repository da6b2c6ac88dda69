"""The container says how a picture is shown: cropped, mirrored, turned. Probe, render and copy follow it."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tessera import run, simulate
from tessera.inputs.local import LocalInput
from tessera.media.process.process import ffmpeg_path, run_ffmpeg
from tests.support.media import FIXTURES, folder
from tests.support.parameters import (
    HEIGHT,
    WIDTH,
    X264,
    make,
    marked,
    numbers,
    picture_info,
    rendered,
    shown,
    video,
    with_clean_aperture,
)


def plain() -> Path:
    return make("plain.mp4", numbers(), X264)


def clean_aperture() -> Path:
    return with_clean_aperture(plain(), "clean-aperture.mp4", 96, 48)


def as_shown(path: Path, number: int) -> np.ndarray:  # type: ignore[type-arg]
    """Return a picture as ffmpeg shows it, in RGB."""
    select = ["-vf", f"select=eq(n\\,{number})", "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    command = [ffmpeg_path(), "-v", "error", "-i", str(path), *select]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.uint8).astype(
        float
    )


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_crop_of_the_container_is_followed_everywhere(suffix: str, tmp_path: Path) -> None:
    path = clean_aperture()
    if suffix == ".mkv":
        path = folder() / "pixel-crop.mkv"
        run_ffmpeg(["-y", "-i", str(clean_aperture()), "-c", "copy", str(path)])
    info = picture_info(path)
    assert (info.width, info.height, info.cropped) == (96, 48, (96, 48))
    assert (info.coded_width, info.coded_height) == (WIDTH, HEIGHT)
    whole = rendered(path, video(path).picture, None, tmp_path / "whole.mp4")
    assert whole.made is not None
    assert whole.made.picture == "encoded"
    part = video(path).picture.keep([(Fraction(1, 5), Fraction(4, 5))])
    rendered(path, marked(part), None, tmp_path / "part.mp4")
    assert shown(tmp_path / "whole.mp4").sizes == shown(tmp_path / "part.mp4").sizes == {(96, 48)}
    assert np.abs(as_shown(path, 7) - as_shown(tmp_path / "whole.mp4", 7)).mean() < 4
    assert all(shown(tmp_path / "part.mp4").marked)


def test_simulation_and_run_agree_on_a_cropped_source(tmp_path: Path) -> None:
    agent, source = FIXTURES / "agents" / "trimmer.json", [LocalInput(str(clean_aperture()))]
    told = simulate(agent, None, inputs=source, workspace=tmp_path / "none").outputs[0]
    made = run(agent, None, inputs=source, workspace=tmp_path / "ws", out=tmp_path / "out").outputs[0]
    assert (told.width, told.height) == (made.width, made.height) == (96, 48)
    assert made.path is not None
    assert shown(made.path).sizes == {(96, 48)}


@pytest.mark.parametrize(
    ("turn", "size"),
    [
        ("-display_hflip", (WIDTH, HEIGHT)),
        ("-display_vflip", (WIDTH, HEIGHT)),
        ("-display_rotation 180", (WIDTH, HEIGHT)),
        ("-display_rotation 90", (HEIGHT, WIDTH)),
        ("-display_rotation 270", (HEIGHT, WIDTH)),
        ("-display_rotation 90 -display_hflip", (HEIGHT, WIDTH)),
        ("-display_rotation 270 -display_vflip", (HEIGHT, WIDTH)),
        ("-display_rotation 60", (WIDTH, HEIGHT)),
    ],
)
def test_a_turned_or_mirrored_picture_is_encoded_and_copied_as_a_player_shows_it(
    turn: str, size: tuple[int, int], tmp_path: Path
) -> None:
    path = folder() / f"turned{turn.replace(' ', '')}.mp4"
    run_ffmpeg(["-y", *turn.split(), "-i", str(plain()), "-c", "copy", str(path)])
    info = picture_info(path)
    assert (info.width, info.height) == size
    part = video(path).picture.crop(0, 0, size[0], size[1] - 2)
    rendered(path, part, None, tmp_path / "encoded.mp4")
    copied = rendered(path, video(path).picture, None, tmp_path / "copied.mp4")
    assert copied.made is not None
    assert copied.made.picture == "copied"
    wanted = as_shown(path, 11).reshape(size[1], size[0], 3)
    encoded = as_shown(tmp_path / "encoded.mp4", 11).reshape(size[1] - 2, size[0], 3)
    assert np.abs(wanted[:-2] - encoded).mean() < 4
    assert np.array_equal(as_shown(tmp_path / "copied.mp4", 11).reshape(wanted.shape), wanted)


@pytest.mark.parametrize("form", ["gray", "gray10le", "ya8", "monob", "rgba"])
def test_a_source_without_colour_or_with_alpha_keeps_its_light(form: str, tmp_path: Path) -> None:
    codec = "ffv1" if form.startswith("gray") else "png"
    path = make(f"{form}.mkv", numbers(), f"-pix_fmt {form} -c:v {codec}")
    rendered(path, marked(video(path).picture), None, tmp_path / "out.mp4")
    found = shown(tmp_path / "out.mp4")
    assert found.numbers == tuple(range(25))
    assert all(found.marked)
    assert abs(as_shown(path, 9).mean() - as_shown(tmp_path / "out.mp4", 9).mean()) < 5
