"""A server compresses a body that was asked for as it is: the file is decoded, or refused for that reason."""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tessera import RequestError, RunRecord, run
from tessera.inputs.fetch.content_coding import codings_of, decoded
from tessera.inputs.fetch.rules import FetchError, FetchRules, PassingError
from tests.support.media import FIXTURES, MEDIA

AGENT = FIXTURES / "agents" / "trimmer.json"
TALK = (MEDIA / "talk.mp4").read_bytes()
RULES = FetchRules(allow_private=True, retry_s=1.0, pause_s=0.02, most_pause_s=0.1, most_bytes=2_000_000)


def bare(data: bytes) -> bytes:
    """Compress without the header of zlib, as some servers do for `deflate`."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def members(data: bytes) -> bytes:
    half = len(data) // 2
    return gzip.compress(data[:half]) + gzip.compress(data[half:]) + bytes(512)


WAYS: dict[str, tuple[str | None, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZIP", gzip.compress),
    "gzip of two members": ("gzip", members),
    "deflate": ("deflate", zlib.compress),
    "bare deflate": ("deflate", bare),
    "identity": ("identity", bytes),
    "no header": (None, bytes),
    "empty header": ("", bytes),
    "deflate, gzip": ("deflate, gzip", lambda data: gzip.compress(zlib.compress(data))),
    "gzip, identity": ("gzip, identity", gzip.compress),
    "gzip twice": ("gzip,gzip", lambda data: gzip.compress(gzip.compress(data))),
}


class _Handler(BaseHTTPRequestHandler):
    """Serve `server.body`. Ranges are those of the body as it is sent, as the standard says."""

    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        served = self.server
        served.ranges.append(self.headers.get("Range"))
        body, coding = served.body, served.coding
        if served.later is not None and len(served.ranges) > served.later_from:
            body, coding = served.later
        start, end, status = 0, len(body), 200
        if self.headers.get("Range") and served.with_ranges:
            first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
            start, end, status = int(first), min(int(last or end) + 1, end), 206
        self.send_response(status)
        if coding is not None:
            self.send_header("Content-Encoding", coding)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(body)}")
        self.send_header("ETag", '"v1"')
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        piece = body[start:end]
        most = served.drop_after if len(served.ranges) in served.dropping else None
        self.wfile.write(piece[:most])
        if most is not None:
            self.close_connection = True


@contextmanager
def serving(body: bytes, coding: str | None, **more: Any) -> Iterator[Any]:
    """Serve a body. `dropping`: the requests, from 1, that break off after `drop_after` bytes."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    facts: dict[str, Any] = {
        "with_ranges": False,
        "dropping": (),
        "drop_after": 200_000,
        "later": None,
        "later_from": 0,
    }
    for name, value in {**facts, **more, "body": body, "coding": coding, "ranges": []}.items():
        setattr(server, name, value)
    server.url = f"http://127.0.0.1:{server.server_port}/talk.mp4"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def fetched(url: str, folder: Path, rules: FetchRules = RULES) -> RunRecord:
    request = {"video_urls": [url], "input_clip_start_ms": 1000, "input_clip_end_ms": 1500}
    return run(AGENT, request, workspace=folder / "ws", fetch_rules=rules)


def stored(folder: Path) -> bytes:
    """Return the content of the only stored source: the largest medium of the workspace."""
    paths = sorted((folder / "ws").glob("assets/*/media.*"), key=lambda path: path.stat().st_size)
    return paths[-1].read_bytes()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("with_ranges", [False, True], ids=["whole", "ranges"])
def test_a_compressed_body_is_the_file_that_it_holds(way: str, with_ranges: bool, tmp_path: Path) -> None:
    coding, pack = WAYS[way]
    with serving(pack(TALK), coding, with_ranges=with_ranges) as server:
        record = fetched(server.url, tmp_path)
    assert record.status == "completed", record.errors
    assert stored(tmp_path) == TALK


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, br", "br, gzip", "made-up"])
@pytest.mark.parametrize("with_ranges", [False, True], ids=["whole", "ranges"])
def test_an_unknown_coding_is_refused_by_its_name(coding: str, with_ranges: bool, tmp_path: Path) -> None:
    with (
        serving(TALK, coding, with_ranges=with_ranges) as server,
        pytest.raises(RequestError, match=rf"compressed \(Content-Encoding: {coding}\)"),
    ):
        fetched(server.url, tmp_path)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_body_that_is_not_compressed_as_stated_is_refused(coding: str, tmp_path: Path) -> None:
    with (
        serving(TALK, coding) as server,
        pytest.raises(RequestError, match=rf"states Content-Encoding: {coding}, but the body is not"),
    ):
        fetched(server.url, tmp_path)


