"""A real HTTP server on loopback that serves media correctly, badly or not at all, and a video site."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tessera.media.process.process import run_ffmpeg
from tests.support.media import MEDIA, folder

PLUGINS = Path(__file__).parent / "plugins"
sys.path.append(str(PLUGINS))

TALK = MEDIA / "talk.mp4"


@dataclass
class ReceivedRequest:
    """A request to the server, and the number of bytes of body that it sent in response."""

    path: str
    headers: dict[str, str]
    sent: int = 0


@dataclass
class Served:
    """The state of the server, which tests may read and change.

    Attributes
    ----------
    url
        Its base, without a trailing slash.
    videos
        The video site: an id → the details on its page for the plug-in.
    items
        The archive: an id → the paths of its artifacts.
    files
        More paths, and the content served there.
    flaws
        `version` is that of the good file. `archive ID` is the status of the first two look-ups of an item;
        0 means that they are never answered.
    release
        Ends the responses that would never end.
    """

    url: str
    requests: list[ReceivedRequest] = field(default_factory=list)
    videos: dict[str, dict[str, Any]] = field(default_factory=dict)
    items: dict[str, dict[str, str]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    flaws: dict[str, int] = field(default_factory=dict)
    release: threading.Event = field(default_factory=threading.Event)

    def sent(self, path: str) -> int:
        """Return the number of bytes of body that were sent for a path."""
        return sum(one.sent for one in self.requests if one.path.partition("?")[0] == path)

    def times(self, path: str) -> int:
        """Return the number of requests for a path."""
        return sum(one.path.partition("?")[0] == path for one in self.requests)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: Served
    timeout = 30

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        self.received = ReceivedRequest(
            self.path, {name.lower(): value for name, value in self.headers.items()}
        )
        self.state.requests.append(self.received)
        self.query = query
        if path in self.state.files:
            with contextlib.suppress(ConnectionError):
                self.ranged(self.state.files[path], etag=None)
            return
        for pattern, serve in _PATHS:
            found = re.fullmatch(pattern, path)
            if found:
                with contextlib.suppress(ConnectionError):
                    serve(self, *found.groups())
                return
        self.send_error(404)

    do_HEAD = do_GET

    # Building blocks

    def head(self, status: int, /, **headers: Any) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def body(self, data: bytes) -> None:
        for at in range(0, len(data), 65_536):
            piece = data[at : at + 65_536]
            self.wfile.write(piece)
            self.received.sent += len(piece)

    def cut(self) -> None:
        """Break off the connection."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

    def whole(self, data: bytes, kind: str = "application/octet-stream", **headers: Any) -> None:
        self.head(200, Content_Length=len(data), Content_Type=kind, **headers)
        self.body(data)

    def ranged(self, data: bytes, most: int | None = None, etag: str | None = '"v1"') -> None:
        """Serve a file with support for ranges; the connection drops after `most` bytes."""
        tags = {"ETag": etag} if etag else {}
        byte_range = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        fresh = self.headers.get("If-Range") in (None, etag)
        if byte_range and fresh and int(byte_range[1]) >= len(data):
            return self.head(416, Content_Range=f"bytes */{len(data)}", Content_Length=0)
        start, end = 0, len(data)
        if byte_range and fresh:
            start, end = int(byte_range[1]), min(int(byte_range[2] or len(data)) + 1, len(data))
            place = f"bytes {start}-{end - 1}/{len(data)}"
            self.head(206, Content_Length=end - start, Content_Range=place, Accept_Ranges="bytes", **tags)
        else:
            self.head(200, Content_Length=len(data), Accept_Ranges="bytes", **tags)
        piece = data[start:end]
        self.body(piece[:most])
        if most is not None and most < len(piece):
            return self.cut()
        return None

    # Files

    def good(self) -> None:
        self.ranged(TALK.read_bytes(), etag=f'"v{self.state.flaws.get("version", 1)}"')

    def no_ranges(self) -> None:
        self.whole(TALK.read_bytes())

    def too_long(self) -> None:
        """Declare more bytes than the body has."""
        data = TALK.read_bytes()
        self.head(200, Content_Length=len(data) + 50_000)
        self.body(data)
        self.cut()

    def too_short(self) -> None:
        """Declare fewer bytes than the body has."""
        data = TALK.read_bytes()
        self.head(200, Content_Length=len(data) // 2)
        self.body(data)
        self.cut()

    def no_length(self) -> None:
        self.head(200, Connection="close")
        self.body(TALK.read_bytes())
        self.cut()

    def endless(self) -> None:
        self.head(200, Connection="close")
        self.body(TALK.read_bytes())
        while not self.state.release.is_set():
            self.body(b"\0" * 65_536)

    def huge(self) -> None:
        """Declare a size that is too large, correctly."""
        self.head(200, Content_Length=6 * 10**9)
        self.body(TALK.read_bytes())
        self.cut()

    def liar(self) -> None:
        """Serve a small file to HEAD requests, and an endless one to GET requests."""
        if self.headers.get("Range"):
            return self.ranged(TALK.read_bytes(), etag=None)
        return self.endless()

    def drops(self) -> None:
        """Drop the connection after 200 kB, each time."""
        self.ranged(TALK.read_bytes(), most=200_000)

    def drops_without_ranges(self) -> None:
        """Drop the connection in the middle of the first fetch."""
        data, times = TALK.read_bytes(), self.state.times("/drops-once.mp4")
        self.head(200, Content_Length=len(data))
        self.body(data if times != 2 else data[:200_000])
        self.cut()

    def changes(self) -> None:
        """Drop the connection once, and serve another file afterwards."""
        if self.state.times("/changes.mp4") <= 2:
            return self.ranged(TALK.read_bytes(), most=200_000, etag='"old"')
        return self.ranged((MEDIA / "silent.mp4").read_bytes(), etag='"new"')

    def five_hours(self) -> None:
        """Serve a video whose index declares a duration of 5 h and 1 s."""
        data = bytearray(TALK.read_bytes())
        begin = data.index(b"mvhd") + 4
        assert data[begin] == 0
        struct.pack_into(">II", data, begin + 12, 1000, 18_001_000)
        self.ranged(bytes(data))

    def sound(self) -> None:
        self.ranged((MEDIA / "sound.wav").read_bytes())

    def nothing(self) -> None:
        self.whole(b"")

    def status(self, status: str) -> None:
        self.head(int(status), Content_Length=0, Connection="close")

    def sometimes(self, status: str) -> None:
        """Fail twice, then succeed."""
        if self.state.times(f"/sometimes/{status}.mp4") <= 2:
            return self.head(int(status), Content_Length=0, Retry_After=0)
        return self.good()

    def page(self) -> None:
        self.whole(b"<!DOCTYPE html>\n<html><body><video src='/good.mp4'></video></body></html>", "text/html")

    def text(self) -> None:
        self.whole(b"This is not a video.\n" * 10, "video/mp4")

    def playlist(self, what: str) -> None:
        host = self.headers["Host"]
        names = {"passwd": "file:///etc/passwd", "loopback": f"http://{host}/secret.ts"}
        text = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{names[what]}\n#EXT-X-ENDLIST\n"
        self.whole(text.encode(), "video/mp4")

    def dash(self) -> None:
        self.whole(b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>', "video/mp4")

    def concat(self) -> None:
        self.whole(b"ffconcat version 1.0\nfile /etc/passwd\n", "video/mp4")

    def trickle(self) -> None:
        data = TALK.read_bytes()
        self.head(200, Content_Length=len(data))
        if self.headers.get("Range"):
            return self.body(data)
        for at in range(0, len(data), 10):
            if self.state.release.wait(0.05):
                return None
            self.body(data[at : at + 10])
            self.wfile.flush()
        return None

    def silent(self) -> None:
        """Answer the first request, then never send anything."""
        if self.headers.get("Range"):
            return self.whole(TALK.read_bytes())
        self.state.release.wait(30)
        return self.cut()

    def around(self, count: str) -> None:
        self.redirect(f"/around/{int(count) + 1}")

    def back(self, count: str) -> None:
        """Redirect this many times, then serve the file."""
        self.redirect(f"/back/{int(count) - 1}") if int(count) else self.good()

    def to(self) -> None:
        from urllib.parse import unquote

        self.redirect(unquote(self.query))

    def redirect(self, where: str) -> None:
        self.head(302, Location=where, Content_Length=0)

    # The archive

    def archive(self, item: str | None = None) -> None:
        if self.headers.get("Authorization") != "Bearer open-sesame":
            return self.head(401, Content_Length=0)
        if item is None:
            return self.whole(b'{"items": []}', "application/json")
        trouble = self.state.flaws.get(f"archive {item}")
        if trouble == 0:  # never answers
            self.state.release.wait(30)
            return self.cut()
        if trouble is not None and self.state.times(f"/mimir/api/v1/items/{item}") <= 2:
            return self.head(trouble, Content_Length=0)
        artifacts = self.state.items.get(item)
        if artifacts is None:
            return self.head(404, Content_Length=0)
        host = f"http://{self.headers['Host']}"
        urls = {name: f"{host}{path}?X-Amz-Signature=s3cret" for name, path in artifacts.items()}
        return self.whole(json.dumps({"title": f"Item {item}", **urls}).encode(), "application/json")

    # The video site

    def video_facts(self, video: str) -> None:
        facts = self.state.videos.get(video)
        if facts is None:
            return self.head(404, Content_Length=0)
        return self.whole(json.dumps(facts).encode(), "application/json")

    def watch(self, *_rest: str) -> None:
        self.page()

    def video_file(self, _name: str) -> None:
        self.good()

    def stream(self) -> None:
        """Serve a playlist with one segment."""
        text = "#EXTM3U\n#EXT-X-TARGETDURATION:30\n#EXTINF:24.024,\n/site/segment.ts\n#EXT-X-ENDLIST\n"
        self.whole(text.encode(), "application/vnd.apple.mpegurl")

    def segment(self) -> None:
        self.whole(_segment())

    def broken_file(self) -> None:
        """Drop the first request for the file of the site, and serve the next ones."""
        first = self.state.times("/site/media/drops.mp4") <= 1
        self.ranged(TALK.read_bytes(), most=300_000 if first else None)


@cache
def _segment() -> bytes:
    path = folder() / "segment.ts"
    run_ffmpeg(["-y", "-i", str(TALK), "-c", "copy", "-f", "mpegts", str(path)])
    return path.read_bytes()


_PATHS: list[tuple[str, Callable[..., None]]] = [
    (r"/good\.mp4|/talk%20one\.mp4", _Handler.good),
    (r"/no-ranges\.mp4", _Handler.no_ranges),
    (r"/too-long\.mp4", _Handler.too_long),
    (r"/too-short\.mp4", _Handler.too_short),
    (r"/no-length\.mp4", _Handler.no_length),
    (r"/endless\.mp4", _Handler.endless),
    (r"/huge\.mp4", _Handler.huge),
    (r"/liar\.mp4", _Handler.liar),
    (r"/drops\.mp4", _Handler.drops),
    (r"/drops-once\.mp4", _Handler.drops_without_ranges),
    (r"/changes\.mp4", _Handler.changes),
    (r"/five-hours\.mp4", _Handler.five_hours),
    (r"/sound\.wav", _Handler.sound),
    (r"/empty\.mp4", _Handler.nothing),
    (r"/status/(\d+)\.mp4", _Handler.status),
    (r"/sometimes/(\d+)\.mp4", _Handler.sometimes),
    (r"/page\.mp4", _Handler.page),
    (r"/text\.mp4", _Handler.text),
    (r"/(passwd|loopback)\.mp4", _Handler.playlist),
    (r"/dash\.mp4", _Handler.dash),
    (r"/concat\.mp4", _Handler.concat),
    (r"/trickle\.mp4", _Handler.trickle),
    (r"/silent\.mp4", _Handler.silent),
    (r"/around/(\d+)", _Handler.around),
    (r"/back/(\d+)", _Handler.back),
    (r"/to", _Handler.to),
    (r"/mimir/api/v1/items", _Handler.archive),
    (r"/mimir/api/v1/items/([\w-]+)", _Handler.archive),
    (r"/site/api/(\w+)\.json", _Handler.video_facts),
    (r"/site/(watch|list|channel)(/\w+)?", _Handler.watch),
    (r"/site/hls\.m3u8", _Handler.stream),
    (r"/site/segment\.ts", _Handler.segment),
    (r"/site/media/drops\.mp4", _Handler.broken_file),
    (r"/site/media/(\w+)\.mp4", _Handler.video_file),
]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@contextlib.contextmanager
def serving(host: str = "127.0.0.1") -> Iterator[Served]:
    """Run the server on a free port, and yield its state."""
    state = Served("")
    handler = type("Handler", (_Handler,), {"state": state})
    with _Server((host, 0), handler) as server:
        state.url = f"http://{host}:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield state
        finally:
            state.release.set()
            server.shutdown()
            thread.join()
