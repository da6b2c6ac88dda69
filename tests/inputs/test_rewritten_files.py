"""A source that was written again is read again, however it was written."""

from __future__ import annotations

import mmap
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tessera import run, simulate
from tessera.inputs.assets import known_files
from tessera.inputs.assets.known_files import FileState, KnownFiles, state_of
from tessera.inputs.assets.library import Library
from tessera.media.process.process import run_ffmpeg
from tests.support.media import FIXTURES

AT = (1_700_000_000, 1_700_000_000)
OLD = 10**18
SETTLED = FileState(100, OLD, OLD, 7, 3, settled=True)


def two_videos(folder: Path) -> tuple[Path, Path]:
    """Make a white and a black video of the same size in bytes and the same length."""
    paths = []
    for name, colour in (("one", "white"), ("two", "black")):
        path = folder / f"{name}.mkv"
        run_ffmpeg(
            ["-y", "-f", "lavfi", "-i", f"color={colour}:s=64x36:r=25:d=1", "-c:v", "rawvideo", str(path)]
        )
        paths.append(path)
    assert paths[0].stat().st_size == paths[1].stat().st_size
    return paths[0], paths[1]


def write(target: Path, content: bytes) -> None:
    target.write_bytes(content)


def copy_onto(target: Path, content: bytes) -> None:
    other = target.with_name("other.mkv")
    other.write_bytes(content)
    os.utime(other, AT)
    shutil.copy2(other, target)


def move_onto(target: Path, content: bytes) -> None:
    other = target.with_name("other.mkv")
    other.write_bytes(content)
    other.replace(target)


def map_into_memory(target: Path, content: bytes) -> None:
    with target.open("r+b") as file, mmap.mmap(file.fileno(), len(content)) as mapped:
        mapped[:] = content


def write_blocks(target: Path, content: bytes) -> None:
    subprocess.run(
        ["dd", f"of={target}", "conv=notrunc", "bs=4096"], input=content, capture_output=True, check=True
    )


def change_link(target: Path, content: bytes) -> None:
    other = target.with_name("other.mkv")
    other.write_bytes(content)
    os.utime(other, AT)
    target.unlink()
    target.symlink_to(other)


@pytest.mark.parametrize(
    "rewrite",
    [write, copy_onto, move_onto, map_into_memory, write_blocks, change_link],
    ids=lambda way: way.__name__,
)
@pytest.mark.parametrize("place", ["disk", "memory"])
def test_a_file_of_the_same_size_and_time_is_read_again(
    rewrite: Callable[[Path, bytes], None], place: str, tmp_path: Path
) -> None:
    folder = tmp_path
    if place == "memory":
        folder = Path("/dev/shm") / f"tessera-{os.getpid()}-{rewrite.__name__}"
        if not os.access("/dev/shm", os.W_OK):
            pytest.skip("this machine has no file system in memory at /dev/shm")
        folder.mkdir()
    try:
        one, two = two_videos(tmp_path)
        source = folder / "source.mkv"
        source.write_bytes(one.read_bytes())
        os.utime(source, AT)
        first = Library(tmp_path / "ws").add(source)
        for content, wanted in ((two, "two"), (one, "one")):
            rewrite(source, content.read_bytes())
            os.utime(source, AT)
            assert source.stat().st_size == one.stat().st_size
            attached, added = Library(tmp_path / "ws").attach(source), Library(tmp_path / "ws").add(source)
            assert attached.id == added.id
            assert (added.id == first.id) == (wanted == "one")
    finally:
        if folder != tmp_path:
            shutil.rmtree(folder)


def test_a_run_and_a_simulation_use_what_the_file_holds_now(tmp_path: Path) -> None:
    one, two = two_videos(tmp_path)
    source, trimmer = tmp_path / "source.mkv", FIXTURES / "agents" / "trimmer.json"
    seen = []
    for content in (one, two, one):
        source.write_bytes(content.read_bytes())
        os.utime(source, AT)
        record = run(trimmer, inputs=[str(source)], workspace=tmp_path / "ws", out=tmp_path / "out")
        told = simulate(trimmer, inputs=[str(source)], workspace=tmp_path / "ws")
        assert [entry["video_id"] for entry in told.inputs] == [entry["video_id"] for entry in record.inputs]
        assert record.outputs[0].path is not None
        seen.append(record.outputs[0].path.read_bytes())
    assert seen[0] == seen[2] != seen[1]


@pytest.mark.parametrize("member", ["modified_ns", "changed_ns", "inode", "device"])
def test_a_known_file_is_unchanged_only_in_the_very_same_state(member: str, tmp_path: Path) -> None:
    known = KnownFiles(tmp_path)
    known.save(Path("a.mp4"), SETTLED, "id")
    found = known.find(Path("a.mp4"), SETTLED)
    assert found is not None
    assert (found.asset, found.unchanged) == ("id", True)
    changed = known.find(Path("a.mp4"), replace(SETTLED, **{member: 1}))
    assert changed is not None
    assert not changed.unchanged
    assert known.find(Path("a.mp4"), replace(SETTLED, size=99)) is None


def test_a_state_that_was_not_settled_when_the_file_was_read_proves_nothing(tmp_path: Path) -> None:
    known = KnownFiles(tmp_path)
    known.save(Path("a.mp4"), replace(SETTLED, settled=False), "id")
    found = known.find(Path("a.mp4"), SETTLED)
    assert found is not None
    assert not found.unchanged


def test_a_file_just_written_is_not_settled(tmp_path: Path) -> None:
    file = tmp_path / "new.bin"
    file.write_bytes(b"new")
    os.utime(file, AT)
    assert not state_of(file).settled


def test_a_file_in_memory_is_never_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("this machine has no file system in memory at /dev/shm")
    monkeypatch.setattr(known_files, "_SETTLED_NS", 0)
    file = Path("/dev/shm") / f"tessera-{os.getpid()}.bin"
    file.write_bytes(b"in memory")
    try:
        assert not state_of(file).settled
    finally:
        file.unlink()


def test_a_page_that_a_memory_map_has_changed_before_shows_its_next_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_files, "_SETTLED_NS", 0)
    file = tmp_path / "mapped.bin"
    file.write_bytes(bytes(4096))
    if not state_of(file).settled:
        pytest.skip("the file system of the test folder does not keep the times of changes")
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 4096) as mapped:
        mapped[0] = 1
        before = state_of(file)
        time.sleep(0.05)
        mapped[1] = 2
        assert state_of(file).stamp() != before.stamp()


def test_an_untouched_file_is_not_stored_twice_and_keeps_its_asset(tmp_path: Path) -> None:
    one, _two = two_videos(tmp_path)
    first, again = Library(tmp_path / "ws").add(one), Library(tmp_path / "ws").add(one)
    assert first.id == again.id
    assert len(list((tmp_path / "ws" / "assets").iterdir())) == 1
