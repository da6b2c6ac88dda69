"""A file by its URL, with httpx: one look, and one fetch that goes on where it was cut off."""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from tessera.inputs.fetch.guard_proxy import MARK, GuardProxy
from tessera.inputs.fetch.media_length import declared_length
from tessera.inputs.fetch.rules import FetchError, FetchRules, PassingError
from tessera.inputs.fetch.sniff import Head, head_of
from tessera.media.algebra.time import to_ms
from tessera.text.masking import masked_url

if TYPE_CHECKING:
    import ssl

    import httpx

__all__ = ["HttpLook", "fetch_file", "get_text", "look_at_file", "name_of"]

_LOOK_BYTES = 64 * 1024
_PASSING = {408, 425, 429, 500, 502, 503, 504}
_ADVICE = {
    401: "it needs a sign-in: give a signed URL, or the file itself",
    403: "it may not be read: a signed URL may have expired; make a new one",
    404: "there is no such file: check the URL",
    410: "it was removed",
    429: "too many requests: try again later",
}


@dataclass(frozen=True, slots=True)
class HttpLook:
    """What is known of a file before it is fetched.

    Attributes
    ----------
    size
        In bytes; None where the server does not say.
    ranges
        Whether parts of it can be asked for.
    etag, modified
        What tells this version of it from others.
    head
        What its first bytes are.
    """

    url: str
    size: int | None
    ranges: bool
    etag: str | None
    modified: str | None
    head: Head

    @property
    def stamp(self) -> str | None:
        """What tells this version of the file from others, in the words of the server."""
        return self.etag or self.modified

    @property
    def version(self) -> str | None:
        """A text that changes when the file does, or None where the server gives nothing of the kind."""
        return f"{self.stamp} {self.size}" if self.stamp and self.size is not None else None


def name_of(url: str) -> str:
    """What a file is called, from its URL: the last part of its path, else its host.

    >>> name_of("https://host.example/a/talk%20one.mp4?X-Signature=1"), name_of("http://host.example/")
    ('talk one.mp4', 'host.example')
    """
    parts = urlsplit(url)
    last = unquote(parts.path.rstrip("/").rpartition("/")[2])
    return "".join(one for one in last if one.isprintable())[:200] or str(parts.hostname)


def look_at_file(url: str, guard: GuardProxy, rules: FetchRules) -> HttpLook:
    """Ask for the first bytes of a file.

    Raises
    ------
    FetchError
        It is not there, is too large, or is a playlist; a page is told by the look's `head`.
    PassingError
        It may be there another time.
    """
    with _asked(url, guard, rules, {"Range": f"bytes=0-{_LOOK_BYTES - 1}"}) as answer:
        size = _whole_size(answer)
        head = b""
        if answer.status_code != 416:
            for chunk in answer.iter_raw():
                head += chunk
                if len(head) >= _LOOK_BYTES:
                    break
    found = head_of(head[:_LOOK_BYTES])
    shown = masked_url(url)
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
            f"{shown} lasts {to_ms(length)} ms; at most {rules.most_seconds * 1000} ms are taken"
        )
    return _seen(HttpLook(url, None, answer.status_code == 206, None, None, found), answer)


def _seen(look: HttpLook, answer: httpx.Response) -> HttpLook:
    """A look, with the size and the version of the file that an answer tells of."""
    etag, modified = _strong(answer.headers.get("etag")), answer.headers.get("last-modified")
    return replace(look, size=_whole_size(answer), etag=etag, modified=modified)


def get_text(url: str, guard: GuardProxy, rules: FetchRules, headers: Mapping[str, str]) -> bytes:
    """The body of a small answer; no redirect is followed, so that the headers go nowhere else.

    Raises
    ------
    FetchError
        It cannot be had.
    """
    with _asked(url, guard, rules, headers, redirects=False) as answer:
        return b"".join(answer.iter_raw())


