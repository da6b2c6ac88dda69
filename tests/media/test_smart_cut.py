"""Smart cuts: cuts that copy whole groups of pictures are exact, and report how they were made."""

from __future__ import annotations

import hashlib
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tessera.errors import Cancelled
from tessera.inputs.resolve import video_of
from tessera.media.algebra.expression import Expr
from tessera.media.algebra.item import Video
from tessera.media.algebra.time import Range
from tessera.media.copy.copy_check import check_copy
from tessera.media.copy.packets import Unsafe
from tessera.media.copy.stream_copy import EncodedTracks, plan_copy, write_copy
from tessera.media.ffmpeg.compiler import EncodeSettings, Located
from tessera.media.probe.probe import probe
from tessera.media.process.process import ffmpeg_path
from tessera.media.render.renderer import CopyReport, Renderer
from tests.support.copies import expected, made, psnr, renderer, shown, source_shown, video
from tests.support.media import paint
from tests.support.picture_law import pictures_in

CUT = [
    "deep.mp4",
    "fast.mp4",
    "film.mp4",
    "full.mp4",
    "late.mp4",
    "ntsc.mp4",
    "pal.mkv",
    "plain.mp4",
    "repeating.mp4",
    "vfr.mkv",
    "vfr.mp4",
]
LIMITED = [name for name in CUT if name != "full.mp4"]
ODD = (Fraction(33, 100), Fraction(271, 100))
TWICE = [(Fraction(1, 10), Fraction(14, 10)), (Fraction(16, 10), Fraction(29, 10))]


def cut(value: Video, folder: Path, **options: Any) -> tuple[Path, CopyReport]:
    rendered = renderer(**options).render(value, folder / "cut.mp4")
    assert rendered.made is not None
    return rendered.path, rendered.made


def assert_shows(path: Path, name: str, ranges: list[Range], how: CopyReport) -> None:
    """Assert that a file shows exactly these ranges: copied pictures bit for bit, the others nearly so."""
    got, want = shown(path), expected(name, ranges)
    assert len(got.times) == len(want.times) == how.frames_copied + how.frames_encoded
    assert all(abs(a - b) < Fraction(1, 80_000) for a, b in zip(got.times, want.times, strict=True))
    alike = [psnr(a, b) for a, b in zip(got.frames, want.frames, strict=True)]
    assert sum(one == 99 for one in alike) >= how.frames_copied
    assert min(alike) > 38


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("ranges", [[ODD], TWICE, [(Fraction(0), Fraction(2))]], ids=["one", "two", "start"])
def test_a_cut_copies_what_it_can_and_shows_exactly_its_range(
    name: str, ranges: list[Range], tmp_path: Path
) -> None:
    path, how = cut(video(name).keep(ranges), tmp_path)
    assert how.picture in ("cut", "copied")
    assert how.frames_copied > how.frames_encoded
    assert_shows(path, name, ranges, how)


@pytest.mark.parametrize("name", LIMITED)
def test_times_are_those_of_an_ordinary_render(name: str, tmp_path: Path) -> None:
    value = video(name).keep(TWICE)
    path, how = cut(value, tmp_path)
    plain = renderer(target=EncodeSettings(lossless=True)).render(value, tmp_path / "plain.mp4")
    assert plain.made is not None
    assert (how.picture, plain.made.picture) == ("cut", "encoded")
    assert shown(path).times == shown(plain.path).times


_EDGES = st.tuples(st.integers(0, 2999), st.integers(1, 3000)).filter(lambda pair: pair[0] < pair[1])


@given(name=st.sampled_from(LIMITED), edges=st.lists(_EDGES, min_size=1, max_size=2))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_ranges_are_exact(name: str, edges: list[tuple[int, int]], tmp_path_factory: Any) -> None:
    value = video(name)
    ranges, after = list[Range](), 0
    for start, end in sorted(edges):
        end = min(end, int(value.duration * 1000))
        if start >= after and start < end:
            ranges.append((Fraction(start, 1000), Fraction(end, 1000)))
            after = end
    if not ranges or not expected(name, ranges).times:
        return
    path, how = cut(value.keep(ranges), tmp_path_factory.mktemp("any"))
    if how.picture == "encoded":
        assert any(why in how.note for why in ("no whole group", "too little"))
        assert len(shown(path).times) == len(expected(name, ranges).times)
    else:
        assert_shows(path, name, ranges, how)


