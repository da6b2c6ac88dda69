"""Damaged media of a workspace is never delivered. It is rendered or stored again from its source; without a
source, the error names the damaged file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tessera import RequestError, RunRecord, run
from tessera.cli import main
from tessera.errors import DamagedError, WorkspaceError
from tessera.inputs.assets.asset import parse_asset_json
from tessera.inputs.assets.library import Library
from tessera.store.store_check import check
from tessera.testing import agent
from tests.support.media import MEDIA

AGENT = agent("input > mirror > destination")
SILENT = MEDIA / "silent.mp4"


def flip(asset: Path) -> None:
    media = next(asset.glob("media.*"))
    content = bytearray(media.read_bytes())
    content[len(content) // 2] ^= 1
    media.write_bytes(content)


def cut(asset: Path) -> None:
    os.truncate(next(asset.glob("media.*")), 1000)


def writes(text: bytes) -> Callable[[Path], None]:
    return lambda asset: (asset / "asset.json").write_bytes(text) and None


def rewrite(asset: Path, member: str, value: Any) -> None:
    """Change a fact of the picture in `asset.json`."""
    file = asset / "asset.json"
    facts = json.loads(file.read_text())
    facts["info"]["picture"][member] = value
    file.write_text(json.dumps(facts))


DAMAGES: dict[str, Callable[[Path], None]] = {
    "a changed byte": flip,
    "cut short": cut,
    "no media": lambda asset: next(asset.glob("media.*")).unlink(),
    "no thumbnail": lambda asset: (asset / "thumbnail.jpg").unlink(),
    "no asset.json": lambda asset: (asset / "asset.json").unlink(),
    "{}": writes(b"{}"),
    "[1]": writes(b"[1]"),
    "no JSON": writes(b"no JSON"),
    "no text": writes(b"\xff\xfe"),
    "a division by zero": lambda asset: rewrite(asset, "duration", "1/0"),
    "an object as a number": lambda asset: rewrite(asset, "rate", {}),
    "an infinite size": lambda asset: (asset / "asset.json").write_text('{"size": 1e999}') and None,
    "5,000 digits": lambda asset: (asset / "asset.json").write_text('{"size": ' + "9" * 5000 + "}") and None,
    "deep": writes(b"[" * 200_000),
}


def digest(path: str | Path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def run_agent(workspace: Path) -> RunRecord:
    return run(AGENT, inputs=[str(SILENT)], workspace=workspace)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("of", ["video_id", "asset_id"])
def test_a_run_repairs_damaged_assets(of: str, damage: str, tmp_path: Path) -> None:
    before = run_agent(tmp_path)
    whole = digest(before.outputs[0].raw["path"])
    raw = before.to_dict()
    asset = (raw["inputs"][0] if of == "video_id" else raw["outputs"][0])[of]
    DAMAGES[damage](tmp_path / "assets" / asset)
    assert check(tmp_path).problems
    after = run_agent(tmp_path)
    assert after.status == "completed"
    assert digest(after.outputs[0].raw["path"]) == whole
    assert check(tmp_path).problems == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_asset_named_by_id_is_refused_until_it_is_uploaded_again(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace, file = tmp_path / "ws", tmp_path / "agent.json"
    file.write_text(AGENT.to_json())
    asset = Library(workspace).add(SILENT)
    DAMAGES[damage](asset.path.parent)
    request = json.dumps({"video_ids": [asset.id]})
    line = ["run", str(file), request, "--workspace", str(workspace)]
    assert main(line) == 2
    said = capsys.readouterr().err
    assert asset.id in said
    assert "internal" not in said
    assert main(["upload", str(SILENT), "--workspace", str(workspace)]) == 0
    assert main(line) == 0
    assert check(workspace).problems == []


def test_media_of_a_copied_workspace_is_verified_once(tmp_path: Path) -> None:
    run_agent(tmp_path / "ws")
    copied = tmp_path / "copied"
    shutil.copytree(tmp_path / "ws", copied, copy_function=shutil.copyfile)
    for _ in range(2):
        again = run_agent(copied)
        assert again.status == "completed"
        assert all(output.raw["reused"] for output in again.outputs)
        assert {node.work for node in again.nodes.values()} == {"cached"}
    for facts in copied.glob("assets/*/asset.json"):
        noted = json.loads(facts.read_text())
        media = facts.parent / noted["path"]
        assert noted["modified_ns"] == media.stat().st_mtime_ns, "it is not read again"


def test_times_rounded_to_whole_seconds_do_not_cause_media_to_be_read_again(tmp_path: Path) -> None:
    asset = Library(tmp_path).add(SILENT)
    seconds = asset.path.stat().st_mtime_ns // 10**9
    os.utime(asset.path, (seconds, seconds))
    before = (asset.path.parent / "asset.json").read_text()
    assert Library(tmp_path).get(asset.id) is not None
    assert (asset.path.parent / "asset.json").read_text() == before


def test_a_damaged_asset_is_restored_from_the_shared_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSERA_STORE_URL", (tmp_path / "share").as_uri())
    asset = Library(tmp_path / "ws").add(SILENT)
    flip(asset.path.parent)
    found = Library(tmp_path / "ws").get(asset.id)
    assert found is not None
    assert digest(found.path) == asset.sha256
    assert check(tmp_path / "ws").problems == []


def test_a_truncated_asset_in_the_shared_store_is_uploaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSERA_STORE_URL", (tmp_path / "share").as_uri())
    asset = Library(tmp_path / "one").add(SILENT)
    cut(tmp_path / "share" / "assets" / asset.id)
    assert Library(tmp_path / "two").add(SILENT).id == asset.id
    assert check(tmp_path / "two").problems == []
    assert Library(tmp_path / "three").get(asset.id) is not None


def test_a_watermark_whose_picture_is_damaged_is_refused_before_the_run(tmp_path: Path) -> None:
    logo = Library(tmp_path).add(MEDIA / "logo.png")
    flip(logo.path.parent)
    document = agent(f'input > watermark(use_custom_logo="custom", image_id="{logo.id}")')
    with pytest.raises(RequestError, match=f"asset {logo.id} is damaged: .*its content has changed"):
        run(document, inputs=[str(SILENT)], workspace=tmp_path)


def test_the_error_for_an_asset_damaged_in_both_places_names_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSERA_STORE_URL", (tmp_path / "share").as_uri())
    asset = Library(tmp_path / "ws").add(SILENT)
    flip(asset.path.parent)
    flip(tmp_path / "share" / "assets" / asset.id)
    with pytest.raises(DamagedError, match=f"{asset.path} its content has changed.*share.* is corrupt"):
        Library(tmp_path / "ws").get(asset.id)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_machine_with_an_intact_copy_repairs_the_shared_store(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSERA_STORE_URL", (tmp_path / "share").as_uri())
    asset = Library(tmp_path / "one").add(SILENT)
    DAMAGES[damage](tmp_path / "share" / "assets" / asset.id)
    assert Library(tmp_path / "two").add(SILENT).id == asset.id
    assert check(tmp_path / "two").problems == []
    found = Library(tmp_path / "three").get(asset.id)
    assert found is not None
    assert digest(found.path) == asset.sha256


def test_too_many_open_files_are_not_mistaken_for_damage(
    tmp_path: Path,
) -> None:
    asset, library = Library(tmp_path).add(SILENT), Library(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(WorkspaceError) as error:
            library.intact(asset.id)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert not isinstance(error.value, DamagedError)
    assert "Too many open files" in str(error.value)


def test_concurrent_repairs_of_one_asset_leave_it_intact(tmp_path: Path) -> None:
    asset = Library(tmp_path).add(SILENT)
    line = "from tessera.inputs.assets.library import Library; from pathlib import Path; import sys; "
    line += "print(Library(Path(sys.argv[1])).add(Path(sys.argv[2])).id)"
    for damage in ("a changed byte", "no asset.json", "cut short"):
        DAMAGES[damage](tmp_path / "assets" / asset.id)
        begun = [
            subprocess.Popen(
                [sys.executable, "-c", line, str(tmp_path), str(SILENT)], stdout=subprocess.PIPE, text=True
            )
            for _ in range(3)
        ]
        with ThreadPoolExecutor(4) as threads:
            within = list(threads.map(lambda _: Library(tmp_path).add(SILENT).id, range(4)))
        assert {one.communicate()[0].strip() for one in begun} == {asset.id}
        assert set(within) == {asset.id}
        assert check(tmp_path).problems == []
        assert not list((tmp_path / "assets").glob(".part-*"))


def test_a_tile_that_analyses_damaged_media_names_the_asset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = agent("input > clips(num_clips=2, target_duration=4) > destination")
    source = Library(tmp_path).add(MEDIA / "talk.mp4")
    first = run(document, {"video_ids": [source.id]}, workspace=tmp_path)
    shutil.rmtree(tmp_path / "analysis")
    flip(source.path.parent)
    line = ["run", "--of", first.run_id, "--from", "Clips", "--no-cache", "--workspace", str(tmp_path)]
    assert main(line) == 1
    printed = "".join(capsys.readouterr())
    assert f"asset {source.id} is damaged" in printed
    assert "internal error" not in printed


def test_an_asset_with_the_content_of_another_is_damaged(tmp_path: Path) -> None:
    one, other = Library(tmp_path).add(SILENT), Library(tmp_path).add(MEDIA / "talk.mp4")
    shutil.rmtree(one.path.parent)
    shutil.copytree(other.path.parent, one.path.parent)
    with pytest.raises(DamagedError, match="belongs to another asset"):
        Library(tmp_path).get(one.id)
    assert [problem.what for problem in check(tmp_path).problems] == ["corrupt"]


SAID = [5, None, "", "../media.mp4", "/etc/hostname", ".", ["x"], {"a": 1}]


@pytest.mark.parametrize("said", SAID, ids=repr)
@pytest.mark.parametrize("of", ["id", "sha256", "size", "path", "thumbnail", "info"])
def test_malformed_asset_facts_are_reported_and_break_nothing_here_or_in_the_shared_store(
    of: str, said: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSERA_STORE_URL", (tmp_path / "share").as_uri())
    asset = Library(tmp_path / "one").add(SILENT)
    written = (asset.path.parent / "asset.json").read_text()
    faults = 0 if of == "thumbnail" and said is None else 1
    for place in ("one", "share"):
        file = tmp_path / place / "assets" / asset.id / "asset.json"
        file.write_text(json.dumps({**json.loads(written), of: said}))
    assert len(check(tmp_path / "one").problems) == 2 * faults
    assert Library(tmp_path / "two").intact(asset.id) is None or not faults
    assert Library(tmp_path / "two").add(SILENT).id == asset.id
    found = Library(tmp_path / "one").get(asset.id)
    assert found is not None
    assert digest(found.path) == asset.sha256
    assert check(tmp_path / "one").problems == []


@pytest.mark.parametrize(
    ("member", "value", "says"),
    [
        ("duration", "1/0", "/info/picture/duration: 1/0 is not a number: it divides by zero"),
        ("rate", {}, "/info/picture/rate: an object is not a number"),
        ("width", "wide", '/info/picture/width: must be a whole number, not "wide"'),
        ("frames", None, "/info/picture/frames: must be a whole number, not null"),
    ],
)
def test_a_damaged_description_is_reported_in_plain_words(
    member: str, value: Any, says: str, tmp_path: Path
) -> None:
    asset = Library(tmp_path).add(SILENT)
    rewrite(asset.path.parent, member, value)
    with pytest.raises(ValueError, match=f"^{re.escape(says)}"):
        parse_asset_json((asset.path.parent / "asset.json").read_bytes(), asset.id)
