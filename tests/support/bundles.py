"""Bundles that a test changes."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["rewritten"]


def rewritten(path: Path, name: str, change: Callable[[Any], None]) -> None:
    """Change one document of a bundle."""
    with zipfile.ZipFile(path) as archive:
        texts = {entry: archive.read(entry) for entry in archive.namelist()}
    document = json.loads(texts[name])
    change(document)
    with zipfile.ZipFile(path, "w") as archive:
        for entry, text in texts.items():
            archive.writestr(entry, json.dumps(document) if entry == name else text)
