"""A URL that fails leaves a workspace in use unchanged: its runs, its media, no files without an owner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from tessera import RequestError, run
from tessera.store.run_store import RunStore
from tessera.store.store_check import check
from tests.inputs.test_fetch import AGENT, ONE_SECOND, RULES, left_in
from tests.support.servers import Served, serving

IMPATIENT = replace(RULES, retry_s=0.3, stall_s=0.6)


class Used(NamedTuple):
    served: Served
    workspace: Path


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Used]:
    """Return a server, and a workspace with a completed run of its good file."""
    workspace = tmp_path_factory.mktemp("workspace")
    with serving() as served:
        served.videos |= {
            "long": {"duration": 18_001},
            "gone": {"formats": [{"format_id": "0", "url": "/status/410.mp4"}]},
            "away": {"formats": [{"format_id": "0", "url": "/to?http://192.0.2.1/a.mp4"}]},
        }
        request = {"video_urls": [f"{served.url}/good.mp4"], **ONE_SECOND}
        run(AGENT, request, workspace=workspace, fetch_rules=RULES)
        yield Used(served, workspace)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/too-long.mp4", "expected 615687"),
        ("/endless.mp4", "sends more than"),
        ("/status/404.mp4", "404"),
        ("/status/403.mp4", "403"),
        ("/status/410.mp4", "410"),
        ("/status/429.mp4", "429"),
        ("/status/500.mp4", "500"),
        ("/text.mp4", "is text"),
        ("/passwd.mp4", "is a playlist"),
        ("/loopback.mp4", "is a playlist"),
        ("/trickle.mp4", "no progress"),
        ("/back/2000", "redirects more than 10 times"),
        ("/to?http://192.0.2.1/", "refused: 192.0.2.1 is a private address"),
        ("/site/watch?v=long", "lasts 18001000 ms; at most 18000000 ms"),
        ("/site/watch?v=gone", "410"),
        ("/site/watch?v=away", "refused: 192.0.2.1 is a private address"),
    ],
)
def test_a_failed_fetch_leaves_the_workspace_as_it_was(path: str, says: str, used: Used) -> None:
    served, workspace = used
    form = "youtube_urls" if path.startswith("/site") else "video_urls"
    runs, files = RunStore(workspace).run_ids(), left_in(workspace)
    with pytest.raises(RequestError, match=says):
        run(AGENT, {form: [served.url + path], **ONE_SECOND}, workspace=workspace, fetch_rules=IMPATIENT)
    assert RunStore(workspace).run_ids() == runs
    assert left_in(workspace) == files
    assert check(workspace).problems == []


@pytest.mark.parametrize(
    "path", ["good.mp4", "no-ranges.mp4", "no-length.mp4", "drops.mp4", "drops-once.mp4", "back/10"]
)
def test_a_successful_fetch_is_complete_and_belongs_to_its_run(path: str, used: Used) -> None:
    served, workspace = used
    record = run(
        AGENT, {"video_urls": [f"{served.url}/{path}"], **ONE_SECOND}, workspace=workspace, fetch_rules=RULES
    )
    assert record.status == "completed"
    assert RunStore(workspace).run_ids()[0] == record.run_id
    assert check(workspace).problems == []
