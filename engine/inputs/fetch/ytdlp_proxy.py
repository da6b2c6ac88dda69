"""yt-dlp, kept to its proxy: whatever `NO_PROXY`, or the system, says of hosts to be reached without one.

yt-dlp, its ffmpeg and Python's urllib heed such exceptions, and these name just what the guard is there to
keep out of reach: this machine and its private network.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakSet

__all__ = ["guarded_client"]


def guarded_client(options: Mapping[str, Any]) -> Any:
    """A `YoutubeDL` with these options, all of whose requests go through its proxy."""
    return _client_type()(dict(options))


class _Outward(urllib.request.BaseHandler):
    """Sends each request through a proxy, without exceptions."""

    handler_order = 100

    def __init__(self, proxies: Mapping[str, str | None]) -> None:
        self._proxies = proxies

    def http_open(self, request: urllib.request.Request) -> None:
        proxy = self._proxies.get(request.type) or self._proxies.get("all")
        if not proxy:
            raise urllib.error.URLError("no proxy to go out by")
        request.set_proxy(urlsplit(proxy).netloc, "http")

    https_open = ftp_open = http_open


@cache
def _client_type() -> type[Any]:
    import yt_dlp
    from yt_dlp.downloader import external
    from yt_dlp.networking._urllib import UrllibRH
    from yt_dlp.networking.exceptions import HTTPError

    class OutwardRH(UrllibRH):  # type: ignore[misc]
        RH_NAME = "outward"

        def _create_instance(self, proxies: Mapping[str, str | None], **named: Any) -> Any:
            opener = super()._create_instance(proxies={}, **named)
            opener.add_handler(_Outward(proxies))
            return opener

    class Client(yt_dlp.YoutubeDL):  # type: ignore[misc]
        """Closes with itself what was answered to it: yt-dlp leaves what broke off to the collector."""

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
            return super().build_request_director([OutwardRH], preferences)

    class Popen(external.Popen):  # type: ignore[misc]
        """Given an environment, as it is for the sake of a proxy: without the exceptions to it."""

        def __init__(self, args: Any, *rest: Any, env: Mapping[str, str] | None = None, **named: Any) -> None:
            kept = env and {name: value for name, value in env.items() if name.lower() != "no_proxy"}
            super().__init__(args, *rest, env=kept, **named)

    external.Popen = Popen
    return Client
