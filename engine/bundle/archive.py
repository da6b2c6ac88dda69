"""The file format of a bundle: a ZIP of JSON documents and uncompressed media.

A bundle may come from anyone, so each name, size and type is checked before it is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tessera.errors import Cancelled, Fault, RequestError
from tessera.input_files import check_file
from tessera.inputs.assets.library import LIMITS
from tessera.text.checked import json_object

__all__ = ["FORMAT", "Archive"]

FORMAT = 1
"""The version of the format. An archive without a version has the first."""
_NAME = re.compile(r"[a-z]+\.jsonl?|media/\w[\w.-]*", re.ASCII)
_MAX_DOCUMENT_BYTES = 200_000_000
"""The largest unpacked size of all documents together: a hostile archive must not fill the memory."""
_MAX_MEDIA = max(size for size, _seconds in LIMITS.values())
_CHUNK = 1 << 20


class Archive:
    """A bundle that is open for reading, and whose directory has been checked. The caller must close it.

    Raises
    ------
    RequestError
        If the file is not a bundle, is truncated, has a later format, or contains an unexpected member.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = 0
        with self._errors("is not a bundle"):
            check_file(path)
            self._zip = zipfile.ZipFile(path)
            try:
                self._check()
            except BaseException:
                self._zip.close()
                raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._zip.close()

    def document(self, name: str) -> Any:
        """Return a document, or None if there is no document of this name.

        Raises
        ------
        RequestError
            If the document is damaged, is not a JSON object, or is too large.
        """
        with self._errors("is not a bundle"):
            return self._document(name)

    def copy(self, name: str, size: int, into: Path, cancelled: Callable[[], bool] = lambda: False) -> str:
        """Copy a media member to a file in chunks, and return its SHA-256 digest in hexadecimal.

        Parameters
        ----------
        size
            The expected size in bytes.

        Raises
        ------
        Cancelled
            If `cancelled()` becomes true.
        RequestError
            If the member is missing or damaged, or has another size.
        OSError
            If the file cannot be written.
        """
        digest = hashlib.sha256()
        with contextlib.ExitStack() as open_files:
            with self._errors("is damaged"):
                if name not in self._zip.namelist():
                    raise ValueError(f"it lacks {name}")
                actual_size = self._zip.getinfo(name).file_size
                if actual_size != size:
                    raise ValueError(f"its member {name} has {actual_size:,} bytes, not {size:,}")
                member = open_files.enter_context(self._zip.open(name))
            out = open_files.enter_context(into.open("wb"))
            while True:
                if cancelled():
                    raise Cancelled("the run was cancelled")
                with self._errors("is damaged"):
                    chunk = member.read(_CHUNK)
                if not chunk:
                    return digest.hexdigest()
                digest.update(chunk)
                out.write(chunk)

    def _document(self, name: str) -> Any:
        if name not in self._zip.namelist():
            return None
        size = self._zip.getinfo(name).file_size
        self._read += size
        if self._read > _MAX_DOCUMENT_BYTES:
            raise ValueError(f"its documents are larger than {_MAX_DOCUMENT_BYTES:,} bytes ({name})")
        with self._zip.open(name) as member:
            # The directory may lie about the size: never unpack more than was counted above.
            text = member.read(size)
        try:
            return json_object(text)
        except ValueError as error:
            raise ValueError(f"its document {name} is {error}") from None

    def _check(self) -> None:
        """Check the format, then the name, size and type of every member."""
        # The format comes first, since a later format may allow other members.
        version = (self._document("versions.json") or {}).get("format", FORMAT)
        if version != FORMAT:
            raise ValueError(
                f"its format is {version!r}, but this version of tessera reads {FORMAT}: update tessera"
            )
        members = self._zip.infolist()
        if len({member.filename for member in members}) < len(members):
            raise ValueError("two of its members have the same name")
        for member in members:
            # The upper 16 bits are the Unix mode.
            if not _NAME.fullmatch(member.filename) or stat.S_ISLNK(member.external_attr >> 16):
                raise ValueError(f"it contains {member.filename!r}, which is not allowed in a bundle")
            if member.filename.startswith("media/"):
                _check_media(member)
        # Overlapping members are the trick of ZIP bombs.
        if sum(member.compress_size for member in members) > self.path.stat().st_size:
            raise ValueError("its members overlap")

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except (
            OSError,
            ValueError,  # includes the errors of JSON and UTF-8
            EOFError,
            RuntimeError,  # encrypted, or nested too deeply
            NotImplementedError,
            zipfile.BadZipFile,
            zlib.error,
        ) as error:
            reason = str(getattr(error, "strerror", None) or error)
            if reason == "File is not a zip file":
                reason = "it is not a ZIP file, or is truncated"
            raise RequestError([Fault("", "request", f"{self.path} {what}: {reason}")]) from None


def _check_media(member: zipfile.ZipInfo) -> None:
    if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
        raise ValueError(f"its member {member.filename} is compressed, but media must be uncompressed")
    if member.file_size > _MAX_MEDIA:
        raise ValueError(f"its member {member.filename} has {member.file_size:,} bytes; limit {_MAX_MEDIA:,}")
