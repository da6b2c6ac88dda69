"""Videos of sites, fetched by yt-dlp from a local site, for which the tests bring a yt-dlp plug-in."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tessera import RequestError, RunRecord, run
from tessera.inputs.assets.library import Library
from tessera.inputs.fetch.fetcher import Fetcher
from tessera.inputs.fetch.rules import FetchRules
from tessera.media.probe.info import MediaInfo
from tessera.request import SourceRef
from tests.support.media import FIXTURES, take_apart
from tests.support.servers import TALK, Served, serving

AGENT = FIXTURES / "agents" / "trimmer.json"
RULES = FetchRules(
    allow_private=True, stall_s=20.0, retry_s=20.0, pause_s=0.02, most_pause_s=0.2, most_bytes=2_000_000
)
FILM: dict[str, Any] = {
    "title": "Film / one: <3>",
    "duration": 24.024,
    "channel": "Films",
    "channel_id": "UC1",
    "upload_date": "20260102",
}


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as found:
        found.videos["film"] = FILM
        yield found


def played(served: Served, path: str, workspace: Path, *clips: tuple[int, int], **options: Any) -> RunRecord:
    """Run ranges of a video of the site; by default its first second."""
    items = [
        {"url": served.url + path, "input_clip_start_ms": start, "input_clip_end_ms": end}
        for start, end in clips or [(0, 1000)]
    ]
    return run(AGENT, {"youtube_url_inputs": items}, workspace=workspace, **{"fetch_rules": RULES, **options})


def refused(served: Served, path: str, workspace: Path, **options: Any) -> str:
    with pytest.raises(RequestError) as caught:
        played(served, path, workspace, **{"fetch_rules": replace(RULES, retry_s=1.0), **options})
    (fault,) = caught.value.errors
    assert fault.loc == "/youtube_url_inputs/0"
    assert not [one for one in workspace.rglob("*") if one.is_file()]
    assert not list(workspace.glob("assets/*"))
    assert "yt-dlp/issues" not in fault.message
    assert "ERROR" not in fault.message
    return fault.message


def media_of(record: RunRecord) -> Path:
    return Path(record.inputs[0]["video_url"].removeprefix("file://"))


def test_the_details_a_site_gives_of_a_video_are_stored(served: Served, tmp_path: Path) -> None:
    record = played(served, "/site/watch?v=film", tmp_path, (0, 24_024))
    assert record.status == "completed"
    assert media_of(record).read_bytes() == TALK.read_bytes()
    assert record.inputs[0]["name"] == "Film / one: <3>"
    assert record.inputs[0]["about"] == {
        "site": "MovieSite",
        "id": "film",
        "title": "Film / one: <3>",
        "url": f"{served.url}/site/watch?v=film",
        "channel": "Films",
        "channel_id": "UC1",
        "uploaded": "2026-01-02",
    }
    by = record.to_dict()["triggered_by"]
    assert {name: by[name] for name in ("type", "video_id", "video_title", "channel_id", "trigger_id")} == {
        "type": "youtube",
        "video_id": "film",
        "video_title": "Film / one: <3>",
        "channel_id": "UC1",
        "trigger_id": None,
    }


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"duration": 18_001}, "lasts 18001000 ms; at most 18000000 ms"),
        ({"error": "Private video. Sign in if you've been granted access"}, "is private: ask its owner"),
        ({"error": "Video unavailable. This video has been removed by the uploader"}, "it was removed"),
        ({"error": "Sign in to confirm your age. This video may be inappropriate"}, "is age-restricted"),
        ({"error": "Join this channel to get access to members-only content"}, "members or buyers only"),
        ({"error": "Sign in to confirm you're not a bot"}, "suspects a robot; try again later"),
        ({"error": "The uploader has not made this video available in your country"}, "geo-blocked"),
        ({"geo": True}, "geo-blocked"),
        ({"is_live": True}, "is live or upcoming: wait"),
        ({"error": "This live event will begin in 3 days."}, "is live or upcoming: wait"),
        ({"error": "No supported JavaScript runtime could be found"}, "pip install 'yt-dlp[default,deno]'"),
        ({"formats": []}, "has no video that can be fetched"),
        ({"formats": [{"format_id": "0", "url": "rtmp://x/y", "protocol": "rtmp"}]}, "has no video"),
        ({"formats": [{"format_id": "0", "url": "file:///etc/passwd"}]}, "has no video"),
        ({"leads_to": "http://example.org/page"}, "is a web page, not media, and not of a site"),
        (None, "the server answered 404: it is not available"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_unavailable_video_is_refused_before_any_of_it_is_fetched(
    facts: dict[str, Any] | None, says: str, served: Served, tmp_path: Path
) -> None:
    if facts is not None:
        served.videos["bad"] = facts
    assert says in refused(served, "/site/watch?v=bad", tmp_path)
    assert all(one.path.startswith("/site/api/") for one in served.requests)


@pytest.mark.parametrize(
    ("media", "says"),
    [
        ("http://192.0.2.1/a.mp4", "refused: 192.0.2.1 is a private address"),
        ("https://192.0.2.1/a.mp4", "refused: 192.0.2.1 is a private address"),
        ("/to?http://192.0.2.1/a.mp4", "refused: 192.0.2.1 is a private address"),
        ("/status/403.mp4", "the server answered 403"),
        ("/status/503.mp4", "the server answered 503: try again later; tried for 1 s"),
        ("/endless.mp4", "sends more than 2,000,000 bytes"),
        ("/text.mp4", "Film bad"),
    ],
)
def test_bad_media_of_a_site_leaves_nothing_behind(
    media: str, says: str, served: Served, tmp_path: Path
) -> None:
    served.videos["bad"] = {"formats": [{"format_id": "0", "url": media}]}
    assert says in refused(served, "/site/watch?v=bad", tmp_path)
    gc.collect()  # gives a warning if a response was left open


@pytest.mark.parametrize("path", ["/site/list/all", "/site/channel/films"])
def test_a_playlist_or_a_channel_is_refused(path: str, served: Served, tmp_path: Path) -> None:
    assert "is a playlist or a channel: give the URL of one video" in refused(served, path, tmp_path)
    assert served.requests == []


def test_the_url_of_a_video_within_a_playlist_means_that_video(served: Served, tmp_path: Path) -> None:
    record = played(served, "/site/watch?list=all&v=film", tmp_path, (0, 24_024))
    assert record.inputs[0]["about"]["id"] == "film"


def test_a_page_among_video_urls_is_fetched_through_its_site(served: Served, tmp_path: Path) -> None:
    request = {"video_urls": [f"{served.url}/site/watch?v=film"]}
    record = run(AGENT, request, workspace=tmp_path, fetch_rules=RULES)
    assert record.inputs[0]["about"]["title"] == "Film / one: <3>"
    assert record.to_dict()["triggered_by"] is None


def test_a_private_site_is_not_contacted(served: Served, tmp_path: Path) -> None:
    said = refused(served, "/site/watch?v=film", tmp_path, fetch_rules=replace(RULES, allow_private=False))
    assert "refused: 127.0.0.1 is a private address" in said
    assert served.requests == []


def test_a_dropped_download_continues(served: Served, tmp_path: Path) -> None:
    served.videos["drops"] = {"formats": [{"format_id": "0", "url": "/site/media/drops.mp4"}]}
    record = played(served, "/site/watch?v=drops", tmp_path)
    assert media_of(record).read_bytes() == TALK.read_bytes()
    ranges = [one.headers.get("range") for one in served.requests if one.path == "/site/media/drops.mp4"]
    assert ranges == [None, "bytes=300000-"]


def test_a_video_is_fetched_once_by_its_id(served: Served, tmp_path: Path) -> None:
    whole = (0, 24_024)
    played(served, "/site/watch?v=film", tmp_path, whole, (0, 500))
    record = played(served, "/site/watch?list=x&v=film", tmp_path, (20_000, 20_500))
    assert served.times("/site/media/a.mp4") == 1
    assert record.inputs[0]["metered_ms"] == 500


def frames(path: Path) -> list[Fraction]:
    return list(take_apart(path).times)


def test_only_the_range_is_fetched_and_it_is_cut_to_the_frame(served: Served, tmp_path: Path) -> None:
    record = played(served, "/site/watch?v=film", tmp_path, (5010, 6020))
    assert record.inputs[0]["metered_ms"] == 1010
    info = Library(tmp_path).get(record.inputs[0]["video_id"])
    assert info is not None
    assert info.info.duration < 4
    begin = _start(info.info)
    wanted = [time for time in frames(TALK) if Fraction("5.010") <= time < Fraction("6.020")]
    (kept,) = record.items[0]["sources"]
    got = [
        time
        for time in frames(info.path)
        if Fraction(str(kept["start_ms"])) <= (time - begin) * 1000 < Fraction(str(kept["end_ms"]))
    ]
    assert len(got) == len(wanted)
    assert all(abs(a - b) < Fraction(1, 1000) for a, b in zip(got, wanted, strict=True))


def _start(info: MediaInfo) -> Fraction:
    assert info.picture is not None
    return info.picture.start * info.picture.time_base


def test_two_ranges_of_a_video_share_one_download(served: Served, tmp_path: Path) -> None:
    record = played(served, "/site/watch?v=film", tmp_path, (5000, 6000), (7000, 7500))
    assert [one["metered_ms"] for one in record.inputs] == [1000, 500]
    assert len({one["video_id"] for one in record.inputs}) == 1
    assert served.times("/site/media/a.mp4") == 1
    assert sorted(output.duration_ms or 0 for output in record.outputs) == [500, 1000]


def test_a_clip_is_checked_against_the_duration_from_the_site_before_fetching(
    served: Served, tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match=r"starts at 24024 ms, at or past its end at 24024 ms"):
        played(served, "/site/watch?v=film", tmp_path, (24_024, 25_000))
    assert served.times("/site/media/a.mp4") == 0
    record = played(served, "/site/watch?v=film", tmp_path, (23_524, 60_000))
    assert record.inputs[0]["metered_ms"] == 500
    assert any("clamped" in warning["message"] for warning in record.warnings)


def test_a_stream_that_a_site_made_is_fetched(served: Served, tmp_path: Path) -> None:
    served.videos["hls"] = {
        "formats": [{"format_id": "0", "url": "/site/hls.m3u8", "protocol": "m3u8_native"}]
    }
    inspections = Fetcher(Library(tmp_path), RULES).inspect(
        {"hls": SourceRef("youtube_url", f"{served.url}/site/watch?v=hls")}
    )
    found = Fetcher(Library(tmp_path), RULES).fetch(inspections, {url: [None] for url in inspections})  # type: ignore[arg-type]
    (one,) = found.values()
    assert not isinstance(one, Exception), one
    assert one.asset.info.picture is not None
    assert one.asset.info.picture.frames == 720
