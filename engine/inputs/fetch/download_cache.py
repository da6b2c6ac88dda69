"""Index of earlier downloads, so that unchanged sources are not fetched again."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from tessera.files import write_atomically
from tessera.text.checked import json_object

__all__ = ["Download", "DownloadCache", "key_of"]

_SIGNATURE_PARAMETERS = re.compile(
    r"x-(?:amz|goog|oss)-.*|signature|expires|policy|key-pair-id|(?:aws|oss)accesskeyid|googleaccessid|"
    r"sig|se|sp|sv|sr|st|spr|skoid|sktid|skt|ske|sks|skv",
    re.I,
)
"""Query parameters with which object stores sign a URL."""


def key_of(url: str) -> str:
    """Return the cache key of a URL, without its signature and expiry: a new signature keeps the key.

    Examples
    --------
    >>> key_of("https://b.example/a.mp4?id=7&X-Amz-Signature=1#t") == key_of("https://b.example/a.mp4?id=7")
    True
    """
    parts = urlsplit(url)
    parameters = [
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if not _SIGNATURE_PARAMETERS.fullmatch(name)
    ]
    host = parts.netloc.rpartition("@")[2].lower()
    text = json.dumps([parts.scheme.lower(), host, parts.path, urlencode(parameters)])
    return f"url:{hashlib.blake2b(text.encode('utf-8', 'replace'), digest_size=16).hexdigest()}"


class Download(BaseModel):
    """One download: the asset, the version of the source, and the name of the source."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    asset: str
    version: str
    name: str


class DownloadCache:
    """The downloads that a workspace remembers."""

    def __init__(self, workspace: Path | None) -> None:
        self._folder = workspace / "fetched" if workspace is not None else None

    def find(self, key: str, version: str | None) -> Download | None:
        """Return the download of this version, or None if it is unknown."""
        if self._folder is None or version is None:
            return None
        try:
            raw = json_object(self._path(self._folder, key).read_bytes())
            found = Download.model_validate(raw)
        except (OSError, ValueError, ValidationError):
            return None
        return found if found.version == version else None

    def keep(self, key: str, download: Download) -> None:
        """Remember a download.

        Raises
        ------
        WorkspaceError
            If the entry cannot be written.
        """
        if self._folder is not None:
            write_atomically(self._path(self._folder, key), download.model_dump_json())

    @staticmethod
    def _path(folder: Path, key: str) -> Path:
        digest = hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=16).hexdigest()
        return folder / f"{digest}.json"
