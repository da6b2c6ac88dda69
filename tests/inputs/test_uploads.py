"""`tessera upload` accepts every format of the contract, recognised by its content, within its limits."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import pytest
from PIL import Image

from tessera.errors import MediaError
from tessera.inputs.assets.asset import Asset
from tessera.inputs.assets.library import LIMITS, Library
from tessera.media.process.process import run_ffmpeg
from tests.inputs.test_fetch import tessera
from tests.support.media import MEDIA

SIGHT = ["-f", "lavfi", "-i", "testsrc2=s=64x36:r=25:d=1"]
HEARING = ["-f", "lavfi", "-i", "sine=d=1"]
VORBIS, OPUS = ["-c:a", "libvorbis"], ["-c:a", "libopus"]
VIDEO = {ext: [*SIGHT, *HEARING] for ext in ("mp4", "mov", "m4v", "avi", "mkv")}
VIDEO |= {"webm": [*SIGHT, *HEARING, "-c:v", "libvpx", "-c:a", "libopus"]}
AUDIO = {"mp3": HEARING, "wav": HEARING, "m4a": HEARING, "flac": HEARING, "aac": HEARING}
AUDIO |= {"ogg": [*HEARING, *VORBIS], "opus": [*HEARING, *OPUS]}
STILL = [*SIGHT, "-frames:v", "1"]
IMAGE = {"png": STILL, "jpg": STILL, "jpeg": STILL, "webp": STILL, "gif": SIGHT}
FORMATS = [
    (kind, ext) for kind, table in (("video", VIDEO), ("audio", AUDIO), ("image", IMAGE)) for ext in table
]


def make_media(ext: str, folder: Path) -> Path:
    path = folder / f"file.{ext}"
    run_ffmpeg(["-y", *{**VIDEO, **AUDIO, **IMAGE}[ext], str(path)])
    return path


def upload(path: Path, folder: Path) -> Asset:
    return Library(folder / "ws").add(path)


@pytest.mark.parametrize(("kind", "ext"), FORMATS)
def test_every_format_is_accepted_and_recognised_by_its_content(kind: str, ext: str, tmp_path: Path) -> None:
    path = make_media(ext, tmp_path)
    other = path.rename(tmp_path / "nameless.bin")
    asset = upload(other, tmp_path)
    assert asset.info.kind == kind
    if kind == "image":
        assert asset.info.duration == 0
    else:
        assert 0.95 < asset.info.duration < 1.1
    if kind == "audio":
        assert asset.thumbnail is None
        return
    assert asset.info.picture is not None
    assert (asset.info.picture.width, asset.info.picture.height) == (64, 36)
    assert asset.thumbnail is not None
    with Image.open(asset.thumbnail) as small:
        assert (small.format, small.size) == ("JPEG", (64, 36))


def test_a_thumbnail_is_small_and_belongs_to_the_asset(tmp_path: Path) -> None:
    asset = upload(MEDIA / "talk.mp4", tmp_path)
    again = Library(tmp_path / "ws").get(asset.id)
    assert again is not None
    assert again.thumbnail == asset.thumbnail == asset.path.with_name("thumbnail.jpg")
    with Image.open(asset.thumbnail) as small:
        assert small.width <= 640


def test_the_same_bytes_are_stored_once_under_any_name(tmp_path: Path) -> None:
    one = tmp_path / "one.png"
    one.write_bytes((MEDIA / "logo.png").read_bytes())
    first, second = upload(MEDIA / "logo.png", tmp_path), upload(one, tmp_path)
    assert first.id == second.id
    assert len(list((tmp_path / "ws" / "assets").iterdir())) == 1


def sparse(source: Path, size: int, folder: Path) -> Path:
    """Make a sparse file of this size."""
    path = folder / source.name
    path.write_bytes(source.read_bytes())
    os.truncate(path, size)
    return path


def wave(folder: Path, size: int, rate: int) -> Path:
    """Make a sparse 8-bit WAV file with this many bytes of silence."""
    path = folder / "long.wav"
    form = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, rate, rate, 1, 8)
    path.write_bytes(form + struct.pack("<4sI", b"data", size))
    os.truncate(path, path.stat().st_size + size)
    return path


@pytest.mark.parametrize("kind", ["audio", "image"])
def test_a_file_larger_than_the_limit_of_its_kind_is_refused(kind: str, tmp_path: Path) -> None:
    most = LIMITS[kind][0]
    path = wave(tmp_path, most, 96_000) if kind == "audio" else sparse(MEDIA / "logo.png", most + 1, tmp_path)
    with pytest.raises(MediaError, match=f"{kind} may have at most {most:,}"):
        upload(path, tmp_path)
    assert not list((tmp_path / "ws" / "assets").iterdir())


def test_a_video_over_five_gigabytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = sparse(MEDIA / "talk.mp4", 5 * 10**9 + 1, tmp_path)
    with pytest.raises(MediaError, match=r"has 5,000,000,001 bytes; at most 5,000,000,000"):
        upload(path, tmp_path)
    assert not (tmp_path / "ws").exists()


def test_sound_of_more_than_an_hour_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="lasts 3601 s; audio may last at most 3600 s"):
        upload(wave(tmp_path, 3601 * 8000, 8000), tmp_path)


CUBE = 'TITLE "warm"\n# made by hand\nLUT_3D_SIZE 2\nDOMAIN_MIN 0 0 0\n' + "0.5 1e-1 0\n" * 8


def test_a_colour_table_is_accepted_and_printed(tmp_path: Path) -> None:
    (tmp_path / "warm.cube").write_text(CUBE)
    done = tessera("upload", "warm.cube", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "lut_id " in done.stdout
    assert "3D, 2 along each side" in done.stdout
    as_json = json.loads(tessera("upload", "warm.cube", "--json", cwd=tmp_path).stdout)
    assert f"lut_id {as_json['lut_id']}" in done.stdout


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (CUBE + "0 0 0\n", "holds 9 colours; a table of its size has 8"),
        (CUBE.replace("1e-1", "nan"), "line 5 is not three numbers"),
        (CUBE + "<script>\n", "line 13 is not three numbers"),
        ("LUT_1D_SIZE 1\n0 0 0\n", "has a size from 2 to 65536, not 1"),
    ],
)
def test_an_incomplete_colour_table_is_refused_by_name(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.cube"
    path.write_text(text)
    with pytest.raises(MediaError, match=says) as caught:
        upload(path, tmp_path)
    assert "bad.cube" in str(caught.value)


def test_a_picture_of_an_input_is_in_the_record(tmp_path: Path) -> None:
    done = tessera(
        "run",
        MEDIA.parent / "agents" / "trimmer.json",
        "--input",
        MEDIA / "talk.mp4",
        "--clip",
        "0:0.5",
        "--json",
        cwd=tmp_path,
    )
    (given,) = json.loads(done.stdout)["inputs"]
    assert Path(given["thumbnail_url"].removeprefix("file://")).read_bytes().startswith(b"\xff\xd8")


def test_assets_stored_by_an_earlier_probe_are_probed_again(tmp_path: Path) -> None:
    stored = Library(tmp_path).add(MEDIA / "silent.mp4")
    file = stored.path.parent / "asset.json"
    facts = json.loads(file.read_text())
    facts["info"]["version"] -= 1
    facts["info"]["picture"]["duration"] = "1"
    file.write_text(json.dumps(facts))
    found = Library(tmp_path).get(stored.id)
    assert found is not None
    assert found.info.duration == 5
    assert json.loads(file.read_text())["info"]["version"] == stored.info.version
