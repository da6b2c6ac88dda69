"""The chunks of a WAV file, counted before ffmpeg walks them all, however many they are."""

from __future__ import annotations

from pathlib import Path

from engine.errors import MediaError

__all__ = ["MOST_CHUNKS", "check_chunks"]

MOST_CHUNKS = 10_000
"""What programs write has a dozen; a file of empty ones holds millions, and takes ffmpeg seconds to open."""

_WAVE = (b"RIFF", b"RIFX", b"RF64", b"BW64")
_HEAD = 8


def check_chunks(path: Path) -> None:
    """Refuse a WAV file of more than `MOST_CHUNKS` chunks; any other file passes.

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
            file.seek(size + size % 2, 1)
    raise MediaError(f"{path.name} is damaged: it is made of more than {MOST_CHUNKS:,} chunks")
