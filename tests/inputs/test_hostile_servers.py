"""A server sends unusable redirects and headers: one clear error at once, after one request."""

from __future__ import annotations

import time
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from tessera import RequestError, RunRecord, run
from tessera.inputs.fetch.http_headers import retry_after_s, validator
from tests.inputs.test_fetch import AGENT, ONE_SECOND, RULES
from tests.support.raw_server import RawServer, raw_server
from tests.support.servers import TALK

PATIENT = replace(RULES, retry_s=60.0, pause_s=0.5)
"""Rules with which a retried error takes a minute."""
TALK_BYTES = TALK.read_bytes()
MANY_DIGITS = "9" * 5000


def response(status: str, *fields: str, body: bytes = b"") -> bytes:
    """Return the bytes of a response; its header fields may hold any Latin-1 text."""
    return "\r\n".join((f"HTTP/1.1 {status}", *fields, "", "")).encode("latin-1") + body


def fetched(server: RawServer, workspace: Path, **options: Any) -> RunRecord:
    request = {"video_urls": [f"{server.url}/a.mp4?sig=s3cret"], **ONE_SECOND}
    return run(AGENT, request, workspace=workspace, fetch_rules=PATIENT, **options)


def refused(answer: bytes, workspace: Path) -> tuple[str, int]:
    """Return the message for a URL whose server always answers so, and the number of requests."""
    with raw_server(lambda _head: answer) as server, pytest.raises(RequestError) as caught:
        fetched(server, workspace)
    (fault,) = caught.value.errors
    assert fault.loc == "/video_urls/0"
    assert "s3cret" not in fault.message
    return fault.message, len(server.requests)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ((), "redirects (302) without a Location header"),
        (("Location: ",), "redirects (302) without a Location header"),
        (("Location: http://",), "'http://', which has no host"),
        (("Location: https:///a.mp4",), "'https:///a.mp4', which has no host"),
        (("Location: http://?x=1",), "which has no host"),
        (("Location: http://host.invalid:999999/",), "which is not a valid URL"),
        ((f"Location: http://host.invalid:{MANY_DIGITS}/",), "which is not a valid URL"),
        (("Location: http://[::1/",), "which is not a valid URL"),
        (("Location: gopher://host.invalid/",), "neither http nor https: 'gopher:'"),
        (("Location: javascript:alert(1)",), "neither http nor https: 'javascript:'"),
        (("Location: http://me:s3cret@?sig=s3cret",), "which has no host"),
        (("Location: a.mp4?sig=s3cret",), "redirects in a circle"),
    ],
)
def test_an_unusable_redirect_is_one_error_at_once(
    fields: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    message, requests = refused(response("302 Found", *fields, "Content-Length: 0"), tmp_path)
    assert says in message
    assert requests == 1
    assert len(message) < 400


def test_two_urls_that_redirect_to_each_other_are_a_circle(tmp_path: Path) -> None:
    def answer(head: str) -> bytes:
        return response(
            "307 X", f"Location: {'/b.mp4' if head.startswith('GET /a.mp4') else '/a.mp4?sig=s3cret'}"
        )

    with raw_server(answer) as server, pytest.raises(RequestError, match="redirects in a circle"):
        fetched(server, tmp_path)
    assert len(server.requests) == 2


def test_a_redirect_to_itself_that_sets_a_cookie_is_followed(tmp_path: Path) -> None:
    def answer(head: str) -> bytes:
        if "seen=1" not in head:
            return response(
                "302 Found", "Location: /a.mp4?sig=s3cret", "Set-Cookie: seen=1", "Content-Length: 0"
            )
        return response("200 OK", f"Content-Length: {len(TALK_BYTES)}", body=TALK_BYTES)

    with raw_server(answer) as server:
        assert fetched(server, tmp_path).status == "completed"


@pytest.mark.parametrize(
    ("status", "fields", "says"),
    [
        ("200 OK", ("Content-Length: many",), "not valid HTTP"),
        ("200 OK", ("Content-Length: -5",), "not valid HTTP"),
        ("200 OK", ("Content-Length: 5", "Content-Length: 6"), "not valid HTTP"),
        ("200 OK", (f"Content-Length: {MANY_DIGITS}",), "Content-Length"),
        ("200 OK", ("Content-Length: 99999999999999999999",), "Content-Length of its server is unusable"),
        ("200 OK", ("Transfer-Encoding: zip",), "not valid HTTP"),
        ("200 OK", ("Bad Name: x",), "not valid HTTP"),
        ("200 OK", (f"X: {'x' * 200_000}",), "no valid HTTP"),
        ("2x0 OK", (), "not valid HTTP"),
        ("200 OK", ("Content-Encoding: \xe9\xff",), "only gzip and deflate are decoded"),
        ("200 OK", ("Content-Encoding: gzip",), "the body is not compressed so"),
        ("206 Partial Content", (), "the Content-Range of its server is unusable: it is missing"),
        ("206 Partial Content", (f"Content-Range: bytes 0-1/{MANY_DIGITS}",), "is not a byte range"),
        ("206 Partial Content", (f"Content-Range: bytes 0-1/{'9' * 30}",), "at most 18 digits"),
        ("206 Partial Content", ("Content-Range: bytes 5-1/9",), "is no part of a file"),
        ("206 Partial Content", ("Content-Range: bytes 0-9/9",), "is no part of a file"),
        ("206 Partial Content", ("Content-Range: bytes */9",), "is no part of a file"),
        ("206 Partial Content", ("Content-Range: lines 0-1/9",), "is not a byte range"),
        ("206 Partial Content", ("Content-Range: bytes \xb2-\xb3/9",), "is not a byte range"),
        ("206 Partial Content", ("Content-Range: bytes 7-8/9",), "another range than requested"),
        ("416 No", (f"Content-Range: bytes */{MANY_DIGITS}",), "is not a byte range"),
    ],
)
def test_an_unusable_header_is_one_error_at_once(
    status: str, fields: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    message, requests = refused(response(status, *fields, body=TALK_BYTES[:100]), tmp_path)
    assert says in message
    assert requests == 1
    assert len(message) < 400


def test_a_206_to_a_request_without_a_range_is_refused_at_once(tmp_path: Path) -> None:
    def answer(_head: str) -> bytes:
        last = len(TALK_BYTES) - 1
        return response("206 X", f"Content-Range: bytes 0-{last}/{last + 1}", body=TALK_BYTES)

    with raw_server(answer) as server, pytest.raises(RequestError, match="another range than requested"):
        fetched(server, tmp_path)
    assert len(server.requests) == 2


def test_ranges_that_end_early_are_continued_to_the_end_of_the_file(tmp_path: Path) -> None:
    size = len(TALK_BYTES)

    def answer(head: str) -> bytes:
        start = int(head.partition("bytes=")[2].partition("-")[0] or 0)
        if "Range:" not in head and "range:" not in head:  # drop the whole file after 200 kB
            return response("200 OK", f"Content-Length: {size}", 'ETag: "1"', body=TALK_BYTES[:200_000])
        part = TALK_BYTES[start : start + 150_000]
        place = f"Content-Range: bytes {start}-{start + len(part) - 1}/{size}"
        return response("206 X", place, 'ETag: "1"', f"Content-Length: {len(part)}", body=part)

    with raw_server(answer) as server:
        record = fetched(server, tmp_path)
    stored = Path(record.inputs[0]["video_url"].removeprefix("file://"))
    assert stored.read_bytes() == TALK_BYTES


@pytest.mark.parametrize("name", ["ETag", "Last-Modified"])
@pytest.mark.parametrize("value", ['"\xe9\xff\u0085"', "\xb2", '"' + "x" * 5000 + '"', "now", '"a\tb"'])
def test_a_validator_that_cannot_be_sent_back_is_not_used(name: str, value: str, tmp_path: Path) -> None:
    def answer(head: str) -> bytes:
        times = len(server.requests)
        kept = TALK_BYTES[:200_000] if times == 2 else TALK_BYTES
        return response("200 OK", f"Content-Length: {len(TALK_BYTES)}", f"{name}: {value}", body=kept)

    with raw_server(answer) as server:
        assert fetched(server, tmp_path).status == "completed"
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "value", [MANY_DIGITS, "-1", "\xb2", "soon", "Thu, 99 Foo 2026 99:99:99 +9999", "1e999", "NaN"]
)
def test_an_unusable_retry_after_means_the_usual_pause(value: str, tmp_path: Path) -> None:
    def answer(_head: str) -> bytes:
        if len(server.requests) <= 1:
            return response("503 Busy", f"Retry-After: {value}", "Content-Length: 0")
        return response("200 OK", f"Content-Length: {len(TALK_BYTES)}", body=TALK_BYTES)

    with raw_server(answer) as server:
        assert fetched(server, tmp_path).status == "completed"


def test_retry_after_is_read_as_seconds_or_a_date() -> None:
    assert retry_after_s("7") == 7.0
    assert retry_after_s(formatdate(0, usegmt=True)) == 0.0
    later = retry_after_s(formatdate(time.time() + 1000, usegmt=True))
    assert later is not None
    assert 900 < later <= 1000
    assert retry_after_s("9" * 18) == 86_400.0
    assert [retry_after_s(text) for text in (None, "", MANY_DIGITS, "Mon, 01 Jan 0001 00:00:00 +2359")] == [
        None,
        None,
        None,
        0.0,
    ]


def test_a_strong_ascii_etag_is_a_validator() -> None:
    assert validator('"v1"') == '"v1"'
    assert [validator(text) for text in (None, "", 'W/"v1"', '"\xe9"', "x" * 5000)] == [None] * 5