@pytest.mark.parametrize("way", ["gzip", "gzip twice", "bare deflate"])
def test_a_small_body_that_decodes_to_too_much_ends_at_the_limit(way: str, tmp_path: Path) -> None:
    coding, pack = WAYS[way]
    body = pack(TALK + bytes(20_000_000))
    assert len(body) < RULES.most_bytes
    with (
        serving(body, coding) as server,
        pytest.raises(RequestError, match="sends more than 2,000,000 bytes, the limit"),
    ):
        fetched(server.url, tmp_path)
    assert not list((tmp_path / "ws").glob("assets/*"))


def test_a_body_that_decodes_to_nothing_is_limited_too() -> None:
    endless = (b"\0\0\0\xff\xff" * 1000 for _round in iter(int, 1))  # empty blocks
    with pytest.raises(FetchError, match="sends more than 1,000,000 bytes"):
        list(decoded((one for one in endless), ("deflate",), "URL", 1_000_000))


@pytest.mark.parametrize("with_ranges", [False, True], ids=["whole", "ranges"])
def test_a_dropped_compressed_body_is_fetched_again_from_its_beginning(
    with_ranges: bool, tmp_path: Path
) -> None:
    packed = gzip.compress(TALK)
    with serving(packed, "gzip", with_ranges=with_ranges, dropping=(2, 3)) as server:
        record = fetched(server.url, tmp_path)
        assert server.ranges[1:] == [None] * 3
    assert record.status == "completed", record.errors
    assert stored(tmp_path) == TALK


@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_a_range_of_a_compressed_body_never_continues_a_plain_one(coding: str, tmp_path: Path) -> None:
    packed = gzip.compress(TALK)
    sent = (packed, coding)
    with serving(TALK, None, with_ranges=True, dropping=(2,), later=sent, later_from=2) as server:
        if coding == "br":
            with pytest.raises(RequestError, match="Content-Encoding: br"):
                fetched(server.url, tmp_path)
            return
        record = fetched(server.url, tmp_path)
        assert server.ranges[2] == "bytes=200000-"
    assert record.status == "completed", record.errors
    assert stored(tmp_path) == TALK


def test_a_body_that_always_ends_too_early_is_refused(tmp_path: Path) -> None:
    with (
        serving(gzip.compress(TALK)[:-100_000], "gzip") as server,
        pytest.raises(RequestError, match=r"the compressed body \(Content-Encoding: gzip\) ends too early"),
    ):
        fetched(server.url, tmp_path, replace(RULES, retry_s=0.2))


def test_a_compressed_page_and_a_compressed_text_are_recognised(tmp_path: Path) -> None:
    with (
        serving(gzip.compress(b"This is not a video.\n" * 10), "gzip") as server,
        pytest.raises(RequestError, match="is text, not media"),
    ):
        fetched(server.url, tmp_path)


def test_a_new_file_of_the_same_size_and_validator_is_fetched_again(tmp_path: Path) -> None:
    begins_otherwise = bytearray(TALK)
    begins_otherwise[TALK.index(b"mvhd") + 8] ^= 1  # the time at which the file was made
    with serving(TALK, None, with_ranges=True) as server:
        first = fetched(server.url, tmp_path).inputs[0]["video_id"]
        assert fetched(server.url, tmp_path).inputs[0]["video_id"] == first
        server.body = bytes(begins_otherwise)
        assert fetched(server.url, tmp_path).inputs[0]["video_id"] != first


@pytest.mark.parametrize("size", [1, 7, 4096, 10**6])
@pytest.mark.parametrize("way", WAYS)
def test_pieces_of_any_size_decode_to_the_same_bytes(way: str, size: int) -> None:
    coding, pack = WAYS[way]
    data = json.dumps(list(range(20_000))).encode()
    body = pack(data)
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    assert b"".join(decoded(pieces, codings_of(coding), "URL", 10**9)) == data


def test_an_early_end_is_an_error_only_of_a_whole_body() -> None:
    body = gzip.compress(TALK)[:100_000]
    with pytest.raises(PassingError):
        list(decoded([body], ("gzip",), "URL", 10**9))
    part = b"".join(decoded([body], ("gzip",), "URL", 10**9, partial=True))
    assert part == TALK[: len(part)]
    assert len(part) > 50_000
