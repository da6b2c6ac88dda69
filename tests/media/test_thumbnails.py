"""The thumbnail of a video is sharp, bright enough and full of detail, and not within a transition."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageFilter, ImageStat

from tessera import run
from tessera.errors import MediaError
from tessera.inputs.assets.library import Library
from tessera.media.process.process import run_ffmpeg
from tessera.media.render.thumbnail import write_thumbnail
from tests.support.media import FIXTURES, MEDIA

STREET, TALK = str(MEDIA / "street.mp4"), str(MEDIA / "talk.mp4")
X264 = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-an"]


def thumbnail(folder: Path, source: Path) -> Image.Image:
    target = folder / "thumb.jpg"
    write_thumbnail(source, target)
    with Image.open(target) as opened:
        opened.load()
        return opened.copy()


def made(folder: Path, *args: str, graph: str, codec: Sequence[str] = X264, name: str = "made.mp4") -> Path:
    """Make a video with one filter graph."""
    path = folder / name
    run_ffmpeg(["-y", *args, "-filter_complex", graph, *codec, str(path)])
    return path


def mean(picture: Image.Image) -> float:
    return float(ImageStat.Stat(picture.convert("L")).mean[0])


def edges(picture: Image.Image) -> float:
    return mean(picture.convert("L").filter(ImageFilter.FIND_EDGES))


def difference(one: Image.Image, other: Image.Image) -> float:
    return mean(ImageChops.difference(one.convert("L"), other.convert("L").resize(one.size)))


def picture_at(folder: Path, source: str, seconds: float) -> Image.Image:
    path = folder / "at.png"
    run_ffmpeg(["-y", "-ss", str(seconds), "-i", source, "-frames:v", "1", str(path)])
    with Image.open(path) as opened:
        opened.load()
        return opened.convert("RGB")


@pytest.mark.parametrize("codec", [X264, ["-c:v", "libvpx", "-an"], ["-c:v", "mpeg4", "-g", "250", "-an"]])
def test_a_fade_from_black_is_not_shown_in_the_dark(codec: list[str], tmp_path: Path) -> None:
    name = "made.webm" if "libvpx" in codec else "made.mp4"
    video = made(tmp_path, "-t", "6", "-i", STREET, graph="fade=in:st=0:d=2", codec=codec, name=name)
    assert mean(thumbnail(tmp_path, video)) > 0.8 * mean(picture_at(tmp_path, STREET, 3))


def test_a_long_black_beginning_is_skipped_in_a_single_group(tmp_path: Path) -> None:
    graph = "[1:v]fps=25,setsar=1[b];[0][b]concat=n=2"
    black = ["-f", "lavfi", "-i", "color=black:s=640x360:d=4:r=25"]
    one_group = [*X264, "-g", "1000", "-sc_threshold", "0"]
    video = made(tmp_path, *black, "-t", "2", "-i", STREET, graph=graph, codec=one_group)
    assert mean(thumbnail(tmp_path, video)) > 60


def test_flat_slides_give_way_to_one_with_something_on_it(tmp_path: Path) -> None:
    slides = [f"color={colour}:s=640x360:d=3:r=25" for colour in ("white", "0x202060", "0x808080")]
    args = [arg for slide in slides for arg in ("-f", "lavfi", "-i", slide)]
    graph = "[3:v]fps=25,trim=duration=1,setsar=1[d];[0][1][d][2]concat=n=4"
    video = made(tmp_path, *args, "-i", STREET, graph=graph)
    assert edges(thumbnail(tmp_path, video)) > 10


def test_a_picture_of_one_scene_is_taken_rather_than_of_a_cross_fade(tmp_path: Path) -> None:
    scale = "fps=25,scale=640:360,settb=1/25,setsar=1"
    graph = f"[0:v]{scale}[a];[1:v]{scale}[b];[a][b]xfade=duration=4:offset=1"
    args = ["-t", "5", "-i", TALK, "-t", "5", "-i", STREET]
    video = made(tmp_path, *args, graph=graph, codec=[*X264, "-g", "25"])
    seen = thumbnail(tmp_path, video)
    scenes = [picture_at(tmp_path, source, at) for source, at in ((TALK, 0.5), (STREET, 4.5))]
    assert min(difference(seen, scene) for scene in scenes) < 12
    assert difference(*scenes) > 40


def test_a_sharp_picture_is_taken_rather_than_a_blurred_one(tmp_path: Path) -> None:
    graph = "gblur=sigma=6:enable='lt(t,7)+gt(t,10)'"
    video = made(tmp_path, "-i", STREET, graph=graph, codec=[*X264, "-g", "50"])
    assert edges(thumbnail(tmp_path, video)) > 0.8 * edges(picture_at(tmp_path, STREET, 8))


def test_what_comes_and_goes_is_shown_rather_than_the_empty_wall(tmp_path: Path) -> None:
    record = run(FIXTURES / "agents" / "single.json", inputs=[TALK], workspace=tmp_path / "ws")
    for output in record.outputs:
        assert output.thumbnail_path is not None
        with Image.open(output.thumbnail_path) as seen:
            blue = seen.convert("RGB").crop((0, seen.height // 2, seen.width, seen.height * 3 // 4))
        # The baker wears blue; the wall and the counter are brown.
        counts = blue.convert("HSV").getchannel("H").histogram()
        assert sum(counts[140:175]) > 0.1 * blue.width * blue.height


def test_the_same_video_has_the_same_thumbnail(tmp_path: Path) -> None:
    for name in ("one.jpg", "two.jpg"):
        write_thumbnail(MEDIA / "talk.mp4", tmp_path / name)
    assert (tmp_path / "one.jpg").read_bytes() == (tmp_path / "two.jpg").read_bytes()


def test_a_black_video_has_a_black_thumbnail(tmp_path: Path) -> None:
    video = made(tmp_path, "-f", "lavfi", "-i", "color=black:s=64x36:d=1:r=25", graph="null")
    assert mean(thumbnail(tmp_path, video)) < 5


def test_a_video_of_one_picture_shows_it(tmp_path: Path) -> None:
    video = made(tmp_path, "-f", "lavfi", "-i", "testsrc2=s=64x36:d=0.04:r=25", graph="null")
    assert thumbnail(tmp_path, video).size == (64, 36)


@pytest.mark.parametrize("name", ["offset.mp4", "tenbit.mp4", "vfr.mkv", "odd.mp4", "rotated.mp4"])
def test_every_kind_of_video_has_an_upright_thumbnail(name: str, tmp_path: Path) -> None:
    seen = thumbnail(tmp_path, MEDIA / name)
    shown = picture_at(tmp_path, str(MEDIA / name), 1.0)
    assert seen.size == shown.size
    assert difference(seen, shown) < 25


def test_a_broken_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(MediaError):
        write_thumbnail(tmp_path / "broken.mp4", tmp_path / "thumb.jpg")
    assert not (tmp_path / "thumb.jpg").exists()


def with_old_thumbnails(workspace: Path) -> list[Path]:
    """Make all thumbnails of a workspace as if an earlier version had chosen a black picture."""
    found = []
    for facts in workspace.glob("assets/*/asset.json"):
        stored = json.loads(facts.read_text("utf-8"))
        del stored["thumbnail_version"]
        facts.write_text(json.dumps(stored), "utf-8")
        found.append(facts.with_name(stored["thumbnail"]))
        Image.new("RGB", (64, 36)).save(found[-1])
    return found


def test_thumbnails_that_an_earlier_version_chose_are_made_again_once(tmp_path: Path) -> None:
    agent, workspace = FIXTURES / "agents" / "trimmer.json", tmp_path / "ws"

    def delivered() -> bytes:
        made = run(agent, inputs=[STREET], workspace=workspace, out=tmp_path / "out").outputs[0]
        assert made.thumbnail_path is not None
        return made.thumbnail_path.read_bytes()

    chosen = delivered()
    old = with_old_thumbnails(workspace)
    assert delivered() == chosen
    assert [path.read_bytes() == chosen for path in old] == [True] * len(old)
    times = [path.stat().st_mtime_ns for path in old]
    assert delivered() == chosen
    assert [path.stat().st_mtime_ns for path in old] == times


def test_an_asset_of_a_workspace_that_cannot_be_written_keeps_its_thumbnail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = Library(tmp_path / "ws").add(Path(STREET))
    (old,) = with_old_thumbnails(tmp_path / "ws")

    def refused(*_args: object, **_options: object) -> str:
        raise PermissionError(13, "Permission denied")

    # The superuser of a test machine may write into any folder.
    monkeypatch.setattr("tempfile.mkdtemp", refused)
    found = Library(tmp_path / "ws").get(asset.id)
    assert found is not None
    assert found.thumbnail == old


def test_a_picture_that_no_chooser_can_read_loses_its_old_thumbnail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = Library(tmp_path / "ws").add(Path(STREET))
    (old,) = with_old_thumbnails(tmp_path / "ws")

    def unreadable(*_args: object, **_options: object) -> None:
        raise MediaError("no picture")

    monkeypatch.setattr("tessera.media.render.thumbnail.write_thumbnail", unreadable)
    found = Library(tmp_path / "ws").get(asset.id)
    assert found is not None
    assert found.thumbnail is None
    assert not old.exists()
