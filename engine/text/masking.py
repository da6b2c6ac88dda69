"""URLs without the secrets that they may carry: signatures and tokens in queries, user names, passwords."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["mask_secrets", "mask_urls", "masked_prose", "masked_server", "masked_text", "masked_url"]

_WEB = ("http://", "https://")
_VIDEO_ID = re.compile(r"v=[\w\-]{1,20}")
_MASK = re.compile("masked=[0-9a-f]{8}")
_URL = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9+.\-]{0,30}:(?://|~1~1)|(?:https?|ftps?|s3|gs|rtmps?):/)[^\s<>\"`\\]+",
    re.IGNORECASE,
)
"""A URL in prose. An apostrophe belongs to it, since a password or a signature may hold one.

In a JSON pointer its slashes are `~1`, and a path has one slash where it had two.
"""
_UNREADABLE = "https://masked.invalid/"
_BAD_PORT = re.compile(r":(?!\d*$)[^\]]*$")
_CUT_SHORT = re.compile(r"[^:]*://[^/?#@]*(?:…|:(?!\d{0,5}(?:[/?#…]|$))[^/?#@]*)")
"""A URL whose host was cut off, or whose port is none: its beginning may be that of a password."""
_AFTER = ".,;:!?)]}*_|'"
"""Characters that end a sentence or close a bracket after a URL in prose."""


def mask_urls(value: Any) -> Any:
    """Return a JSON value with every URL in it masked.

    Examples
    --------
    >>> mask_urls({"url": "https://me:pw@host.example/a.mp4?v=7", "size": 3})
    {'url': 'https://host.example/a.mp4?v=7', 'size': 3}
    """
    if isinstance(value, Mapping):
        return {mask_urls(key): mask_urls(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [mask_urls(element) for element in value]
    return masked_text(value) if isinstance(value, str) else value


def masked_text(text: str) -> str:
    """Return a text with every URL in it masked. A text that begins with a URL counts as one URL as a
    whole, and so does each name of a JSON pointer.

    Punctuation and brackets after a URL belong to the prose. The time is linear in the length of the text.

    Examples
    --------
    >>> masked_text("Like https://cdn.example/a.mp4?sig=s3cret, but s3://key:pw@bucket/b.mp4")
    'Like https://cdn.example/a.mp4?masked=bafb53f5, but s3://bucket/b.mp4'
    """
    if text.lower().startswith(_WEB):
        return masked_url(text)
    if text.startswith("/") and ":~1" in text:
        return "/".join(_masked_name(name) for name in text.split("/"))
    return masked_prose(text)


def _masked_name(name: str) -> str:
    """Return a name in a JSON pointer masked as a whole, since it may hold spaces."""
    return masked_text(name.replace("~1", "/")).replace("/", "~1") if ":~1" in name else name


def masked_prose(text: str) -> str:
    """Return a text with every URL in it masked: unlike `masked_text`, also if it begins with a URL.

    A URL that was cut before its host (`https://me:secr…`) keeps its scheme alone.

    Examples
    --------
    >>> masked_prose("https://cdn.example/a.mp4?sig=s3cret is not media")
    'https://cdn.example/a.mp4?masked=bafb53f5 is not media'
    >>> masked_prose('not "https://me:s3c…')
    'not "https://…'
    """
    return _URL.sub(_masked_match, text) if ":/" in text or ":~1" in text else text


def _masked_match(found: re.Match[str]) -> str:
    whole = found.group()
    scheme, _, rest = whole.partition(":")
    if rest.startswith("~1"):
        return _masked_whole(whole.replace("~1", "/")).replace("/", "~1")
    if not rest.startswith("//"):
        return _masked_whole(f"{scheme}:/{rest}").replace("://", ":/", 1)
    return _masked_whole(whole)


def _masked_whole(whole: str) -> str:
    url = whole.rstrip(_AFTER)
    if _CUT_SHORT.fullmatch(url):
        return url.partition("://")[0] + "://…" + whole[len(url) :]
    url = whole.rstrip(_AFTER + "…")
    masked = masked_url(url) if url.lower().startswith(_WEB) else masked_server(url)
    return masked + whole[len(url) :]


def masked_url(text: str) -> str:
    """Return a URL with a digest in place of its query, or any other text unchanged.

    The digest keeps two different queries distinct. The id of a video (`v=…`, at most 20 characters)
    stays; user names, passwords and fragments are removed. Masking is idempotent.
    """
    if not text.lower().startswith(_WEB):
        return text
    from urllib.parse import urlsplit, urlunsplit

    try:
        parts = urlsplit(text)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return _UNREADABLE
    if _BAD_PORT.search(host):
        return _UNREADABLE  # a password that holds a "/" looks like a port
    return urlunsplit((parts.scheme, host, parts.path, _masked_query(parts.query), ""))


def masked_server(url: str) -> str:
    """Return a URL of any scheme without user name, password, query and fragment.

    >>> masked_server("postgresql+psycopg://me:pw@db.example:5432/runs?sslpassword=x")
    'postgresql+psycopg://db.example:5432/runs'
    """
    scheme, _, rest = url.partition("://")
    # A password may itself contain "/", "?", "#" or "@" that should have been escaped: cut at the last "@".
    place = re.split(r"[?#]", rest.rpartition("@")[2], maxsplit=1)[0]
    return f"{scheme}://{place}" if rest else "masked"


def mask_secrets(message: str, url: str) -> str:
    """Return an error message about a server without the secrets of its URL.

    >>> mask_secrets("bad port 'pw@host'", "postgresql://me:pw@host/runs")
    "bad port '***@host'"
    """
    from urllib.parse import unquote

    rest = url.partition("://")[2]
    _user, _, password = rest.rpartition("@")[0].partition(":")
    query = rest.partition("?")[2]
    values = [pair.partition("=")[2] for pair in re.split("[&#]", query)]
    message = message.replace(url, masked_server(url))
    secrets = {one for text in (password, *values) for one in (text, unquote(text)) if one}
    for secret in sorted(secrets, key=len, reverse=True):
        message = message.replace(secret, "***")
    return message


def _masked_query(query: str) -> str:
    # Only the exact form of a mask counts as one: a query that merely begins like it may hold anything.
    if not query or _MASK.fullmatch(query):
        return query
    video = next((pair for pair in query.split("&") if _VIDEO_ID.fullmatch(pair)), None)
    if video is not None:
        return video
    import hashlib

    return f"masked={hashlib.sha256(query.encode('utf-8', 'replace')).hexdigest()[:8]}"
