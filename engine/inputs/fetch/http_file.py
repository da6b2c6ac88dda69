"""Download a file by its URL with httpx: one inspection, then one download that resumes after a drop."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from tessera.inputs.fetch.content_coding import codings_of, decoded
from tessera.inputs.fetch.guard_proxy import MARK, GuardProxy
from tessera.inputs.fetch.http_headers import (
    content_range,
    redirect_check,
    retry_after_s,
    validator,
    whole_size,
)
from tessera.inputs.fetch.media_length import declared_length
from tessera.inputs.fetch.rules import FetchError, FetchRules, PassingError
from tessera.inputs.fetch.sniff import Head, content_kind
from tessera.media.algebra.time import to_ms
from tessera.text.masking import masked_text, masked_url

if TYPE_CHECKING:
    import ssl

    import httpx

__all__ = ["HttpInfo", "fetch_file", "get_text", "inspect_file", "name_of"]

_INSPECT_BYTES = 64 * 1024
_TRANSIENT_STATUS = {408, 425, 429, 500, 502, 503, 504}
_CUT_OFF = ("Server disconnected", "peer closed connection")
"""The beginnings of httpx's messages about a response that ends early: alone among its protocol errors, these
may pass."""
_ADVICE = {
    401: "it needs a sign-in: give a signed URL, or the file itself",
    403: "access denied: a signed URL may have expired; make a new one",
    404: "there is no such file: check the URL",
    410: "it was removed",
    429: "too many requests: try again later",
}


@dataclass(frozen=True, slots=True)
class HttpInfo:
    """The facts about a file that are known before it is fetched.

    Attributes
    ----------
    size
        In bytes; None if the server does not state it.
    ranges
        True if the server supports range requests.
    etag, modified
        The validators of this version.
    head
        The kind of content, from the first bytes.
    head_digest
        A digest of the first 64 KiB.
    """

    url: str
    size: int | None
    ranges: bool
    etag: str | None
    modified: str | None
    head: Head
    head_digest: str = ""

    @property
    def stamp(self) -> str | None:
        """The server's validator of this version: the ETag, else the modification date."""
        return self.etag or self.modified

    @property
    def version(self) -> str | None:
        """A text that changes with the file, or None if the server sends no validator.

        Many servers derive the validator from size and time, which a new file may share with the old one.
        The digest tells most of such files apart.
        """
        is_known = self.stamp and self.size is not None
        return f"{self.stamp} {self.size} {self.head_digest}" if is_known else None


def name_of(url: str) -> str:
    """Return the name of a file from its URL: the last part of its path, else its host.

    >>> name_of("https://host.example/a/talk%20one.mp4?X-Signature=1"), name_of("http://host.example/")
    ('talk one.mp4', 'host.example')
    """
    parts = urlsplit(url)
    last = unquote(parts.path.rstrip("/").rpartition("/")[2])
    return "".join(one for one in last if one.isprintable())[:200] or str(parts.hostname)


def inspect_file(url: str, guard: GuardProxy, rules: FetchRules) -> HttpInfo:
    """Request the first bytes of a file.

    Raises
    ------
    FetchError
        If the file is missing, too large, or a playlist; a web page is reported in `head`.
    PassingError
        If a later attempt may succeed.
    """
    shown = masked_url(url)
    with _stream_response(url, guard, rules, {"Range": f"bytes=0-{_INSPECT_BYTES - 1}"}) as response:
        size = whole_size(response, shown)
        _check_start(response, shown, 0)
        head = b""
        if response.status_code != 416:
            for chunk in _body(response, url, rules.most_bytes, partial=response.status_code == 206):
                head += chunk
                if len(head) >= _INSPECT_BYTES:
                    break
    found = content_kind(head[:_INSPECT_BYTES])
    _check_size(shown, size, rules)
    if found == "empty":
        raise FetchError(f"{shown} is empty (0 bytes)")
    if found == "playlist":
        raise FetchError(
            f"{shown} is a playlist or a description of other files, not media: give the media itself"
        )
    if found == "text":
        raise FetchError(f"{shown} is text, not media")
    length = declared_length(head)
    if length is not None and length >= rules.most_seconds + 1:
        raise FetchError(
            f"{shown} lasts {to_ms(length)} ms; at most {rules.most_seconds * 1000} ms are allowed"
        )
    digest = hashlib.blake2b(head[:_INSPECT_BYTES], digest_size=16).hexdigest()
    return _with_version(
        HttpInfo(url, None, response.status_code == 206, None, None, found, digest), response
    )


def _with_version(info: HttpInfo, response: httpx.Response) -> HttpInfo:
    """Return an inspection with the size and the version that a response states.

    A compressed body states its own size and ranges, not those of the file.
    """
    etag, modified = validator(response.headers.get("etag")), validator(response.headers.get("last-modified"))
    if _codings(response):
        return replace(info, size=None, ranges=False, etag=etag, modified=modified)
    return replace(info, size=whole_size(response, masked_url(info.url)), etag=etag, modified=modified)


