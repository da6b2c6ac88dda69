"""The output folder of a run: one run at a time, and nothing in it is lost without a warning."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tessera.errors import TakenError, WorkspaceError
from tessera.files import finished_entries, named, part_prefix
from tessera.notice import Notice
from tessera.record.record import RunRecord
from tessera.runner.scheduling.run_spec import Closing
from tessera.text.checked import json_object

__all__ = ["OutputFolder", "Reservation", "holding", "output_folder", "remove_unfinished", "reserving"]

LOCK = ".tessera-run.lock"
"""The file that a run locks, and in which it says which run it is. It is removed when the run ends."""
_SHOWN = 6


def output_folder(out: str | Path | None) -> Path | None:
    """Return the folder for outputs, and create it if it does not exist.

    Raises
    ------
    WorkspaceError
        If the folder cannot be created or written.
    RequestError
        If its name is not UTF-8.
    """
    if out is None:
        return None
    path = named(out)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkspaceError(f"cannot write to {path}: {error.strerror or error}") from None
    if not os.access(path, os.W_OK) or shutil.disk_usage(path).free == 0:
        raise WorkspaceError(f"cannot write to {path}")
    return path


@contextmanager
def holding(folder: Path | None, run_id: str) -> Iterator[tuple[Notice, ...]]:
    """Keep other runs out of a folder. The operating system ends this if the process dies.

    Yields a warning if the file system has no locks.

    Raises
    ------
    TakenError
        If another run, even of this process, writes into the folder: the message names it.
    WorkspaceError
        If the folder cannot be written.
    """
    if folder is None:
        yield ()
        return
    lock = folder / LOCK
    try:
        opened = _lock(lock)
    except BlockingIOError:
        raise TakenError(
            f"{folder} is the output folder of {_holder(lock)}, which has not ended: give another folder, or "
            f"wait for that run"
        ) from None
    except OSError as error:
        raise WorkspaceError(f"cannot write {lock}: {error.strerror or error}") from None
    if opened is None:
        # Windows counts as such a file system here.
        what = f"{folder} cannot be locked on its file system: another run into it would not be noticed"
        yield (Notice("output_folder_not_locked", what, "", "request"),)
        return
    try:
        with suppress(OSError):
            os.ftruncate(opened, 0)
            facts = {"run_id": run_id, "pid": os.getpid(), "host": socket.gethostname()}
            os.write(opened, json.dumps(facts).encode())
        yield ()
    finally:
        # Remove the name before the lock ends: whoever opened it meanwhile notices and opens a new one.
        with suppress(OSError):
            lock.unlink()
        os.close(opened)


class Reservation:
    """The output folder of a run that has not started: held at once if it exists, else when it is opened.

    A missing folder cannot be in use, and a run that is refused must not create it.
    """

    def __init__(self, out: str | Path | None, run_id: str, held: ExitStack) -> None:
        self.run_id, self._out, self._held = run_id, out, held
        self._opened: tuple[Path | None, tuple[Notice, ...]] | None = None
        if out is not None and named(out).exists():
            self.open()

    def open(self) -> tuple[Path | None, tuple[Notice, ...]]:
        """Return the folder, which is created and held by now, and the warnings of `holding`.

        Raises
        ------
        WorkspaceError
            If the folder cannot be created or written, or another run writes into it (`TakenError`).
        RequestError
            If its name is not UTF-8.
        """
        if self._opened is None:
            folder = output_folder(self._out)
            self._opened = folder, self._held.enter_context(holding(folder, self.run_id))
        return self._opened


@contextmanager
def reserving(out: str | Path | None, run_id: str) -> Iterator[Reservation]:
    """Keep other runs out of a folder from before the run is planned; see `Reservation`.

    Raises
    ------
    WorkspaceError, RequestError
        As `Reservation.open`.
    """
    with ExitStack() as held:
        yield Reservation(out, run_id, held)


def remove_unfinished(folder: Path) -> None:
    """Remove the partial files of this process, whose writers have been abandoned.

    The folder has one run at a time, so they are of that run. Its writers, which may hang in the file system,
    cannot finish them any more.
    """
    with suppress(OSError):
        for entry in os.scandir(folder):
            if entry.name.startswith(part_prefix()):
                with suppress(OSError):
                    os.unlink(entry.path)


def _lock(path: Path) -> int | None:
    """Open and lock a file; return None where the file system has no locks, and on Windows.

    Raises
    ------
    BlockingIOError
        If another run holds the lock.
    OSError
        If the file cannot be opened.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    while True:
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        kept = False
        try:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise
            except OSError:
                with suppress(OSError):
                    path.unlink()
                return None
            # The run before may have removed this file between the opening and the locking.
            with suppress(FileNotFoundError):
                kept = os.path.samestat(os.fstat(opened), path.stat())
            if kept:
                return opened
        finally:
            if not kept:
                os.close(opened)


