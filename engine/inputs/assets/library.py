"""The media of a workspace, addressed by content, and local files used in place."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from io import BufferedReader
from pathlib import Path

from tessera.analysis.speech import ANALYSER, SoundFacts, analyse_sound
from tessera.errors import DamagedError, MediaError, WorkspaceError
from tessera.files import alone_in, named, part_prefix, set_aside, sweep, synced, write_atomically
from tessera.input_files import check_file, open_file
from tessera.inputs.assets.asset import (
    FACTS,
    THUMBNAIL_VERSION,
    Asset,
    asset_id,
    asset_json,
    digest_of_file,
    read_asset,
)
from tessera.inputs.assets.cube_lut import MAX_CUBE_BYTES
from tessera.inputs.assets.known_files import FileState, KnownFiles, state_of
from tessera.inputs.assets.shared_store import shared_store
from tessera.media.probe.info import PROBE_VERSION, MediaInfo
from tessera.node import is_id
from tessera.text.wording import replace_lone_surrogates

__all__ = ["Library", "workspace_of"]

_CHUNK = 1 << 20
LIMITS: Mapping[str, tuple[int, int | None]] = {
    "video": (5 * 10**9, 5 * 3600),
    "audio": (100 * 10**6, 3600),
    "image": (50 * 10**6, None),
    "lut": (MAX_CUBE_BYTES, None),
}
"""The most bytes and seconds of an asset, by kind (contract, section 6; that of colour tables is ours)."""


def workspace_of(given: str | Path | None) -> Path:
    """Return the given folder, else `TESSERA_WORKSPACE`, else `.tessera` in the current directory.

    Raises
    ------
    RequestError
        If its name is not UTF-8.
    """
    return named(given if given is not None else os.environ.get("TESSERA_WORKSPACE") or ".tessera")


class Library:
    """The assets of a workspace, by id.

    Parameters
    ----------
    workspace
        The folder, created on the first write. None: nothing is stored.
    """

    def __init__(self, workspace: Path | None) -> None:
        self.workspace = workspace.absolute() if workspace is not None else None
        self._assets: dict[str, Asset] = {}
        self._facts: dict[str, SoundFacts] = {}
        self._analysis_names: dict[str, str] = {}
        self._shared_ids: set[str] = set()
        self._is_swept = False
        self._known_files = KnownFiles(self.workspace / "known" if self.workspace is not None else None)

    def sweep(self) -> None:
        """Remove partial files of dead processes from the workspace, its folders and its analyses."""
        self._is_swept = True
        if self.workspace is not None and self.workspace.is_dir():
            analyses = self.workspace / "analysis"
            each = analyses.iterdir() if analyses.is_dir() else ()
            sweep([self.workspace, *(one for one in self.workspace.iterdir() if one.is_dir()), *each])

    # lookup

    def get(self, wanted: str) -> Asset | None:
        """Return the asset with this id (compared case-insensitively), or None.

        Raises
        ------
        DamagedError
            If the asset is missing a file or is corrupted.
        WorkspaceError
            If the asset cannot be read.
        """
        key = wanted.lower()
        if key in self._assets:
            return self._assets[key]
        if self.workspace is None or Path(key).name != key or key.startswith("."):
            return None
        folder = self.workspace / "assets" / key
        asset, damage = None, None
        try:
            asset = read_asset(folder)
        except DamagedError as error:
            damage = error
        # A copy in the shared store replaces one that is missing or damaged here.
        if asset is None:
            try:
                is_fetched = self._pull_shared(key)
            except WorkspaceError as error:
                raise error if damage is None else DamagedError(f"{damage}; and {error}") from None
            if is_fetched:
                asset = read_asset(folder)
            elif damage is not None:
                raise damage
        if asset is not None:
            if asset.info.kind in ("video", "audio") and asset.info.version != PROBE_VERSION:
                before, asset = asset, _probed_again(asset)
                if before.info != asset.info:
                    # What was found in the sound is on the timeline of the facts of that time.
                    shutil.rmtree(self.workspace / "analysis" / key, ignore_errors=True)
            if asset.has_outdated_thumbnail:
                asset = self._with_new_thumbnail(asset)
            self._assets[key] = asset
        return asset

    def intact(self, wanted: str) -> Asset | None:
        """Return the asset with this id, or None if it is missing or damaged.

        Raises
        ------
        WorkspaceError
            If the asset cannot be read.
        """
        with contextlib.suppress(DamagedError):
            return self.get(wanted)
        return None

    def share(self, asset: Asset) -> None:
        """Copy a stored asset to the shared store, unless this library already did.

        Raises
        ------
        WorkspaceError
            If the shared store cannot be written.
        """
        shared = shared_store()
        if shared is not None and asset.id not in self._shared_ids and self._is_stored(asset):
            shared.push(asset.path.parent, asset.id)
            self._shared_ids.add(asset.id)

    def set_details(self, asset: Asset, name: str, analysis: SoundFacts | None = None) -> Asset:
        """Override an asset's name, and optionally its sound analysis, for the lifetime of this library."""
        self._assets[asset.id] = asset.model_copy(update={"name": name})
        if analysis is not None:
            self._facts[asset.id] = analysis
            digest = hashlib.sha256(analysis.model_dump_json().encode()).hexdigest()
            self._analysis_names[asset.id] = f"{analysis.analyser} as recorded ({digest[:16]})"
        return self._assets[asset.id]

    def analysis_name(self, asset: str) -> str | None:
        """Return a unique name of the analysis given to `set_details` for an asset, or None."""
        return self._analysis_names.get(asset)

    def _pull_shared(self, asset: str) -> bool:
        """Copy an asset from the shared store; return True if it was there."""
        shared = shared_store() if is_id(asset) else None
        if shared is None:
            return False
        with self._staging_folder() as folder:
            found = shared.pull(asset, folder)
            if found:
                self._install(folder, asset)
        return found

    def _with_new_thumbnail(self, asset: Asset) -> Asset:
        """Return an asset with the thumbnail that is chosen now, and store it.

        Where it cannot be stored, such as in a workspace that may only be read, the asset keeps what it has.
        """
        from tessera.inputs.assets.thumbnail import replace_thumbnail

        with contextlib.suppress(OSError, WorkspaceError), self._staging_folder() as folder:
            return replace_thumbnail(asset, folder)
        return asset

    def _install(self, folder: Path, asset: str) -> Path:
        """Move a complete asset to its final folder; an intact asset that is already there stays."""
        assert self.workspace is not None
        home = self.workspace / "assets" / asset
        with _writing(home):
            synced(folder)
            while not _move_if_free(folder, home):
                with alone_in(home.parent):
                    if _is_whole(home):
                        break
                    with set_aside(home):
                        if _move_if_free(folder, home):
                            break
            synced(home.parent)
        return home

    # storing

    def attach(self, path: Path) -> Asset:
        """Use a local file in place, without storing it. The returned asset has the name of this file.

        Raises
        ------
        MediaError
            If the file is not usable media.
        """
        state = _state(path)
        known = self._known_asset(path, state)
        if known is not None:
            return _called(known, path)
        digest = _digest(path)
        found = self.intact(asset_id(digest))
        if found is None:
            found = _probe_asset(path, digest, path)
            self._assets[found.id] = found
        self._remember(path, state, found)
        return _called(found, path)

    def add(self, path: Path) -> Asset:
        """Store a local file in the workspace; the same bytes are stored once.

        The returned asset has the name of this file, also if its content was stored under another name.

        Raises
        ------
        MediaError
            If the file is not usable media or exceeds a limit of its kind.
        WorkspaceError
            If the workspace cannot be written.
        """
        if self.workspace is None:
            return self.attach(path)
        state = _state(path)
        known = self._stored_and_shared(self._known_asset(path, state))
        if known is not None:
            return _called(known, path)
        _check_size(path)
        with self._staging_folder() as folder:
            copy = folder / f"media{path.suffix.lower()}"
            digest = _copy(path, copy)
            asset = self._store_media(folder, copy, digest, path)
        self._remember(path, state, asset)
        return _called(asset, path)

    def take(self, path: Path, name: str, info: MediaInfo | None = None) -> Asset:
        """Store a file made by a run by moving it into the workspace. `info`: its facts, if known."""
        with self._staging_folder() as folder:
            moved = folder / f"media{path.suffix}"
            digest = _digest(path)
            with _writing(moved):
                path.replace(moved)
            return self._store_media(folder, moved, digest, Path(name), info)

    def receive(
        self,
        fill: Callable[[Path], tuple[Path, str | None]],
        *,
        name: str,
        shown: str,
        check: Callable[[Asset], None] = lambda _asset: None,
    ) -> Asset:
        """Store the media that `fill` writes to a folder; on failure, nothing of it stays.

        Parameters
        ----------
        fill
            Writes media into the given folder; returns the file, and its SHA-256 if known.
        name, shown
            The name of the asset, and its label in messages.
        check
            Raises if the asset must not be stored.

        Raises
        ------
        MediaError
            If the file is not usable media or exceeds a limit of its kind.
        WorkspaceError
            If the workspace cannot be written.
        """
        with self._staging_folder() as folder:
            work = folder / "work"
            with _writing(folder):
                work.mkdir()
                filled, digest = fill(work)
                if digest is None:
                    digest = _digest(filled)
                info = _probe(filled, shown)
                media = filled.replace(folder / f"media{_suffix(info)}")
                shutil.rmtree(work)
            asset = _check_limits(media, digest, name, info, shown)
            check(asset)
            return self._stored_and_shared(self.intact(asset.id)) or self._store_folder(folder, asset)

    def _is_stored(self, asset: Asset) -> bool:
        return (
            self.workspace is not None and asset.path.is_relative_to(self.workspace) and asset.path.is_file()
        )

    def _store_media(
        self, folder: Path, media: Path, digest: str, origin: Path, info: MediaInfo | None = None
    ) -> Asset:
        """Store the media in a folder as an asset, unless its content is already stored."""
        found = self._stored_and_shared(self.intact(asset_id(digest)))
        return found or self._store_folder(folder, _probe_asset(media, digest, origin, info))

    def _stored_and_shared(self, found: Asset | None) -> Asset | None:
        """Return a found asset if it is stored, after sharing it; otherwise None."""
        if found is None or not self._is_stored(found):
            return None
        self.share(found)
        return found

    def _store_folder(self, folder: Path, asset: Asset) -> Asset:
        """Store a folder with media as an asset, with a thumbnail if it has a picture."""
        from tessera.inputs.assets.thumbnail import thumbnail_of

        with _writing(asset.path):
            synced(asset.path)
        stamp = thumbnail_of(asset.path, asset.info, folder)
        asset = asset.model_copy(update={"thumbnail": stamp, "thumbnail_version": THUMBNAIL_VERSION})
        write_atomically(folder / FACTS, asset_json(asset, asset.path.stat().st_mtime_ns))
        self._shared_ids.discard(asset.id)
        self.share(asset)
        home = self._install(folder, asset.id)
        moved = {"path": home / asset.path.name, "thumbnail": home / stamp.name if stamp else None}
        asset = asset.model_copy(update=moved)
        self._assets[asset.id] = asset
        return asset

    @contextlib.contextmanager
    def _staging_folder(self) -> Iterator[Path]:
        """Yield a temporary folder in the workspace; the rest of it is removed at the end."""
        if self.workspace is None:
            raise WorkspaceError("there is no workspace to store assets in")
        if not self._is_swept:
            self.sweep()
        parent = self.workspace / "assets"
        with _writing(parent):
            parent.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix=part_prefix(), dir=parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    # Files that were read before, so that they are not read again.

    def _known_asset(self, path: Path, state: FileState) -> Asset | None:
        """Return the asset of a file that was read before and still has the same content."""
        known = self._known_files.find(path, state)
        asset = self.intact(known.asset) if known is not None else None
        if known is None or asset is None or asset.size != state.size:
            return None
        if not known.unchanged:
            if _digest(path) != asset.sha256:
                return None
            self._remember(path, state, asset)
        return asset

    def _remember(self, path: Path, state: FileState, asset: Asset) -> None:
        """Remember the content of a file, whose state was taken before it was read."""
        if self._is_stored(asset):
            self._known_files.save(path, state, asset.id)

    # analysis

    def sound_facts(self, asset: Asset, cancelled: Callable[[], bool] = lambda: False) -> SoundFacts:
        """Return the speech and the levels of an asset's sound, analysed once per content.

        Raises
        ------
        MediaError
            If the sound cannot be decoded.
        """
        known = self._facts.get(asset.id)
        if known is not None:
            return known
        path = None
        if self._is_stored(asset) and self.workspace is not None:
            path = self.workspace / "analysis" / asset.id / f"{ANALYSER.replace('/', '-')}.json"
            with contextlib.suppress(OSError, ValueError):
                self._facts[asset.id] = SoundFacts.model_validate_json(path.read_text("utf-8"))
                return self._facts[asset.id]
        facts = analyse_sound(asset.path, asset.info, cancelled=cancelled)
        if path is not None:
            write_atomically(path, facts.model_dump_json())
        self._facts[asset.id] = facts
        return facts


