"""SVG drawings, rasterised by resvg in a subprocess with bounded time and memory.

A drawing cannot access files or addresses: resvg receives not the file but a checked copy of its document,
without document types, entities and external references.
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
"""The longer side of a rasterised drawing, in pixels: large enough to stay sharp when scaled down."""

_MAX_BYTES = 10_000_000
_MAX_BYTES_WITH_ENTITIES = 1_000_000
_MAX_ELEMENTS = 200_000
_MAX_DEPTH = 200
_MAX_SIDE = 1_000_000
_MAX_NUMBERS = 200
"""The most characters of an attribute that gives a size."""
_MAX_SECONDS = 20
"""The limit for rendering, both in CPU time and in elapsed time."""
_MAX_MEMORY = 2 << 30
"""The limit for the subprocess in bytes. Windows has no such limit, and macOS may refuse it."""
_EMBEDDED = re.compile(r"\s*data:image/(png|jpe?g|gif|webp)[;,]", re.IGNORECASE)
# Each digit can be matched in one way only, so that the time grows with the length alone.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LENGTH = re.compile(rf"\s*({_NUMBER.pattern})\s*(px|pt|pc|mm|cm|in|em|ex)?\s*$")
_UNITS = {"pt": 4 / 3, "pc": 16, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96, "em": 16, "ex": 8}
_SVG = "{http://www.w3.org/2000/svg}"

_CHILD = """
import sys
try:
    import resource
except ImportError:
    pass
else:
    for kind, limit in ((resource.RLIMIT_CPU, {seconds}), (resource.RLIMIT_AS, {memory})):
        try:
            resource.setrlimit(kind, (limit, limit))
        except (ValueError, OSError):
            pass
import resvg_py
try:
    png = resvg_py.svg_to_bytes(svg_string=sys.stdin.buffer.read().decode(), dpi=96, **{size!r})
except ValueError as error:
    sys.exit(str(error))
