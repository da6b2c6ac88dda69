"""Do without the rights of root for a while: root may write everywhere."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


@contextmanager
def read_only_folder() -> Iterator[Path]:
    """Yield a folder that this process may read but not write, even if it is started by root."""
    folder = Path(tempfile.mkdtemp())  # the folders of pytest can be entered by their owner alone
    is_root = os.geteuid() == 0
    try:
        folder.chmod(0o555)
        if is_root:
            os.setresuid(NOBODY, NOBODY, 0)
        yield folder
    finally:
        if is_root:
            os.setresuid(0, 0, 0)
        folder.chmod(0o755)
        shutil.rmtree(folder)
