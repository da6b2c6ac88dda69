"""The store of media that several machines share: `TESSERA_STORE_URL`, any place that fsspec reaches.

A workspace keeps its media in a folder of its own; with a shared store, what it stores goes there as well,
and what it lacks comes from there. An asset lies under `assets/ID/`; its `asset.json` is written last, so
that whoever finds that finds the whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TypeVar

from tessera.errors import DamagedError, Fault, RequestError, WorkspaceError
from tessera.inputs.assets.asset import FACTS, Asset, described, digest_of_file, noted
from tessera.text.masking import masked_url

__all__ = ["SharedStore", "shared_store"]

_T = TypeVar("_T")


def shared_store() -> SharedStore | None:
    """The store that `TESSERA_STORE_URL` names; None where it names none.

    Raises
    ------
    RequestError
        No installed package reaches such a place.
    """
    url = os.environ.get("TESSERA_STORE_URL")
    return _opened(url) if url else None


@cache
def _opened(url: str) -> SharedStore:
    return SharedStore(url)


class SharedStore:
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
        self._corrupt: set[str] = set()

    def push(self, folder: Path, asset: str) -> None:
        """Bring an asset's folder there, unless it is there already: all its files, as large as they should
        be, and not seen to have changed.
        """

        def work() -> None:
            home = f"{self._root}/{asset}"
            if asset not in self._corrupt and self._fault(home) is None:
                return
            self._files.makedirs(home, exist_ok=True)
            names = sorted(one.name for one in folder.iterdir() if one.is_file())
            for name in [one for one in names if one != FACTS]:
                self._files.put_file(str(folder / name), f"{home}/{name}")
            self._files.pipe_file(f"{home}/{FACTS}", (folder / FACTS).read_bytes())
            self._corrupt.discard(asset)

        self._tried("write", work)

    def pull(self, asset: str, folder: Path) -> bool:
        """Bring an asset's files into a folder; False where it is not there.

        Raises
        ------
        DamagedError
            What came is not what it was when it was stored.
        """
        return self._tried("read", lambda: self._pull(asset, folder))

    def _pull(self, asset: str, folder: Path) -> bool:
        home = f"{self._root}/{asset}"
        try:
            written = self._files.cat_file(f"{home}/{FACTS}")
        except FileNotFoundError:
            return False
        try:
            found = described(written, asset)
        except ValueError as error:
            raise self._damaged(asset, f"{FACTS} cannot be read: {error}") from None
        for name in _files_of(found):
            try:
                self._files.get_file(f"{home}/{name}", str(folder / name))
            except FileNotFoundError:
                raise self._damaged(asset, f"{name} is not there") from None
        media = folder / found.path
        if media.stat().st_size != found.size or digest_of_file(media) != found.sha256:
            raise self._damaged(asset, "its content has changed")
        (folder / FACTS).write_text(noted(found, media.stat().st_mtime_ns), "utf-8")
        return True

    def _damaged(self, asset: str, what: str) -> DamagedError:
        """The error; whoever has the asset whole brings it there again."""
        self._corrupt.add(asset)
        return DamagedError(f"asset {asset} in {self._shown} is corrupt: {what}")

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
            found = described(self._files.cat_file(f"{home}/{FACTS}"), home.rpartition("/")[2])
        except FileNotFoundError:
            return f"has no {FACTS}"
        except ValueError as error:
            return f"{FACTS} cannot be read: {error}"
        self._files.invalidate_cache(home)
        sizes = {one["name"].rpartition("/")[2]: one["size"] for one in self._files.ls(home, detail=True)}
        lacking = [name for name in _files_of(found) if name not in sizes]
        if lacking:
            return f"has no {lacking[0]}"
        size = sizes[found.path.name]
        return None if size == found.size else f"media has {size:,} bytes, not {found.size:,}"

    def _tried(self, what: str, work: Callable[[], _T]) -> _T:
        try:
            return work()
        except WorkspaceError:
            raise
        except Exception as error:  # each place raises errors of its own library
            raise WorkspaceError(f"cannot {what} {self._shown}: {error}") from None


def _files_of(asset: Asset) -> list[str]:
    """The names of the files of an asset that was described."""
    return [file.name for file in (asset.path, asset.thumbnail) if file is not None]
