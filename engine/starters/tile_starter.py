"""A package with one tile: installable, typed, tested, and named after its folder."""

from __future__ import annotations

import keyword
import re
import sys
import uuid
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from string import Template

from tessera.errors import Fault, RequestError
from tessera.node import Catalogue, name_key
from tessera.starters.starter import Starter, Step
from tessera.starters.tile_templates import TILE_FILES
from tessera.text.wording import printable

__all__ = ["TileNames", "tile_names", "tile_starter"]

_DISTRIBUTION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
"""The names that pip accepts (the packaging specification "Names and normalization")."""
_MAX_LENGTH = 100
"""The maximum length of a name: file names may have 255 bytes, and temporary files have longer names."""
_NOTATION_WORDS = ("input", "via")
"""Words with a meaning of their own in the notation of `tessera.testing`."""


@dataclass(frozen=True, slots=True)
class TileNames:
    """The names of a tile package: for pip, for Python, of the tile, and of its class.

    >>> tile_names("soft-zoom")
    TileNames(distribution='soft-zoom', package='soft_zoom', title='Soft Zoom', kind='SoftZoomTile')
    """

    distribution: str
    package: str
    title: str
    kind: str


def tile_names(folder_name: str) -> TileNames:
    """Return the names of a tile package in a folder of this name.

    Raises
    ------
    RequestError
        If the name cannot be the name of a package, or if a package or a tile already has it.
    """
    package = re.sub(r"[-._]+", "_", folder_name).lower()
    if not _DISTRIBUTION.fullmatch(folder_name) or not package.isidentifier():
        raise _refused(
            folder_name,
            "begin with a letter and continue with letters, digits, '-', '_' or '.', e.g. soft-zoom",
        )
    if len(folder_name) > _MAX_LENGTH:
        raise _refused(folder_name, f"have at most {_MAX_LENGTH} characters")
    if keyword.iskeyword(package) or package in _NOTATION_WORDS:
        raise _refused(folder_name, f"be another word: {package!r} has a meaning of its own")
    if package in sys.stdlib_module_names or _is_installed(package):
        raise _refused(folder_name, f"be another one: Python already has a module {package!r}")
    words = package.split("_")
    title = " ".join(word.capitalize() for word in words)
    # Known names are compared without spaces and without the `AI` that the notation may leave out.
    known = {name_key(name).removeprefix("ai"): name for name in Catalogue.installed().names()}
    taken = Catalogue.installed().find(title)
    same = taken.name if taken is not None else known.get(name_key(title).removeprefix("ai"))
    if same is not None:
        raise _refused(folder_name, f"be another one: there is a tile {same!r}")
    kind = "".join(word.capitalize() for word in words)
    return TileNames(folder_name, package, title, kind if kind.endswith("Tile") else f"{kind}Tile")


def tile_starter(names: TileNames) -> Starter:
    """Return a package with one tile that zooms in, with a new type id."""
    values = {
        "distribution": names.distribution,
        "package": names.package,
        "title": names.title,
        "kind": names.kind,
        "type_id": str(uuid.uuid4()),
        "version": version("tessera-runtime"),
    }
    files = {
        Template(path).substitute(values): Template(text).substitute(values)
        for path, text in TILE_FILES.items()
    }
    commands = ("pip install -e '.[test]'", "pytest", f"tessera nodes '{names.title}'")
    return Starter(files, (Step("Install the tile and run its tests:", commands),))


def _is_installed(package: str) -> bool:
    spec = find_spec(package)
    # A spec without an origin is a folder without modules, such as an empty folder of this name.
    return spec is not None and spec.origin is not None


def _refused(name: str, rule: str) -> RequestError:
    what = f"{printable(name)!r} cannot name a tile package: the last part of DIR must {rule}"
    return RequestError([Fault("", "request", what)])