def _holder(lock: Path) -> str:
    """Return the words for the run that holds a lock."""
    try:
        facts = json_object(lock.read_bytes())
        here = facts["host"] == socket.gethostname()
        place = f"process {facts['pid']}" + ("" if here else f" on {facts['host']}")
        return f"run {facts['run_id']} ({place})"
    except (OSError, ValueError, LookupError, TypeError):
        return "another run"


@dataclass(frozen=True)
class OutputFolder:
    """What was in a folder before a run wrote there.

    Attributes
    ----------
    before
        The names of the files that look like outputs of the run's tiles.
    """

    path: Path
    before: frozenset[str]

    @classmethod
    def seen(cls, path: Path, prefixes: Collection[str]) -> OutputFolder:
        """Look into a folder before the run writes there. `prefixes`: of the names of its outputs."""
        like = re.compile(rf"(?:{'|'.join(map(re.escape, prefixes))})-[1-9][0-9]*\.\w+") if prefixes else None
        names = (entry.name for entry in finished_entries(path))
        return cls(path, frozenset(name for name in names if like is not None and like.fullmatch(name)))

    def closing(self, record: RunRecord) -> Closing:
        """Return the outputs whose files are gone, and warnings about them and files of before."""
        lost = _lost_files(record)
        return replace(lost, notices=(*lost.notices, *self._notices(record)))

    def _notices(self, record: RunRecord) -> tuple[Notice, ...]:
        """Return warnings about the files of before that the run replaced, and about those that it left."""
        written = _paths(output.raw for output in record.outputs)
        replaced = sorted(
            Path(output.raw["path"]).name for output in record.outputs if output.raw.get("replaced_another")
        )
        left = _without_thumbnails(self.before - {path.name for path in written})
        found = []
        if replaced:
            what = f"files that were in {self.path} before and differ were replaced: {_listed(replaced)}"
            found.append(Notice("replaced_files", what, "", "request"))
        if left:
            what = f"{self.path} holds files with names of this run that are not of it: {_listed(left)}"
            found.append(Notice("other_files", what, "", "request"))
        return tuple(found)


def _lost_files(record: RunRecord) -> Closing:
    """Return the outputs whose files or thumbnails are removed or replaced, and a warning about them."""
    lost = [output for output in record.outputs if not _is_there(output.raw)]
    gone = {output.id: None for output in lost}
    bare = [one for one in record.outputs if one.id not in gone and _lacks_thumbnail(one.raw)]
    files = [str(output.raw["path"]) for output in lost]
    files += [str(output.raw["thumbnail_path"]) for output in bare]
    if not files:
        return Closing()
    what = f"files were removed or replaced by something else before the run ended: {_listed(sorted(files))}"
    notice = Notice("lost_files", what, "", "request")
    return Closing(tuple(gone), tuple(output.id for output in bare), (notice,))


def _lacks_thumbnail(output: dict[str, Any]) -> bool:
    return output["thumbnail_path"] is not None and not Path(output["thumbnail_path"]).is_file()


def _is_there(output: dict[str, Any]) -> bool:
    if output["path"] is None or "bytes" not in output:
        return True  # nothing is claimed, or an earlier version wrote it
    with suppress(OSError):
        return bool(Path(output["path"]).stat().st_size == output["bytes"])
    return False


def _paths(outputs: Iterable[dict[str, Any]]) -> list[Path]:
    members = ("path", "thumbnail_path")
    return [Path(output[member]) for output in outputs for member in members if output[member] is not None]


def _without_thumbnails(names: Collection[str]) -> list[str]:
    """Return sorted names without the thumbnails of others among them."""
    media = {Path(name).stem for name in names if not name.endswith(".jpg")}
    return sorted(name for name in names if not (name.endswith(".jpg") and Path(name).stem in media))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
