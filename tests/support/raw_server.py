"""A server on loopback that answers each request with given bytes, valid HTTP or not."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass
class RawServer:
    """Its base URL without a trailing slash, and the head of each request that it received."""

    url: str
    requests: list[str] = field(default_factory=list)


@contextlib.contextmanager
def raw_server(answer: Callable[[str], bytes]) -> Iterator[RawServer]:
    """Run the server: it sends `answer(head of the request)` and closes the connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        state = RawServer(f"http://127.0.0.1:{listener.getsockname()[1]}")

        def serve() -> None:
            while True:
                try:
                    connection, _address = listener.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(10)
                    head = connection.recv(65_536).decode("latin-1")
                    if head.startswith("GET "):
                        state.requests.append(head)
                        connection.sendall(answer(head))
                        connection.shutdown(socket.SHUT_WR)
                        # Read to the end, or the close resets the connection before the answer is read.
                        while connection.recv(65_536):
                            pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            # A blocked `accept` is not woken by closing its socket, but by shutting it down.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
