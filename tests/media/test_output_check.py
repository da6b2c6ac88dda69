"""A finished file that is not what was described is an error of its output, and leaves nothing behind."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import pytest

from tessera import resume, run
from tessera.errors import RenderError
from tessera.inputs.resolve import video_of
from tessera.media.algebra.expression import Expr
from tessera.media.algebra.item import Video
from tessera.media.ffmpeg.compiler import Located
from tessera.media.probe.probe import probe
from tessera.media.process.process import ffmpeg_path
from tessera.media.render.output_check import check_output, probe_output
from tessera.media.render.renderer import Renderer
from tessera.store.run_store import RunStore
from tessera.testing import agent
from tests.support.media import MEDIA, located, paint, renderer, source

BROKEN = """#!{python}
import os, sys
arguments = sys.argv[1:]
outputs = [n for n, one in enumerate(arguments) if one.endswith(".mp4") and n and arguments[n - 1] != "-i"]
for place in reversed(outputs):
    arguments[place:place] = {extra}
os.execv({ffmpeg!r}, ["ffmpeg", *arguments])
"""
"""An ffmpeg that makes other files than it was told to."""


def resolve(leaf: Expr) -> Located:
    return located(leaf.arg("asset"))


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Video]:
    """Return a render of one second, and its expression."""
    video = source("pal").keep([(Fraction(0), Fraction(1))])
    return renderer().render(video, tmp_path / "made.mp4").path, video


def test_a_render_keeps_its_promise(made: tuple[Path, Video]) -> None:
    path, video = made
    check_output(probe_output(path), video.picture, video.sound, resolve)


def test_each_difference_is_named_with_both_values(made: tuple[Path, Video]) -> None:
    info, video = probe_output(made[0]), made[1]
    picture, sound = video.picture, video.sound
    assert sound is not None
    longer = source("pal").keep([(Fraction(0), Fraction(2))])
    wide = f"{picture.width}×{picture.height}, not {picture.width // 2}×{picture.height}"
    cases = [
        (picture, None, "it has sound, but none was promised"),
        (None, sound, "it has a picture, but none was promised"),
        (longer.picture, sound, r"its picture lasts 1(\.\d+)? s, not 2 s"),
        (picture, longer.sound, r"its sound lasts 1(\.\d+)? s, not 2 s"),
        (picture.scale(picture.width // 2, picture.height), sound, wide),
    ]
    for promised, heard, message in cases:
        with pytest.raises(RenderError, match=message):
            check_output(info, promised, heard, resolve)
    with pytest.raises(RenderError, match="sound was promised, but it has none"):
        check_output(info.model_copy(update={"sound": None}), picture, sound, resolve)
    with pytest.raises(RenderError, match="a picture was promised, but it has none"):
        check_output(info.model_copy(update={"picture": None}), picture, sound, resolve)
    assert info.picture is not None
    assert info.sound is not None
    half = info.picture.model_copy(update={"frames": info.picture.frames // 2})
    with pytest.raises(RenderError, match="it has 12 pictures, not 25"):
        check_output(info.model_copy(update={"picture": half}), picture, sound, resolve)
    mono = info.model_copy(update={"sound": info.sound.model_copy(update={"channels": 6})})
    with pytest.raises(RenderError, match="its sound has 48,000 Hz, 6 channels, not 48,000 Hz, "):
        check_output(mono, picture, sound, resolve)


def test_a_file_without_content_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.write_bytes(b"")
    with pytest.raises(RenderError, match=r"the finished file cannot be used: .*empty"):
        probe_output(path)


def test_a_copy_that_takes_too_long_fails_for_that_reason_and_is_not_encoded_instead(tmp_path: Path) -> None:
    talk = MEDIA / "talk.mp4"
    info = probe(talk)
    slow = Renderer(lambda _asset: Located(talk, info), paint, timeout_s=1e-9)
    with pytest.raises(RenderError, match="copying took longer than 1e-09 s and was stopped"):
        slow.render(video_of("talk", info), tmp_path / "out.mp4")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["-t", "1"], "it has 30 pictures, not 720"),
        (["-s", "64x64"], "its picture is 64×64, not "),
    ],
)
def test_a_run_whose_ffmpeg_makes_another_file_fails_and_can_be_resumed(
    extra: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "ffmpeg"
    broken.write_text(BROKEN.format(python=sys.executable, extra=extra, ffmpeg=ffmpeg_path()))
    broken.chmod(0o755)
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setenv("TESSERA_FFMPEG", str(broken))
        ffmpeg_path.cache_clear()
        record = run(
            agent("input > mirror"), inputs=[str(MEDIA / "talk.mp4")], workspace=tmp_path / "ws", out=out
        )
    ffmpeg_path.cache_clear()
    assert record.status == "failed"
    [(error,)] = [node["errors"] for node in record.to_dict()["nodes"] if node["errors"]]
    assert "the finished file is not what was promised" in error
    assert message in error
    assert record.outputs == []
    assert [path for path in out.rglob("*") if path.is_file() and path.suffix in (".mp4", ".jpg")] == []
    stored = RunStore(tmp_path / "ws")
    assert len(list((tmp_path / "ws" / "assets").rglob("*.mp4"))) == 1, "only the input"
    again = resume(record.run_id, workspace=tmp_path / "ws")
    assert again.status == "completed"
    assert stored.record(record.run_id)["status"] == "completed"
    assert len(list(out.glob("*.mp4"))) == 1
