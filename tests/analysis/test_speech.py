"""Speech and levels of real media, on the picture's timeline."""

from __future__ import annotations

import math
import tracemalloc
import wave
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.analysis.speech import ANALYSER, SoundFacts, analyse_sound
from tessera.analysis.voice_activity import speech_ranges
from tessera.errors import Cancelled, MediaError
from tessera.media.probe.info import MediaInfo
from tessera.media.probe.probe import probe
from tessera.media.process.process import run_ffmpeg
from tests.support.media import MEDIA

TONE = "aevalsrc=0.25*sin(2*PI*440*t)"
"""−15.05 dBFS."""


@cache
def facts_of(name: str) -> SoundFacts:
    return analyse_sound(MEDIA / name, probe(MEDIA / name))


def make_media(path: Path, *args: str) -> Path:
    run_ffmpeg(["-y", *args, str(path)])
    return path


def analysed(path: Path) -> SoundFacts:
    return analyse_sound(path, probe(path))


def measured_levels(name: str) -> NDArray[np.float64]:
    """Return the levels of a fixture, measured in its own rate and channels, one value per 100 ms."""
    with av.open(str(MEDIA / name)) as container:
        parts = [frame.to_ndarray().astype(np.float64) for frame in container.decode(audio=0)]
        rate = container.streams.audio[0].rate
    power = np.concatenate(parts, axis=1)[0] ** 2
    hop = rate // 10
    means = power[: len(power) // hop * hop].reshape(-1, hop).mean(axis=1)
    found: NDArray[np.float64] = 10 * np.log10(means + 1e-10)
    return found


def inside(facts: SoundFacts, time_ms: int) -> bool:
    return any(start <= time_ms < end for start, end in facts.speech)


# Speech


def test_the_sentences_of_a_talk_are_found_and_its_pauses_are_not() -> None:
    facts = facts_of("talk.mp4")
    assert facts.analyser == ANALYSER
    assert len(facts.speech) >= 4
    levels = measured_levels("talk.mp4")
    loud = [100 * step + 50 for step, level in enumerate(levels) if level > -35]
    assert sum(inside(facts, time) for time in loud) / len(loud) > 0.97
    quiet = [100 * step + 50 for step in range(3, len(levels) - 3) if max(levels[step - 3 : step + 4]) < -55]
    assert len(quiet) > 20
    assert not any(inside(facts, time) for time in quiet)


def test_traffic_and_horns_are_not_speech() -> None:
    ((start, end),) = facts_of("street.mp4").speech
    assert 3_900 <= start <= 4_300
    assert 7_000 <= end <= 8_500


@pytest.mark.parametrize("name", ["talk.mp4", "street.mp4", "portrait.mp4", "cover.m4a"])
def test_ranges_are_ordered_apart_and_within_the_asset(name: str) -> None:
    facts, duration = facts_of(name), probe(MEDIA / name).duration
    assert facts.speech
    assert all(start < end for start, end in facts.speech)
    assert all(before[1] < after[0] for before, after in pairwise(facts.speech))
    assert facts.speech[0][0] >= 0
    assert facts.speech[-1][1] <= duration * 1000
    assert len(facts.levels_dbfs) == math.ceil(duration * 10)


def test_a_video_without_sound_has_no_speech() -> None:
    facts = facts_of("silent.mp4")
    assert (facts.speech, facts.levels_dbfs) == ((), ())


def test_runs_are_joined_dropped_padded_and_clipped() -> None:
    assert speech_ranges([(32, 320), (600, 900)], 10_000) == ((0, 1_000),)
    assert speech_ranges([(0, 240), (1_000, 1_250), (1_550, 1_900)], 1_950) == ((900, 1_350), (1_450, 1_950))


def test_facts_survive_json_and_come_out_the_same_again() -> None:
    facts = facts_of("portrait.mp4")
    assert SoundFacts.model_validate_json(facts.model_dump_json()) == facts
    assert analysed(MEDIA / "portrait.mp4") == facts


# The timeline


def test_sound_that_starts_late_is_preceded_by_silence() -> None:
    levels = facts_of("offset.mp4").levels_dbfs
    assert levels[:2] == (-100.0, -100.0)
    assert levels[2] < -50
    assert all(-16 < level < -14 for level in levels[3:])


def test_sound_before_the_first_frame_is_left_out(tmp_path: Path) -> None:
    early = make_media(
        tmp_path / "early.mkv",
        *["-itsoffset", "1.28", "-f", "lavfi", "-i", "color=s=64x36:r=25:d=2"],
        *["-itsoffset", "0.48", "-f", "lavfi", "-i", f"{TONE}*lt(t\\,1):d=2.8:s=48000"],
        *["-c:v", "libx264", "-c:a", "pcm_s16le"],
    )
    levels = analysed(early).levels_dbfs
    assert len(levels) == 20
    assert levels[0] == pytest.approx(-15.1, abs=0.2)
    assert levels[1] == pytest.approx(-15.1, abs=0.2)
    assert max(levels[3:]) < -90


def test_a_gap_in_the_sound_is_silence(tmp_path: Path) -> None:
    gap = make_media(
        tmp_path / "gap.mkv",
        *["-f", "lavfi", "-i", f"{TONE}:d=3:s=48000,asetnsamples=480,aselect='not(between(t,1,1.995))'"],
        *["-c:a", "pcm_s16le"],
    )
    levels = analysed(gap).levels_dbfs
    assert max(levels[11:19]) == -100
    assert all(level > -16 for level in levels[:10] + levels[21:29])


def test_a_speech_keeps_its_place_after_a_gap(tmp_path: Path) -> None:
    late = make_media(
        tmp_path / "late.mkv",
        *["-itsoffset", "5", "-i", str(MEDIA / "talk.mp4"), "-i", str(MEDIA / "street.mp4")],
        *["-map", "1:v", "-map", "0:a", "-c:v", "copy", "-c:a", "copy", "-t", "12"],
    )
    start, end = analysed(late).speech[0]
    first, last = facts_of("talk.mp4").speech[0]
    assert abs(start - first - 5_000) <= 64
    assert abs(end - last - 5_000) <= 64


# Levels


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_f32le", "aac"])
def test_the_level_does_not_depend_on_the_number_of_channels(
    tmp_path: Path, codec: str, channels: int
) -> None:
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
    source = "|".join([f"{TONE}"] + ["0.25*sin(2*PI*440*t)"] * (channels - 1))
    tone = make_media(
        tmp_path / "tone.mkv", "-f", "lavfi", "-i", f"{source}:d=2:s=48000:c={layout}", "-c:a", codec
    )
    level = analysed(tone).levels_dbfs[10]
    assert level == pytest.approx(-15.1, abs=0.3 if channels < 6 else 1.2)


def test_sound_whose_format_changes_is_read_to_its_end(tmp_path: Path) -> None:
    parts = [
        make_media(tmp_path / "mono.aac", "-f", "lavfi", "-i", f"{TONE}:d=1:s=44100", "-ac", "1"),
        make_media(tmp_path / "stereo.aac", "-f", "lavfi", "-i", f"{TONE}:d=1:s=48000", "-ac", "2"),
    ]
    both = tmp_path / "both.aac"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    levels = analysed(both).levels_dbfs
    assert len(levels) >= 20
    assert min(levels[1:9] + levels[12:19]) > -21


# Errors


def audio_spoiled(path: Path, every: int) -> Path:
    """Return a copy of the talk in which every `every`th packet of sound is overwritten."""
    data = bytearray((MEDIA / "talk.mp4").read_bytes())
    with av.open(str(MEDIA / "talk.mp4")) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
    for packet in packets[::every]:
        assert packet.pos is not None
        data[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path.write_bytes(data)
    return path


def test_sound_that_cannot_be_decoded_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    spoiled = audio_spoiled(tmp_path / "spoiled.mp4", 1)
    with pytest.raises(MediaError, match=r"spoiled\.mp4"):
        analyse_sound(spoiled, probe(MEDIA / "talk.mp4"))


def test_occasional_broken_packets_are_skipped(tmp_path: Path) -> None:
    facts = analyse_sound(audio_spoiled(tmp_path / "spoiled.mp4", 100), probe(MEDIA / "talk.mp4"))
    assert len(facts.levels_dbfs) == 241
    assert abs(facts.speech[0][0] - facts_of("talk.mp4").speech[0][0]) < 200
    assert abs(facts.speech[-1][1] - facts_of("talk.mp4").speech[-1][1]) < 200


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"gone\.mp4"):
        analyse_sound(tmp_path / "gone.mp4", probe(MEDIA / "talk.mp4"))


def test_the_analysis_stops_when_cancelled() -> None:
    calls = 0

    def cancelled() -> bool:
        nonlocal calls
        calls += 1
        return calls > 2

    with pytest.raises(Cancelled):
        analyse_sound(MEDIA / "talk.mp4", probe(MEDIA / "talk.mp4"), cancelled=cancelled)
    assert calls == 3


def plain(path: Path, seconds: int) -> tuple[Path, MediaInfo]:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        for _ in range(seconds):
            file.writeframes(bytes(32_000))
    return path, probe(path)


def test_memory_does_not_grow_with_the_sound(tmp_path: Path) -> None:
    path, info = plain(tmp_path / "long.wav", 120)
    assert info.duration == Fraction(120)
    analyse_sound(MEDIA / "sound.wav", probe(MEDIA / "sound.wav"))
    tracemalloc.start()
    try:
        facts = analyse_sound(path, info)
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert facts.levels_dbfs == (-100.0,) * 1_200
    assert peak < 1_000_000