sys.stdout.buffer.write(bytes(png))
"""


def is_svg(path: Path) -> bool:
    """Return True if the first bytes of a file look like SVG."""
    with path.open("rb") as file:
        head = file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")
    return head.startswith(b"<svg") or (head.startswith((b"<?xml", b"<!")) and b"<svg" in head)


@dataclass(frozen=True, slots=True)
class SvgImage:
    """A rasterised drawing. `has_text` is true if it contains text, which uses the fonts of this machine."""

    pixels: PillowImage
    has_text: bool


def rasterise(path: Path) -> SvgImage:
    """Rasterise a drawing to RGBA pixels, `DRAWN_PIXELS` along its longer side.

    Raises
    ------
    MediaError
        If the file is not SVG, has no size, refers to external files, or exceeds the limits.
    """
    root = _read(path)
    _check_references(path, root)
    width, height = _size(path, root)
    png = _render_in_subprocess(path, root, {"width" if width >= height else "height": DRAWN_PIXELS})
    from PIL import Image

    pixels = Image.open(io.BytesIO(png), formats=["PNG"]).convert("RGBA")
    return SvgImage(pixels, next(root.iter(f"{_SVG}text"), None) is not None)


def _read(path: Path) -> Element:
    """Parse the document and resolve its internal entities, within the limits of size, elements and depth."""
    from xml.parsers import expat

    size = path.stat().st_size
    if size > _MAX_BYTES:
        raise MediaError(f"{path.name} is a drawing with more than {_MAX_BYTES:,} bytes")
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
    """A parser that builds the tree of a document and stops at the first exceeded limit."""

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
        if self.elements > _MAX_ELEMENTS or self.depth > _MAX_DEPTH:
            most = f"{_MAX_ELEMENTS:,} elements, or more than {_MAX_DEPTH} nested ones"
            raise MediaError(f"{self.path.name} is a drawing with more than {most}")
        self.builder.start(_qualified(name), {_qualified(key): value for key, value in attributes.items()})

    def _end(self, name: str) -> None:
        self.depth -= 1
        self.builder.end(_qualified(name))

    def _entity(self, name: str, _parameter: bool, value: str | None, *_where: str | None) -> None:
        """Accept only internal entities of small files: expat lets them expand up to a hundred times."""
        if value is None:
            raise MediaError(f"{self.path.name} is a drawing with the external entity {name}")
        if self.size > _MAX_BYTES_WITH_ENTITIES:
            most = f"{_MAX_BYTES_WITH_ENTITIES:,} bytes"
            raise MediaError(f"{self.path.name} is a drawing with entities and more than {most}")


def _qualified(name: str) -> str:
    return f"{{{name}" if "}" in name else name


def _check_references(path: Path, root: Element) -> None:
    """Reject references to other files and addresses: they would be read, or be missing from the drawing."""
    for element, name, value in _references(root):
        if value.lstrip().startswith("#") or not value.strip() or _EMBEDDED.match(value):
            continue
        reference = value.strip() if len(value) < 80 else f"{value.strip()[:77]}…"
        raise MediaError(
            f"{path.name} is a drawing that refers to {reference!r} ({element} {name}): external files"
            " are not loaded; embed pictures as PNG, JPEG, GIF or WebP"
        )


def _references(root: Element) -> Iterator[tuple[str, str, str]]:
    for element in root.iter():
        tag = element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
        for name, value in element.attrib.items():
            short = name.rpartition("}")[2]
            # A link is drawn but never followed.
            if short in ("href", "src") and tag != "a":
                yield tag, short, value


def _size(path: Path, root: Element) -> tuple[float, float]:
    """Return width and height from the root element: in CSS pixels, or in units of its view box."""
    for name in ("width", "height", "viewBox"):
        length = len(root.get(name, ""))
        if length > _MAX_NUMBERS:
            limit = f"at most {_MAX_NUMBERS} are read"
            raise MediaError(f"{path.name} has a {name} of {length:,} characters: {limit}")
    width, height = (_pixels(root.get(side, "")) for side in ("width", "height"))
    if width and height:
        return _checked_size(path, width, height)
    box = [float(number) for number in _NUMBER.findall(root.get("viewBox", ""))]
    if len(box) == 4 and min(box[2:]) > 0:
        return _checked_size(path, box[2], box[3])
    raise MediaError(f"{path.name} is a drawing without a size: it needs a viewBox, or a width and a height")


def _checked_size(path: Path, width: float, height: float) -> tuple[float, float]:
    if max(width, height) > _MAX_SIDE:
        raise MediaError(f"{path.name} is {width:g}×{height:g}: each side may be at most {_MAX_SIDE:,}")
    return width, height


def _pixels(length: str) -> float | None:
    found = _LENGTH.match(length)
    return float(found[1]) * _UNITS.get(found[2] or "px", 1) if found else None


def _render_in_subprocess(path: Path, root: Element, size: dict[str, int]) -> bytes:
    from xml.etree import ElementTree

    script = _CHILD.format(memory=_MAX_MEMORY, seconds=_MAX_SECONDS, size=size)
    try:
        with tempfile.TemporaryDirectory() as empty:
            child = subprocess.run(
                (sys.executable, "-P", "-c", script),
                input=ElementTree.tostring(root),
                capture_output=True,
                cwd=empty,
                timeout=_MAX_SECONDS,
                check=False,
            )
    except subprocess.TimeoutExpired:
        limit = f"{_MAX_SECONDS} s"
        raise MediaError(f"{path.name} is a drawing that takes more than {limit} to render") from None
    if child.returncode < 0 or b"memory allocation" in child.stderr:
        raise MediaError(f"{path.name} is a drawing that takes more than {_MAX_SECONDS} s or 2 GB to render")
    if child.returncode or not child.stdout.startswith(b"\x89PNG"):
        lines = child.stderr.decode(errors="replace").strip().splitlines() or ["no output"]
        raise MediaError(f"{path.name} is a drawing that cannot be rendered: {lines[-1]}")
    return child.stdout
