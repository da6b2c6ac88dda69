"""The media that a workspace holds, by content; and local files that are only looked at."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from io import BufferedReader
from pathlib import Path

from tessera.analysis.speech import ANALYSER, SoundFacts, analyse_sound
from tessera.errors import DamagedError, MediaError, WorkspaceError
from tessera.files import alone_in, named, part_prefix, set_aside, sweep, synced, write_atomically
from tessera.inputs.assets.asset import FACTS, Asset, asset_id, digest_of_file, noted, read_asset
from tessera.inputs.assets.shared_store import shared_store
from tessera.media.probe.info import MediaInfo
from tessera.node import is_id
from tessera.text.wording import json_object, replace_lone_surrogates

__all__ = ["Library", "workspace_of"]

_CHUNK = 1 << 20
LIMITS: Mapping[str, tuple[int, int | None]] = {
    "video": (5 * 10**9, 5 * 3600),
    "audio": (100 * 10**6, 3600),
    "image": (50 * 10**6, None),
    "lut": (50 * 10**6, None),
}
"""Bytes and seconds that an asset of a kind may have (contract, section 6; that of colour tables is ours)."""


def workspace_of(given: str | Path | None) -> Path:
    """The folder that is given, else `TESSERA_WORKSPACE`, else `.tessera` in the current directory.

    Raises
    ------
    RequestError
        Its name is not UTF-8.
    """
    return named(given if given is not None else os.environ.get("TESSERA_WORKSPACE") or ".tessera")


class Library:
    """Assets of a workspace, found by id.

    Parameters
    ----------
    workspace
        The folder; it is made when something is first stored. None keeps nothing.
    """

    def __init__(self, workspace: Path | None) -> None:
        self.workspace = workspace.absolute() if workspace is not None else None
        self._attached: dict[str, Asset] = {}
        self._facts: dict[str, SoundFacts] = {}
        self._heard_by: dict[str, str] = {}
        self._is_shared: set[str] = set()
        self._is_swept = False

    def sweep(self) -> None:
        """Remove what dead processes left half-written: in the workspace, in its folders, in its analyses."""
        self._is_swept = True
        if self.workspace is not None and self.workspace.is_dir():
            analyses = self.workspace / "analysis"
            each = analyses.iterdir() if analyses.is_dir() else ()
            sweep([self.workspace, *(one for one in self.workspace.iterdir() if one.is_dir()), *each])

    # finding

    def get(self, wanted: str) -> Asset | None:
        """The asset with this id (compared case-insensitively), or None.

        Raises
        ------
        DamagedError
            It is not what it was when it was stored.
        WorkspaceError
            It cannot be read.
        """
        key = wanted.lower()
        if key in self._attached:
            return self._attached[key]
        if self.workspace is None or os.sep in key or key.startswith("."):
            return None
        folder = self.workspace / "assets" / key
        asset, damage = None, None
        try:
            asset = read_asset(folder)
        except DamagedError as error:
            damage = error
        if asset is None:
            try:
                is_fetched = self._fetch(key)
            except WorkspaceError as error:
                raise error if damage is None else DamagedError(f"{damage}; and {error}") from None
            if is_fetched:
                asset = read_asset(folder)
            elif damage is not None:
                raise damage
        if asset is not None:
            self._attached[key] = asset
        return asset

    def intact(self, wanted: str) -> Asset | None:
        """The asset with this id, or None where it is not there, or is not what it was.

        Raises
        ------
        WorkspaceError
            It cannot be read.
        """
        with contextlib.suppress(DamagedError):
            return self.get(wanted)
        return None

    def share(self, asset: Asset) -> None:
        """Have a stored asset in the store that machines share, whenever it was stored.

        Raises
        ------
        WorkspaceError
            It cannot be brought there.
        """
        shared = shared_store()
        if shared is not None and asset.id not in self._is_shared and self._stored(asset):
            shared.push(asset.path.parent, asset.id)
            self._is_shared.add(asset.id)

    def call(self, asset: Asset, name: str, heard: SoundFacts | None = None) -> Asset:
        """Know an asset by this name, and by this analysis of its sound, as long as this library lives."""
        self._attached[asset.id] = asset.model_copy(update={"name": name})
        if heard is not None:
            self._facts[asset.id] = heard
            digest = hashlib.sha256(heard.model_dump_json().encode()).hexdigest()
            self._heard_by[asset.id] = f"{heard.analyser} as recorded ({digest[:16]})"
        return self._attached[asset.id]

    def heard_by(self, asset: str) -> str | None:
        """Whose analysis of an asset's sound `call` gave: a name that no other analysis has; else None."""
        return self._heard_by.get(asset)

    def _fetch(self, asset: str) -> bool:
        """Bring an asset from the store that machines share; whether it is there."""
        shared = shared_store() if is_id(asset) else None
        if shared is None:
            return False
        with self._folder() as folder:
            found = shared.pull(asset, folder)
            if found:
                self._settle(folder, asset)
        return found

    def _settle(self, folder: Path, asset: str) -> Path:
        """Move a whole asset into its place; one that is there already stays, unless it is damaged."""
        assert self.workspace is not None
        home = self.workspace / "assets" / asset
        with _writing(home):
            synced(folder)
            while not _moved(folder, home):
                with alone_in(home.parent):
                    if _is_whole(home):
                        break
                    with set_aside(home):
                        if _moved(folder, home):
                            break
            synced(home.parent)
        return home

    # adding

    def attach(self, path: Path) -> Asset:
        """Know a local file where it lies, without storing it.

        Raises
        ------
        MediaError
            It is not media that can be used.
        """
        known = self._known(path)
        if known is not None:
            return known
        digest = _digest(path)
        found = self.intact(asset_id(digest))
        if found is None:
            found = _asset(path, digest, path)
            self._attached[found.id] = found
        self._remember(path, found)
        return found

    def add(self, path: Path) -> Asset:
        """Store a local file in the workspace; the same bytes are stored once.

        Raises
        ------
        MediaError
            It is not media that can be used, or is over a limit of its kind.
        WorkspaceError
            The workspace cannot be written.
        """
        if self.workspace is None:
            return self.attach(path)
        known = self._shared(self._known(path))
        if known is not None:
            return known
        _check_size(path)
        with self._folder() as folder:
            copy = folder / f"media{path.suffix.lower()}"
            digest = _copy(path, copy)
            asset = self._keep(folder, copy, digest, path)
        self._remember(path, asset)
        return asset

    def take(self, path: Path, name: str) -> Asset:
        """Store a file of our own making by moving it into the workspace."""
        with self._folder() as folder:
            moved = folder / f"media{path.suffix}"
            digest = _digest(path)
            with _writing(moved):
                path.replace(moved)
            return self._keep(folder, moved, digest, Path(name))

    def receive(
        self,
        fill: Callable[[Path], tuple[Path, str | None]],
        *,
        name: str,
        shown: str,
        check: Callable[[Asset], None] = lambda _asset: None,
    ) -> Asset:
        """Store what `fill` puts into a folder; nothing of it stays where that, or what it made, fails.

        Parameters
        ----------
        fill
            Puts media into the folder that it is given; gives the file, and its SHA-256 where it knows it.
        name, shown
            What the asset is called, and what messages call it.
        check
            Raises where the asset is not to be stored.

        Raises
        ------
        MediaError
            It is not media that can be used, or is over a limit of its kind.
        WorkspaceError
            The workspace cannot be written.
        """
        with self._folder() as folder:
            work = folder / "work"
            with _writing(folder):
                work.mkdir()
                filled, digest = fill(work)
                if digest is None:
                    digest = _digest(filled)
                info = _probed(filled, shown)
                media = filled.replace(folder / f"media{_suffix(info)}")
                shutil.rmtree(work)
            asset = _limited(media, digest, name, info, shown)
            check(asset)
            return self._shared(self.intact(asset.id)) or self._kept(folder, asset)

    def _stored(self, asset: Asset) -> bool:
        return (
            self.workspace is not None and asset.path.is_relative_to(self.workspace) and asset.path.is_file()
        )

    def _keep(self, folder: Path, media: Path, digest: str, origin: Path) -> Asset:
        """Make a folder with media in it an asset, unless its content is stored already."""
        found = self._shared(self.intact(asset_id(digest)))
        return found or self._kept(folder, _asset(media, digest, origin))

    def _shared(self, found: Asset | None) -> Asset | None:
        """An asset that was found, where it is stored: then it is shared as well."""
        if found is None or not self._stored(found):
            return None
        self.share(found)
        return found

    def _kept(self, folder: Path, asset: Asset) -> Asset:
        """Make a folder with media in it an asset, with a thumbnail where it has a picture."""
        with _writing(asset.path):
            synced(asset.path)
        from tessera.inputs.assets.thumbnail import thumbnail_of

        seen = thumbnail_of(asset.path, asset.info, folder)
        asset = asset.model_copy(update={"thumbnail": seen})
        write_atomically(folder / FACTS, noted(asset, asset.path.stat().st_mtime_ns))
        self._is_shared.discard(asset.id)
        self.share(asset)
        home = self._settle(folder, asset.id)
        moved = {"path": home / asset.path.name, "thumbnail": home / seen.name if seen else None}
        asset = asset.model_copy(update=moved)
        self._attached[asset.id] = asset
        return asset

    @contextlib.contextmanager
    def _folder(self) -> Iterator[Path]:
        """A folder of the workspace to work in; what is left of it at the end is removed."""
        if self.workspace is None:
            raise WorkspaceError("there is no workspace to store into")
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

    # files that were seen before

    def _note(self, path: Path) -> Path | None:
        if self.workspace is None:
            return None
        return (
            self.workspace
            / "known"
            / f"{hashlib.blake2b(os.fsencode(path.absolute()), digest_size=16).hexdigest()}.json"
        )

    def _known(self, path: Path) -> Asset | None:
        """The asset of a file that has not changed since it was last read."""
        note = self._note(path)
        if note is None:
            return None
        try:
            stat, seen = path.stat(), json_object(note.read_text("utf-8"))
            if [stat.st_size, stat.st_mtime_ns, stat.st_ino] != seen["stamp"]:
                return None
            return self.intact(seen["id"])
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None

    def _remember(self, path: Path, asset: Asset) -> None:
        note = self._note(path)
        if note is None or not self._stored(asset):
            return
        stat = path.stat()
        seen = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        write_atomically(note, json.dumps({"path": str(path.absolute()), "stamp": seen, "id": asset.id}))

    # analysis

    def sound_facts(self, asset: Asset, cancelled: Callable[[], bool] = lambda: False) -> SoundFacts:
        """Speech and levels of an asset's sound, analysed once per content.

        Raises
        ------
        MediaError
            The sound cannot be decoded.
        """
        known = self._facts.get(asset.id)
        if known is not None:
            return known
        path = None
        if self._stored(asset) and self.workspace is not None:
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
    """Whether a place holds an asset that is what it was."""
    with contextlib.suppress(DamagedError):
        return read_asset(home) is not None
    return False


