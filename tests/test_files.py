"""Locks on folders."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from tessera.files import alone_in

HOLDER = """
import sys, time
from pathlib import Path
from tessera.files import alone_in
with alone_in(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_has_one_holder_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    folder = tmp_path / "assets"
    folder.mkdir()
    acquired = threading.Event()

    def wait_for_it() -> None:
        with alone_in(folder):
            acquired.set()

    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        waiter = threading.Thread(target=wait_for_it, daemon=True)
        waiter.start()
        assert not acquired.wait(0.3)
        holder.kill()
        assert acquired.wait(20)
        waiter.join()
    finally:
        holder.kill()
        holder.communicate()
    assert list(folder.iterdir()) == []