def _codings(response: httpx.Response) -> tuple[str, ...]:
    return codings_of(response.headers.get("content-encoding"))


def _body(response: httpx.Response, url: str, most_bytes: int, *, partial: bool = False) -> Iterator[bytes]:
    """Yield the bytes of the file that a response carries, compressed or not."""
    return decoded(response.iter_raw(), _codings(response), masked_url(url), most_bytes, partial=partial)


def get_text(
    url: str, guard: GuardProxy, rules: FetchRules, headers: Mapping[str, str], most_bytes: int
) -> bytes:
    """Return the body of a small response; redirects are not followed, so that the headers go nowhere else.

    Raises
    ------
    FetchError
        If the request fails, or the body has more than `most_bytes`.
    """
    text = b""
    with _stream_response(url, guard, rules, headers, redirects=False) as response:
        for chunk in _body(response, url, most_bytes):
            text += chunk
            if len(text) > most_bytes:
                raise FetchError(f"{masked_url(url)} sends more than {most_bytes:,} bytes, the limit")
    return text


def fetch_file(
    info: HttpInfo, target: Path, guard: GuardProxy, rules: FetchRules, report: Callable[[int], None]
) -> tuple[str, str | None]:
    """Download a file; return its SHA-256 and its version, which may differ from the inspected one.

    After a drop, resume if the server allows it and the file is unchanged; otherwise start again. Memory is
    bounded by one chunk.

    Parameters
    ----------
    on_bytes
        Called with the number of bytes received so far.

    Raises
    ------
    FetchError
        If the download fails or exceeds the size limit; `target` then holds a part of the file.
    """
    work = _ResumableDownload(info, target, guard, rules, report)
    retries = RetryPolicy(rules, guard)
    while True:
        try:
            work.request_rest()
            return work.digest.hexdigest(), work.info.version
        except PassingError as error:
            retries.wait(error, work.received)


class RetryPolicy:
    """Pauses between attempts, for at most `retry_s` after the last progress."""

    def __init__(self, rules: FetchRules, guard: GuardProxy) -> None:
        self._rules, self._guard = rules, guard
        self._pause = rules.pause_s
        self._last_progress_s, self._last_received = time.monotonic(), 0

    def wait(self, error: PassingError, reached: int = 0) -> None:
        """Wait before the next attempt.

        Parameters
        ----------
        reached
            Bytes received so far: an increase is progress and resets the time limit.

        Raises
        ------
        FetchError
            If the time limit is over.
        """
        rules, now = self._rules, time.monotonic()
        if reached >= self._last_received + rules.stall_bytes:
            self._last_progress_s, self._last_received, self._pause = now, reached, rules.pause_s
        wait = min(max(error.pause_s or 0.0, self._pause), rules.most_pause_s)
        if now + wait > self._last_progress_s + rules.retry_s:
            raise FetchError(f"{error}; tried for {rules.retry_s:g} s") from None
        self._pause = min(2 * self._pause, rules.most_pause_s)
        self._guard.wait(wait)


class _ResumableDownload:
    """One download and the bytes received so far."""

    def __init__(
        self,
        info: HttpInfo,
        target: Path,
        guard: GuardProxy,
        rules: FetchRules,
        report: Callable[[int], None],
    ) -> None:
        self.info, self.target, self.guard, self.rules, self.report = (info, target, guard, rules, report)
        self.received = 0
        self.digest = hashlib.sha256()

    def request_rest(self) -> None:
        """Request the missing bytes once."""
        headers = {}
        stamp = self.info.stamp
        resuming = bool(self.received and self.info.ranges and stamp)
        if resuming and stamp:
            headers = {"Range": f"bytes={self.received}-", "If-Range": stamp}
        with _stream_response(self.info.url, self.guard, self.rules, headers) as response:
            shown = masked_url(self.info.url)
            if response.status_code == 416 and whole_size(response, shown) == self.received:
                return  # the file ends here, whatever length the server stated before
            stated = content_range(response, shown) if response.status_code == 206 else None
            continues = stated is not None and stated.first == self.received
            # A range of a compressed body does not continue the file.
            if not (resuming and continues and not _codings(response)):
                self.received, self.digest = 0, hashlib.sha256()
                if response.status_code != 200:
                    # A range was asked for only if this resumes: the next request asks for the whole file.
                    kind = PassingError if resuming else FetchError
                    raise kind(f"{shown} sent another range than requested")
                self.info = _with_version(self.info, response)
            size = whole_size(response, shown)
            _check_size(shown, size, self.rules)
            with self.target.open("r+b" if self.received else "wb") as file:
                file.seek(self.received)
                self._read(response, file)
            if stated is not None and size is not None and self.received < size:
                raise PassingError(f"{shown} sent {self.received:,} of {size:,} bytes")

    def _read(self, response: httpx.Response, file: Any) -> None:
        most = self.rules.most_bytes
        for chunk in _body(response, self.info.url, most):
            if self.received + len(chunk) > most:
                what = f"{masked_url(self.info.url)} sends more than {most:,} bytes, the limit"
                raise FetchError(what)
            file.write(chunk)
            self.digest.update(chunk)
            self.received += len(chunk)
            self.report(self.received)


