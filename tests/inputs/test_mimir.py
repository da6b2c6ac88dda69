"""Items of a Mimir archive as inputs. An archive on loopback answers as we assume the real one does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tessera import Cancelled, RequestError, RunRecord, run
from tessera.inputs.fetch.rules import FetchRules
from tessera.store.run_store import RunStore
from tests.inputs.test_fetch import AGENT, ONE_SECOND, RULES, left_in, tessera
from tests.support.servers import TALK, Served, serving

KEY = "open-sesame"


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as found:
        found.items |= {
            "both": {"highResUrl": "/good.mp4", "proxyUrl": "/no-ranges.mp4"},
            "light": {"proxyUrl": "/good.mp4"},
            "empty": {},
            "expired": {"highResUrl": "/status/403.mp4"},
        }
        yield found


@pytest.fixture
def workspace(served: Served, tmp_path: Path) -> Path:
    done = connected(served, tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path / ".tessera"


def connected(served: Served, folder: Path, url: str = "/mimir", key: str = KEY) -> Any:
    options = ["--url", served.url + url, "--key", key, "--allow-private-networks"]
    return tessera("settings", "mimir", *options, cwd=folder)


def of_item(workspace: Path, *items: dict[str, Any], rules: FetchRules = RULES, **options: Any) -> RunRecord:
    request = {"mimir_assets": list(items), **ONE_SECOND}
    return run(AGENT, request, workspace=workspace, fetch_rules=rules, **options)


def test_a_connection_is_verified_and_stored_for_its_owner_only(served: Served, tmp_path: Path) -> None:
    done = connected(served, tmp_path)
    assert done.returncode == 0, done.stderr
    assert KEY not in done.stdout + done.stderr
    saved = tmp_path / ".tessera" / "connections" / "mimir.json"
    assert json.loads(saved.read_text())["key"] == KEY
    assert saved.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("url", "key", "says"),
    [
        ("/mimir", "wrong", "the server answered 401"),
        ("/elsewhere", KEY, "the server answered 404"),
        ("/page.mp4?", KEY, "does not respond like a Mimir archive"),
    ],
)
def test_a_connection_that_does_not_work_is_not_saved(
    url: str, key: str, says: str, served: Served, tmp_path: Path
) -> None:
    done = connected(served, tmp_path, url, key)
    assert done.returncode == 2
    assert says in done.stderr
    assert "check the URL and the key" in done.stderr
    assert KEY not in done.stderr
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("item", "artifact", "fetched"),
    [
        ({"id": "both"}, "highres", "/good.mp4"),
        ({"id": "both", "artifact": "proxy"}, "proxy", "/no-ranges.mp4"),
        ({"id": "both", "artifact": "auto"}, "highres", "/good.mp4"),
        ({"id": "light", "artifact": "auto"}, "proxy", "/good.mp4"),
    ],
)
def test_the_requested_artifact_is_fetched_and_recorded(
    item: dict[str, str], artifact: str, fetched: str, served: Served, workspace: Path
) -> None:
    record = of_item(workspace, item)
    (given,) = record.inputs
    assert given["name"] == f"Item {item['id']}"
    assert given["metered_ms"] == 1000
    assert {name: given["source_info"][name] for name in ("provider", "item_id", "artifact")} == {
        "provider": "mimir",
        "item_id": item["id"],
        "artifact": artifact,
    }
    (shown,) = record.to_dict()["outputs"][0]["sources"]
    assert shown["source_info"] == given["source_info"], "outputs keep the origin of their item"
    assert served.times(fetched) == 2
    assert Path(given["video_url"].removeprefix("file://")).read_bytes() == TALK.read_bytes()
    assert "s3cret" not in record.to_json()


def test_an_item_requested_in_several_ways_is_fetched_once(served: Served, workspace: Path) -> None:
    record = of_item(workspace, {"id": "both"}, {"id": "both", "artifact": "auto"})
    assert len(record.inputs) == 2
    assert served.sent("/good.mp4") == TALK.stat().st_size + 2 * 65_536
    of_item(workspace, {"id": "both"})
    assert served.sent("/good.mp4") == TALK.stat().st_size + 3 * 65_536


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ({"id": "light"}, "has no highres artifact; it has proxy: ask for that, or for auto"),
        ({"id": "empty", "artifact": "auto"}, "has no highres or proxy artifact, and no other"),
        ({"id": "nobody"}, "Mimir has no item nobody: check the id"),
        ({"id": "expired"}, "the server answered 403"),
    ],
)
def test_an_unavailable_item_is_refused(
    item: dict[str, str], says: str, served: Served, workspace: Path
) -> None:
    with pytest.raises(RequestError) as caught:
        of_item(workspace, item)
    (fault,) = caught.value.errors
    assert fault.loc == "/mimir_assets/0"
    assert says in fault.message
    assert "s3cret" not in fault.message
    assert left_in(workspace) == ["connections/mimir.json"]


def test_a_key_that_is_refused_later_gives_a_clear_error(served: Served, workspace: Path) -> None:
    saved = workspace / "connections" / "mimir.json"
    saved.write_text(saved.read_text().replace(KEY, "revoked"))
    with pytest.raises(RequestError, match="the server answered 401"):
        of_item(workspace, {"id": "both"})


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_failing_archive_is_asked_again(status: int, served: Served, workspace: Path) -> None:
    served.flaws["archive both"] = status
    record = of_item(workspace, {"id": "both"})
    assert record.inputs[0]["source_info"]["item_id"] == "both"
    assert served.times("/mimir/api/v1/items/both") == 3


@pytest.mark.parametrize("status", [429, 500])
def test_an_archive_that_keeps_failing_is_named_in_the_error(
    status: int, served: Served, workspace: Path
) -> None:
    served.flaws["archive both"] = status
    with pytest.raises(RequestError) as caught:
        of_item(workspace, {"id": "both"}, rules=replace(RULES, retry_s=0.02, pause_s=0.02))
    (fault,) = caught.value.errors
    assert fault.message.count("Mimir item both") == 1
    assert f"the server answered {status}" in fault.message
    assert "tried for 0.02 s" in fault.message


def test_an_archive_that_does_not_answer_times_out(served: Served, workspace: Path) -> None:
    served.flaws["archive both"] = 0
    with pytest.raises(RequestError, match="no progress"):
        of_item(workspace, {"id": "both"}, rules=replace(RULES, stall_s=0.5))


def test_a_look_up_ends_when_the_run_is_cancelled(served: Served, workspace: Path) -> None:
    served.flaws["archive both"] = 0
    with pytest.raises(Cancelled):
        of_item(workspace, {"id": "both"}, cancelled=lambda: served.times("/mimir/api/v1/items/both") > 0)
    assert left_in(workspace) == ["connections/mimir.json"]


@pytest.mark.parametrize(
    ("artifact", "given", "fetched"),
    [("highres", "both", "highres"), ("proxy", "both", "proxy"), ("auto", "light", "proxy")],
)
@pytest.mark.parametrize("clip", [None, (500, 1500), (20_000, 60_000)], ids=["whole", "clip", "clamped"])
def test_clips_keep_the_origin_of_their_item(
    artifact: str, given: str, fetched: str, clip: tuple[int, int] | None, served: Served, workspace: Path
) -> None:
    connection = json.loads((workspace / "connections" / "mimir.json").read_text())["id"]
    edges = {"input_clip_start_ms": clip[0], "input_clip_end_ms": clip[1]} if clip else {}
    request = {"mimir_assets": [{"id": given, "artifact": artifact, **edges}]}
    record = run(AGENT, request, workspace=workspace, fetch_rules=RULES)
    wanted = {"provider": "mimir", "item_id": given, "artifact": fetched, "connection_id": connection}
    assert record.inputs[0]["source_info"] == wanted
    length = min(clip[1], 24_024) - clip[0] if clip else 24_024
    assert record.inputs[0]["metered_ms"] == length
    kept = RunStore(workspace).record(record.run_id)
    assert kept["inputs"][0]["source_info"] == wanted
    media = kept["inputs"][0]["video_id"]
    assert {one["source"] for item in record.items for one in item["sources"]} == {media}
