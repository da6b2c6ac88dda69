"""Outputs have the requested quality, and the colours, the orientation and the size of their sources."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.inputs.resolve import video_of
from tessera.media.algebra.expression import Image
from tessera.media.algebra.item import Video
from tessera.media.ffmpeg.compiler import EncodeSettings
from tessera.media.ffmpeg.encode_settings import QUALITIES
from tessera.media.ffmpeg.lowering import Located
from tessera.media.probe.probe import probe
from tessera.media.process.process import run_ffmpeg
from tessera.media.render.renderer import Renderer
from tests.support.media import FIXTURES, MEDIA, paint

Rgb = tuple[float, float, float]
_PATCH = 32
_LUMA = {"bt709": (0.2126, 0.0722), "smpte170m": (0.299, 0.114), "bt2020nc": (0.2627, 0.0593)}

PATCHES: list[Rgb] = [(0.8, 0.8, 0.8), (0.7, 0.2, 0.2), (0.2, 0.6, 0.2), (0.2, 0.2, 0.7), (0.0, 0.0, 0.0)]
"""Non-linear R'G'B', 0 to 1."""


def patches(
    path: Path, colours: Sequence[Rgb], tags: str, matrix: str, depth: int = 8, full: bool = False
) -> Path:
    """Make half a second of patches side by side, lossless; `tags` are primaries, transfer and matrix."""
    red, blue = _LUMA[matrix]
    rows = []
    for r, g, b in colours:
        y = red * r + (1 - red - blue) * g + blue * b
        rows.append((y, (b - y) / (2 - 2 * blue), (r - y) / (2 - 2 * red)))
    y, u, v = (
        np.repeat(np.array(plane), size)
        for plane, size in zip(zip(*rows, strict=True), (_PATCH, 16, 16), strict=True)
    )
    unit = 1 << depth - 8
    luma = y * (256 * unit - 1) if full else (16 + 219 * y) * unit
    chroma = [(128 + (255 if full else 224) * plane) * unit for plane in (u, v)]
    planes = [np.tile(luma, (_PATCH, 1)), *(np.tile(plane, (_PATCH // 2, 1)) for plane in chroma)]
    kind = "<u2" if depth > 8 else "u1"
    frame = b"".join(np.rint(plane).astype(kind).tobytes() for plane in planes)
    raw = path.with_suffix(".yuv")
    raw.write_bytes(frame * 12)
    layout = "yuv420p" if depth == 8 else f"yuv420p{depth}le"
    primaries, transfer, space = tags.split()
    opened = ["-f", "rawvideo", "-pix_fmt", layout, "-s", f"{_PATCH * len(colours)}x{_PATCH}", "-r", "24"]
    said = f"-color_primaries {primaries} -color_trc {transfer} -colorspace {space}"
    coded = f"-c:v libx264 -qp 0 -preset ultrafast {said} -color_range {'pc' if full else 'tv'}"
    params = f"setparams=range={'pc' if full else 'tv'}:color_primaries={primaries}:color_trc={transfer}"
    params += f":colorspace={space}"
    run_ffmpeg(["-y", *opened, "-i", str(raw), "-vf", params, *coded.split(), str(path)])
    raw.unlink()
    return path


def render(output: Path, *sources: Path, target: EncodeSettings | None = None, changed: bool = False) -> Path:
    """Render the sources one after another; `changed` turns them upside down, so that nothing is copied."""
    known = {str(index): Located(path, probe(path)) for index, path in enumerate(sources)}
    videos = [video_of(name, one.info) for name, one in known.items()]
    joined = videos[0].picture.then(*(video.picture for video in videos[1:]))
    renderer = Renderer(known.__getitem__, paint, target=target or EncodeSettings(crf=1))
    return renderer.render(Video(joined.flip(vertical=changed)), output).path


def shown(path: Path, at: float = 0.0) -> list[Rgb]:
    """Return the patches of a file in R'G'B', interpreted by its own tags."""
    info = probe(path).picture
    assert info is not None
    frames = frames_of(path)
    frame = frames[int(at * (len(frames) - 1))]
    assert frame.format.name == "yuv420p"
    assert info.color_range == "tv"
    red, blue = _LUMA[info.color_matrix or ""]
    height = frame.height
    planes = frame.to_ndarray().astype(float)
    y = (planes[height // 2, : frame.width] - 16) / 219
    chroma = planes[height:].reshape(2, height // 2, frame.width // 2)[:, height // 4, :]
    u, v = (chroma - 128) / 224
    found = []
    for middle in range(_PATCH // 2, frame.width, _PATCH):
        luma, cb, cr = y[middle], u[middle // 2], v[middle // 2]
        r, b = luma + (2 - 2 * red) * cr, luma + (2 - 2 * blue) * cb
        found.append((r, (luma - red * r - blue * b) / (1 - red - blue), b))
    return found


def frames_of(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(container.streams.video[0]))


def luma(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """Return the luma plane as coded."""
    planes: NDArray[np.uint8] = frame.to_ndarray()
    return planes[: frame.height]


def assert_close(got: Sequence[Rgb], expected: Sequence[Rgb], within: float) -> None:
    assert np.abs(np.array(got) - np.array(expected)).max() <= within, (got, expected)


@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize(
    ("tags", "matrix"),
    [
        ("bt709 bt709 bt709", "bt709"),
        ("smpte170m smpte170m smpte170m", "smpte170m"),
        ("bt2020 bt2020-10 bt2020nc", "bt2020nc"),
    ],
    ids=["bt709", "smpte170m", "bt2020"],
)
def test_colours_and_their_tags_survive(
    tags: str, matrix: str, full: bool, depth: int, tmp_path: Path
) -> None:
    source = patches(tmp_path / "in.mp4", PATCHES, tags, matrix, depth, full)
    made = render(tmp_path / "out.mp4", source, changed=True)
    assert_close(shown(made), PATCHES, 0.015)
    info = probe(made).picture
    assert info is not None
    assert [info.color_primaries, info.color_transfer, info.color_matrix] == tags.split()


def test_a_joined_source_in_another_colour_space_keeps_its_look(tmp_path: Path) -> None:
    first = patches(tmp_path / "a.mp4", PATCHES, "bt709 bt709 bt709", "bt709")
    second = patches(tmp_path / "b.mp4", PATCHES, "bt709 bt709 smpte170m", "smpte170m", full=True)
    made = render(tmp_path / "out.mp4", first, second)
    assert_close(shown(made, 0.0), PATCHES, 0.015)
    assert_close(shown(made, 1.0), PATCHES, 0.015)


def tone_mapped(light: NDArray[np.float64]) -> list[Rgb]:
    """BT.2020 light in cd/m² as BT.709 R'G'B': what `tessera.media.ffmpeg.colors` says, worked out here."""
    to_709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
    linear = light @ to_709.T / 203
    brightest = np.maximum(linear.max(axis=1, keepdims=True), 1e-6)
    knee, peak = 0.3, 1000 / 203
    a = -(knee**2) * (peak - 1) / (knee**2 - 2 * knee + peak)
    b = (knee**2 - 2 * knee * peak + peak) / (peak - 1)
    curved = (b**2 + 2 * b * knee + knee**2) / (b - a) * (brightest + a) / (brightest + b)
    mapped = np.clip(linear * np.where(brightest <= knee, brightest, curved) / brightest, 0, 1)
    coded = mapped ** (1 / 2.4)
    return [(float(r), float(g), float(b)) for r, g, b in coded]


LIGHT = np.array([[5.0] * 3, [50] * 3, [203] * 3, [1000] * 3, [90, 20, 12], [15, 60, 20], [300, 280, 40]])
"""BT.2020, cd/m²: greys, reference white, peak white, a red, a green, a bright yellow."""


def pq(light: NDArray[np.float64]) -> NDArray[np.float64]:
    power = (light / 10_000) ** 0.1593017578125
    coded: NDArray[np.float64] = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    return coded


def hlg(scene: NDArray[np.float64]) -> NDArray[np.float64]:
    logarithm = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    coded: NDArray[np.float64] = np.where(scene <= 1 / 12, np.sqrt(3 * scene), logarithm)
    return coded


def test_pq_is_tone_mapped_to_the_expected_colours(tmp_path: Path) -> None:
    colours = [(float(r), float(g), float(b)) for r, g, b in pq(LIGHT)]
    source = patches(tmp_path / "hdr.mp4", colours, "bt2020 smpte2084 bt2020nc", "bt2020nc", 10)
    made = render(tmp_path / "out.mp4", source)
    assert_close(shown(made), tone_mapped(LIGHT), 0.02)
    info = probe(made).picture
    assert info is not None
    assert (info.color_primaries, info.color_transfer, info.color_matrix) == ("bt709", "bt709", "bt709")
    assert info.depth == 8
    assert "is HDR (PQ): it is tone-mapped to SDR (BT.709)" in probe(source).notes


def test_hlg_is_tone_mapped_with_greys_grey_and_in_order(tmp_path: Path) -> None:
    greys = [(float(v),) * 3 for v in hlg(np.array([0.001, 0.01, 0.05, 0.265, 0.5, 1.0]))]
    colours = [(r, g, b) for r, g, b in greys]
    source = patches(tmp_path / "hlg.mp4", colours, "bt2020 arib-std-b67 bt2020nc", "bt2020nc", 10)
    got = shown(render(tmp_path / "out.mp4", source))
    assert max(max(one) - min(one) for one in got) < 0.02
    levels = [one[1] for one in got]
    assert levels == sorted(levels)
    assert levels[-1] > 0.95
    assert 0.7 < levels[3] < 0.9, "reference white is bright but leaves room for highlights"


def test_hdr_among_sdr_comes_out_in_the_colours_of_the_first(tmp_path: Path) -> None:
    colours = [(float(r), float(g), float(b)) for r, g, b in pq(LIGHT[:5])]
    sdr = patches(tmp_path / "sdr.mp4", PATCHES, "smpte170m smpte170m smpte170m", "smpte170m")
    hdr = patches(tmp_path / "hdr.mp4", colours, "bt2020 smpte2084 bt2020nc", "bt2020nc", 10)
    made = render(tmp_path / "out.mp4", sdr, hdr)
    assert_close(shown(made, 0.0), PATCHES, 0.015)
    assert_close(shown(made, 1.0)[:4], tone_mapped(LIGHT)[:4], 0.02)


def test_a_run_on_hdr_gives_a_warning(tmp_path: Path) -> None:
    colours = [(float(v),) * 3 for v in (0.2, 0.3, 0.4, 0.5)]
    source = patches(
        tmp_path / "hdr.mp4", [(r, g, b) for r, g, b in colours], "bt2020 smpte2084 bt2020nc", "bt2020nc", 10
    )
    record = run(tmp_path, source)
    assert any("tone-mapped" in warning["message"] for warning in record["warnings"])


def test_a_rotated_phone_video_is_upright(tmp_path: Path) -> None:
    source = MEDIA / "rotated.mp4"
    info = probe(source).picture
    assert info is not None
    assert info.rotation in (90, 270)
    made = render(tmp_path / "out.nut", source, target=EncodeSettings(lossless=True))
    turns = info.rotation // 90
    raw, got = luma(frames_of(source)[5]), luma(frames_of(made)[5])
    assert got.shape == (info.height, info.width) == (raw.shape[1], raw.shape[0])
    assert np.array_equal(got, np.rot90(raw, turns))


def test_an_odd_size_loses_a_row_or_column_and_nothing_else(tmp_path: Path) -> None:
    source = tmp_path / "odd.mkv"
    run_ffmpeg(
        ["-f", "lavfi", "-i", "testsrc2=s=641x359:r=25:d=0.4,format=yuv420p", "-c:v", "ffv1", str(source)]
    )
    made = render(tmp_path / "out.nut", source, target=EncodeSettings(lossless=True))
    raw, got = luma(frames_of(source)[3]), luma(frames_of(made)[3])
    assert got.shape == (358, 640)
    assert np.array_equal(got, raw[:358, :640])


def test_each_quality_is_nearer_to_the_source_than_the_one_below(tmp_path: Path) -> None:
    source = MEDIA / "street.mp4"
    info = probe(source)
    assert info.picture is not None
    video = Video(video_of("street", info).picture.keep([(Fraction(1), Fraction(2))]))
    loss = {}
    for name, target in {**QUALITIES, "ideal": EncodeSettings(lossless=True)}.items():
        renderer = Renderer(lambda _asset: Located(source, info), paint, target=target)
        loss[name] = frames_of(renderer.render(video, tmp_path / f"{name}.nut").path)
    assert max(loss["draft"][0].width, loss["draft"][0].height) <= 640
    ideal = [luma(frame).astype(float) for frame in loss["ideal"]]

    def error(name: str) -> float:
        frames = [luma(frame).astype(float) for frame in loss[name]]
        return float(np.mean([(a - b) ** 2 for a, b in zip(frames, ideal, strict=True)]))

    assert error("master") < error("standard") / 2
    assert 10 * np.log10(255**2 / error("standard")) > 40
    assert len(loss["draft"]) == len(loss["standard"]) == len(ideal)


def run(folder: Path, source: Path, *options: str) -> dict[str, object]:
    command = [sys.executable, "-m", "tessera.cli", "run", str(FIXTURES / "agents" / "trimmer.json")]
    given = ["--input", str(source), "--clip", ":0.4", "--out", "out", "--json", *options]
    done = subprocess.run([*command, *given], capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_a_draft_is_small_and_says_so(tmp_path: Path) -> None:
    record = run(tmp_path, MEDIA / "talk.mp4", "--quality", "draft")
    (output,) = record["outputs"]
    info = probe(Path(output["path"]) if Path(output["path"]).is_absolute() else tmp_path / output["path"])
    assert info.picture is not None
    assert output["quality"] == "draft"
    assert (output["width"], output["height"]) == (info.picture.width, info.picture.height) == (640, 360)


def test_an_unknown_quality_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tessera.cli", "run", "x.json", "--quality", "best"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert "draft" in done.stderr
    from tessera import run as run_agent

    with pytest.raises(ValueError, match="one of draft, standard, master"):
        run_agent("x.json", quality="best")


def test_an_output_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    street = MEDIA / "street.mp4"
    known = Located(street, probe(street))
    tall = video_of("street", known.info).picture.crop(218, 0, 202, 360).scale(360, 640)
    mark = Image.drawn("any", "any", width=192, height=48)
    marked = Video(tall.overlay(mark, x=12, y=92, opacity=Fraction(4, 5)))
    made = [Renderer(lambda _id: known, paint).render(marked, tmp_path / f"{n}.mp4") for n in range(10)]
    assert len({hashlib.sha256(one.path.read_bytes()).hexdigest() for one in made}) == 1
