"""Files over a limit are refused before they are decoded. The error names the value, limit and setting."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

from tessera.errors import MediaError
from tessera.inputs.assets.library import Library
from tessera.media.process.process import run_ffmpeg
from tests.support.media import MEDIA

_MEASURED = """
import sys
from tessera.cli import main
code = main(sys.argv[1:])
# The high-water mark of resource usage would include the process that was forked.
(peak,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(code, peak)
"""


def refusal(path: Path) -> str:
    """Return why a file is not stored."""
    with pytest.raises(MediaError) as raised:
        Library(path.parent / "ws").add(path)
    return str(raised.value)


def png(path: Path, width: int, height: int) -> Path:
    """Write a PNG whose header declares this size, with hardly any pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")
    )
    return path


def svg(path: Path, attributes: str) -> Path:
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}/>')
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a child is read from /proc")
def test_a_film_with_huge_pictures_is_refused_in_little_memory(tmp_path: Path) -> None:
    film = tmp_path / "huge.avi"
    run_ffmpeg(["-f", "lavfi", "-i", "color=gray:s=16000x16000:r=25:d=0.04", "-c:v", "mjpeg", str(film)])
    line = [sys.executable, "-c", _MEASURED, "upload", str(film), "--workspace", str(tmp_path / "ws")]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
    assert "16000×16000, 256,000,000 pixels: at most 35,389,440" in done.stderr
    assert "max_film_pixels" in done.stderr
    code, kilobytes = map(int, done.stdout.split())
    assert code == 2
    assert kilobytes < 300_000, "one of its pictures has 380 MB"


def test_the_limits_are_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tessera.toml").write_text("max_film_pixels = 1000\nmax_image_pixels = 1000\n")
    monkeypatch.setenv("TESSERA_CONFIG", str(tmp_path / "tessera.toml"))
    for name, setting in (("silent.mp4", "max_film_pixels"), ("logo.png", "max_image_pixels")):
        (tmp_path / name).write_bytes((MEDIA / name).read_bytes())
        said = refusal(tmp_path / name)
        assert "at most 1,000 pixels" in said
        assert setting in said


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("side", [10_001, 12_000, 65_535])
def test_an_image_with_too_many_pixels_is_refused_without_a_warning_of_the_decoder(
    side: int, tmp_path: Path
) -> None:
    said = refusal(png(tmp_path / "huge.png", side, side))
    assert "at most 100,000,000 pixels are read (setting `max_image_pixels`)" in said


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        (f'width="{"1" * 20_000}" height="10"', "a width of 20,000 characters: at most 200"),
        (f'viewBox="0 0 {"1" * 20_000} 10"', "a viewBox of 20,007 characters: at most 200"),
        ('viewBox="0 0 1e999 10"', "each side may be at most 1,000,000"),
        ('width="1e7" height="10"', "each side may be at most 1,000,000"),
    ],
)
def test_the_size_of_a_drawing_has_a_limit(attributes: str, says: str, tmp_path: Path) -> None:
    began = time.process_time()
    assert says in refusal(svg(tmp_path / "large.svg", attributes))
    assert time.process_time() - began < 5, "the time is linear in the digits: it took 26 s"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"LUT_3D_SIZE {'9' * 5_000}\n0 0 0\n", "not a readable media file"),
        ("LUT_3D_SIZE 999999999\n0 0 0\n", "has a size from 2 to 256, not 999999999"),
        ("LUT_3D_SIZE 2\n" + f"0 0 {'1' * 6_000_000}\n" * 9, "may have at most 50,000,000"),
        ("LUT_3D_SIZE 2\n" + f"0 0 {'1' * 5_000}\n" * 8, "line 2 is not three numbers"),
    ],
)
def test_a_colour_table_has_limits(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "table.cube").write_text(text)
    assert says in refusal(tmp_path / "table.cube")
