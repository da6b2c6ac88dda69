"""The store of media that several machines share: `TESSERA_STORE_URL`, any place that fsspec reaches.

A workspace keeps its media in a folder of its own; with a shared store, what it stores goes there as well,
and what it lacks comes from there. An asset lies under `assets/ID/`; its `asset.json` is written last, so
that whoever finds that finds the whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from engine.errors import Fault, RequestError, WorkspaceError
from engine.inputs.asset import digest_of_file, stamp
from engine.masking import masked_url

__all__ = ["Artefacts", "shared_store"]

_T = TypeVar("_T")
_FACTS = "asset.json"


def shared_store() -> Artefacts | None:
    """The store that `TESSERA_STORE_URL` names; None where it names none.

    Raises
    ------
    RequestError
        No installed package reaches such a place.
    """
    url = os.environ.get("TESSERA_STORE_URL")
    return _opened(url) if url else None


@cache
def _opened(url: str) -> Artefacts:
    return Artefacts(url)


class Artefacts:
    """Assets by id at a URL such as `s3://bucket/folder` or `file:///mnt/share`.

    Methods raise `WorkspaceError` where it cannot be read or written.

    Raises
    ------
    RequestError
        No installed package reaches such a place.
    """

    def __init__(self, url: str) -> None:
        self._shown = masked_url(url)
        try:
            from fsspec.core import url_to_fs
        except ImportError:
            what = f"TESSERA_STORE_URL={self._shown} needs fsspec: pip install 'tessera-runtime[store]'"
            raise RequestError([Fault("", "request", what)]) from None
        try:
            self._files, root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            what = f"TESSERA_STORE_URL={self._shown} cannot be used: {error}"
            raise RequestError([Fault("", "request", what)]) from None
        self._root = f"{root.rstrip('/')}/assets"

    def push(self, folder: Path, asset: str) -> None:
        """Bring an asset's folder there, unless it is there already and as large as it should be."""

        def work() -> None:
            home = f"{self._root}/{asset}"
            if self._files.exists(f"{home}/{_FACTS}") and self._fault(home) is None:
                return
            self._files.makedirs(home, exist_ok=True)
            names = sorted(one.name for one in folder.iterdir() if one.is_file())
            for name in [one for one in names if one != _FACTS]:
                self._files.put_file(str(folder / name), f"{home}/{name}")
            self._files.pipe_file(f"{home}/{_FACTS}", (folder / _FACTS).read_bytes())

        self._tried("write", work)

    def pull(self, asset: str, folder: Path) -> bool:
        """Bring an asset's files into a folder; False where it is not there.

        Raises
        ------
        WorkspaceError
            Besides: what came is not what it was when it was stored.
        """
        return self._tried("read", lambda: self._pull(asset, folder))

    def _pull(self, asset: str, folder: Path) -> bool:
        home = f"{self._root}/{asset}"
        try:
            written = self._files.cat_file(f"{home}/{_FACTS}")
        except FileNotFoundError:
            return False
        facts = json.loads(written)
        media, small = facts["path"], facts.get("thumbnail")
        for name in filter(None, (media, small)):
            if "/" in name or name.startswith("."):
                raise WorkspaceError(f"asset {asset} in {self._shown} names {name!r}, which is no file of it")
            self._files.get_file(f"{home}/{name}", str(folder / name))
        if digest_of_file(folder / media) != facts["sha256"]:
            raise WorkspaceError(f"asset {asset} in {self._shown} is corrupt: its content has changed")
        (folder / _FACTS).write_text(json.dumps({**facts, **stamp(folder / media)}, indent=1), "utf-8")
        return True

    def look_through(self) -> Iterator[tuple[str, str | None]]:
        """Every asset there, and what is amiss with it, by listing alone."""
        for home in self._tried("read", self._homes):
            fault = self._tried("read", lambda home=home: self._fault(home))  # type: ignore[misc]
            yield home.rpartition("/")[2], fault

    def _homes(self) -> list[str]:
        self._files.invalidate_cache()
        if not self._files.exists(self._root):
            return []
        return sorted(str(home) for home in self._files.ls(self._root, detail=False))

    def _fault(self, home: str) -> str | None:
        try:
            facts: dict[str, Any] = json.loads(self._files.cat_file(f"{home}/{_FACTS}"))
            size = self._files.size(f"{home}/{facts['path']}")
        except FileNotFoundError as error:
            missing = _FACTS if _FACTS in str(error) else "media"
            return f"has no {missing}"
        except (ValueError, KeyError):
            return f"{_FACTS} cannot be read"
        return None if size == facts["size"] else f"media has {size:,} bytes, not {facts['size']:,}"

    def _tried(self, what: str, work: Callable[[], _T]) -> _T:
        try:
            return work()
        except WorkspaceError:
            raise
        except Exception as error:  # each place raises errors of its own library
            raise WorkspaceError(f"cannot {what} {self._shown}: {error}") from None
