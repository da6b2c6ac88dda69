"""Decode the body of a response that its server has compressed, although nobody asked for it.

The size limit holds for the decoded bytes, and decoding stops there: no more than one piece is in memory.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from tessera.inputs.fetch.rules import FetchError, PassingError

__all__ = ["codings_of", "decoded"]

_PIECE = 256 * 1024
"""The most bytes that one decoding step returns."""
_KNOWN = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
_MOST_CODINGS = 3
_GZIP_WINDOW, _ZLIB_WINDOW, _RAW_WINDOW = 31, 15, -15
_PADDING = b"\0"


def codings_of(header: str | None) -> tuple[str, ...]:
    """Return the names in a `Content-Encoding` header, in the order in which they were applied.

    `identity` changes nothing and is left out.

    Examples
    --------
    >>> codings_of("GZIP, identity"), codings_of(None)
    (('gzip',), ())
    """
    names = [name.strip().lower() for name in (header or "").split(",")]
    return tuple(name for name in names if name not in ("", "identity"))


def decoded(
    chunks: Iterable[bytes], codings: tuple[str, ...], shown: str, most_bytes: int, *, partial: bool = False
) -> Iterator[bytes]:
    """Yield the decoded body of a response, in pieces of at most 256 KiB unless nothing is coded.

    Parameters
    ----------
    shown
        The masked URL, for messages.
    most_bytes
        The limit of the body as it is sent; the caller limits what it takes of the decoded one.
    partial
        True if the response is the beginning of the body: it may end anywhere.

    Raises
    ------
    FetchError
        If a coding cannot be decoded, or the body does not have it.
    PassingError
        If the body ends too early.
    """
    if not codings:
        yield from chunks
        return
    stated = f"Content-Encoding: {', '.join(codings)}"
    unknown = [name for name in codings if name not in _KNOWN]
    if unknown or len(codings) > _MOST_CODINGS:
        raise FetchError(
            f"{shown}: its server sends it compressed ({stated}), although Tessera asks for the file itself; "
            f"only gzip and deflate are decoded: let the server send the file as it is, or give the file"
        )
    body: Iterable[bytes] = _limited(chunks, shown, most_bytes)
    try:
        for name in reversed(codings):
            body = _inflated(body, _KNOWN[name])
        yield from body
    except zlib.error as error:
        raise FetchError(
            f"{shown}: its server states {stated}, but the body is not compressed so: {error}"
        ) from None
    except EOFError:
        if partial:
            return
        raise PassingError(f"{shown}: the compressed body ({stated}) ends too early") from None


def _limited(chunks: Iterable[bytes], shown: str, most: int) -> Iterator[bytes]:
    """Pass the coded body on up to a limit: it could be endless and decode to nothing."""
    received = 0
    for chunk in chunks:
        received += len(chunk)
        if received > most:
            raise FetchError(f"{shown} sends more than {most:,} bytes, the limit")
        yield chunk


def _inflated(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Yield a body without one coding. A gzip body may have several members, and zeros behind the last.

    Raises
    ------
    EOFError
        If the body ends before its end mark.
    """
    decoder = None
    for chunk in chunks:
        rest = chunk
        while rest:
            if decoder is None or decoder.eof:
                rest = rest.lstrip(_PADDING) if decoder is not None else rest
                if not rest:
                    break
                if decoder is not None and name != "gzip":
                    raise zlib.error("there are bytes after its end")
                decoder = zlib.decompressobj(_window(rest, name))
            piece = decoder.decompress(rest, _PIECE)
            if piece:
                yield piece
            rest = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
        while decoder is not None and not decoder.eof:
            # With a limit, zlib may hold decoded bytes back although it has taken all of its input.
            piece = decoder.decompress(b"", _PIECE)
            if not piece:
                break
            yield piece
    if decoder is None or not decoder.eof:
        raise EOFError


def _window(head: bytes, name: str) -> int:
    """Return the window bits for zlib. `deflate` means the zlib format, but some servers send it bare."""
    if name == "gzip":
        return _GZIP_WINDOW
    is_zlib = head[0] & 0x0F == 8 and (len(head) < 2 or int.from_bytes(head[:2]) % 31 == 0)
    return _ZLIB_WINDOW if is_zlib else _RAW_WINDOW
