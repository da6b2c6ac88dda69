"""Check the headers of a response, which may hold anything, and refuse unusable redirects."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from tessera.inputs.fetch.rules import FetchError
from tessera.text.checked import mail_date, whole_number
from tessera.text.masking import masked_text, masked_url

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

__all__ = ["ContentRange", "content_range", "redirect_check", "retry_after_s", "validator", "whole_size"]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_VALIDATOR_CHARS = 1000
_MOST_WAIT_S = 86_400.0
_RANGE = re.compile(r"bytes\s+(?:(\d+)-(\d+)|\*)/(\d+|\*)", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class ContentRange:
    """A `Content-Range`: the first and the last byte, and the size of the file; None if not stated."""

    first: int | None
    last: int | None
    total: int | None


def whole_size(response: httpx.Response, shown: str) -> int | None:
    """Return the size of the whole file in bytes, or None if the response does not state it.

    Raises
    ------
    FetchError
        If the header that states it is unusable.
    """
    if response.status_code in (206, 416):
        stated = content_range(response, shown)
        return stated.total if stated else None
    text = response.headers.get("content-length")
    if text is None:
        return None
    try:
        return whole_number(text)
    except ValueError as error:
        raise FetchError(f"{shown}: the Content-Length of its server is unusable: {error}") from None


def content_range(response: httpx.Response, shown: str) -> ContentRange | None:
    """Return the range of a 206 or 416 response; None if a 416 states none.

    Raises
    ------
    FetchError
        If the header is missing from a 206, has another form, or contradicts itself.
    """
    text = response.headers.get("content-range", "").strip()
    if not text and response.status_code == 416:
        return None
    found = _RANGE.fullmatch(text) if len(text) <= 100 else None
    if found is None:
        what = f"{_cut(text)} is not a byte range" if text else "it is missing"
        raise FetchError(f"{shown}: the Content-Range of its server is unusable: {what}")
    try:
        first, last, total = (whole_number(one) if one and one != "*" else None for one in found.groups())
    except ValueError as error:
        raise FetchError(f"{shown}: the Content-Range of its server is unusable: {error}") from None
    is_partial = response.status_code == 206
    if (is_partial and first is None) or (
        first is not None
        and last is not None
        and not first <= last < (total if total is not None else last + 1)
    ):
        raise FetchError(f"{shown}: the Content-Range of its server is unusable: {text} is no part of a file")
    return ContentRange(first, last, total)


def retry_after_s(text: str | None) -> float | None:
    """Return the seconds of a Retry-After header, a number or a date; None if it is missing or unusable.

    The result is from 0 to one day. A server that asks for an unusable pause gets the usual one.
    """
    if not text:
        return None
    try:
        if text.strip().isdigit():
            return min(float(whole_number(text)), _MOST_WAIT_S)
        return min(max(mail_date(text) - time.time(), 0.0), _MOST_WAIT_S)
    except ValueError:
        return None


def validator(text: str | None) -> str | None:
    """Return an ETag or date that can be sent back in a request, else None.

    A weak ETag does not identify bytes, and other characters than printable ASCII cannot be sent.
    """
    if not text or text.startswith("W/") or len(text) > _MOST_VALIDATOR_CHARS:
        return None
    return text if text.isascii() and text.isprintable() else None


def redirect_check(shown: str) -> Callable[[httpx.Response], None]:
    """Return a hook for httpx that refuses an unusable redirect before it is followed.

    Raises
    ------
    FetchError
        By the hook: if a redirect has no target, one that is no http(s) URL with a host, or one that was
        already visited with the same cookies.
    """
    visited: set[tuple[str, str]] = set()

    def check(response: httpx.Response) -> None:
        if response.status_code not in _REDIRECTS:
            return
        request = response.request
        visited.add((str(request.url), request.headers.get("cookie", "")))
        target = _target(response, shown)
        fresh = response.headers.get("set-cookie") is not None
        if not fresh and (target, request.headers.get("cookie", "")) in visited:
            raise FetchError(f"{shown} redirects in a circle: back to {_cut(masked_url(target))}")

    return check


def _target(response: httpx.Response, shown: str) -> str:
    """Return the URL that a redirect leads to."""
    raw: str = response.headers.get("location", "").strip()
    if not raw:
        raise FetchError(f"{shown} redirects ({response.status_code}) without a Location header")
    try:
        # `urljoin` would take the host of the request for a URL such as `http:///a`.
        target: str = raw if urlsplit(raw).scheme else urljoin(str(response.request.url), raw)
        parts = urlsplit(target)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise FetchError(f"{shown} redirects to {_cut(masked_text(raw))}, which is not a valid URL") from None
    if parts.scheme not in ("http", "https"):
        scheme = f"{parts.scheme}:"
        raise FetchError(f"{shown} redirects to a URL that is neither http nor https: {_cut(scheme)}")
    if not host:
        raise FetchError(f"{shown} redirects to {_cut(masked_text(raw))}, which has no host")
    return target


def _cut(text: str) -> str:
    return repr(text if len(text) <= 100 else text[:99] + "…")
