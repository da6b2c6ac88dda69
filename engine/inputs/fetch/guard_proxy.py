"""The only network exit: a loopback proxy that resolves a host, checks its address, and connects to it.

Every client (httpx, yt-dlp, an ffmpeg started by yt-dlp) uses it as its proxy. Each request and each redirect
is therefore checked the same way. The host is resolved once and that address is used, so that a second DNS
answer cannot bypass the check (DNS rebinding).
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
"""A function from a host and a port to the host's addresses."""

MARK = "x-tessera-guard"
"""The header that marks responses of the proxy itself."""
_HEAD_BYTES = 64 * 1024
_CHUNK = 256 * 1024
_HOP_BY_HOP = (b"connection:", b"proxy-connection:", b"keep-alive:", b"proxy-authorization:")


def resolve_host(host: str, port: int) -> list[str]:
    """Return the addresses of a host, in the order in which the system would try them.

    Raises
    ------
    OSError
        If the host has no address.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_kind, address in found))


class _RequestRefused(Exception):
    """A refused request: the status and the reason of the response."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class GuardProxy:
    """A proxy for one source. Use it as a context manager.

    Parameters
    ----------
    limit
        The most bytes to receive; the proxy closes beyond it.

    Attributes
    ----------
    proxy
        The URL of the proxy.
    received
        Bytes received from outside.
    refusal
        The first refusal, in a form for the user.
    connect_error
        The reason why the last host could not be reached, if any.
    close_reason
        The reason for an early close, in a form for the user.
    """

    def __init__(self, rules: FetchRules, limit: int, resolve: Resolve = resolve_host) -> None:
        self._rules, self._limit, self._resolve = rules, limit, resolve
        self.received = 0
        self.refusal: str | None = None
        self.connect_error: str | None = None
        self.close_reason: str | None = None
        self._closed = threading.Event()
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
        self.close()
        self._accepting.join(timeout=5)
        for thread in self._threads:
            thread.join(timeout=5)

    @property
    def busy(self) -> bool:
        """True if a connection is open."""
        return bool(self._sockets)

    def wait(self, seconds: float) -> None:
        """Wait, but return as soon as the proxy closes."""
        self._closed.wait(seconds)

    def close(self, reason: str | None = None) -> None:
        """End every transfer at once and accept no more connections."""
        self.close_reason = self.close_reason or reason
        self._closed.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        with self._lock:
            for connection in self._sockets:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with self._listener:
            while not self._closed.is_set():
                try:
                    client, _address = self._listener.accept()
                except TimeoutError:
                    continue
                except OSError:
                    return
                thread = threading.Thread(target=self._serve, args=(client,), name="guarded", daemon=True)
                self._threads = [old for old in self._threads if old.is_alive()] + [thread]
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        with self._tracked(client), contextlib.suppress(OSError, ValueError):
            client.settimeout(self._rules.patience_s)
            head, rest = _read_head(client)
            if not head:
                return
            try:
                tunnel, host, port, passed_on = _parse_request(head)
                upstream = self._connect(host, port)
            except _RequestRefused as refusal:
                client.sendall(_error_response(refusal))
                return
            with self._tracked(upstream):
                if tunnel:
                    client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                    upstream.sendall(rest)
                else:
                    upstream.sendall(passed_on + rest)
                self._relay(client, upstream, rewrite=not tunnel)

    def _connect(self, host: str, port: int) -> socket.socket:
        """Connect to a checked address of the host, which is resolved once."""
        try:
            addresses = self._resolve(host, port)
        except (OSError, UnicodeError):
            self.connect_error = f"{host} could not be resolved"
            raise _RequestRefused(502, self.connect_error) from None
        allowed = self._rules.allow_private
        bad = next((ip for ip in addresses if not may_reach(ip, allow_private=allowed)), None)
        if bad is not None:
            where = "" if bad == host else f" ({bad})"
            self.refusal = self.refusal or f"refused: {host} is a private address{where}"
            raise _RequestRefused(403, self.refusal)
        until = time.monotonic() + self._rules.connect_s
        for address in addresses:
            try:
                upstream = socket.create_connection((address, port), max(until - time.monotonic(), 0.1))
            except OSError as error:
                self.connect_error = f"{host} could not be reached: {error.strerror or error}"
                continue
            upstream.settimeout(self._rules.patience_s)
            return upstream
        raise _RequestRefused(502, self.connect_error or f"{host} could not be reached")

    @contextlib.contextmanager
    def _tracked(self, connection: socket.socket) -> Iterator[None]:
        """Register a socket so that `close` can end it, and close it at the end."""
        with connection:
            with self._lock:
                self._sockets.add(connection)
            try:
                if not self._closed.is_set():
                    yield
            finally:
                with self._lock:
                    self._sockets.discard(connection)

    def _relay(self, client: socket.socket, upstream: socket.socket, *, rewrite: bool) -> None:
        """Relay bytes in both directions until the upstream ends or neither side sends for too long."""
        if rewrite:
            try:
                head, rest = _read_head(upstream)
            except ValueError as error:
                self.close(f"its server sends no valid HTTP: {error}")
                return
            self.received += len(head) + len(rest)
            client.sendall(_with_connection_close(head) + rest)
        buffer = memoryview(bytearray(_CHUNK))
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, upstream)
            selector.register(upstream, selectors.EVENT_READ, client)
            while not self._closed.is_set():
                ready = selector.select(self._rules.patience_s)
                if not ready:
                    return
                for key, _events in ready:
                    sender = key.fileobj
                    assert isinstance(sender, socket.socket)
                    size = sender.recv_into(buffer)
                    if not size and sender is upstream:
                        return
                    if not size:
                        selector.unregister(client)
                        upstream.shutdown(socket.SHUT_WR)
                        continue
                    if sender is upstream:
                        self._count(size)
                    key.data.sendall(buffer[:size])

    def _count(self, size: int) -> None:
        self.received += size
        if self.received > self._limit:
            self.close(f"it sends more than {self._limit:,} bytes, the limit")


