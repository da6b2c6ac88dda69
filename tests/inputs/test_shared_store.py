"""Several machines share one media store, at a URL, and one database."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tessera import run
from tessera.cli import main
from tessera.errors import WorkspaceError
from tessera.inputs.assets.library import Library
from tessera.inputs.assets.shared_store import SharedStore
from tessera.store.store_check import check
from tessera.testing import agent
from tests.support.media import MEDIA

AGENT = agent("input > mirror > destination")


@pytest.fixture
def share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that acts as the shared store, with the database and the media."""
    (tmp_path / "share").mkdir()
    monkeypatch.setenv("TESSERA_STORE_URL", (tmp_path / "share").as_uri())
    monkeypatch.setenv("TESSERA_DATABASE_URL", f"sqlite:///{tmp_path / 'share' / 'runs.db'}")
    return tmp_path / "share"


def test_a_machine_reuses_the_results_of_another(share: Path, tmp_path: Path) -> None:
    first = run(AGENT, inputs=[str(MEDIA / "silent.mp4")], workspace=tmp_path / "one")
    second = run(AGENT, inputs=[str(MEDIA / "silent.mp4")], workspace=tmp_path / "two")
    assert {node.work for node in second.nodes.values()} == {"cached"}
    assert second.outputs[0].raw["reused"]
    for record in (first, second):
        assert record.outputs[0].path is not None
    assert first.outputs[0].path.read_bytes() == second.outputs[0].path.read_bytes()  # type: ignore[union-attr]
    third = run(AGENT, {"node_render_ids": [first.outputs[0].id]}, workspace=tmp_path / "three")
    assert third.status == "completed"
    assert check(tmp_path / "two").problems == []


def test_incomplete_media_in_the_store_counts_as_missing(share: Path, tmp_path: Path) -> None:
    asset = Library(tmp_path / "one").add(MEDIA / "silent.mp4")
    (share / "assets" / asset.id / "asset.json").unlink()
    assert Library(tmp_path / "two").get(asset.id) is None
    assert "has no asset.json" in check(tmp_path / "one").problems[0].message


def test_media_that_changed_in_the_store_is_refused(share: Path, tmp_path: Path) -> None:
    asset = Library(tmp_path / "one").add(MEDIA / "silent.mp4")
    media = next((share / "assets" / asset.id).glob("media.*"))
    media.write_bytes(media.read_bytes()[:-1] + b"x")
    with pytest.raises(WorkspaceError, match="corrupt"):
        Library(tmp_path / "two").get(asset.id)
    assert not list((tmp_path / "two" / "assets").iterdir())


def test_the_same_content_is_uploaded_once(share: Path, tmp_path: Path) -> None:
    Library(tmp_path / "one").add(MEDIA / "silent.mp4")
    before = {path: path.stat().st_mtime_ns for path in share.rglob("*")}
    Library(tmp_path / "two").add(MEDIA / "silent.mp4")
    assert {path: path.stat().st_mtime_ns for path in share.rglob("*")} == before


@pytest.mark.parametrize("url", ["nowhere://x/y", "s3://bucket/x"])
def test_an_unsupported_store_url_is_refused(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("fsspec")
    monkeypatch.setenv("TESSERA_STORE_URL", url)
    code = main(["upload", str(MEDIA / "logo.png"), "--workspace", str(tmp_path / "ws")])
    assert code == 2
    assert f"TESSERA_STORE_URL={url}" in capsys.readouterr().err


def test_an_unwritable_store_gives_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WorkspaceError, match="cannot write"):
        SharedStore((tmp_path / "file" / "below").as_uri()).push(MEDIA, "x")


def test_without_fsspec_the_message_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['fsspec'] = None\n"
        "from tessera.cli import main\n"
        f"sys.exit(main(['upload', {str(MEDIA / 'logo.png')!r}, '--workspace', {str(tmp_path / 'ws')!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"TESSERA_STORE_URL": "file:///tmp/x", "PATH": "/usr/bin:/bin"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "pip install 'tessera-runtime[store]'" in done.stderr