def _is_whole(home: Path) -> bool:
    """Return True if a folder holds an intact asset."""
    with contextlib.suppress(DamagedError):
        return read_asset(home) is not None
    return False


def _move_if_free(folder: Path, home: Path) -> bool:
    """Move a folder to a path that does not exist; return False if it exists."""
    try:
        folder.rename(home)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        return False
    return True


def _called(asset: Asset, path: Path) -> Asset:
    """Return an asset under the name of the file that holds its content."""
    return asset.model_copy(update={"name": replace_lone_surrogates(path.name)})


def _state(path: Path) -> FileState:
    try:
        check_file(path)
        return state_of(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError | ValueError) -> MediaError:
    return MediaError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}")


def _digest(path: Path) -> str:
    try:
        return digest_of_file(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def _probe_asset(media: Path, digest: str, origin: Path, info: MediaInfo | None = None) -> Asset:
    """Probe a file and check it against the limits of its kind; messages name `origin`."""
    name = replace_lone_surrogates(origin.name)
    return _check_limits(media, digest, name, info or _probe(media, str(origin)), str(origin))


def _probe(media: Path, shown: str) -> MediaInfo:
    from tessera.inputs.assets.cube_lut import check_cube, is_cube
    from tessera.media.probe.probe import probe

    try:
        if media.is_file() and is_cube(media):
            dimensions, size = check_cube(media)
            return MediaInfo(
                kind="lut", container="cube", notes=(f"is {dimensions}D, {size} along each side",)
            )
        return probe(media)
    except MediaError as error:
        raise MediaError(str(error).replace(media.name, shown)) from None


def _probed_again(asset: Asset) -> Asset:
    """Return an asset with the facts of the present probe, and store them.

    Raises
    ------
    DamagedError
        If the present probe refuses the file.
    """
    try:
        info = _probe(asset.path, asset.name)
    except MediaError as error:
        raise DamagedError(f"asset {asset.id} cannot be used any more: {error}") from None
    found = asset.model_copy(update={"info": info})
    with contextlib.suppress(OSError, WorkspaceError):
        write_atomically(asset.path.parent / FACTS, asset_json(found, asset.path.stat().st_mtime_ns))
    return found


def _check_limits(media: Path, digest: str, name: str, info: MediaInfo, shown: str) -> Asset:
    size = media.stat().st_size
    most_bytes, most_seconds = LIMITS[info.kind]
    if size > most_bytes:
        raise MediaError(f"{shown} has {size:,} bytes; {info.kind} may have at most {most_bytes:,}")
    if most_seconds is not None and info.duration > most_seconds:
        what = f"{shown} lasts {float(info.duration):.0f} s; {info.kind} may last at most {most_seconds} s"
        raise MediaError(what)
    return Asset(
        id=asset_id(digest),
        sha256=digest,
        name=name,
        size=size,
        path=media,
        info=info,
    )


_SUFFIXES = {"mov": ".mp4", "matroska": ".mkv", "mpegts": ".ts", "mpeg": ".mpg", "jpeg": ".jpg"}


def _suffix(info: MediaInfo) -> str:
    """Return the file extension for the probed container."""
    kind = info.container.partition(",")[0]
    return _SUFFIXES.get(kind, f".{kind}")


def _check_size(path: Path) -> None:
    """Reject a file larger than any asset may be, before reading it."""
    most = max(size for size, _seconds in LIMITS.values())
    with contextlib.suppress(OSError):
        if path.stat().st_size > most:
            raise MediaError(f"{path} has {path.stat().st_size:,} bytes; at most {most:,} are allowed")


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[BufferedReader]:
    try:
        with open_file(path) as file:
            yield file
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def _copy(source: Path, target: Path) -> str:
    """Copy a file and return the SHA-256 of the copied bytes."""
    digest = hashlib.sha256()
    with _reading(source) as file, _writing(target), target.open("wb") as out:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WorkspaceError(f"cannot write {path}: {error.strerror or error}") from None
