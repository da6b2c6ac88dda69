"""The cores and the memory, and the limits of encodes that follow from them."""

from __future__ import annotations

from collections.abc import Iterator

from tessera.doctor.finding import Finding
from tessera.errors import RequestError
from tessera.runner.workers.thread_pool import cores, encode_limits, memory_size
from tessera.text.wording import bytes_of, count

__all__ = ["check_machine"]


def check_machine() -> Iterator[Finding]:
    yield Finding("machine", "ok", f"{count(cores(), 'core')}, {bytes_of(memory_size())} of memory")
    try:
        encodes, memory = encode_limits()
    except RequestError:
        return  # the check of the settings reports it
    found = f"at most {encodes} at a time, which may take {bytes_of(memory)} together"
    yield Finding("encodes", "ok", found)
