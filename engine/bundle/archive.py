"""The file that a bundle is: a ZIP of JSON documents, and of media as it is. Nothing in it is trusted."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tessera.errors import Cancelled, Fault, RequestError
from tessera.inputs.assets.library import LIMITS

__all__ = ["FORMAT", "Archive"]

FORMAT = 1
"""The version of the format; an archive that does not say is of the first."""
_NAME = re.compile(r"[a-z]+\.jsonl?|media/\w[\w.-]*", re.ASCII)
_MOST_DOCUMENTS = 200_000_000
"""The bytes of all documents that are read, unpacked: a hostile archive must not fill the memory."""
_MOST_MEDIA = max(size for size, _seconds in LIMITS.values())
_CHUNK = 1 << 20


class Archive:
    """A bundle, opened for reading and checked as far as its directory tells. To be closed.

    Raises
    ------
    RequestError
        It is no bundle, was cut off, is of a later format, or holds what no bundle does.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = 0
        with self._errors("is not a bundle"):
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
        """A document; None where there is none of this name.

        Raises
        ------
        RequestError
            It is damaged, is no JSON object, or is too large.
        """
        with self._errors("is not a bundle"):
            return self._document(name)

    def copy(self, name: str, size: int, into: Path, cancelled: Callable[[], bool] = lambda: False) -> str:
        """Write a media member into a file; gives its SHA-256. Memory is bounded by a chunk.

        Raises
        ------
        Cancelled
            `cancelled()` became true.
        RequestError
            It is not there, is damaged, or has another size.
        OSError
            The file cannot be written.
        """
        digest = hashlib.sha256()
        with contextlib.ExitStack() as open_files:
            with self._errors("is damaged"):
                if name not in self._zip.namelist():
                    raise ValueError(f"it lacks {name}")
                found = self._zip.getinfo(name).file_size
                if found != size:
                    raise ValueError(f"{name} in it has {found:,} bytes, not {size:,}")
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
        if self._read > _MOST_DOCUMENTS:
            raise ValueError(f"the documents in it are larger than {_MOST_DOCUMENTS:,} bytes ({name})")
        with self._zip.open(name) as member:
            found = json.loads(member.read(size))  # no more, whatever unpacks from it
        if not isinstance(found, dict):
            raise ValueError(f"{name} in it is no JSON object")
        return found

    def _check(self) -> None:
        """The format first, for a later one may hold other things; then every name and size."""
        written = (self._document("versions.json") or {}).get("format", FORMAT)
        if written != FORMAT:
            raise ValueError(
                f"its format is {written!r}, and this version of tessera reads {FORMAT}: update tessera"
            )
        members = self._zip.infolist()
        if len({one.filename for one in members}) < len(members):
            raise ValueError("two things in it have one name")
        for one in members:
            if not _NAME.fullmatch(one.filename) or stat.S_ISLNK(one.external_attr >> 16):
                raise ValueError(f"it holds {one.filename!r}, which no bundle does")
            if one.filename.startswith("media/"):
                _check_media(one)
        if sum(one.compress_size for one in members) > self.path.stat().st_size:
            raise ValueError("what it holds overlaps")

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except (
            OSError,
            ValueError,  # of JSON and of text as well
            EOFError,
            RuntimeError,  # encrypted; nested too deep
            NotImplementedError,
            zipfile.BadZipFile,
            zlib.error,
        ) as error:
            said = str(getattr(error, "strerror", None) or error)
            if said == "File is not a zip file":
                said = "it is no ZIP file, or was cut off"
            raise RequestError([Fault("", "request", f"{self.path} {what}: {said}")]) from None


def _check_media(member: zipfile.ZipInfo) -> None:
    if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
        raise ValueError(f"{member.filename} in it is packed, where media is stored as it is")
    if member.file_size > _MOST_MEDIA:
        raise ValueError(f"{member.filename} in it has {member.file_size:,} bytes; at most {_MOST_MEDIA:,}")