def fetch_file(
    look: HttpLook, into: Path, guard: GuardProxy, rules: FetchRules, told: Callable[[int], None]
) -> tuple[str, str | None]:
    """Fetch a file; gives its SHA-256 and its version, which may be another than when it was looked at.

    After a drop it goes on where it was cut off, where the server allows and the file is still the same;
    else it starts again. Memory is bounded by a chunk.

    Parameters
    ----------
    told
        Called with the bytes that are there.

    Raises
    ------
    FetchError
        It cannot be had, or is larger than allowed; `into` then holds a part of it.
    """
    work = _Fetch(look, into, guard, rules, told)
    trying = Retries(rules, guard)
    while True:
        try:
            work.go_on()
            return work.digest.hexdigest(), work.look.version
        except PassingError as error:
            trying.pause(error, work.here)


class Retries:
    """Pauses between attempts, and the end of patience: `retry_s` after the last progress."""

    def __init__(self, rules: FetchRules, guard: GuardProxy) -> None:
        self._rules, self._guard = rules, guard
        self._pause = rules.pause_s
        self._since, self._at = time.monotonic(), 0

    def pause(self, error: PassingError, reached: int = 0) -> None:
        """Wait before the next attempt.

        Parameters
        ----------
        reached
            Bytes that are there: more of them are progress, after which patience begins anew.

        Raises
        ------
        FetchError
            It has been tried for long enough.
        """
        rules, now = self._rules, time.monotonic()
        if reached >= self._at + rules.stall_bytes:
            self._since, self._at, self._pause = now, reached, rules.pause_s
        pause = min(max(error.pause_s or 0.0, self._pause), rules.most_pause_s)
        if now + pause > self._since + rules.retry_s:
            raise FetchError(f"{error}; tried for {rules.retry_s:g} s") from None
        self._pause = min(2 * self._pause, rules.most_pause_s)
        self._guard.rest(pause)


class _Fetch:
    """One file on its way: what of it is there."""

    def __init__(
        self, look: HttpLook, into: Path, guard: GuardProxy, rules: FetchRules, told: Callable[[int], None]
    ) -> None:
        self.look, self.into, self.guard, self.rules, self.told = look, into, guard, rules, told
        self.here = 0
        self.digest = hashlib.sha256()

    def go_on(self) -> None:
        """One request, for what is not there yet."""
        headers = {}
        stamp = self.look.stamp
        resuming = bool(self.here and self.look.ranges and stamp)
        if resuming and stamp:
            headers = {"Range": f"bytes={self.here}-", "If-Range": stamp}
        with _asked(self.look.url, self.guard, self.rules, headers) as answer:
            if answer.status_code == 416 and _whole_size(answer) == self.here:
                return  # the file ends here, whatever length was told before
            if not (resuming and answer.status_code == 206 and _range_start(answer) == self.here):
                self.here, self.digest = 0, hashlib.sha256()
                if answer.status_code != 200:
                    shown = masked_url(self.look.url)
                    raise PassingError(f"{shown} answers with another part than asked for")
                self.look = _seen(self.look, answer)
            _check_size(masked_url(self.look.url), _whole_size(answer), self.rules)
            with self.into.open("r+b" if self.here else "wb") as file:
                file.seek(self.here)
                self._read(answer, file)

    def _read(self, answer: httpx.Response, file: Any) -> None:
        for chunk in answer.iter_raw():
            most = self.rules.most_bytes
            if self.here + len(chunk) > most:
                what = f"{masked_url(self.look.url)} sends more than {most:,} bytes; no more are taken"
                raise FetchError(what)
            file.write(chunk)
            self.digest.update(chunk)
            self.here += len(chunk)
            self.told(self.here)


