"""A yt-dlp client that always uses its proxy, despite `NO_PROXY` or system settings.

yt-dlp, its ffmpeg and Python's urllib honour such exceptions, and these name exactly the hosts that the guard
must block: this machine and its private network.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakSet

__all__ = ["proxied_client"]


def proxied_client(options: Mapping[str, Any]) -> Any:
    """Return a `YoutubeDL` with these options that sends all requests through its proxy."""
    return _client_type()(dict(options))


class _ProxyHandler(urllib.request.BaseHandler):
    """Sends each request through a proxy, without exceptions."""

    handler_order = 100

    def __init__(self, proxies: Mapping[str, str | None]) -> None:
        self._proxies = proxies

    def http_open(self, request: urllib.request.Request) -> None:
        proxy = self._proxies.get(request.type) or self._proxies.get("all")
        if not proxy:
            raise urllib.error.URLError("no proxy is configured for this request")
        request.set_proxy(urlsplit(proxy).netloc, "http")

    https_open = ftp_open = http_open


@cache
def _client_type() -> type[Any]:
    import yt_dlp
    from yt_dlp.downloader import external
    from yt_dlp.networking._urllib import UrllibRH
    from yt_dlp.networking.exceptions import HTTPError

    # yt-dlp requires the suffix `RH` in the class name.
    class ProxyRH(UrllibRH):  # type: ignore[misc]
        RH_NAME = "outward"

        def _create_instance(self, proxies: Mapping[str, str | None], **named: Any) -> Any:
            opener = super()._create_instance(proxies={}, **named)
            opener.add_handler(_ProxyHandler(proxies))
            return opener

    class Client(yt_dlp.YoutubeDL):  # type: ignore[misc]
        """Closes its responses on `close`: yt-dlp leaves broken ones to the garbage collector."""

        def __init__(self, options: dict[str, Any]) -> None:
            self._answers: WeakSet[Any] = WeakSet()
            super().__init__(options)

        def urlopen(self, request: Any) -> Any:
            try:
                answer = super().urlopen(request)
            except HTTPError as error:
                self._answers.add(error.response)
                raise
            self._answers.add(answer)
            return answer

        def close(self) -> None:
            for answer in list(self._answers):
                answer.close()
            super().close()

        def build_request_director(self, _handlers: Any, preferences: Any = None) -> Any:
            return super().build_request_director([ProxyRH], preferences)

    class Popen(external.Popen):  # type: ignore[misc]
        """Removes `no_proxy` from an environment that is passed to set a proxy."""

        def __init__(self, args: Any, *rest: Any, env: Mapping[str, str] | None = None, **named: Any) -> None:
            environment = env and {name: value for name, value in env.items() if name.lower() != "no_proxy"}
            super().__init__(args, *rest, env=environment, **named)

    external.Popen = Popen
    return Client
