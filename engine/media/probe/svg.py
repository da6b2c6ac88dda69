"""SVG drawings, made pixels: by resvg, in a process of their own with bounded time and memory.

A drawing reaches nothing: what goes to resvg is not the file but what was read of it and found harmless,
without document types, entities and references to other files or addresses.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tessera.errors import MediaError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from PIL.Image import Image as PillowImage

__all__ = ["DRAWN_PIXELS", "SvgImage", "is_svg", "rasterise"]

DRAWN_PIXELS = 2048
"""The longer side of the pixels that are made of a drawing: what is scaled down from there stays sharp."""

_MOST_BYTES = 10_000_000
_MOST_BYTES_WITH_ENTITIES = 1_000_000
_MOST_ELEMENTS = 200_000
_MOST_DEPTH = 200
_LONGEST_S = 20
_MEMORY = 2 << 30
_EMBEDDED = re.compile(r"\s*data:image/(png|jpe?g|gif|webp)[;,]", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?")
_LENGTH = re.compile(rf"\s*({_NUMBER.pattern})\s*(px|pt|pc|mm|cm|in|em|ex)?\s*$")
_UNITS = {"pt": 4 / 3, "pc": 16, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96, "em": 16, "ex": 8}
_SVG = "{http://www.w3.org/2000/svg}"

_CHILD = """
import sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
    resource.setrlimit(resource.RLIMIT_CPU, ({seconds}, {seconds}))
except (ImportError, ValueError, OSError):
    pass
import resvg_py
try:
    made = resvg_py.svg_to_bytes(svg_string=sys.stdin.buffer.read().decode(), dpi=96, **{size!r})
except ValueError as error:
    sys.exit(str(error))
