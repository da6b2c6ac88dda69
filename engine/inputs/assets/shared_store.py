"""The media store shared by several machines: `TESSERA_STORE_URL`, any location that fsspec supports.

Each workspace keeps its media in its own folder. With a shared store, new assets are copied there, and
missing ones are copied from there. An asset lies under `assets/ID/`; its `asset.json` is written last, so
that its presence means that the asset is complete.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TypeVar

from tessera.errors import DamagedError, Fault, RequestError, WorkspaceError
from tessera.inputs.assets.asset import FACTS, Asset, asset_json, digest_of_file, parse_asset_json
from tessera.text.masking import masked_url

__all__ = ["SharedStore", "shared_store"]

_Result = TypeVar("_Result")


def shared_store() -> SharedStore | None:
    """Return the store that `TESSERA_STORE_URL` names, or None if the variable is not set.

    Raises
    ------
    RequestError
        If no installed package supports the URL.
    """
    url = os.environ.get("TESSERA_STORE_URL")
    return _open_store(url) if url else None


@cache
def _open_store(url: str) -> SharedStore:
    return SharedStore(url)


class SharedStore:
    """Assets by id at a URL such as `s3://bucket/folder` or `file:///mnt/share`.

    Methods raise `WorkspaceError` if the store cannot be read or written.

    Raises
    ------
    RequestError
        If no installed package supports the URL.
    """

    def __init__(self, url: str) -> None:
        self._masked_url = masked_url(url)
        try:
            from fsspec.core import url_to_fs
        except ImportError:
            what = f"TESSERA_STORE_URL={self._masked_url} needs fsspec: pip install 'tessera-runtime[store]'"
            raise RequestError([Fault("", "request", what)]) from None
        try:
            self._files, root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            what = f"TESSERA_STORE_URL={self._masked_url} cannot be used: {error}"
            raise RequestError([Fault("", "request", what)]) from None
        self._root = f"{root.rstrip('/')}/assets"
        self._corrupt: set[str] = set()

    def push(self, folder: Path, asset: str) -> None:
        """Copy an asset's folder to the store, unless a complete copy is there.

        A copy counts as complete if all files have the right sizes and no corruption was found.
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

        self._guarded("write", work)

    def pull(self, asset: str, folder: Path) -> bool:
        """Copy an asset's files into a folder; return False if the store lacks the asset.

        Raises
        ------
        DamagedError
            If the copied asset is corrupted.
        """
        return self._guarded("read", lambda: self._pull(asset, folder))

    def _pull(self, asset: str, folder: Path) -> bool:
        home = f"{self._root}/{asset}"
        try:
            written = self._files.cat_file(f"{home}/{FACTS}")
        except FileNotFoundError:
            return False
        try:
            found = parse_asset_json(written, asset)
        except ValueError as error:
            raise self._damaged(asset, f"{FACTS} cannot be read: {error}") from None
        for name in _files_of(found):
            try:
                self._files.get_file(f"{home}/{name}", str(folder / name))
            except FileNotFoundError:
                raise self._damaged(asset, f"{name} is missing") from None
        media = folder / found.path
        if media.stat().st_size != found.size or digest_of_file(media) != found.sha256:
            raise self._damaged(asset, "its content has changed")
        (folder / FACTS).write_text(asset_json(found, media.stat().st_mtime_ns), "utf-8")
        return True

    def _damaged(self, asset: str, what: str) -> DamagedError:
        """Return the error and remember the asset, so that the next push replaces it."""
        self._corrupt.add(asset)
        return DamagedError(f"asset {asset} in {self._masked_url} is corrupt: {what}")

    def check_all(self) -> Iterator[tuple[str, str | None]]:
        """Yield every asset id with its fault or None, from directory listings alone."""
        for home in self._guarded("read", self._asset_folders):
            fault = self._guarded("read", lambda home=home: self._fault(home))  # type: ignore[misc]
            yield home.rpartition("/")[2], fault

    def _asset_folders(self) -> list[str]:
        self._files.invalidate_cache()
        if not self._files.exists(self._root):
            return []
        return sorted(str(home) for home in self._files.ls(self._root, detail=False))

    def _fault(self, home: str) -> str | None:
        try:
            found = parse_asset_json(self._files.cat_file(f"{home}/{FACTS}"), home.rpartition("/")[2])
        except FileNotFoundError:
            return f"has no {FACTS}"
        except ValueError as error:
            return f"{FACTS} cannot be read: {error}"
        self._files.invalidate_cache(home)
        sizes = {one["name"].rpartition("/")[2]: one["size"] for one in self._files.ls(home, detail=True)}
        missing = [name for name in _files_of(found) if name not in sizes]
        if missing:
            return f"has no {missing[0]}"
        size = sizes[found.path.name]
        return None if size == found.size else f"media has {size:,} bytes, not {found.size:,}"

    def _guarded(self, what: str, work: Callable[[], _Result]) -> _Result:
        try:
            return work()
        except WorkspaceError:
            raise
        except Exception as error:  # each fsspec backend raises its own library's errors
            raise WorkspaceError(f"cannot {what} {self._masked_url}: {error}") from None


def _files_of(asset: Asset) -> list[str]:
    """Return the names of the files of a parsed asset."""
    return [file.name for file in (asset.path, asset.thumbnail) if file is not None]
