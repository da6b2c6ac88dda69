"""The only way out: a proxy on loopback that resolves a host once, judges the address, and connects to it.

Every client that fetches (httpx, yt-dlp, an ffmpeg that yt-dlp starts) is given it as its proxy. So each
request and each redirect is judged alike, and no second answer of a name server can lead past it.
"""

from __future__ import annotations

import contextlib
import re
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

from tessera.inputs.fetch.addresses import may_reach
from tessera.inputs.fetch.rules import FetchRules

__all__ = ["MARK", "GuardProxy", "Resolve", "resolve_host"]

Resolve = Callable[[str, int], Sequence[str]]
"""A host and a port → the addresses that it has."""

MARK = "x-tessera-guard"
"""A header of the answers that the guard itself gives."""
_HEAD_BYTES = 64 * 1024
_CHUNK = 256 * 1024
_HOP_BY_HOP = (b"connection:", b"proxy-connection:", b"keep-alive:", b"proxy-authorization:")


def resolve_host(host: str, port: int) -> list[str]:
    """The addresses of a host, in the order in which the system would try them.

    Raises
    ------
    OSError
        It has none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_kind, address in found))


class _Refused(Exception):
    """A request that is not passed on: the status to answer it with, and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


class GuardProxy:
    """One proxy, for one source. Use it as a context manager.

    Parameters
    ----------
    limit
        The bytes that may come through it; then it shuts.

    Attributes
    ----------
    proxy
        Its URL.
    received
        Bytes that came from outside.
    refused
        The first refusal, as the user is to read it.
    trouble
        Why the last host could not be reached, if it could not.
    ended
        Why it was shut before its time: what the user is to read.
    """

    def __init__(self, rules: FetchRules, limit: int, resolve: Resolve = resolve_host) -> None:
        self._rules, self._limit, self._resolve = rules, limit, resolve
        self.received = 0
        self.refused: str | None = None
        self.trouble: str | None = None
        self.ended: str | None = None
        self._shut = threading.Event()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.2)
        self.proxy = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._accepting = threading.Thread(target=self._accept, name="guard", daemon=True)

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.shut()
        self._accepting.join(timeout=5)
        for thread in self._threads:
            thread.join(timeout=5)

    @property
    def busy(self) -> bool:
        """Whether a connection is open."""
        return bool(self._sockets)

    def rest(self, seconds: float) -> None:
        """Wait, but no longer than until it is shut."""
        self._shut.wait(seconds)

    def shut(self, why: str | None = None) -> None:
        """End every transfer at once, and take no more."""
        self.ended = self.ended or why
        self._shut.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        with self._lock:
            for one in self._sockets:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with self._listener:
            while not self._shut.is_set():
                try:
                    client, _address = self._listener.accept()
                except TimeoutError:
                    continue
                except OSError:
                    return
                thread = threading.Thread(target=self._serve, args=(client,), name="guarded", daemon=True)
                self._threads = [one for one in self._threads if one.is_alive()] + [thread]
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        with self._open(client), contextlib.suppress(OSError, ValueError):
            client.settimeout(self._rules.patience_s)
            head, rest = _read_head(client)
            if not head:
                return
            try:
                tunnel, host, port, passed_on = _asked(head)
                far = self._connect(host, port)
            except _Refused as refused:
                client.sendall(_answer(refused))
                return
            with self._open(far):
                if tunnel:
                    client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                    far.sendall(rest)
                else:
                    far.sendall(passed_on + rest)
                self._relay(client, far, rewrite=not tunnel)

    def _connect(self, host: str, port: int) -> socket.socket:
        """A connection to an address of the host that was judged. Asks for its addresses once."""
        try:
            addresses = self._resolve(host, port)
        except (OSError, UnicodeError):
            self.trouble = f"{host} could not be found"
            raise _Refused(502, self.trouble) from None
        allowed = self._rules.allow_private
        bad = next((one for one in addresses if not may_reach(one, allow_private=allowed)), None)
        if bad is not None:
            where = "" if bad == host else f" ({bad})"
            self.refused = self.refused or f"refused: {host} is a private address{where}"
            raise _Refused(403, self.refused)
        until = time.monotonic() + self._rules.connect_s
        for address in addresses:
            try:
                far = socket.create_connection((address, port), max(until - time.monotonic(), 0.1))
            except OSError as error:
                self.trouble = f"{host} could not be reached: {error.strerror or error}"
                continue
            far.settimeout(self._rules.patience_s)
            return far
        raise _Refused(502, self.trouble or f"{host} could not be reached")

    @contextlib.contextmanager
    def _open(self, one: socket.socket) -> Iterator[None]:
        """Known to `shut`, and closed at the end."""
        with one:
            with self._lock:
                self._sockets.add(one)
            try:
                if not self._shut.is_set():
                    yield
            finally:
                with self._lock:
                    self._sockets.discard(one)

    def _relay(self, client: socket.socket, far: socket.socket, *, rewrite: bool) -> None:
        """Pass bytes both ways until the far side has ended, or nobody has sent anything for too long."""
        if rewrite:
            head, rest = _read_head(far)
            self.received += len(head) + len(rest)
            client.sendall(_closing(head) + rest)
        buffer = memoryview(bytearray(_CHUNK))
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, far)
            selector.register(far, selectors.EVENT_READ, client)
            while not self._shut.is_set():
                ready = selector.select(self._rules.patience_s)
                if not ready:
                    return
                for key, _events in ready:
                    come_from = key.fileobj
                    assert isinstance(come_from, socket.socket)
                    size = come_from.recv_into(buffer)
                    if not size and come_from is far:
                        return
                    if not size:
                        selector.unregister(client)
                        far.shutdown(socket.SHUT_WR)
                        continue
                    if come_from is far:
                        self._count(size)
                    key.data.sendall(buffer[:size])

    def _count(self, size: int) -> None:
        self.received += size
        if self.received > self._limit:
            self.shut(f"it sends more than {self._limit:,} bytes; no more are taken")


