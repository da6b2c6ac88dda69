"""Thousands of cuts: exact to the frame and the sample, in a command that does not grow with them."""

from __future__ import annotations

import random
import threading
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tessera.errors import Cancelled, RenderError
from tessera.inputs.resolve import video_of
from tessera.media.algebra.expression import Sound
from tessera.media.algebra.item import Audio, Video
from tessera.media.algebra.time import Range
from tessera.media.ffmpeg.command import SoundFeed, StreamFeed
from tessera.media.ffmpeg.compiler import EncodeSettings, compile_render
from tessera.media.ffmpeg.lowering import Located
from tessera.media.probe.probe import probe
from tessera.media.render.renderer import Renderer
from tests.support.media import cut_samples, located, nearest, paint, renderer, source, taken, whole
from tests.support.numbered import CODECS, numbered, rendered, samples, seen, wanted


def some_ranges(count: int, duration: Fraction, seed: int = 1) -> list[Range]:
    """Return ranges of 1 to 300 ms in any order; some repeat, some overlap."""
    chosen = random.Random(seed)
    starts = [Fraction(chosen.randrange(int(duration * 1000) - 300), 1000) for _ in range(count)]
    kept = [(start, start + Fraction(chosen.randrange(1, 300), 1000)) for start in starts]
    return [*kept, *kept[:3]]


def in_order(count: int, duration: Fraction) -> list[Range]:
    part = duration / count
    return [(index * part, (index + Fraction(3, 5)) * part) for index in range(count)]


@pytest.mark.parametrize("rate", ["30000/1001", "vfr"])
def test_cuts_in_any_order_are_as_exact_as_cuts_in_order(rate: str, tmp_path: Path) -> None:
    clip = numbered(f"h264-{rate}", CODECS["h264"], rate)
    kept = some_ranges(20, Fraction(49, 10))
    output = rendered(clip, kept, tmp_path / "out.nut", EncodeSettings(lossless=True))
    expected, got = wanted(clip, kept), seen(output)
    assert got.numbers == expected.numbers
    assert all(abs(a - b) <= Fraction(2, 90_000) for a, b in zip(got.times, expected.times, strict=True))
    assert np.allclose(samples(output), cut_samples(samples(clip), kept, 48_000), atol=2e-4)


def test_an_effect_on_many_cuts_gets_exactly_their_frames() -> None:
    kept = some_ranges(25, Fraction(17, 10))
    cut = source("ntsc").picture.keep(kept)
    by_itself, at = [], Fraction(0)
    for piece in kept:
        one = taken(source("ntsc").picture.keep([piece]).flip(horizontal=True))
        by_itself += [(at + moment, frame) for moment, frame in zip(one.times, one.frames, strict=True)]
        at += piece[1] - piece[0]
    got = taken(cut.flip(horizontal=True))
    assert got.frames == tuple(frame for _moment, frame in by_itself)
    assert all(abs(a - b[0]) <= Fraction(2, 90_000) for a, b in zip(got.times, by_itself, strict=True))


def test_a_command_does_not_grow_with_its_cuts() -> None:
    video = source("pal")

    def command(count: int) -> tuple[int, int]:
        cut = video.keep(in_order(count, Fraction(2)))
        made = compile_render(
            cut.picture,
            cut.sound,
            Path("out.mp4"),
            lambda one: located(one.arg("asset")),
            {},
            EncodeSettings(),
        )
        (feed,) = made.feeds
        assert isinstance(feed, SoundFeed)
        assert len(feed.takes) == count
        return len(made.args), len(feed.reels)

    assert command(1000) == command(2000)


def test_many_cuts_of_a_picture_are_split_among_commands() -> None:
    picture = source("pal").picture.keep(some_ranges(40, Fraction(17, 10)))
    made = compile_render(
        picture, None, Path("out.mp4"), lambda one: located(one.arg("asset")), {}, EncodeSettings()
    )
    (feed,) = made.feeds
    assert isinstance(feed, StreamFeed)
    assert all(part.args.count("-i") <= 8 for part in feed.parts)


def test_many_cuts_of_processed_sound_are_cuts_of_the_processed_samples() -> None:
    sound = source("pal").sound
    assert sound is not None
    kept = in_order(300, Fraction(2))
    clean = taken(None, sound.denoise()).samples
    got = taken(None, sound.denoise().keep(kept)).samples
    assert np.allclose(got, cut_samples(clean, kept, sound.rate), atol=1e-6)


