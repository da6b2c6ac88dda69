"""The search for inputs with a fault, and the reduction of one to what the fault needs."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tests.fuzz.limits import Workbench
from tests.fuzz.mutation import json_text, mutated_archive, mutated_bytes, mutated_value
from tests.fuzz.samples import bundle, document_lines, documents, media
from tests.fuzz.server import scripted

__all__ = ["KEPT", "SECONDS", "SEED", "generated", "keep", "search", "smaller"]

KEPT = Path(__file__).parent / "kept"
SECONDS = float(os.environ.get("TESSERA_FUZZ_SECONDS", "60"))
SEED = int(os.environ.get("TESSERA_FUZZ_SEED", "0"))
_TRIES = 80
"""The most attempts to make an input smaller."""


def generated(kind: str, seed: int) -> bytes:
    """Return the input of a seed."""
    random = Random(f"{kind} {seed}")
    if kind == "media":
        return mutated_bytes(random.choice(media()), random)
    if kind == "archives":
        return mutated_archive(bundle(), random)
    if kind == "servers":
        return json.dumps(scripted(random)).encode()
    chosen = random.choice(documents())
    name = random.choice([*chosen])
    lines = {part: json.dumps(value).encode() for part, value in chosen.items()}
    if random.random() < 0.15:
        lines[name] = mutated_bytes(lines[name], random).replace(b"\n", b"")
    else:
        lines[name] = json_text(mutated_value(chosen[name], random))
    return document_lines(lines)


def search(kind: str, bench: Workbench, seconds: float, seed: int) -> Iterator[tuple[int, bytes, str]]:
    """Yield the seed, the input and the fault of each new fault that is found in a time."""
    end, seen = time.monotonic() + seconds, set[str]()
    while time.monotonic() < end:
        data = generated(kind, seed)
        fault = bench.outcome(kind, data).fault
        if fault and fault not in seen:
            seen.add(fault)
            yield seed, data, fault
        seed += 1
    print(f"{kind}: next seed {seed}")


def smaller(kind: str, data: bytes, fault: str, bench: Workbench) -> bytes:
    """Return a smaller input with the same fault."""
    left = _TRIES

    def holds(candidate: bytes) -> bool:
        nonlocal left
        left -= 1
        return bench.outcome(kind, candidate).fault == fault

    size = len(data) // 2
    while size and left > 0:
        at = 0
        while at < len(data) and left > 0:
            candidate = data[:at] + data[at + size :]
            if holds(candidate):
                data = candidate
            else:
                at += size
        size //= 2
    return data


def keep(kind: str, data: bytes) -> Path:
    """Write an input to the folder of kept inputs."""
    path = KEPT / kind / hashlib.sha256(data).hexdigest()[:12]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
