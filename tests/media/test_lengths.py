"""Edit lists, indexes and lengths: what a player shows and sounds is what is described and rendered."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from tessera.errors import MediaError, RenderError
from tessera.media.probe.probe import probe
from tests.support.lengths import RATE, X264, bursts, played, remuxed, render, with_edits
from tests.support.media import MEDIA

AAC = "-c:a aac"
MPEG4 = "-c:v mpeg4 -q:v 3 -bf 2 -g 50"


def whole() -> Path:
    return bursts("whole", 8, f"{X264} {AAC}", 200)


def long_sound(coding: str, suffix: str) -> Path:
    return bursts(f"long{suffix}", 4, coding, 50, suffix=suffix)


# Edit lists


@pytest.mark.parametrize("encoded", [False, True], ids=["copied", "encoded"])
def test_a_stream_copy_that_starts_within_a_group_of_pictures_shows_what_its_edit_list_says(
    encoded: bool,
) -> None:
    trimmed = remuxed(whole(), "trimmed.mp4", "-ss 1.7")
    info = probe(trimmed)
    assert info.picture is not None
    assert (info.picture.frames, info.duration) == (157, Fraction(157, RATE))
    assert not info.notes
    seen, _ = render(trimmed, encoded=encoded)
    assert seen.numbers == tuple(range(43, 200))
    assert seen.times[0] == 0
    assert seen.bursts[4] == pytest.approx(0.3, abs=0.03)
    assert seen.bursts[15] == pytest.approx(5.8, abs=0.03)
    cut, _ = render(trimmed, ("0.6", "4.4"), encoded=encoded)
    assert cut.numbers == tuple(range(58, 153))
    assert cut.bursts[5] == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize("encoded", [False, True], ids=["copied", "encoded"])
def test_an_edit_list_of_two_segments_is_played_as_one(encoded: bool) -> None:
    source = with_edits(whole(), "two.mp4", [(1.0, 2.0), (5.2, 2.4)])
    assert not any("damage" in note for note in probe(source).notes)
    seen, described = render(source, encoded=encoded)
    assert seen.numbers == (*range(25, 75), *range(130, 190))
    # The demuxer begins a segment up to two pictures late.
    assert float(described) == pytest.approx(4.4, abs=2.5 / RATE)
    assert seen.bursts[3] == pytest.approx(0.5, abs=0.03)
    assert seen.bursts[12] == pytest.approx(2.8, abs=0.03)
    cut, _ = render(source, ("1.6", "3"), encoded=encoded)
    assert cut.numbers[:-2] == (*range(65, 75), *range(130, 153))[: len(cut.numbers) - 2]
    assert len(cut.numbers) >= 33


def test_an_empty_edit_delays_both_streams() -> None:
    source = with_edits(whole(), "delayed.mp4", [(-1, 1.0), (0.6, 6.0)])
    assert not probe(source).notes
    seen, described = render(source)
    assert seen.numbers == tuple(range(15, 165))
    assert (seen.times[0], described) == (0, 6)
    assert seen.bursts[2] == pytest.approx(0.4, abs=0.03)


# Indexes


def test_an_index_that_counts_other_packets_than_can_be_read_is_not_damage() -> None:
    source = bursts("index", 5, f"{MPEG4} -c:a libmp3lame", 125, suffix=".avi")
    assert not probe(source).notes
    seen, described = render(source)
    assert seen.numbers == tuple(range(125))
    assert described == 5


@pytest.mark.parametrize("frames", ["0", "2"])
def test_h264_in_avi_shows_every_picture_in_order(frames: str) -> None:
    coding = f"-c:v libx264 -preset veryfast -g 50 -bf {frames} -c:a libmp3lame"
    source = bursts(f"avi-{frames}", 4, coding, 100, suffix=".avi")
    seen, described = render(source)
    assert (seen.numbers, described) == (tuple(range(100)), 4)
    cut, _ = render(source, ("1.6", "3"))
    assert cut.numbers == tuple(range(40, 75))
    assert cut.bursts[4] == pytest.approx(0.4, abs=0.1)


# Damage


def overwritten(suffix: str, coding: str) -> Path:
    """Make a file with 4,000 of its bytes overwritten in the middle."""
    source = bursts(f"sound{suffix}", 8, coding, 200, suffix=suffix)
    path = source.with_name(f"overwritten{suffix}")
    data = bytearray(source.read_bytes())
    at = len(data) // 2
    data[at : at + 4_000] = bytes(index * 97 % 251 for index in range(4_000))
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("suffix", "coding"),
    [(".mp4", f"{X264} {AAC}"), (".ts", f"{X264} {AAC}"), (".mkv", f"{X264} {AAC} -cluster_time_limit 500")],
)
def test_what_lies_before_and_after_overwritten_bytes_is_used_and_the_rest_named(
    suffix: str, coding: str
) -> None:
    source = overwritten(suffix, coding)
    info = probe(source)
    note = next(note for note in info.notes if "is damaged: picture or sound is lost from" in note)
    assert note.endswith("; the rest is used")
    start, end = info.lost[0][0], info.lost[-1][1]
    assert 2 < start < end <= 8
    seen, described = render(source)
    assert float(described) == pytest.approx(8, abs=0.1)
    before = [number for number, at in zip(seen.numbers, seen.times, strict=True) if at < start - 0.1]
    assert before == list(range(len(before)))
    after = [number for number, at in zip(seen.numbers, seen.times, strict=True) if at >= end]
    assert after == list(range(200))[200 - len(after) :]
    assert seen.bursts[1] == pytest.approx(0.5, abs=0.05)
    assert seen.bursts[15] == pytest.approx(7.5, abs=0.05)


def test_a_clip_of_which_no_picture_can_be_decoded_is_refused_for_that_reason() -> None:
    data = bytearray(whole().read_bytes())
    first, last = len(data) // 3, data.index(b"moov") - 4
    data[first:last] = bytes(last - first)
    source = whole().with_name("half-zeros.mp4")
    source.write_bytes(data)
    ((start, end),) = probe(source).lost
    with pytest.raises(RenderError, match="no picture of the kept range can be decoded"):
        render(source, (str(start + Fraction(4, RATE)), str(end)))
    seen, _ = render(source, (str(start - Fraction(4, RATE)), str(end)))
    assert seen.numbers[:3] == tuple(range(round(start * RATE) - 4, round(start * RATE) - 1))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".flv"])
def test_a_file_that_is_cut_off_is_used_up_to_there(suffix: str) -> None:
    coding = f"{X264} {AAC}" + (" -movflags +faststart" if suffix == ".mp4" else "")
    source = bursts(f"tail{suffix}", 8, coding, 200, suffix=suffix)
    path = source.with_name(f"cut-off{suffix}")
    data = source.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    info = probe(path)
    assert 2 < info.duration < 7
    assert any("truncated or damaged: it " in note and "s are lost" in note for note in info.notes)
    seen, described = render(path)
    # Before the end, pictures can be missing between others that were coded first.
    shown = seen.changes()
    assert shown[:-3] == list(range(len(shown) - 3))
    assert len(shown) / RATE == pytest.approx(float(described), abs=0.25)


def test_a_file_of_which_nothing_can_be_decoded_is_refused(tmp_path: Path) -> None:
    data = bytearray((MEDIA / "silent.mp4").read_bytes())
    at = data.index(b"mdat") + 4
    size = int.from_bytes(data[at - 8 : at - 4], "big") - 8
    data[at : at + size] = bytes(size)
    path = tmp_path / "zeros.mp4"
    path.write_bytes(data)
    with pytest.raises(MediaError, match="no frame of its video can be decoded"):
        probe(path)


# Lengths


@pytest.mark.parametrize("encoded", [False, True], ids=["copied", "encoded"])
@pytest.mark.parametrize(
    ("suffix", "coding"),
    [
        (".mp4", f"{X264} {AAC}"),
        (".mkv", f"{X264} -c:a libopus"),
        (".ts", f"{X264} {AAC}"),
        (".avi", f"{MPEG4} -c:a libmp3lame"),
    ],
)
def test_the_last_picture_stays_until_a_longer_sound_ends(suffix: str, coding: str, encoded: bool) -> None:
    source = long_sound(coding, suffix)
    assert any("its last picture stays until the sound ends" in note for note in probe(source).notes)
    seen, described = render(source, encoded=encoded)
    assert seen.changes() == list(range(50))
    assert float(described) == pytest.approx(4, abs=0.1)
    assert seen.sound_s == pytest.approx(float(described), abs=0.03)
    assert seen.picture_s == pytest.approx(float(described), abs=0.05)
    assert seen.bursts[7] == pytest.approx(3.5, abs=0.05)


@pytest.mark.parametrize("suffix", [".mp4", ".ts"])
def test_a_clip_after_the_last_picture_shows_that_picture(suffix: str) -> None:
    source = long_sound(f"{X264} {AAC}", suffix)
    for kept, first in ((("1.6", "3.6"), 40), (("3", ""), 49)):
        seen, described = render(source, kept)
        assert seen.changes() == list(range(first, 50))
        assert seen.times[0] == pytest.approx(0, abs=0.04)
        assert seen.picture_s == pytest.approx(float(described), abs=0.05)
        assert seen.sound_s == pytest.approx(float(described), abs=0.03)


def test_silence_follows_a_sound_that_ends_first() -> None:
    source = bursts("short", 1, f"{X264} {AAC}", 75)
    assert any("silence follows the sound" in note for note in probe(source).notes)
    seen, described = render(source)
    assert described == 3
    assert seen.numbers == tuple(range(75))
    assert seen.sound_s == pytest.approx(3, abs=0.03)


def test_sound_before_the_first_picture_is_left_out_with_a_note() -> None:
    late = remuxed(whole(), "late.mp4", f"-i {whole()} -itsoffset 1", "-map 0:a -map 1:v")
    assert any("1 s of sound before its first picture" in note for note in probe(late).notes)
    assert played(late).bursts[2] == pytest.approx(1.0, abs=0.03)
    seen, described = render(late)
    assert described == 8
    assert seen.numbers == tuple(range(200))
    assert seen.bursts[2] == pytest.approx(0, abs=0.03)