def _read_head(one: socket.socket) -> tuple[bytes, bytes]:
    """The head of a message, with its empty line, and what came after it; two times nothing at the end."""
    found = bytearray()
    while (end := found.find(b"\r\n\r\n")) < 0:
        if len(found) > _HEAD_BYTES:
            raise ValueError("the head is too long")
        more = one.recv(16 * 1024)
        if not more:
            return b"", b""
        found += more
    return bytes(found[: end + 4]), bytes(found[end + 4 :])


def _asked(head: bytes) -> tuple[bool, str, int, bytes]:
    """Whether a tunnel is asked for, to which host and port, and the head to pass on where none is."""
    first, *fields = head[:-4].split(b"\r\n")
    method, _, rest = first.partition(b" ")
    target, _, version = rest.rpartition(b" ")
    if method == b"CONNECT":
        host, port = _place(target, 443)
        return True, host, port, b""
    scheme, _, rest = target.partition(b"://")
    if scheme.lower() != b"http":
        raise _Refused(400, "only http, and tunnels for https, are passed on")
    place, path = re.fullmatch(rb"([^/?#]*)(.*)", rest, re.S).groups()  # type: ignore[union-attr]
    if place.count(b":") > 1 and b"[" not in place:  # as httpx writes IPv6 addresses
        named = (field.partition(b":")[2].strip() for field in fields if field.lower().startswith(b"host:"))
        place = next(named, place)
    host, port = _place(place.rpartition(b"@")[2], 80)
    kept = [field for field in fields if not field.lower().startswith(_HOP_BY_HOP)]
    asked = b" ".join((method, path if path.startswith(b"/") else b"/" + path, version))
    return False, host, port, b"\r\n".join([asked, *kept, b"Connection: close", b"", b""])


def _place(text: bytes, usual: int) -> tuple[str, int]:
    """A host and a port; an IPv6 address in brackets or without."""
    found = re.fullmatch(rb"\[([^\]]+)\](?::(\d+))?|([^\[\]]+):(\d+)|([^\[\]:]+)", text)
    if not found:
        raise _Refused(400, "that is no target")
    host, port = found[1] or found[3] or found[5], found[2] or found[4]
    return host.decode("ascii", "replace"), int(port) if port else usual


def _closing(head: bytes) -> bytes:
    """The head of an answer, telling the client to ask nothing more on this connection."""
    if not head:
        return head
    fields = [field for field in head[:-4].split(b"\r\n") if not field.lower().startswith(_HOP_BY_HOP)]
    return b"\r\n".join([*fields, b"Connection: close", b"", b""])


def _answer(refused: _Refused) -> bytes:
    why = refused.why.encode("ascii", "replace")
    lines = (
        b"HTTP/1.1 %d %s" % (refused.status, why),
        MARK.encode() + b": 1",
        b"Content-Length: 0",
        b"Connection: close",
    )
    return b"\r\n".join((*lines, b"", b""))