def test_many_cuts_of_a_cut_and_processed_sound_stay_exact() -> None:
    sound = source("pal").sound
    assert sound is not None
    inner, outer = in_order(100, Fraction(2)), in_order(50, Fraction(6, 5))
    once = sound.keep(inner).denoise()
    clean = taken(None, once).samples
    assert len(clean) == nearest(once.duration * sound.rate)
    assert np.allclose(
        taken(None, once.keep(outer)).samples, cut_samples(clean, outer, sound.rate), atol=1e-6
    )


def test_many_cuts_of_sounds_of_several_files_keep_their_order() -> None:
    pal, ntsc = source("pal").sound, source("ntsc").sound
    assert pal is not None
    assert ntsc is not None
    pause = Sound.silence(Fraction(1, 100), rate=pal.rate, channels=pal.channels)
    parts, expected = [], []
    for index in range(12):
        one, name = ((pal, "pal"), (ntsc, "ntsc"))[index % 2]
        low = Fraction(index, 10)
        parts += [one.keep([(low, low + Fraction(1, 20))]), pause]
        expected += [whole(name).samples[nearest(low * 48_000) :][:2400], np.zeros(480, np.float32)]
    got = taken(None, parts[0].then(*parts[1:])).samples
    fades = np.zeros(len(got), bool)
    for at in range(0, len(got), 2880):
        fades[max(at - 192, 0) : at + 192] = fades[at + 2208 : at + 2592] = True
    assert np.allclose(got[~fades], np.concatenate(expected)[~fades], atol=2e-4)


def test_no_join_clicks() -> None:
    """Both sides of a join are silent there, and sound farther away than 4 ms is unchanged."""
    sound = source("pal").sound
    assert sound is not None
    kept = [(Fraction(1, 10), Fraction(3, 10)), (Fraction(7, 10), Fraction(9, 10))]
    got = taken(None, sound.keep(kept)).samples
    join = 9600
    assert abs(got[join - 1]) < 0.01
    assert got[join] == 0
    assert np.array_equal(got[:9000], taken(None, sound.keep(kept[:1])).samples[:9000])


def test_a_join_of_adjacent_parts_is_unchanged() -> None:
    sound = source("pal").sound
    assert sound is not None
    split = [(Fraction(index, 50), Fraction(index + 1, 50)) for index in range(60)]
    apart = sound.keep(split[:30]).then(sound.keep(split[30:]))
    together = sound.keep([(Fraction(0), Fraction(60, 50))])
    assert np.array_equal(taken(None, apart).samples, taken(None, together).samples)


def test_many_cuts_have_the_requested_loudness(tmp_path: Path) -> None:
    """Half of the source is silence, of which nothing is kept: it must not count for the loudness."""
    sound = source("pal").sound
    assert sound is not None
    silence = Sound.silence(sound.duration, rate=sound.rate, channels=sound.channels)
    cut = sound.then(silence).keep(in_order(100, Fraction(2))).loudness(Fraction(-20), Fraction(-1))
    made = renderer().render(Audio(cut), tmp_path / "cut.m4a").path
    info = probe(made)
    assert info.sound is not None
    again = Sound.source("made", rate=48_000, channels=sound.channels, duration=info.sound.duration)
    measuring = Renderer(lambda _asset: Located(made, info), paint)
    measured = measuring.render(Audio(again.loudness(Fraction(-20), Fraction(-1))), tmp_path / "again.m4a")
    (found,) = measured.measured.values()
    assert abs(found["loudness_lufs"] + 20) < 0.6


def test_a_missing_source_fails_by_name_and_leaves_nothing_behind(tmp_path: Path) -> None:
    info = located("pal").info
    gone = Located(tmp_path / "gone.mkv", info)
    video = video_of("gone", info).keep(in_order(100, Fraction(2)))
    with pytest.raises(RenderError, match="No such file"):
        Renderer(lambda _asset: gone, paint).render(video, tmp_path / "out.mp4")
    assert video.sound is not None
    with pytest.raises(RenderError, match="No such file"):
        Renderer(lambda _asset: gone, paint).render(Audio(video.sound), tmp_path / "out.m4a")
    assert not list(tmp_path.iterdir())


def test_cancelling_a_render_stops_the_processes_that_feed_it(tmp_path: Path) -> None:
    clip = numbered("h264-25", CODECS["h264"], "25")
    info = probe(clip)
    video = video_of("clip", info)
    assert video.sound is not None
    slow = Video(video.picture.scale(3840, 2160), video.sound).keep(in_order(1000, video.duration))
    begun = time.monotonic()
    stopping = Renderer(
        lambda _asset: Located(clip, info), paint, cancelled=lambda: time.monotonic() > begun + 0.5
    )
    with pytest.raises(Cancelled):
        stopping.render(slow, tmp_path / "out.mp4")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("feed")]
    assert not list(tmp_path.iterdir())
