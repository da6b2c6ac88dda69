"""Rows that Tessera did not write are reported by `store check`, and never crash a command; cached work with
such a row is repeated.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tessera import run
from tessera.cli import main
from tessera.store.store_check import check
from tessera.testing import agent
from tests.support.media import MEDIA

AGENT = agent("input > mirror > destination")
INPUTS = [str(MEDIA / "silent.mp4")]
FOREIGN = ("{}", "[]", "[1]", "null", "not JSON", '"x"', '{"kind": "item_made"}')


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = tmp_path_factory.mktemp("made") / "ws"
    run(AGENT, inputs=INPUTS, workspace=workspace, out=workspace.parent / "out")
    return workspace


def changed_copy(made: Path, folder: Path, statement: str, *values: str) -> Path:
    """Return a copy of a workspace after this SQL statement."""
    with closing(sqlite3.connect(made / "tessera.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    workspace: Path = shutil.copytree(made, folder / "ws")
    with closing(sqlite3.connect(workspace / "tessera.db")) as database:
        assert database.execute(statement, values).rowcount > 0
        database.commit()
    return workspace


ROWS = {
    **{
        table: f"UPDATE {table} SET body = ?"
        for table in ("events", "items", "expressions", "tiles", "lately")
    },
    **{
        name: f"UPDATE documents SET body = ? WHERE name = '{name}.json'"
        for name in ("plan", "record", "facts", "agent", "answers")
    },
}


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("rows", ROWS)
def test_an_unreadable_row_is_reported_and_breaks_no_command(
    rows: str, foreign: str, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = changed_copy(made, tmp_path, ROWS[rows], foreign)
    found = {one.what for one in check(workspace).problems}
    is_any_object = rows in ("facts", "agent", "answers") and foreign.startswith("{")
    assert found <= {"corrupt"} if is_any_object else found == {"corrupt"}
    out = str(tmp_path / "x")
    for line in (
        ["show", "latest", "--items"],
        ["logs", "latest"],
        ["trace", "latest", "--out", f"{out}.json"],
        ["preview", "latest", "Mirror", "--out", out],
        ["bundle", "latest", "-o", f"{out}.zip", "--originals"],
        ["resume", "latest"],
        ["run", "--of", "latest", "--from", "Mirror", "--out", out],
        ["runs"],
    ):
        assert main([*line, "--workspace", str(workspace)]) in (0, 1, 2)
        assert "internal error" not in capsys.readouterr().err, line
    assert run(AGENT, inputs=INPUTS, workspace=workspace).status == "completed"
    assert main(["store", "prune", "--keep", "1GB", "--keep-runs", "0", "--workspace", str(workspace)]) == 0


@pytest.mark.parametrize("foreign", FOREIGN[1:])
def test_an_unreadable_render_row_is_reported_and_the_render_is_repeated(
    foreign: str, made: Path, tmp_path: Path
) -> None:
    workspace = changed_copy(made, tmp_path, "UPDATE rendered SET facts = ?", foreign)
    assert {one.what for one in check(workspace).problems} <= {"corrupt"}
    assert run(AGENT, inputs=INPUTS, workspace=workspace).status == "completed"
    assert check(workspace).problems == []


@pytest.mark.parametrize("table", ["tiles", "lately"])
def test_work_with_an_unreadable_row_is_repeated_and_cached_again(
    table: str, made: Path, tmp_path: Path
) -> None:
    workspace = changed_copy(made, tmp_path, f"UPDATE {table} SET body = '[]'")
    for _ in range(2):
        record = run(AGENT, inputs=INPUTS, workspace=workspace)
        assert record.status == "completed"
    assert {node.work for node in record.nodes.values()} == {"cached"}
    assert check(workspace).problems == []


def test_a_changed_output_is_reported(tmp_path: Path) -> None:
    record = run(AGENT, inputs=INPUTS, workspace=tmp_path)
    path = Path(record.outputs[0].raw["path"])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    [problem] = check(tmp_path).problems
    assert (problem.what, problem.where) == ("corrupt", str(path))