def _read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    """Read the head of a message with its empty line, and the bytes after it; both are empty at the end."""
    found = bytearray()
    while (end := found.find(b"\r\n\r\n")) < 0:
        if len(found) > _HEAD_BYTES:
            raise ValueError("the head is too long")
        more = connection.recv(16 * 1024)
        if not more:
            return b"", b""
        found += more
    return bytes(found[: end + 4]), bytes(found[end + 4 :])


def _parse_request(head: bytes) -> tuple[bool, str, int, bytes]:
    """Return True for a tunnel, the host, the port, and the head to forward if it is not a tunnel."""
    first, *fields = head[:-4].split(b"\r\n")
    method, _, rest = first.partition(b" ")
    target, _, version = rest.rpartition(b" ")
    if method == b"CONNECT":
        host, port = _parse_authority(target, 443)
        return True, host, port, b""
    scheme, _, rest = target.partition(b"://")
    if scheme.lower() != b"http":
        raise _RequestRefused(400, "only http requests and https tunnels are supported")
    authority, path = re.fullmatch(rb"([^/?#]*)(.*)", rest, re.S).groups()  # type: ignore[union-attr]
    if authority.count(b":") > 1 and b"[" not in authority:  # as httpx writes IPv6 addresses
        named = (field.partition(b":")[2].strip() for field in fields if field.lower().startswith(b"host:"))
        authority = next(named, authority)
    host, port = _parse_authority(authority.rpartition(b"@")[2], 80)
    kept = [field for field in fields if not field.lower().startswith(_HOP_BY_HOP)]
    request_line = b" ".join((method, path if path.startswith(b"/") else b"/" + path, version))
    return False, host, port, b"\r\n".join([request_line, *kept, b"Connection: close", b"", b""])


def _parse_authority(text: bytes, usual: int) -> tuple[str, int]:
    """Return the host and the port; an IPv6 address may be in brackets."""
    found = re.fullmatch(rb"\[([^\]]+)\](?::(\d+))?|([^\[\]]+):(\d+)|([^\[\]:]+)", text)
    if not found:
        raise _RequestRefused(400, "the request target is not valid")
    host, port = found[1] or found[3] or found[5], found[2] or found[4]
    return host.decode("ascii", "replace"), int(port) if port else usual


def _with_connection_close(head: bytes) -> bytes:
    """Return a response head that tells the client not to reuse the connection."""
    if not head:
        return head
    fields = [field for field in head[:-4].split(b"\r\n") if not field.lower().startswith(_HOP_BY_HOP)]
    return b"\r\n".join([*fields, b"Connection: close", b"", b""])


def _error_response(refusal: _RequestRefused) -> bytes:
    reason = refusal.reason.encode("ascii", "replace")
    lines = (
        b"HTTP/1.1 %d %s" % (refusal.status, reason),
        MARK.encode() + b": 1",
        b"Content-Length: 0",
        b"Connection: close",
    )
    return b"\r\n".join((*lines, b"", b""))
