"""Bad media gets one clear error that names the file and the tile, and leaves nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tessera.media.probe.probe import open_media, probe
from tessera.media.process.process import ffmpeg_path
from tests.support.media import FIXTURES, MEDIA

BROKEN = MEDIA / "broken"


def tessera(*args: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tessera.cli", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False, timeout=120)


def agent(name: str) -> Path:
    return FIXTURES / "agents" / f"{name}.json"


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (BROKEN / "nomoov.mp4", "truncated"),
        (BROKEN / "text.mp4", "it is text"),
        (BROKEN / "playlist.mp4", "playlist"),
        (BROKEN / "empty.mp4", "empty (0 bytes)"),
        (MEDIA / "sound.wav", "a video is needed"),
        (MEDIA / "cover.m4a", "a video is needed"),
        (MEDIA / "logo.png", "a video is needed"),
        (MEDIA / "missing.mp4", "No such file"),
        (MEDIA, "folder"),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_a_file_that_is_not_a_video_is_refused_by_name(file: Path, says: str, tmp_path: Path) -> None:
    done = tessera("run", agent("single"), "--input", file, "--out", "out", cwd=tmp_path)
    assert done.returncode == 2
    assert file.name in done.stderr
    assert says in done.stderr
    assert "Video Input" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "out").glob("*"))
    assert not list((tmp_path / ".tessera").glob("runs/*"))
    assert not list((tmp_path / ".tessera").glob("assets/.part-*"))


@pytest.mark.parametrize("clip", ["24.024:", "30:", "24.1:25"])
def test_a_clip_that_starts_at_or_past_the_end_names_both_numbers(clip: str, tmp_path: Path) -> None:
    done = tessera(
        "run", agent("trimmer"), "--input", MEDIA / "talk.mp4", "--clip", clip, "--out", "out", cwd=tmp_path
    )
    start = round(float(clip.split(":")[0]) * 1000)
    assert done.returncode == 2
    assert f"{start} ms" in done.stderr
    assert "24024 ms" in done.stderr
    assert "talk.mp4" in done.stderr
    assert not list((tmp_path / "out").glob("*"))


def test_a_clip_that_ends_past_the_end_is_clamped_with_a_warning(tmp_path: Path) -> None:
    done = tessera(
        "run", agent("trimmer"), "--input", MEDIA / "talk.mp4", "--clip", "23:60", "--json", cwd=tmp_path
    )
    record = json.loads(done.stdout)
    assert record["status"] == "completed"
    assert record["inputs"][0]["metered_ms"] == 1024
    assert any("clamped" in warning["message"] for warning in record["warnings"])


def test_a_logo_of_one_pixel_is_refused_by_the_watermark_tile(tmp_path: Path) -> None:
    logo = json.loads(tessera("upload", MEDIA / "tiny.png", "--json", cwd=tmp_path).stdout)["image_id"]
    setting = [f"--set=watermark.image_id={logo}", "--set=watermark.use_custom_logo=custom"]
    done = tessera(
        "run",
        agent("single"),
        "--input",
        MEDIA / "talk.mp4",
        *setting,
        "--out",
        "out",
        "--json",
        cwd=tmp_path,
    )
    record = json.loads(done.stdout)
    assert done.returncode == 1
    assert record["status"] == "failed"
    failed = [node for node in record["nodes"] if node["status"] == "failed"]
    assert [node["node_type_name"] for node in failed] == ["Watermark"]
    assert "tiny.png" in failed[0]["errors"][0]
    assert "1×1" in failed[0]["errors"][0]
    blocked = [node["node_type_name"] for node in record["nodes"] if node["status"] == "blocked"]
    assert blocked == ["Destination"]
    assert not list((tmp_path / "out").glob("*"))


def test_a_logo_that_is_a_video_or_unknown_is_refused_before_the_run_starts(tmp_path: Path) -> None:
    video = json.loads(tessera("upload", MEDIA / "silent.mp4", "--json", cwd=tmp_path).stdout)["video_id"]
    for image in (video, "11111111-2222-3333-4444-555555555555"):
        setting = [f"--set=watermark.image_id={image}", "--set=watermark.use_custom_logo=custom"]
        done = tessera(
            "run", agent("single"), "--input", MEDIA / "talk.mp4", *setting, "--json", cwd=tmp_path
        )
        error = json.loads(done.stdout)
        assert done.returncode == 2
        assert "--set watermark.image_id" in error["errors"][0]["message"]
        assert "Watermark" in error["detail"]
    assert not list((tmp_path / ".tessera").glob("runs/*"))


def test_a_playlist_is_refused_without_opening_its_entries(tmp_path: Path) -> None:
    marker = tmp_path / "named.ts"
    marker.write_bytes(b"G" * 188 * 10)
    playlist = tmp_path / "list.mp4"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{marker}\n#EXT-X-ENDLIST\n")
    before = marker.stat().st_atime_ns
    done = tessera("upload", playlist, cwd=tmp_path)
    assert done.returncode == 2
    assert "list.mp4" in done.stderr
    assert marker.stat().st_atime_ns == before


def test_a_folder_that_cannot_be_written_is_refused_before_the_run_starts(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    done = tessera("run", agent("generation_only"), "--out", "out/here", cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert "cannot write" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "out").read_text() == "a file"


def test_tags_that_are_not_utf_8_are_accepted(tmp_path: Path) -> None:
    tagged = tmp_path / "tagged.mkv"
    title, foreign = b"the title as it was", b"\xe9\xe8\xff title as it was"
    line = [ffmpeg_path(), "-v", "error", "-i", str(MEDIA / "silent.mp4"), "-c", "copy"]
    line += [
        "-metadata",
        f"title={title.decode()}",
        "-metadata:s:v:0",
        f"title={title.decode()}",
        str(tagged),
    ]
    subprocess.run(line, check=True)
    written = tagged.read_bytes()
    assert written.count(title) == 2
    tagged.write_bytes(written.replace(title, foreign))
    with open_media(tagged) as container:
        assert "TITLE" in {key.upper() for key in container.metadata}
    found = probe(tagged)
    assert found.picture is not None
    assert found.picture.width == 320
