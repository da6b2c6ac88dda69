"""Interlaced sources are deinterlaced once, where they are encoded; progressive pictures are left alone."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from tests.support.parameters import (
    TS,
    X264,
    combs,
    joined,
    located,
    make,
    marked,
    numbers,
    picture_info,
    rendered,
    shown,
    video,
)

_BAR = "color=gray:s=128x96:r=50:d=1,geq=lum='if(lt(mod(X+7*N,64),32),220,40)':cb=128:cr=128,format=yuv420p"
_FLAGS = "-flags +ildct+ilme"
CODINGS = {
    "h264-tff.mkv": ("tff", f"-c:v libx264 -crf 12 {_FLAGS} -x264opts tff=1"),
    "h264-bff.ts": ("bff", f"-c:v libx264 -crf 12 {_FLAGS} -x264opts bff=1 {TS}"),
    "mpeg2.mpg": ("tff", f"-c:v mpeg2video -q:v 2 {_FLAGS}"),
    "mpeg4.avi": ("tff", f"-c:v mpeg4 -q:v 2 {_FLAGS}"),
    "prores.mov": ("tff", f"-c:v prores_ks {_FLAGS}"),
    "mjpeg.mov": ("tff", "-c:v mjpeg -q:v 2"),
    "ffv1.mkv": ("bff", "-c:v ffv1"),
}


def fields(name: str) -> Path:
    """Return a bar that moves from field to field, 25 frames a second."""
    first, coding = CODINGS[name]
    return make(f"fields-{name}", f"{_BAR},interlace=scan={first}:lowpass=0", coding)


@pytest.mark.parametrize("name", CODINGS)
def test_no_comb_is_left_in_what_is_encoded(name: str, tmp_path: Path) -> None:
    path = fields(name)
    picture = video(path).picture
    assert picture_info(path).fields
    assert any("deinterlaced" in note for note in located(path).info.notes)
    part = picture.keep([(Fraction(1, 5), Fraction(2, 5)), (Fraction(3, 5), Fraction(1))])
    for shape, count in ((picture, 25), (picture.crop(0, 0, 64, 96).scale(96, 144), 25), (part, 15)):
        rendered(path, marked(shape), None, tmp_path / "out.mp4")
        found = shown(tmp_path / "out.mp4")
        assert found.sizes == {(shape.width, shape.height)}
        assert len(found.marked) == count
        assert all(found.marked)
        assert not found.interlaced
        assert combs(tmp_path / "out.mp4") < 1.5


def test_a_copy_of_a_whole_file_keeps_its_fields_and_their_flags(tmp_path: Path) -> None:
    path = fields("h264-tff.mkv")
    made = rendered(path, video(path).picture, None, tmp_path / "copy.mp4").made
    assert made is not None
    assert made.picture == "copied"
    assert shown(tmp_path / "copy.mp4").interlaced == 25
    assert combs(tmp_path / "copy.mp4") > 10


def test_a_cut_of_an_interlaced_file_is_encoded_as_progressive(tmp_path: Path) -> None:
    path = fields("h264-tff.mkv")
    picture = video(path).picture.keep([(Fraction(1, 5), Fraction(4, 5))])
    made = rendered(path, picture, None, tmp_path / "cut.mp4").made
    assert made is not None
    assert made.picture == "encoded"
    assert not shown(tmp_path / "cut.mp4").interlaced
    assert combs(tmp_path / "cut.mp4") < 1.5


@pytest.mark.parametrize(
    ("name", "coding"),
    [
        ("flagged.mkv", f"-c:v libx264 -crf 12 {_FLAGS} -x264opts tff=1"),
        ("flagged.ts", f"-c:v mpeg2video -q:v 2 {_FLAGS} {TS}"),
    ],
)
def test_progressive_pictures_that_are_flagged_as_interlaced_stay_as_they_are(
    name: str, coding: str, tmp_path: Path
) -> None:
    moving = _BAR.replace("r=50", "r=25").replace("X+7*N", "X+Y+7*N")
    path = make(name, f"{moving},setfield=tff", coding)
    assert picture_info(path).fields is None
    assert any("its pictures are progressive" in note for note in located(path).info.notes)
    rendered(path, marked(video(path).picture), None, tmp_path / "out.mp4")
    assert all(shown(tmp_path / "out.mp4").marked)


def test_a_progressive_source_is_not_suspected() -> None:
    path = make("progressive.mkv", numbers(), X264)
    assert picture_info(path).fields is None
    assert not located(path).info.notes


@pytest.mark.parametrize("interlaced_first", [False, True])
def test_a_source_that_is_interlaced_in_part_is_deinterlaced_there(
    interlaced_first: bool, tmp_path: Path
) -> None:
    coding = f"-c:v libx264 -crf 12 {TS}"
    parts = [
        make("still.ts", _BAR.replace("r=50", "r=25").replace("7*N", "0"), coding),
        make(
            "fields.ts", f"{_BAR},interlace=lowpass=0", coding.replace(TS, f"{_FLAGS} -x264opts tff=1 {TS}")
        ),
    ]
    ordered = parts[::-1] if interlaced_first else parts
    path = joined(f"partly-{interlaced_first}.ts", ordered, TS)
    assert picture_info(path).fields == "flagged"
    rendered(path, marked(video(path).picture), None, tmp_path / "out.mp4")
    assert len(shown(tmp_path / "out.mp4").marked) == 50
    assert combs(tmp_path / "out.mp4") < 1.5
