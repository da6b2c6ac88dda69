"""The chunks of a WAV file, looked at before ffmpeg walks them all, however many and large they are."""

from __future__ import annotations

from pathlib import Path

from tessera.errors import MediaError

__all__ = ["MOST_CHUNKS", "check_chunks"]

MOST_CHUNKS = 10_000
"""What programs write has a dozen; a file of empty ones holds millions, and takes ffmpeg seconds to open."""

MOST_NOTES = 64_000_000
"""Bytes of a chunk of notes, which ffmpeg takes into memory whole: a cover picture has a few million."""

_NOTES = (b"LIST", b"bext", b"id3 ", b"ID3 ", b"fmt ", b"cue ", b"iXML")
_WAVE = (b"RIFF", b"RIFX", b"RF64", b"BW64")
_HEAD = 8


def check_chunks(path: Path) -> None:
    """Refuse a WAV file of more than `MOST_CHUNKS` chunks, or with one of notes of more than `MOST_NOTES`
    bytes; any other file passes.

    Raises
    ------
    MediaError
        It has more.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] not in _WAVE or head[8:] != b"WAVE":
            return
        order = "big" if head[:4] == b"RIFX" else "little"
        for _chunk in range(MOST_CHUNKS):
            head = file.read(_HEAD)
            if len(head) < _HEAD:
                return
            size = int.from_bytes(head[4:], order)  # type: ignore[arg-type]
            if size > MOST_NOTES and head[:4] in _NOTES:
                name = head[:4].decode("ascii").strip()
                raise MediaError(
                    f"{path.name} has {size:,} bytes of notes ({name}); at most {MOST_NOTES:,} are read"
                )
            file.seek(size + size % 2, 1)
    raise MediaError(f"{path.name} is damaged: it is made of more than {MOST_CHUNKS:,} chunks")
