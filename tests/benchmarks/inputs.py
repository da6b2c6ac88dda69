"""One table of what inputs cost: `python -m tests.benchmarks.inputs`.

The large file is a real video with a `free` box behind it that makes it as large as wanted.
"""

from __future__ import annotations

import argparse
import hashlib
import http.server
import json
import os
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tessera import plan
from tessera.inputs.assets.library import Library
from tessera.inputs.fetch.fetcher import Fetcher
from tessera.inputs.fetch.rules import FetchRules
from tessera.inputs.local import LocalInput, with_local_inputs
from tessera.inputs.resolve import resolve_inputs
from tessera.request import SourceRef
from tests.benchmarks.clock import cpu, machine
from tests.benchmarks.rows import Row, print_table
from tests.support.media import FIXTURES, MEDIA

AGENT = FIXTURES / "agents" / "trimmer.json"
TALK = MEDIA / "talk.mp4"


def large(folder: Path, size: int) -> Path:
    """A video of `size` bytes."""
    path = folder / f"large-{size}.mp4"
    if path.exists() and path.stat().st_size == size:
        return path
    shutil.copy(TALK, path)
    room = size - TALK.stat().st_size
    block = os.urandom(1 << 20)
    with path.open("ab") as file:
        file.write(struct.pack(">I4sQ", 1, b"free", room))
        left = room - 16
        while left:
            left -= file.write(block[: min(left, len(block))])
    return path


def known_inputs(folder: Path, short: bool) -> Row:
    """CPU of making fifty local files, which the workspace knows, the inputs of a plan and resolving it."""
    count = 10 if short else 50
    files = []
    for number in range(count):
        path = folder / f"input-{number}.mp4"
        path.write_bytes(TALK.read_bytes() + struct.pack(">I4sI", 12, b"free", number))
        files.append(path)
    home = folder / "known"
    for path in files:
        Library(home).add(path)
    template = _template()
    samples = []
    for _round in range(5):
        library, begun = Library(home), cpu()
        given = [LocalInput(str(path)) for path in files]
        request = with_local_inputs(template, None, given, library.add)
        decided = plan(template, request)
        assert len(resolve_inputs(decided, library).inputs) == count
        samples.append((cpu() - begun) / count)
    each = sorted(samples)[2]
    return Row(
        f"{count} known local inputs, CPU each", each, None, "15 ms", f"{each * 1000:.1f} ms", each < 0.015
    )


def _template() -> Any:
    from tessera import load_agent

    return load_agent(AGENT)


def hashing(folder: Path, short: bool) -> Row:
    """CPU of what the library does to know a file that it has not seen."""
    path = large(folder, 10**8 if short else 10**9)
    _hash(path)
    samples = [_hash(path) for _round in range(3)]
    rate = path.stat().st_size / min(samples) / 10**9
    return Row("SHA-256 of a file", min(samples), None, "1 GB/s", f"{rate:.2f} GB/s", rate >= 1)


def _hash(path: Path) -> float:
    begun = cpu()
    with path.open("rb") as file:
        hashlib.file_digest(file, "sha256")
    return cpu() - begun


def download(folder: Path, short: bool) -> Row:
    """The peak of memory, with all of Python and its libraries, of a process that downloads a large file."""
    path = large(folder, 10**8 if short else 10**9)
    with _serving(path) as url:
        command = [sys.executable, "-m", "tests.benchmarks.inputs", "--fetch", url, "--folder", str(folder)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    told = json.loads(done.stdout)
    peak, before = told["peak"] / 10**6, told["before"] / 10**6
    reached = f"{peak:.0f} MB at the peak, {before:.0f} MB before"
    note = f"(CPU {told['cpu']:.1f} s)"
    return Row(
        f"download of {path.stat().st_size / 10**9:g} GB",
        told["wall"],
        None,
        "100 MB",
        reached,
        peak < 100,
        note,
    )


@contextmanager
def _serving(path: Path) -> Iterator[str]:
    """A server in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.inputs", "--serve", str(path.parent)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"{process.stdout.readline().strip()}/{path.name}"
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


def serve(folder: Path) -> None:
    """Serve a folder until the process is ended."""
    server = _Server(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


def fetch(url: str, folder: Path) -> None:
    """Download a URL into a new workspace, and print what that took."""
    with tempfile.TemporaryDirectory(dir=folder) as home:
        fetcher = Fetcher(Library(Path(home)), FetchRules(allow_private=True))
        inspections = fetcher.inspect({url: SourceRef("video_url", url)})
        before, used, begun = _peak(), cpu(), time.perf_counter()
        (found,) = fetcher.fetch(inspections, {url: [None]}).values()  # type: ignore[arg-type]
        assert not isinstance(found, Exception), found
        spent = {"wall": time.perf_counter() - begun, "cpu": cpu() - used}
        print(json.dumps({"before": before, "peak": _peak(), **spent}))


def _peak() -> int:
    """The most bytes of memory that this process has held."""
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held if sys.platform == "darwin" else held * 1024


CASES = (known_inputs, hashing, download)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="smaller files")
    parser.add_argument("--folder", type=Path, help="where files are made")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--fetch", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        return serve(given.serve)
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        if given.fetch:
            return fetch(given.fetch, folder)
        print(json.dumps(machine()))
        print_table(case(folder, given.short) for case in CASES)
    return None


if __name__ == "__main__":
    main()
