"""SVG drawings are accepted as images, drawn sharply, and cannot refer to anything outside."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from PIL import Image

from tessera import run
from tessera.errors import MediaError
from tessera.inputs.assets.asset import Asset
from tessera.inputs.assets.library import Library
from tessera.media.probe.image_pixels import pixels_of
from tessera.media.probe.probe import probe
from tessera.testing import agent
from tests.support.media import MEDIA

NS = "http://www.w3.org/2000/svg"
LINK = 'xmlns:xlink="http://www.w3.org/1999/xlink"'


def drawing(inner: str, head: str = 'viewBox="0 0 100 50"', before: str = "") -> str:
    return f'{before}<svg xmlns="{NS}" {LINK} {head}>{inner}</svg>'


def write_svg(folder: Path, text: str) -> Path:
    path = folder / "logo.svg"
    path.write_text(text)
    return path


def upload(folder: Path, text: str) -> Asset:
    return Library(folder / "ws").add(write_svg(folder, text))


def png(folder: Path) -> Path:
    path = folder / "secret.png"
    Image.new("RGB", (8, 8), "red").save(path)
    return path


def test_a_drawing_is_an_image_of_2048_pixels_along_its_longer_side(tmp_path: Path) -> None:
    asset = upload(tmp_path, drawing('<rect width="50" height="50" fill="#00f"/>'))
    assert asset.info.kind == "image"
    assert asset.info.picture is not None
    assert (asset.info.picture.width, asset.info.picture.height) == (2048, 1024)
    assert asset.path.read_text().startswith("<svg")  # the original is stored
    pixels = pixels_of(asset.path)
    assert pixels.getpixel((500, 500)) == (0, 0, 255, 255)
    assert pixels.getpixel((1500, 500))[3] == 0  # type: ignore[index]
    assert asset.thumbnail is not None
    with Image.open(asset.thumbnail) as small:
        assert small.size == (640, 320)
        assert small.getpixel((600, 100)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("head", "size"),
    [
        ('width="10" height="20"', (1024, 2048)),
        ('width="2in" height="48pt"', (2048, 683)),
        ('width="100%" height="100%" viewBox="0,0,3,1"', (2048, 683)),
        ('viewBox="-5 -5 1e2 1e2"', (2048, 2048)),
        ('width="1000000" height="1000000"', (2048, 2048)),
    ],
)
def test_a_drawing_has_the_shape_it_declares(head: str, size: tuple[int, int], tmp_path: Path) -> None:
    found = probe(write_svg(tmp_path, drawing("<circle r='3'/>", head)))
    assert found.picture is not None
    assert (found.picture.width, found.picture.height) == size


def test_a_watermark_can_use_a_drawing(tmp_path: Path) -> None:
    logo = upload(tmp_path, drawing('<rect width="100" height="50" fill="#f0f"/>'))
    mark = f'use_custom_logo="custom", image_id="{logo.id}", logo_opacity=100, logo_size=50'
    record = run(
        agent(f"input > watermark({mark})"),
        inputs=[str(MEDIA / "talk.mp4")],
        workspace=tmp_path / "ws",
    )
    assert record.status == "completed"
    thumbnail = record.outputs[0].thumbnail_path
    assert thumbnail is not None
    with Image.open(thumbnail) as seen:
        x, y = seen.width - seen.width // 5, seen.height - seen.height // 8
        red, green, blue = seen.convert("RGB").getpixel((x, y))  # type: ignore[misc]
    assert red > 200
    assert green < 60
    assert blue > 200


@pytest.mark.parametrize(
    "inner",
    [
        '<image href="{place}" width="100" height="50"/>',
        '<image xlink:href="file://{place}" width="100" height="50"/>',
        '<image href="http://192.0.2.1/a.png" width="100" height="50"/>',
        '<image href=" &x; " width="100" height="50"/>',
        '<image href="&#x2f;etc/passwd" width="100" height="50"/>',
        '<use href="other.svg#part"/>',
        '<filter id="f"><feImage href="{place}"/></filter><rect width="9" height="9" filter="url(#f)"/>',
        '<image href="data:image/svg+xml;base64,PHN2Zy8+" width="100" height="50"/>',
    ],
)
def test_a_drawing_that_refers_to_another_file_is_refused(inner: str, tmp_path: Path) -> None:
    before = '<!DOCTYPE svg [<!ENTITY x "file:///etc/passwd">]>'
    with pytest.raises(MediaError, match=r"logo\.svg is a drawing that refers to '.*external files"):
        upload(tmp_path, drawing(inner.replace("{place}", str(png(tmp_path))), before=before))
    assert not list((tmp_path / "ws" / "assets").iterdir())


def test_embedded_images_and_entities_are_drawn(tmp_path: Path) -> None:
    data = base64.b64encode(png(tmp_path).read_bytes()).decode()
    entity = (
        '<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://x.invalid/svg11.dtd"'
    )
    before = entity + ' [<!ENTITY shade "#0f0">]>'
    inner = f'<image href="data:image/png;base64,{data}" width="50" height="50"/>'
    inner += '<g id="r"><rect x="50" width="50" height="25" fill="&shade;"/></g><use href="#r" y="25"/>'
    inner += '<a href="http://example.org"><rect width="1" height="1" fill="#00f"/></a>'
    seen = pixels_of(upload(tmp_path, drawing(inner, before=before)).path)
    assert seen.getpixel((500, 500)) == (255, 0, 0, 255)
    assert seen.getpixel((1500, 900)) == (0, 255, 0, 255)
    assert seen.getpixel((5, 5)) == (0, 0, 255, 255)


LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "ha"}">' for n in range(9))
USES = ["<path/>", *(f'<use href="#g{n}"/>' * 10 for n in range(9))]
NESTED = "".join(f'<g id="g{n}">{inner}</g>' for n, inner in enumerate(USES))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (drawing("<rect>"), "is a broken drawing: mismatched tag"),
        (drawing("<rect a='1' a='2'/>"), "is a broken drawing: duplicate attribute"),
        (drawing("&nothing;"), "is a broken drawing: undefined entity"),
        ("<svg><rect/></svg>", "its first element is not svg of http"),
        (drawing("<rect/>", ""), "a drawing without a size: it needs a viewBox"),
        (drawing("<rect/>", 'viewBox="0 0 0 5"'), "a drawing without a size"),
        (drawing("<g>" * 500 + "</g>" * 500), "more than 200,000 elements, or more than 200 nested ones"),
        (drawing("<g/>" * 200_001), "more than 200,000 elements"),
        (drawing("&a8;", before=f"<!DOCTYPE svg [{LAUGHS}]>"), "is a broken drawing: .*amplification"),
        (
            drawing("&a;", before="<!DOCTYPE svg [<!ENTITY a SYSTEM '/etc/passwd'>]>"),
            "external entity a",
        ),
        (drawing(NESTED), "cannot be rendered|takes more than"),
    ],
    ids=lambda value: value[:20] if value.startswith("<") else "",
)
def test_a_bad_drawing_is_refused_in_bounded_time(text: str, says: str, tmp_path: Path) -> None:
    began = sum(os.times()[:4])
    with pytest.raises(MediaError, match=says):
        upload(tmp_path, text)
    assert sum(os.times()[:4]) - began < 30  # CPU seconds, those of child processes included


def test_a_drawing_with_text_has_a_note_about_fonts(tmp_path: Path) -> None:
    asset = upload(tmp_path, drawing('<text y="30">Hello</text>'))
    assert asset.info.notes == ("has text, drawn in this machine's fonts",)