def _moved(folder: Path, home: Path) -> bool:
    """Move a folder to where none is; whether it could be."""
    try:
        folder.rename(home)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        return False
    return True


def _digest(path: Path) -> str:
    try:
        return digest_of_file(path)
    except (OSError, ValueError) as error:
        raise MediaError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None


def _asset(media: Path, digest: str, origin: Path) -> Asset:
    """Probe a file and check it against the limits of its kind; messages name `origin`."""
    return _limited(
        media, digest, replace_lone_surrogates(origin.name), _probed(media, str(origin)), str(origin)
    )


def _probed(media: Path, shown: str) -> MediaInfo:
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


def _limited(media: Path, digest: str, name: str, info: MediaInfo, shown: str) -> Asset:
    size = media.stat().st_size
    most_bytes, most_seconds = LIMITS[info.kind]
    if size > most_bytes:
        raise MediaError(f"{shown} has {size:,} bytes; {info.kind} may have at most {most_bytes:,}")
    if most_seconds is not None and info.duration > most_seconds:
        what = f"{shown} lasts {float(info.duration):.0f} s; {info.kind} may last at most {most_seconds} s"
        raise MediaError(what)
    return Asset(id=asset_id(digest), sha256=digest, name=name, size=size, path=media, info=info)


_SUFFIXES = {"mov": ".mp4", "matroska": ".mkv", "mpegts": ".ts", "mpeg": ".mpg", "jpeg": ".jpg"}


def _suffix(info: MediaInfo) -> str:
    """A file's ending, from what it was found to be."""
    kind = info.container.partition(",")[0]
    return _SUFFIXES.get(kind, f".{kind}")


def _check_size(path: Path) -> None:
    """Refuse before anything is read what is larger than any asset may be."""
    most = max(size for size, _seconds in LIMITS.values())
    with contextlib.suppress(OSError):
        if path.stat().st_size > most:
            raise MediaError(f"{path} has {path.stat().st_size:,} bytes; no more than {most:,} are taken")


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[BufferedReader]:
    try:
        with path.open("rb") as file:
            yield file
    except (OSError, ValueError) as error:
        raise MediaError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None


def _copy(source: Path, target: Path) -> str:
    """Copy a file and give the SHA-256 of what was copied."""
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
