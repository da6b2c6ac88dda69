"""Files whose readers may believe a length that the file itself declares."""

from __future__ import annotations

import io
import os
from pathlib import Path

__all__ = ["BoundedFile"]


class BoundedFile(io.BufferedReader):
    """A file opened for reading that never reserves memory for more bytes than it has left.

    Python reserves the memory of a read before it reads: a chunk of a PNG that declares 2 GB takes 2 GB, even
    in a file of 70 bytes.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._bytes = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(0, self._bytes - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))