@contextlib.contextmanager
def _stream_response(
    url: str, guard: GuardProxy, rules: FetchRules, headers: Mapping[str, str], *, redirects: bool = True
) -> Iterator[httpx.Response]:
    """Yield the response to a GET before its body is read; translate httpx errors."""
    import httpx

    shown = masked_url(url)
    times = httpx.Timeout(rules.patience_s, connect=rules.connect_s)
    try:
        with (
            httpx.Client(
                proxy=guard.proxy,
                trust_env=False,
                verify=_tls_context(),
                timeout=times,
                headers={"Accept-Encoding": "identity", "User-Agent": "tessera"},
                event_hooks={"response": [redirect_check(shown)] if redirects else []},
            ) as client,
            _followed(client, url, headers, rules.most_redirects if redirects else None) as response,
        ):
            if MARK in response.headers:
                raise _guard_error(shown, guard)
            _check_status(response, shown)
            yield response
            # A body without a length ends the same way when it is complete and when it is cut off.
            if guard.close_reason is not None:
                raise FetchError(f"{shown}: {guard.close_reason}")
    except httpx.TooManyRedirects:
        raise FetchError(f"{shown} redirects more than {rules.most_redirects} times") from None
    except httpx.UnsupportedProtocol as error:
        raise FetchError(
            f"{shown} redirects to a URL that is neither http nor https: {_error_text(error)}"
        ) from None
    except httpx.InvalidURL as error:
        raise FetchError(f"{shown} is not a valid URL: {_error_text(error)}") from None
    except httpx.ProxyError:
        raise _guard_error(shown, guard) from None
    except httpx.TransportError as error:
        raise _transport_error(shown, guard, error) from None


@contextlib.contextmanager
def _followed(
    client: httpx.Client, url: str, headers: Mapping[str, str], most: int | None
) -> Iterator[httpx.Response]:
    """Yield the response to a GET after at most so many redirects; None yields the first response.

    httpx itself reads the body of a redirect, which may be endless.
    """
    import httpx

    request = client.build_request("GET", url, headers=dict(headers))
    for _ in range((most or 0) + 1):
        response = client.send(request, stream=True)
        following = response.next_request if most is not None else None
        with contextlib.closing(response):
            if following is None:
                yield response
                return
        request = following
    raise httpx.TooManyRedirects(f"more than {most} redirects", request=request)


def _guard_error(shown: str, guard: GuardProxy) -> FetchError:
    """Return the error for a response of the proxy itself."""
    reason = guard.refusal or guard.close_reason
    if reason is not None:
        return FetchError(f"{shown}: {reason}")
    return PassingError(f"{shown}: {guard.connect_error or 'the connection could not be made'}")


def _transport_error(shown: str, guard: GuardProxy, error: httpx.TransportError) -> FetchError:
    """Return the error for a broken connection, which may pass, or for an invalid response."""
    import httpx

    if guard.close_reason is not None:
        return FetchError(f"{shown}: {guard.close_reason}")
    words = _error_text(error) or type(error).__name__
    if isinstance(error, httpx.RemoteProtocolError) and not words.startswith(_CUT_OFF):
        return FetchError(f"{shown}: the response of its server is not valid HTTP: {words}")
    if "CERTIFICATE_VERIFY_FAILED" in words:
        return FetchError(f"{shown}: the certificate of its server cannot be trusted: {words}")
    return PassingError(f"{shown}: the connection broke: {words}")


def _check_size(shown: str, size: int | None, rules: FetchRules) -> None:
    if size is not None and size > rules.most_bytes:
        raise FetchError(f"{shown} has {size:,} bytes; at most {rules.most_bytes:,} are allowed")


def _check_start(response: httpx.Response, shown: str, first: int) -> None:
    """Refuse a 206 whose range begins elsewhere than requested."""
    stated = content_range(response, shown) if response.status_code == 206 else None
    if stated is not None and stated.first != first:
        raise FetchError(f"{shown} sent another range than requested: it begins at byte {stated.first}")


def _error_text(error: Exception) -> str:
    """Return the text of an error with its URLs masked: httpx may repeat them."""
    return masked_text(" ".join(str(error).split()))


def _check_status(response: httpx.Response, shown: str) -> None:
    status = response.status_code
    if status in (200, 206) or (status == 416 and whole_size(response, shown) is not None):
        return
    advice = _ADVICE.get(status)
    reason = f"{shown}: the server answered {status} {response.reason_phrase}".rstrip()
    report = f"{reason}: {advice}" if advice else reason
    if status in _TRANSIENT_STATUS:
        raise PassingError(report, retry_after_s(response.headers.get("retry-after")))
    raise FetchError(report)


@cache
def _tls_context() -> ssl.SSLContext:
    """Return the TLS context; cached, since loading the certificates takes the longest."""
    import httpx

    return httpx.create_ssl_context()
