"""A file that begins within a group of pictures starts at its first picture that can be shown."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tessera.inputs.resolve import video_of
from tessera.media.ffmpeg.lowering import Located
from tessera.media.probe.probe import probe
from tessera.media.process.process import run_ffmpeg
from tessera.media.render.renderer import Renderer
from tests.support.media import folder, paint
from tests.support.numbered import CODECS, numbered, origin, rendered, samples, seen, wanted

MPEG2 = "-c:v mpeg2video -q:v 2 -g 30 -bf 2"
CAPTURES = {
    "h264": CODECS["h264"],
    "h264-open": CODECS["h264-open"],
    "h264-refresh": CODECS["h264-refresh"],
    "hevc": CODECS["hevc"],
    "mpeg2": MPEG2,
}


def captured(name: str, codec: str, part: float) -> Path:
    """Return a transport stream without its first part, as a capture that begins at any packet."""
    path = folder() / f"captured-{name}-{part}.ts"
    if not path.exists():
        whole = numbered(f"whole-{name}", codec, "25", "-muxdelay 0 -muxpreload 0", ".ts").read_bytes()
        path.write_bytes(whole[188 * int(len(whole) // 188 * part) :])
    return path


def without_first_packets(source: Path, lost: int, output: Path) -> Path:
    """Copy a file without the first packets of its picture."""
    with av.open(str(source)) as read, av.open(str(output), "w") as write:
        streams = {one.index: write.add_stream_from_template(one, opaque=True) for one in read.streams}
        for packet in read.demux():
            lost -= packet.stream.type == "video"
            if packet.dts is not None and (packet.stream.type != "video" or lost < 0):
                packet.stream = streams[packet.stream.index]
                write.mux(packet)
    return output


def check(source: Path, output: Path) -> None:
    """Check the times, the length and two clips of a source against the pictures that a decoder returns."""
    info, real = probe(source), origin(source)
    assert info.picture is not None
    assert info.picture.skipped > 0
    assert (info.picture.frames, info.picture.rate) == (len(real.numbers), 25)
    assert info.duration == Fraction(len(real.numbers), 25)
    assert any("begins within a group of pictures" in one for one in info.notes)
    for kept in ([(Fraction(0), info.duration)], [(Fraction(1, 3), Fraction(1))]):
        got, expected = seen(rendered(source, kept, output)), wanted(source, kept)
        assert got.numbers == expected.numbers
        assert all(abs(a - b) < Fraction(1, 10_000) for a, b in zip(got.times, expected.times, strict=True))


@pytest.mark.parametrize("name", CAPTURES)
def test_a_capture_begins_at_the_first_picture_that_decodes(name: str, tmp_path: Path) -> None:
    check(captured(name, CAPTURES[name], 0.1), tmp_path / "out.mp4")


@pytest.mark.parametrize(
    ("codec", "suffix"), [("h264", ".mkv"), ("h264", ".flv"), ("vp9", ".webm"), ("av1", ".mkv")]
)
def test_packets_lost_at_the_start_are_not_pictures(codec: str, suffix: str, tmp_path: Path) -> None:
    whole = numbered(f"whole-{codec}", CODECS[codec], "25", suffix=suffix)
    lossy = without_first_packets(whole, 12, tmp_path / f"lossy{suffix}")
    check(lossy, tmp_path / "out.mp4")


def test_ffmpeg_does_not_give_up_when_most_packets_cannot_be_decoded(tmp_path: Path) -> None:
    """The parameter sets come with the second keyframe, after 12 s: each packet before it is an error."""
    whole, source = tmp_path / "whole.ts", tmp_path / "source.ts"
    coding = ["-c:v", "libx264", "-preset", "ultrafast", "-sc_threshold", "0", "-g", "300"]
    run_ffmpeg(["-y", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=13", *coding, str(whole)])
    data = whole.read_bytes()
    source.write_bytes(data[188 * (len(data) // 188 // 20) :])
    info = probe(source)
    assert info.picture is not None
    assert (info.picture.skipped > 200, info.picture.frames) == (True, 25)
    assert len(decoded_times(rendered(source, [(Fraction(0), Fraction(1, 5))], tmp_path / "out.mp4"))) == 5


def decoded_times(path: Path) -> list[int | None]:
    with av.open(str(path)) as container:
        return [frame.pts for frame in container.decode(video=0)]


def test_sound_stays_with_the_picture(tmp_path: Path) -> None:
    """A click sounds when picture 60 of 100 is shown; the capture begins within an earlier group."""
    whole, source = tmp_path / "whole.ts", tmp_path / "source.ts"
    sight = "color=black:s=64x64:r=25:d=4,geq=lum='if(gte(N,60),235,16)':cb=128:cr=128"
    click = "aevalsrc='0.8*gte(t,2.4)*lt(t,2.5)*sin(2000*t)':s=48000:d=4"
    inputs = ["-f", "lavfi", "-i", sight, "-f", "lavfi", "-i", click]
    coding = [
        "-c:v",
        "libx264",
        "-g",
        "40",
        "-c:a",
        "mp2",
        "-b:a",
        "192k",
        "-muxdelay",
        "0",
        "-muxpreload",
        "0",
    ]
    run_ffmpeg(["-y", *inputs, *coding, str(whole)])
    data = whole.read_bytes()
    source.write_bytes(data[188 * (len(data) // 188 // 5) :])
    info = probe(source)
    assert info.picture is not None
    assert info.picture.skipped > 0
    value = video_of("source", info)
    renderer = Renderer(lambda _asset: Located(source, info), paint)
    path = renderer.render(value, tmp_path / "out.mp4").path
    with av.open(str(path)) as container:
        bright = next(f for f in container.decode(video=0) if f.to_ndarray(format="gray").mean() > 128)
        assert bright.pts is not None
        assert bright.time_base is not None
        shown = bright.pts * bright.time_base
    heard = int(np.flatnonzero(np.abs(samples(path)) > 0.3)[0])
    channels = value.sound.channels if value.sound else 1
    assert abs(shown - Fraction(heard, 48_000 * channels)) < Fraction(3, 100)


def test_an_ordinary_file_skips_nothing() -> None:
    info = probe(numbered("h264-25", CODECS["h264"], "25"))
    assert info.picture is not None
    assert (info.picture.skipped, info.notes) == (0, ())
