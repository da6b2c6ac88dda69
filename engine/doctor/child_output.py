"""What a program prints, read within limits of time and size."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Sequence

from tessera.media.process.process_group import kill_group

__all__ = ["ChildFailed", "output_of"]

_MOST_BYTES = 1 << 20


class ChildFailed(Exception):
    """A program cannot be started, fails, prints too much, or does not end in time."""


def output_of(command: Sequence[str], timeout_s: float) -> str:
    """Return what a program prints on stdout and stderr.

    The program and its children are killed after `timeout_s` seconds, or once they have printed 1 MiB.

    Raises
    ------
    ChildFailed
        If it cannot be started, fails, prints more, or takes longer.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise ChildFailed(f"cannot be started: {error.strerror or error}") from None
    deadline = time.monotonic() + timeout_s
    try:
        text = _read(process, deadline, timeout_s)
        code = process.wait(max(deadline - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        raise ChildFailed(f"does not end within {timeout_s:g} s") from None
    finally:
        # A child of the program may still hold the pipe open, so the whole group is killed.
        kill_group(process.pid)
        if process.stdout is not None:
            process.stdout.close()
        process.wait()
    if code:
        last = text.strip().splitlines()[-1:] or ["no message"]
        raise ChildFailed(f"fails with exit code {code}: {last[0]}")
    return text


def _read(process: subprocess.Popen[bytes], deadline: float, timeout_s: float) -> str:
    assert process.stdout is not None
    pipe, content = process.stdout.fileno(), bytearray()
    while True:
        ready, _, _ = select.select([pipe], [], [], max(deadline - time.monotonic(), 0))
        if not ready:
            raise subprocess.TimeoutExpired(process.args, timeout_s)
        chunk = os.read(pipe, 1 << 16)
        if not chunk:
            return content.decode("utf-8", "replace")
        content += chunk
        if len(content) > _MOST_BYTES:
            raise ChildFailed("prints more than 1 MiB")
