"""A server on loopback that answers with scripted bytes, whatever it is asked.

A script is a list of answers; the n-th connection gets the n-th, later ones the last. An answer is an object:
`head` (the text up to the body, as Latin-1), `media` (true: a video follows), `zeros` (so many bytes follow;
-1: without end), `pause_s` (before each piece of the body), `piece` (its size in bytes), `cut` (the number of
bytes after which the connection is closed).
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from itertools import islice, repeat
from random import Random
from typing import Any

from tests.support.media import MEDIA

__all__ = ["scripted", "serving_script"]

_HEADERS = (
    "Content-Length: {size}", "Content-Length: 0", "Content-Length: -1",
    "Content-Length: 99999999999999999999",
    "Content-Length: 1e3", "Content-Length: {size}\r\nContent-Length: 5", "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked", "Content-Encoding: gzip", "Content-Encoding: br, deflate, gzip",
    "Content-Encoding: nothing", "Content-Range: bytes 0-{last}/{size}", "Content-Range: bytes 5-1/2",
    "Content-Range: bytes */*", "Content-Range: bytes 0-0/" + "9" * 5000, "Content-Range: x",
    "Accept-Ranges: bytes",
    "ETag: \"\xe9\xff\"", "ETag: " + "e" * 9000, "ETag", "Last-Modified: yesterday", "Retry-After: -5",
    "Retry-After: 99999999999", "Retry-After: soon", "Location: /", "Location: ", "Location: http://",
    "Location: //[::1", "Location: file:///etc/passwd", "Location: http://h:99999/", "Location: \x00\x1b[2J",
    "Location: " + "a" * 70_000, "Location: /next", "Content-Type: video/mp4", "Content-Type: text/html",
    "Content-Type: \xff", "Content-Disposition: attachment; filename=\"../../x\x00\"",
    "Content-Disposition: attachment; filename*=utf-8''%ff%00", "Set-Cookie: a=b", ": nameless", "No colon",
    "X: " + "y" * 200_000, "Date: Thu, 99 Foo 2026 99:99:99 GMT", "Connection: close",
    "Connection: keep-alive",
)  # fmt: skip
_STATUSES = (
    "HTTP/1.1 200 OK", "HTTP/1.1 200 OK", "HTTP/1.1 206 Partial Content", "HTTP/1.1 301 Moved",
    "HTTP/1.1 302 Found",
    "HTTP/1.1 307 X", "HTTP/1.1 204 No Content", "HTTP/1.1 304 Not Modified", "HTTP/1.1 416 X",
    "HTTP/1.1 429 X",
    "HTTP/1.1 503 X", "HTTP/1.1 100 Continue", "HTTP/1.1 999 X", "HTTP/1.1 abc", "HTTP/9.9 200 OK",
    "HTTP/1.0 200 OK",
    "ICY 200 OK", "", "\x00\xff", "HTTP/1.1 200 \x1b[2J\xe9",
)  # fmt: skip
_BLANK = {"head": "", "media": False, "zeros": 0, "pause_s": 0, "piece": 65_536, "cut": None}


def scripted(random: Random) -> list[dict[str, Any]]:
    """Return a script of one to three answers."""
    return [_answer(random) for _ in range(random.choice((1, 1, 2, 3)))]


def _answer(random: Random) -> dict[str, Any]:
    media = random.random() < 0.6
    size = (MEDIA / "silent.mp4").stat().st_size if media else 0
    lines = random.sample(_HEADERS, random.choice((0, 1, 2, 3, 5)))
    if random.random() < 0.5:
        lines = ["Content-Length: {size}", *lines]
    head = "\r\n".join((random.choice(_STATUSES), *lines, "", ""))
    return {
        "head": head.replace("{size}", str(size)).replace("{last}", str(size - 1)),
        "media": media,
        "zeros": random.choice((0, 0, 0, 1, 100_000, -1)),
        "pause_s": random.choice((0, 0, 0, 0.01, 3)),
        "piece": random.choice((1, 1000, 65_536)),
        "cut": random.choice((None, None, None, 0, 20, 10_000)),
    }


@contextlib.contextmanager
def serving_script(script: list[dict[str, Any]]) -> Iterator[str]:
    """Run the server, and yield its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()
        threading.Thread(target=_accept, args=(listener, script, ended), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/film.mp4"
        ended.set()


def _accept(listener: socket.socket, script: list[dict[str, Any]], ended: threading.Event) -> None:
    with contextlib.suppress(OSError):
        for answer in (*script, *repeat(script[-1], 1_000)):
            connection, _ = listener.accept()
            threading.Thread(
                target=_serve, args=(connection, {**_BLANK, **answer}, ended), daemon=True
            ).start()


def _serve(connection: socket.socket, answer: dict[str, Any], ended: threading.Event) -> None:
    with contextlib.suppress(OSError), connection:
        connection.recv(65_536)
        left = answer["cut"]
        for piece in _pieces(answer):
            if ended.is_set() or left == 0:
                return
            piece = piece if left is None else piece[:left]
            left = left if left is None else left - len(piece)
            connection.sendall(piece)
            time.sleep(answer["pause_s"])


def _pieces(answer: dict[str, Any]) -> Iterator[bytes]:
    yield answer["head"].encode("latin-1", "replace")
    body = (MEDIA / "silent.mp4").read_bytes() if answer["media"] else b""
    size = max(1, answer["piece"])
    yield from (body[at : at + size] for at in range(0, len(body), size))
    zeros = answer["zeros"]
    yield from repeat(b"\0" * 65_536) if zeros < 0 else islice(repeat(b"\0"), zeros)


def read_script(data: bytes) -> list[dict[str, Any]]:
    """Return a script from its JSON."""
    script: list[dict[str, Any]] = json.loads(data)
    return script
