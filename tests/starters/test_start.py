"""A new project overwrites nothing, leaves nothing half-written, and has names of its own."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from tessera.errors import RequestError, WorkspaceError
from tessera.starters import starter
from tessera.starters.start import start
from tessera.starters.starter_kind import StarterKind
from tessera.starters.tile_starter import TileNames, tile_names


def all_files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("kind", "taken"),
    [("agent", "facts.json"), ("tile", "tests/test_zoomer.py"), ("test", "test_rewrites.py")],
)
def test_an_existing_file_is_named_and_nothing_is_written(kind: str, taken: str, tmp_path: Path) -> None:
    folder = tmp_path / "zoomer"
    (folder / taken).parent.mkdir(parents=True)
    (folder / taken).write_text("mine")
    before = all_files(folder)
    with pytest.raises(RequestError, match=f"{taken} exists already; nothing is written"):
        start(StarterKind(kind), folder)
    assert all_files(folder) == before
    assert (folder / taken).read_text() == "mine"


def test_a_broken_link_counts_as_an_existing_file(tmp_path: Path) -> None:
    (tmp_path / "agent.json").symlink_to(tmp_path / "nowhere.json")
    with pytest.raises(RequestError, match=r"agent\.json exists already"):
        start(StarterKind.AGENT, tmp_path)
    assert all_files(tmp_path) == ["agent.json"]


def test_a_second_start_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    start(StarterKind.TEST, tmp_path)
    before = (tmp_path / "agent.json").read_text()
    with pytest.raises(RequestError, match=r"agent\.json exists already, and 1 more of its files"):
        start(StarterKind.TEST, tmp_path)
    assert (tmp_path / "agent.json").read_text() == before


def test_a_folder_with_other_files_is_used(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    start(StarterKind.AGENT, tmp_path)
    assert all_files(tmp_path) == ["agent.json", "facts.json", "notes.txt", "request.json"]


def test_nothing_remains_of_a_start_that_cannot_be_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = starter.write_atomically

    def full_disk(path: Path, text: str) -> None:
        if path.name == "tile.py":
            raise WorkspaceError(f"cannot write {path}: No space left on device")
        write(path, text)

    monkeypatch.setattr(starter, "write_atomically", full_disk)
    (tmp_path / "zoomer").mkdir()
    (tmp_path / "zoomer/notes.txt").write_text("mine")
    with pytest.raises(WorkspaceError, match=r"tile\.py: No space left"):
        start(StarterKind.TILE, tmp_path / "zoomer")
    assert all_files(tmp_path) == ["zoomer", "zoomer/notes.txt"]


def test_every_agent_has_ids_of_its_own(tmp_path: Path) -> None:
    ids = []
    for name in ("one", "two"):
        start(StarterKind.AGENT, tmp_path / name)
        agent = json.loads((tmp_path / name / "agent.json").read_text())
        ids += [agent["agent"]["id"], *(tile["agent_node_id"] for tile in agent["agent_nodes"])]
    assert len(set(ids)) == 12
    assert all(str(uuid.UUID(one)) == one for one in ids)


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("soft-zoom", TileNames("soft-zoom", "soft_zoom", "Soft Zoom", "SoftZoomTile")),
        ("My.Tile", TileNames("My.Tile", "my_tile", "My Tile", "MyTile")),
        ("video", TileNames("video", "video", "Video", "VideoTile")),
    ],
)
def test_a_tile_is_named_after_its_folder(folder: str, names: TileNames) -> None:
    assert tile_names(folder) == names


@pytest.mark.parametrize(
    ("folder", "why"),
    [
        ("", "begin with a letter"),
        ("2nd-zoom", "begin with a letter"),
        ("soft zoom", "begin with a letter"),
        ("zoom-", "begin with a letter"),
        ("größer", "begin with a letter"),
        ("$package", "begin with a letter"),
        ("z" * 101, "at most 100 characters"),
        ("class", "a meaning of its own"),
        ("input", "a meaning of its own"),
        ("json", "a module 'json'"),
        ("numpy", "a module 'numpy'"),
        ("tessera", "a module 'tessera'"),
        ("mirror", "a tile 'Mirror'"),
        ("Rough-Cut", "a tile 'Rough Cut'"),
        ("music", "a tile 'AI Music'"),
        ("ai-mirror", "a tile 'Mirror'"),
    ],
)
def test_a_folder_that_cannot_name_a_tile_is_refused(folder: str, why: str) -> None:
    with pytest.raises(RequestError, match=why):
        tile_names(folder)


def test_a_refused_name_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(RequestError):
        start(StarterKind.TILE, tmp_path / "soft zoom")
    assert all_files(tmp_path) == []