@pytest.mark.parametrize("name", ["film.mp4", "fast.mp4", "vfr.mp4", "late.mp4"])
def test_ffmpeg_and_pyav_decode_the_same_pictures(name: str, tmp_path: Path) -> None:
    path, how = cut(video(name).keep([ODD]), tmp_path)
    assert how.picture == "cut"
    command = [ffmpeg_path(), "-v", "error", "-i", str(path), "-map", "0:v", "-fps_mode", "passthrough"]
    done = subprocess.run([*command, "-f", "framemd5", "-"], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    hashes = [line.split(",")[-1].strip() for line in done.stdout.splitlines() if not line.startswith("#")]
    assert hashes == shown(path).hashes


def packet_hashes(path: Path, kind: str) -> list[str]:
    with av.open(str(path)) as container:
        packets = container.demux(getattr(container.streams, kind)[0])
        return [hashlib.md5(bytes(one)).hexdigest() for one in packets if one.size]


def test_an_untouched_source_is_copied_bit_for_bit(tmp_path: Path) -> None:
    path, how = cut(video("film.mp4"), tmp_path)
    assert (how.picture, how.sound, how.frames_encoded) == ("copied", "copied", 0)
    for kind in ("video", "audio"):
        assert packet_hashes(path, kind) == packet_hashes(made("film.mp4").path, kind)


@pytest.mark.parametrize("name", ["av1.mp4", "open.mp4", "fields.mp4", "vfr.mkv"])
def test_a_whole_picture_is_copied(name: str, tmp_path: Path) -> None:
    path, how = cut(video(name), tmp_path)
    assert how.picture == "copied"
    assert_shows(path, name, [(Fraction(0), video(name).duration)], how)


def located_again(path: Path) -> tuple[Video, Renderer]:
    """Return a file as a new source."""
    again = Located(path, probe(path))
    return video_of("again", again.info), Renderer(lambda _asset: again, paint)


@pytest.mark.parametrize("name", ["film.mp4", "vfr.mp4"])
def test_a_cut_of_a_cut_copies_again(name: str, tmp_path: Path) -> None:
    first, _how = cut(video(name).keep([ODD]), tmp_path)
    value, again = located_again(first)
    start, end = Fraction(1, 4), Fraction(2)
    second = again.render(value.keep([(start, end)]), tmp_path / "second.mp4")
    assert second.made is not None
    assert second.made.picture in ("cut", "copied")
    assert second.made.sound == "copied"
    real = shown(first)
    found = pictures_in([time - real.times[0] for time in real.times], probe(first), [(start, end)])
    kept = [real.frames[number] for number, _time in found]
    got = shown(second.path)
    assert len(got.frames) == len(kept)
    assert min(psnr(a, b) for a, b in zip(got.frames, kept, strict=True)) > 40


@pytest.mark.parametrize("turn", [90, 180])
def test_a_rotated_picture_stays_rotated(turn: int, tmp_path: Path) -> None:
    turned = tmp_path / "turned.mp4"
    args = ["-v", "error", "-display_rotation", str(turn), "-i", str(made("film.mp4").path), "-c", "copy"]
    subprocess.run([ffmpeg_path(), *args, str(turned)], check=True)
    value, again = located_again(turned)
    for one in (value, value.keep([ODD])):
        done = again.render(one, tmp_path / "out.mp4")
        assert done.made is not None
        assert done.made.picture in ("copied", "cut")
        info = probe(done.path).picture
        assert info is not None
        assert info.rotation == turn
        assert (info.width, info.height) == (one.picture.width, one.picture.height)


def test_t_0_of_a_copy_is_its_first_picture(tmp_path: Path) -> None:
    path, _how = cut(video("late.mp4"), tmp_path)
    assert shown(path).times[0] == 0
    assert shown(path).times == source_shown("late.mp4").times


def test_a_change_of_sound_alone_leaves_the_picture_as_it_is(tmp_path: Path) -> None:
    value = video("film.mp4")
    assert value.sound is not None
    path, how = cut(value.with_sound(value.sound.denoise()), tmp_path)
    assert (how.picture, how.sound) == ("copied", "encoded")
    assert packet_hashes(path, "video") == packet_hashes(made("film.mp4").path, "video")
    assert packet_hashes(path, "audio") != packet_hashes(made("film.mp4").path, "audio")


def test_a_change_of_picture_alone_leaves_the_sound_as_it_is(tmp_path: Path) -> None:
    value = video("film.mp4")
    path, how = cut(value.with_picture(value.picture.flip(horizontal=True)), tmp_path)
    assert (how.picture, how.sound) == ("encoded", "copied")
    assert packet_hashes(path, "audio") == packet_hashes(made("film.mp4").path, "audio")


def samples(path: Path) -> np.ndarray[Any, Any]:
    """Return the samples as ffmpeg decodes them, edit lists applied."""
    command = [ffmpeg_path(), "-v", "error", "-i", str(path), "-map", "0:a", "-f", "f32le", "-"]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.float32)


