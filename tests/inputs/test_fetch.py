"""File URLs as inputs, fetched from good and bad servers. The server is real, on loopback."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tessera import Cancelled, RequestError, RunRecord, run
from tessera.inputs.fetch.rules import FetchRules
from tessera.record.events import DownloadProgress, Event
from tessera.store.run_store import RunStore
from tests.support.media import FIXTURES
from tests.support.servers import TALK, Served, serving

AGENT = FIXTURES / "agents" / "trimmer.json"
RULES = FetchRules(
    allow_private=True,
    stall_s=20.0,
    retry_s=20.0,
    pause_s=0.02,
    most_pause_s=0.2,
    most_bytes=2_000_000,
)
IMPATIENT = replace(RULES, retry_s=1.0)
STALLS = replace(RULES, stall_s=0.6)
ONE_SECOND = {"input_clip_start_ms": 1000, "input_clip_end_ms": 2000}


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as found:
        yield found


def fetched(url: str, workspace: Path, rules: FetchRules = RULES, **options: Any) -> RunRecord:
    """Run one second of a URL."""
    request = {"video_urls": [url], **ONE_SECOND}
    return run(AGENT, request, workspace=workspace, fetch_rules=rules, **options)


def left_in(workspace: Path) -> list[str]:
    """Return every file in a workspace, except those of SQLite while its database is open."""
    return sorted(
        str(path.relative_to(workspace))
        for path in workspace.rglob("*")
        if path.is_file() and path.suffix not in (".db-wal", ".db-shm")
    )


def assets_in(workspace: Path) -> list[Path]:
    return sorted(workspace.glob("assets/*"))


def refused(url: str, workspace: Path, rules: FetchRules = IMPATIENT) -> str:
    """Return the message for a URL that is refused. No run exists and no file is left."""
    with pytest.raises(RequestError) as caught:
        fetched(url, workspace, rules)
    (fault,) = caught.value.errors
    assert fault.loc == "/video_urls/0"
    assert fault.message.startswith("Video Input ")
    assert left_in(workspace) == []
    assert assets_in(workspace) == []
    return fault.message


# Successful downloads


@pytest.mark.parametrize("path", ["good", "no-ranges", "no-length", "drops", "drops-once", "sometimes/503"])
def test_a_file_is_fetched_whole_whatever_its_server_is_like(
    path: str, served: Served, tmp_path: Path
) -> None:
    record = fetched(f"{served.url}/{path}.mp4", tmp_path)
    assert record.status == "completed"
    stored = Path(record.inputs[0]["video_url"].removeprefix("file://"))
    assert stored.read_bytes() == TALK.read_bytes()
    assert stored.suffix == ".mp4"
    assert not [path for path in assets_in(tmp_path) if path.name.startswith(".")]


def test_a_range_is_metered_and_cut_exactly(served: Served, tmp_path: Path) -> None:
    record = fetched(f"{served.url}/good.mp4", tmp_path)
    assert record.inputs[0]["metered_ms"] == 1000
    assert [output.duration_ms for output in record.outputs] == [1000]
    assert record.items[0]["sources"][0]["start_ms"] == 1000


def test_a_dropped_download_continues_and_nothing_is_sent_twice(served: Served, tmp_path: Path) -> None:
    fetched(f"{served.url}/drops.mp4", tmp_path)
    starts = [one.headers.get("range") for one in served.requests if one.headers.get("range")]
    assert starts == ["bytes=0-65535", "bytes=200000-", "bytes=400000-"]
    assert served.sent("/drops.mp4") == TALK.stat().st_size + 65_536


def test_a_file_that_changes_during_a_download_is_fetched_again(served: Served, tmp_path: Path) -> None:
    record = fetched(f"{served.url}/changes.mp4", tmp_path)
    silent = (FIXTURES / "media" / "silent.mp4").read_bytes()
    assert Path(record.inputs[0]["video_url"].removeprefix("file://")).read_bytes() == silent


def test_an_unchanged_file_is_not_fetched_again_and_a_changed_one_is(served: Served, tmp_path: Path) -> None:
    size, looked = TALK.stat().st_size, 65_536
    first = fetched(f"{served.url}/good.mp4", tmp_path)
    assert served.sent("/good.mp4") == size + looked
    again = fetched(f"{served.url}/good.mp4", tmp_path)
    assert served.sent("/good.mp4") == size + 2 * looked
    assert again.inputs[0]["video_id"] == first.inputs[0]["video_id"]
    served.flaws["version"] = 2
    fetched(f"{served.url}/good.mp4", tmp_path)
    assert served.sent("/good.mp4") == 2 * size + 3 * looked


def test_a_new_signature_means_the_same_file(served: Served, tmp_path: Path) -> None:
    fetched(f"{served.url}/good.mp4?X-Amz-Signature=one&X-Amz-Date=1", tmp_path)
    fetched(f"{served.url}/good.mp4?X-Amz-Signature=two&X-Amz-Date=2", tmp_path)
    assert served.sent("/good.mp4") == TALK.stat().st_size + 2 * 65_536


def test_a_url_requested_twice_in_a_run_is_fetched_once(served: Served, tmp_path: Path) -> None:
    url = f"{served.url}/good.mp4"
    items = [
        {"url": url, "input_clip_start_ms": start, "input_clip_end_ms": start + 500} for start in (0, 4000)
    ]
    record = run(
        AGENT, {"video_url_inputs": items, "signed_urls": [url]}, workspace=tmp_path, fetch_rules=RULES
    )
    assert [one["metered_ms"] for one in record.inputs] == [24_024, 500, 500]
    assert len({one["video_id"] for one in record.inputs}) == 1
    assert served.sent("/good.mp4") == TALK.stat().st_size + 65_536


def test_a_clip_end_past_the_end_is_clamped_and_a_start_there_is_refused(
    served: Served, tmp_path: Path
) -> None:
    url = f"{served.url}/good.mp4"

    def clipped(start: int) -> RunRecord:
        item = {"url": url, "input_clip_start_ms": start, "input_clip_end_ms": 60_000}
        return run(AGENT, {"video_url_inputs": [item]}, workspace=tmp_path, fetch_rules=RULES)

    record = clipped(23_524)
    assert record.inputs[0]["metered_ms"] == 500
    assert any("clamped" in warning["message"] for warning in record.warnings)
    with pytest.raises(RequestError, match=r"starts at 24024 ms, at or past its end at 24024 ms"):
        clipped(24_024)


# Failing downloads


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("too-long", "received 565687 bytes, expected 615687"),
        ("endless", "sends more than 2,000,000 bytes"),
        ("liar", "sends more than 2,000,000 bytes"),
        ("huge", "has 6,000,000,000 bytes; at most 2,000,000"),
        ("empty", "is empty (0 bytes)"),
        ("status/404", "the server answered 404 Not Found"),
        ("status/403", "the server answered 403 Forbidden"),
        ("status/410", "the server answered 410 Gone"),
        ("status/429", "the server answered 429 Too Many Requests"),
        ("status/500", "the server answered 500 Internal Server Error"),
        ("page", "is a web page, not media"),
        ("text", "is text, not media"),
        ("passwd", "is a playlist"),
        ("loopback", "is a playlist"),
        ("dash", "is a playlist"),
        ("concat", "is a playlist"),
    ],
)
def test_a_file_that_cannot_be_fetched_gives_a_clear_error(
    path: str, says: str, served: Served, tmp_path: Path
) -> None:
    assert says in refused(f"{served.url}/{path}.mp4", tmp_path)
    assert served.times("/secret.ts") == 0


def test_a_file_that_is_cut_off_on_the_server_is_used_with_a_warning(served: Served, tmp_path: Path) -> None:
    record = fetched(f"{served.url}/too-short.mp4", tmp_path)
    assert record.status == "completed"
    assert any("truncated or damaged: it ends at" in warning["message"] for warning in record.warnings)


@pytest.mark.parametrize("path", ["trickle", "silent"])
def test_a_stalled_download_is_aborted(path: str, served: Served, tmp_path: Path) -> None:
    said = refused(f"{served.url}/{path}.mp4", tmp_path, STALLS)
    assert "no progress" in said
    assert "bytes in 0.6 s; try again later" in said


def test_sound_alone_is_not_a_video(served: Served, tmp_path: Path) -> None:
    assert "no moving picture (it is audio)" in refused(f"{served.url}/sound.wav", tmp_path)


def test_a_file_that_declares_too_long_a_duration_is_not_fetched(served: Served, tmp_path: Path) -> None:
    said = refused(f"{served.url}/five-hours.mp4", tmp_path)
    assert "lasts 18001000 ms; at most 18000000 ms are allowed" in said
    assert served.times("/five-hours.mp4") == 1


def test_redirects_end_after_ten(served: Served, tmp_path: Path) -> None:
    assert "redirects more than 10 times" in refused(f"{served.url}/around/0", tmp_path)
    assert len(served.requests) == 11


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("http://192.0.2.1/latest/meta-data", "refused: 192.0.2.1 is a private address"),
        ("http://[::ffff:192.0.2.1]/", "refused: ::ffff:192.0.2.1 is a private address"),
        ("http://0.0.0.0:1/", "refused: 0.0.0.0 is a private address"),
        ("http://224.0.0.1/", "refused: 224.0.0.1 is a private address"),
        ("https://192.0.2.1/", "refused: 192.0.2.1 is a private address"),
        ("ftp://example.org/a.mp4", "neither http nor https"),
        ("file:///etc/passwd", "neither http nor https"),
    ],
)
def test_no_redirect_leads_to_a_forbidden_url(where: str, says: str, served: Served, tmp_path: Path) -> None:
    assert says in refused(f"{served.url}/to?{quote(where)}", tmp_path)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "0x7f000001", "2130706433", "[::1]", "[::ffff:7f00:1]", "10.0.0.1"]
)
def test_private_addresses_are_refused_by_name(host: str, served: Served, tmp_path: Path) -> None:
    port = served.url.rpartition(":")[2]
    said = refused(f"http://{host}:{port}/good.mp4", tmp_path, replace(RULES, allow_private=False))
    assert f"refused: {host.strip('[]')} is a private address" in said
    assert served.requests == []


def test_an_unknown_host_is_named(tmp_path: Path) -> None:
    said = refused("http://no-such-host.invalid/a.mp4", tmp_path, replace(RULES, retry_s=0.05))
    assert "no-such-host.invalid could not be resolved" in said


def test_nothing_is_fetched_if_another_input_is_invalid(served: Served, tmp_path: Path) -> None:
    urls = [f"{served.url}/good.mp4", f"{served.url}/status/404.mp4", f"{served.url}/text.mp4"]
    with pytest.raises(RequestError) as caught:
        run(AGENT, {"video_urls": urls}, workspace=tmp_path, fetch_rules=RULES)
    assert [fault.loc for fault in caught.value.errors] == ["/video_urls/1", "/video_urls/2"]
    with pytest.raises(RequestError, match="unknown video_id"):
        run(AGENT, {"video_urls": urls[:1], "video_ids": ["x"]}, workspace=tmp_path, fetch_rules=RULES)
    assert served.sent("/good.mp4") == 65_536
    assert left_in(tmp_path) == []


# Progress, cancelling, secrets


def test_progress_reports_bytes_speed_and_time(served: Served, tmp_path: Path) -> None:
    events: list[Event] = []
    fetched(f"{served.url}/talk%20one.mp4?token=s3cret", tmp_path, on_event=events.append)
    downloads = [event for event in events if isinstance(event, DownloadProgress)]
    assert downloads
    assert events[: len(downloads)] == downloads
    last = downloads[-1]
    assert (last.name, last.received, last.total) == (
        "talk one.mp4",
        TALK.stat().st_size,
        TALK.stat().st_size,
    )
    assert last.done
    assert last.remaining_s == 0
    assert "s3cret" not in last.url


def test_a_cancelled_download_leaves_nothing(served: Served, tmp_path: Path) -> None:
    flag = threading.Event()

    def cancelled() -> bool:
        if served.times("/silent.mp4") > 1:
            flag.set()
        return flag.is_set()

    with pytest.raises(Cancelled):
        fetched(f"{served.url}/silent.mp4", tmp_path, cancelled=cancelled)
    assert left_in(tmp_path) == []


def test_concurrent_downloads_are_limited_by_the_rules(served: Served, tmp_path: Path) -> None:
    urls = [f"{served.url}/good.mp4?n={number}" for number in range(6)]
    record = run(
        AGENT, {"video_urls": urls, **ONE_SECOND}, workspace=tmp_path, fetch_rules=replace(RULES, parallel=2)
    )
    assert len(record.inputs) == 6
    assert len({one["video_id"] for one in record.inputs}) == 1


def test_no_secret_of_a_url_is_stored_or_shown(served: Served, tmp_path: Path) -> None:
    host = served.url.removeprefix("http://")
    request = {
        "signed_urls": [f"http://me:pa55word@{host}/good.mp4?X-Amz-Signature=s3cret"],
        "callback_url": "https://example.org/hook?token=s3cret",
        **ONE_SECOND,
    }
    record = run(AGENT, request, workspace=tmp_path, fetch_rules=RULES)
    store = RunStore(tmp_path)
    documents = [store.document(record.run_id, name) for name in ("agent.json", "facts.json", "record.json")]
    texts = [*store.event_lines(record.run_id), *(text or "" for text in documents), record.to_json()]
    texts += [path.read_text() for path in tmp_path.glob("fetched/*")]
    assert all(texts)
    assert len(texts) > 8
    assert not any("s3cret" in text or "pa55word" in text for text in texts)
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.glob("tessera.db*"))
    bad = {**request, "signed_urls": [f"http://me:pa55word@{host}/status/403.mp4?X-Amz-Signature=s3cret"]}
    with pytest.raises(RequestError) as caught:
        run(AGENT, bad, workspace=tmp_path, fetch_rules=RULES)
    assert "s3cret" not in str(caught.value)
    assert "pa55word" not in str(caught.value)


def test_the_facts_of_a_run_on_a_url_can_simulate_it(served: Served, tmp_path: Path) -> None:
    from tessera import simulate

    made = run(
        FIXTURES / "agents" / "single.json",
        {"video_urls": [f"{served.url}/good.mp4?X-Amz-Signature=s3cret"]},
        workspace=tmp_path / "here",
        fetch_rules=RULES,
        facts_out=tmp_path / "facts.json",
    )
    for request in (
        made.to_dict()["request"],
        {"video_urls": [f"{served.url}/good.mp4?X-Amz-Signature=s3cret"]},
    ):
        simulated = simulate(
            FIXTURES / "agents" / "single.json",
            request,
            facts=tmp_path / "facts.json",
            workspace=tmp_path / "there",
        )
        assert [output.duration_ms for output in simulated.outputs] == [
            output.duration_ms for output in made.outputs
        ]


def tessera(*args: Any, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tessera.cli", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False, timeout=120)


def test_the_command_fetches_and_says_so(served: Served, tmp_path: Path) -> None:
    given = ["run", AGENT, "--input", f"{served.url}/good.mp4?key=s3cret", "--clip", "1:2"]
    done = tessera(*given, "--allow-private-networks", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "good.mp4: fetched, 565.7 kB" in done.stderr
    assert "s3cret" not in done.stderr + done.stdout
    alone = tessera(*given, "--json", cwd=tmp_path)
    assert alone.returncode == 2
    (fault,) = json.loads(alone.stdout)["errors"]
    assert "refused: 127.0.0.1 is a private address" in fault["message"]
    assert "--input" in fault["message"]


def test_errors_show_no_signatures_and_no_traceback(served: Served, tmp_path: Path) -> None:
    done = tessera(
        "run",
        AGENT,
        "--input",
        f"{served.url}/status/403.mp4?sig=s3cret",
        "--allow-private-networks",
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "the server answered 403 Forbidden" in done.stderr
    assert "s3cret" not in done.stderr
    assert "Traceback" not in done.stderr