sys.stdout.buffer.write(bytes(made))
"""


def is_svg(path: Path) -> bool:
    """Whether a file looks like SVG, by its first bytes."""
    with path.open("rb") as file:
        head = file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")
    return head.startswith(b"<svg") or (head.startswith((b"<?xml", b"<!")) and b"<svg" in head)


@dataclass(frozen=True, slots=True)
class SvgImage:
    """What was drawn. `has_text`: in the fonts of this machine."""

    pixels: PillowImage
    has_text: bool


def rasterise(path: Path) -> SvgImage:
    """A drawing as RGBA pixels, `DRAWN_PIXELS` along its longer side.

    Raises
    ------
    MediaError
        It is no SVG, says no size, refers to something outside itself, or takes too much to draw.
    """
    root = _read(path)
    _check_references(path, root)
    width, height = _size(path, root)
    made = _drawn_elsewhere(path, root, {"width" if width >= height else "height": DRAWN_PIXELS})
    from PIL import Image

    pixels = Image.open(io.BytesIO(made), formats=["PNG"]).convert("RGBA")
    return SvgImage(pixels, next(root.iter(f"{_SVG}text"), None) is not None)


def _read(path: Path) -> Element:
    """The document, its entities resolved; they may not come from elsewhere, nor may there be too much."""
    from xml.parsers import expat

    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise MediaError(f"{path.name} is a drawing of more than {_MOST_BYTES:,} bytes")
    reader = _SvgReader(path, size)
    try:
        with path.open("rb") as file:
            reader.parser.ParseFile(file)
        root = reader.builder.close()
    except (expat.ExpatError, ValueError, LookupError, AssertionError) as error:
        raise MediaError(f"{path.name} is a broken drawing: {error}") from None
    if root.tag != f"{_SVG}svg":
        raise MediaError(f"{path.name} is not SVG: its first element is not svg of {_SVG[1:-1]}")
    return root


class _SvgReader:
    """Builds the tree of a document while there is not too much of it."""

    def __init__(self, path: Path, size: int) -> None:
        from xml.etree.ElementTree import TreeBuilder
        from xml.parsers import expat

        self.path, self.size = path, size
        self.builder = TreeBuilder()
        self.elements = self.depth = 0
        self.parser = expat.ParserCreate(namespace_separator="}")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self.builder.data
        self.parser.EntityDeclHandler = self._entity

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self.elements += 1
        self.depth += 1
        if self.elements > _MOST_ELEMENTS or self.depth > _MOST_DEPTH:
            most = f"{_MOST_ELEMENTS:,} elements, or {_MOST_DEPTH} within each other"
            raise MediaError(f"{self.path.name} is a drawing of more than {most}")
        self.builder.start(_full(name), {_full(one): value for one, value in attributes.items()})

    def _end(self, name: str) -> None:
        self.depth -= 1
        self.builder.end(_full(name))

    def _entity(self, name: str, _parameter: bool, value: str | None, *_where: str | None) -> None:
        """Internal ones alone; expat makes of them up to a hundred times of what there is."""
        if value is None:
            raise MediaError(f"{self.path.name} is a drawing that takes its entity {name} from elsewhere")
        if self.size > _MOST_BYTES_WITH_ENTITIES:
            most = f"{_MOST_BYTES_WITH_ENTITIES:,} bytes"
            raise MediaError(f"{self.path.name} is a drawing of more than {most} that declares entities")


def _full(name: str) -> str:
    return f"{{{name}" if "}" in name else name


def _check_references(path: Path, root: Element) -> None:
    """Refuse what refers to another file or address: it would be read, or be missing."""
    for element, name, value in _references(root):
        if value.lstrip().startswith("#") or not value.strip() or _EMBEDDED.match(value):
            continue
        what = value.strip() if len(value) < 80 else f"{value.strip()[:77]}…"
        raise MediaError(
            f"{path.name} is a drawing that refers to {what!r} ({element} {name}): only what it holds itself"
            " is drawn; embed pictures as PNG, JPEG, GIF or WebP"
        )


def _references(root: Element) -> Iterator[tuple[str, str, str]]:
    for element in root.iter():
        tag = element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
        for name, value in element.attrib.items():
            short = name.rpartition("}")[2]
            if short in ("href", "src") and tag != "a":  # a link is drawn without being followed
                yield tag, short, value


def _size(path: Path, root: Element) -> tuple[float, float]:
    """Width to height, as the root says: in CSS pixels, or in those of its view box."""
    width, height = (_pixels(root.get(side, "")) for side in ("width", "height"))
    if width and height:
        return width, height
    box = [float(one) for one in _NUMBER.findall(root.get("viewBox", ""))]
    if len(box) == 4 and min(box[2:]) > 0:
        return box[2], box[3]
    raise MediaError(f"{path.name} is a drawing without a size: it needs a viewBox, or a width and a height")


def _pixels(length: str) -> float | None:
    found = _LENGTH.match(length)
    return float(found[1]) * _UNITS.get(found[2] or "px", 1) if found else None


def _drawn_elsewhere(path: Path, root: Element, size: dict[str, int]) -> bytes:
    from xml.etree import ElementTree

    script = _CHILD.format(memory=_MEMORY, seconds=_LONGEST_S, size=size)
    try:
        with tempfile.TemporaryDirectory() as empty:
            made = subprocess.run(
                (sys.executable, "-P", "-c", script),
                input=ElementTree.tostring(root),
                capture_output=True,
                cwd=empty,
                timeout=_LONGEST_S,
                check=False,
            )
    except subprocess.TimeoutExpired:
        raise MediaError(f"{path.name} is a drawing that takes more than {_LONGEST_S} s to draw") from None
    if made.returncode < 0 or b"memory allocation" in made.stderr:
        raise MediaError(f"{path.name} is a drawing that takes more than {_LONGEST_S} s or 2 GB to draw")
    if made.returncode or not made.stdout.startswith(b"\x89PNG"):
        said = made.stderr.decode(errors="replace").strip().splitlines() or ["nothing came"]
        raise MediaError(f"{path.name} is a drawing that cannot be drawn: {said[-1]}")
    return made.stdout
