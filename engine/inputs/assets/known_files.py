"""Files that were read before: what a file held is remembered by its state, so that it is not read again.

A file is *unchanged* only if nothing can have written it since: its size, its modification time, its change
time, its inode and its device are the remembered ones. The change time is the witness: every write and every
`os.utime` sets it to the clock, and no program can set it back. It is trusted only under these conditions;
otherwise the content is read again, at about one second for 1 GB:

- The file system keeps it on every write, also on one through a memory map. That is known of the local file
  systems in `_TRUSTED`. Network file systems, FUSE and FAT keep it late, at the other end or not at all, and
  tmpfs does not notice writes through a memory map.
- It was at least two seconds old when the file was read. A later write within the same tick of the clock
  (one second on some file systems) would not change it.
- The file's pages were on the disk when it was read. A page that a memory map has just changed can be changed
  again without a trace until it is written to the disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tessera.files import write_atomically
from tessera.text.checked import json_object

__all__ = ["FileState", "KnownFile", "KnownFiles", "state_of"]

_SETTLED_NS = 2 * 10**9
_TRUSTED = frozenset({"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "xfs"})
"""The Linux file systems that set the change time before a write through a memory map can be seen."""


@dataclass(frozen=True, slots=True)
class FileState:
    """What the file system says about a file. Times are in nanoseconds since the epoch.

    Attributes
    ----------
    settled
        True if any later change of the content shows as another state.
    """

    size: int
    modified_ns: int
    changed_ns: int
    inode: int
    device: int
    settled: bool = False

    def stamp(self) -> list[int]:
        """Return the values that a change of the content changes."""
        return [self.size, self.modified_ns, self.changed_ns, self.inode, self.device]


def state_of(path: Path) -> FileState:
    """Return the state of a file. Take it before the content is read, so that it is never newer than that.

    Raises
    ------
    OSError
        If the file cannot be opened.
    """
    # Windows has no such flag, and no named pipes among files that could block.
    opened = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        trusted = _file_system(opened) in _TRUSTED
        settled = trusted and _is_settled(os.fstat(opened))
        if settled:
            os.fsync(opened)
        stat = os.fstat(opened)
        settled = settled and _is_settled(stat)
    finally:
        os.close(opened)
    return FileState(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev, settled)


def _is_settled(stat: os.stat_result) -> bool:
    return time.time_ns() - stat.st_ctime_ns >= _SETTLED_NS


def _file_system(opened: int) -> str | None:
    """Return the type of the file system of an open file, or None where the system does not tell it."""
    with suppress(OSError, ValueError, IndexError):
        facts = Path(f"/proc/self/fdinfo/{opened}").read_text("ascii")
        mount = next(line.split()[1] for line in facts.splitlines() if line.startswith("mnt_id:"))
        for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
            fields, _dash, kind = line.partition(b" - ")
            if fields.split()[0].decode() == mount:
                return kind.split()[0].decode()
    return None


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What is remembered of a file.

    Attributes
    ----------
    asset
        The id of the asset whose content it had.
    unchanged
        True if it certainly has that content still. False: compare the content.
    """

    asset: str
    unchanged: bool


class KnownFiles:
    """The files that were read before, by path. `folder`: where they are remembered; None: nowhere."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def find(self, path: Path, state: FileState) -> KnownFile | None:
        """Return what is remembered of a file that is in this state now."""
        note = self._note(path)
        if note is None:
            return None
        try:
            saved = json_object(note.read_text("utf-8"))
            stamp, asset = saved["stamp"], saved["id"]
        except (OSError, ValueError, LookupError, TypeError):
            return None
        if not isinstance(asset, str) or not isinstance(stamp, Sequence) or list(stamp)[:1] != [state.size]:
            return None
        return KnownFile(asset, saved.get("settled") is True and list(stamp) == state.stamp())

    def save(self, path: Path, state: FileState, asset: str) -> None:
        """Remember the content of a file, whose state was taken before it was read.

        Raises
        ------
        WorkspaceError
            If it cannot be written.
        """
        note = self._note(path)
        if note is not None:
            facts = {
                "path": str(path.absolute()),
                "stamp": state.stamp(),
                "settled": state.settled,
                "id": asset,
            }
            write_atomically(note, json.dumps(facts))

    def _note(self, path: Path) -> Path | None:
        if self._folder is None:
            return None
        name = hashlib.blake2b(os.fsencode(path.absolute()), digest_size=16).hexdigest()
        return self._folder / f"{name}.json"