@contextlib.contextmanager
def _asked(
    url: str, guard: GuardProxy, rules: FetchRules, headers: Mapping[str, str], *, redirects: bool = True
) -> Iterator[httpx.Response]:
    """The answer to a GET, its body still to come; what goes wrong, in our words."""
    import httpx

    shown = masked_url(url)
    times = httpx.Timeout(rules.patience_s, connect=rules.connect_s)
    try:
        with (
            httpx.Client(
                proxy=guard.proxy,
                trust_env=False,
                verify=_tls(),
                timeout=times,
                follow_redirects=redirects,
                max_redirects=rules.most_redirects,
                headers={"Accept-Encoding": "identity", "User-Agent": "tessera"},
            ) as client,
            client.stream("GET", url, headers=dict(headers)) as answer,
        ):
            if MARK in answer.headers:
                raise _own_answer(shown, guard)
            _check_status(answer, shown)
            yield answer
            if guard.ended is not None:  # a body without a length ends like a whole one when it is cut off
                raise FetchError(f"{shown}: {guard.ended}")
    except httpx.TooManyRedirects:
        raise FetchError(f"{shown} redirects more than {rules.most_redirects} times") from None
    except httpx.UnsupportedProtocol as error:
        raise FetchError(f"{shown} redirects to what is neither http nor https: {_words(error)}") from None
    except httpx.InvalidURL as error:
        raise FetchError(f"{shown} is no URL that can be asked for: {_words(error)}") from None
    except httpx.ProxyError:
        raise _own_answer(shown, guard) from None
    except httpx.TransportError as error:
        raise _broken(shown, guard, error) from None


def _own_answer(shown: str, guard: GuardProxy) -> FetchError:
    """The error that an answer of the guard itself stands for."""
    said = guard.refused or guard.ended
    if said is not None:
        return FetchError(f"{shown}: {said}")
    return PassingError(f"{shown}: {guard.trouble or 'the connection could not be made'}")


def _broken(shown: str, guard: GuardProxy, error: httpx.TransportError) -> FetchError:
    """The error that a connection's end stands for."""
    if guard.ended is not None:
        return FetchError(f"{shown}: {guard.ended}")
    words = _words(error) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in words:
        return FetchError(f"{shown}: the certificate of its server cannot be trusted: {words}")
    return PassingError(f"{shown}: the connection broke: {words}")


def _check_size(shown: str, size: int | None, rules: FetchRules) -> None:
    if size is not None and size > rules.most_bytes:
        raise FetchError(f"{shown} has {size:,} bytes; at most {rules.most_bytes:,} are taken")


def _words(error: Exception) -> str:
    """An error's own words, without the URL that httpx may repeat in them."""
    return re.sub(r"https?://\S+", lambda found: masked_url(found[0]), " ".join(str(error).split()))


def _check_status(answer: httpx.Response, shown: str) -> None:
    status = answer.status_code
    if status in (200, 206) or (status == 416 and _whole_size(answer) is not None):
        return
    advice = _ADVICE.get(status)
    said = f"{shown}: the server answered {status} {answer.reason_phrase}".rstrip()
    told = f"{said}: {advice}" if advice else said
    if status in _PASSING:
        raise PassingError(told, _retry_after(answer.headers.get("retry-after")))
    raise FetchError(told)


def _retry_after(text: str | None) -> float | None:
    """Seconds that a server asks to wait, given as such or as a date."""
    if not text:
        return None
    if text.strip().isdecimal():
        return float(text)
    with contextlib.suppress(ValueError, TypeError):
        return max(email.utils.parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    return None


def _whole_size(answer: httpx.Response) -> int | None:
    """The size of the whole file that an answer tells."""
    if answer.status_code in (206, 416):
        total = answer.headers.get("content-range", "").rpartition("/")[2].strip()
        return int(total) if total.isdecimal() else None
    length = answer.headers.get("content-length", "")
    return int(length) if length.isdecimal() else None


def _range_start(answer: httpx.Response) -> int | None:
    found = re.match(r"\s*bytes\s+(\d+)-", answer.headers.get("content-range", ""), re.I)
    return int(found[1]) if found else None


def _strong(etag: str | None) -> str | None:
    """An ETag that tells byte from byte; a weak one does not, and may not be used to resume."""
    return etag if etag and not etag.startswith("W/") else None


@cache
def _tls() -> ssl.SSLContext:
    """What https is checked by; made once, for reading the certificates takes longest."""
    import httpx

    return httpx.create_ssl_context()