@pytest.mark.parametrize("kept", [ODD, (Fraction(0), Fraction(1)), (Fraction(7, 5), Fraction(29, 10))])
def test_copied_sound_begins_and_ends_at_the_sample(kept: Range, tmp_path: Path) -> None:
    path, how = cut(video("film.mp4").keep([kept]), tmp_path)
    assert how.sound == "copied"
    first, last = (round(edge * 48_000) for edge in kept)
    decoded, wanted = samples(path), samples(made("film.mp4").path)[first:last]
    assert len(decoded) == len(wanted)
    assert np.sqrt(np.mean((decoded - wanted) ** 2)) < 0.002


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("open.mp4", "no whole group of pictures"),
        ("refresh.mp4", "no whole group of pictures"),
        ("fields.mp4", "interlaced"),
        ("hevc.mp4", "hevc"),
        ("av1.mp4", "cannot be copied"),
    ],
)
def test_a_cut_that_may_not_be_exact_is_encoded_and_says_why(name: str, why: str, tmp_path: Path) -> None:
    path, how = cut(video(name).keep([ODD]), tmp_path)
    assert how.picture == "encoded"
    assert why in how.note
    assert len(shown(path).times) == len(expected(name, [ODD]).times)


def test_a_check_refuses_a_file_that_does_not_show_what_was_planned(tmp_path: Path) -> None:
    def resolve(leaf: Expr) -> Any:
        return made(leaf.arg("asset"))

    value = video("film.mp4")
    path, _how = cut(value.keep([ODD]), tmp_path)
    right = plan_copy(value.picture.keep([ODD]), None, resolve, EncodeSettings()).picture
    wrong = plan_copy(value.picture.keep(TWICE), None, resolve, EncodeSettings()).picture
    assert right is not None
    assert wrong is not None
    check_copy(right, path, lambda: False)
    with pytest.raises(Unsafe):
        check_copy(wrong, path, lambda: False)


@pytest.mark.parametrize(("name", "proven"), [("long.mp4", 1), ("deep.mp4", 0)])
def test_a_check_refuses_a_picture_before_a_join_that_was_damaged_in_the_file(
    name: str, proven: int, tmp_path: Path
) -> None:
    """`proven` says that the join was decoded before it was written, as it is for a long enough group."""
    kept = [(Fraction(0), Fraction(75, 120) if proven else ODD[1])]
    plan = plan_copy(
        video(name).picture.keep(kept), None, lambda leaf: made(leaf.arg("asset")), EncodeSettings()
    )
    picture, path = plan.picture, tmp_path / "cut.mp4"
    assert picture is not None
    assert (
        write_copy(plan, EncodedTracks(), path, cancelled=lambda: False, progress=lambda _: None).picture
        == "cut"
    )
    assert len(picture.verified) == proven
    check_copy(picture, path, lambda: False)
    with av.open(str(path)) as container:
        packet = next(one for one in container.demux(video=0) if one.pts == list(picture.sums)[-1])
        assert packet.pos is not None
        place = packet.pos + packet.size // 2
    data = bytearray(path.read_bytes())
    data[place] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(Unsafe, match="a check"):
        check_copy(picture, path, lambda: False)


def test_a_cancelled_copy_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        cut(video("film.mp4").keep([ODD]), tmp_path, cancelled=lambda: True)
    assert list(tmp_path.iterdir()) == []
