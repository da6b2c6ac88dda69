"""Files made to keep a reader busy are refused quickly; valid files of the same kind stay exact."""

from __future__ import annotations

import os
import struct
import time
from fractions import Fraction
from pathlib import Path

import pytest

from tessera.errors import MediaError
from tessera.media.probe import probe as probing
from tessera.media.probe.probe import probe
from tests.support.media import MEDIA

LARGE = 100_000_000


def wave(path: Path, *, rate: int = 8000, data: int = 8000, after: bytes = b"", size: int = 0) -> Path:
    """Make an 8-bit WAV file with chunks before and after its data; holes fill it up to a size."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate, 1, 8)
    chunks = form + b"LIST\x05\0\0\0title\0" + struct.pack("<4sI", b"data", data) + b"\x80" * data + after
    path.write_bytes(struct.pack("<4sI4s", b"RIFF", 4 + len(chunks), b"WAVE") + chunks)
    os.truncate(path, max(path.stat().st_size, size))
    return path


def refused(path: Path, within_s: float) -> str:
    """Return the message of a file that is refused within so many seconds of CPU time."""
    began = time.process_time()
    with pytest.raises(MediaError) as caught:
        probe(path)
    assert time.process_time() - began < within_s
    assert path.name in str(caught.value)
    return str(caught.value)


def test_a_wave_of_millions_of_empty_chunks_is_refused_at_once(tmp_path: Path) -> None:
    assert "more than 10,000 chunks" in refused(wave(tmp_path / "zeros.wav", size=LARGE), 1)
    path = tmp_path / "headless.wav"
    path.write_bytes(b"RIFF\0\0\0\0WAVE")
    os.truncate(path, LARGE)
    assert "more than 10,000 chunks" in refused(path, 1)


@pytest.mark.parametrize("name", [b"LIST", b"bext", b"id3 "])
def test_a_wave_of_endless_notes_is_refused_before_they_are_read(name: bytes, tmp_path: Path) -> None:
    path = wave(
        tmp_path / "notes.wav", after=struct.pack("<4sI4s", name, LARGE - 20_000, b"INFO"), size=LARGE
    )
    assert f"bytes of metadata ({name.decode().strip()}); at most 64,000,000 are read" in refused(path, 1)


def test_a_wave_that_declares_more_data_than_it_has_is_used_up_to_its_end(tmp_path: Path) -> None:
    path = wave(tmp_path / "short.wav")
    data = path.read_bytes()
    at = data.index(b"data") + 4
    path.write_bytes(data[:at] + struct.pack("<I", LARGE) + data[at + 4 :])
    info = probe(path)
    assert info.duration == 1
    assert any("truncated or damaged" in note for note in info.notes)


def test_a_wave_of_one_sample_a_second_is_refused_at_once(tmp_path: Path) -> None:
    path = wave(tmp_path / "slow.wav", rate=1, data=1_000_000)
    assert "has sound at 1 Hz; at least 1,000 Hz is needed" in refused(path, 1)


def test_a_file_that_takes_too_long_to_open_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "boxes.mp4"
    box = struct.pack(">I4s", 8, b"free")
    path.write_bytes(struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0) + box * 5_000_000)
    monkeypatch.setattr(probing, "_OPEN_S", 0.3)
    assert "takes more than 0.3 s to open" in refused(path, 3)


def test_a_file_with_too_many_packets_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "_MAX_PACKETS", 100)
    assert "holds more than 100 packets" in refused(MEDIA / "talk.mp4", 3)


def test_a_wave_with_many_chunks_and_room_at_its_end_is_exact(tmp_path: Path) -> None:
    path = wave(tmp_path / "many.wav", after=b"note\x03\0\0\0abc\0" * 500, data=12_345, size=60_000)
    info = probe(path)
    assert info.sound is not None
    assert (info.kind, info.sound.rate, info.sound.channels) == ("audio", 8000, 1)
    assert info.duration == Fraction(12_345, 8000)
