"""A check of the chunks of a WAV file before ffmpeg reads them, because ffmpeg has no limit on them."""

from __future__ import annotations

from pathlib import Path

from tessera.errors import MediaError

__all__ = ["MAX_CHUNKS", "check_chunks"]

MAX_CHUNKS = 10_000
"""The maximum number of chunks. Normal files have a dozen; ffmpeg takes seconds to open one with millions."""

MAX_METADATA_BYTES = 64_000_000
"""The maximum size of a metadata chunk in bytes: ffmpeg reads it into memory. A cover has a few million."""

_METADATA_CHUNKS = (b"LIST", b"bext", b"id3 ", b"ID3 ", b"fmt ", b"cue ", b"iXML")
_WAVE = (b"RIFF", b"RIFX", b"RF64", b"BW64")
_HEADER_BYTES = 8


def check_chunks(path: Path) -> None:
    """Check the number of chunks and the size of metadata chunks of a WAV file; accept any other file.

    Raises
    ------
    MediaError
        If a WAV file has more than `MAX_CHUNKS` chunks, or a metadata chunk of more than
        `MAX_METADATA_BYTES` bytes.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] not in _WAVE or head[8:] != b"WAVE":
            return
        order = "big" if head[:4] == b"RIFX" else "little"
        for _chunk in range(MAX_CHUNKS):
            head = file.read(_HEADER_BYTES)
            if len(head) < _HEADER_BYTES:
                return
            size = int.from_bytes(head[4:], order)  # type: ignore[arg-type]
            if size > MAX_METADATA_BYTES and head[:4] in _METADATA_CHUNKS:
                name = head[:4].decode("ascii").strip()
                limit = f"at most {MAX_METADATA_BYTES:,} are read"
                raise MediaError(f"{path.name} has {size:,} bytes of metadata ({name}); {limit}")
            # Chunks are padded to an even length.
            file.seek(size + size % 2, 1)
    raise MediaError(f"{path.name} is damaged: it has more than {MAX_CHUNKS:,} chunks")
