"""The texts of a tile package. `$package`, `$distribution`, `$title`, `$kind`, … stand for its names."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["TILE_FILES"]

_PROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "$distribution"
version = "0.1.0"
description = "The tile $title for Tessera."
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["tessera-runtime>=$version"]

[project.optional-dependencies]
test = ["mypy>=1.11", "pytest>=8"]

[project.entry-points."tessera.nodes"]
$package = "$package:tiles"

[tool.setuptools.packages.find]
where = ["src"]

[tool.setuptools.package-data]
$package = ["py.typed"]

[tool.pytest.ini_options]
testpaths = ["tests"]

[tool.mypy]
strict = true
files = ["src", "tests"]
"""

_README = """\
# $title

A tile for Tessera that shows the centre of every video, enlarged to the whole frame.

```sh
pip install -e '.[test]'
pytest
mypy
tessera nodes '$title'
```

- `src/$package/tile.py`: the tile. Change its name, its parameters and `run`; keep its `type_id`, which
  agents refer to.
- `src/$package/__init__.py`: the list of tiles that Tessera loads, named in `pyproject.toml` under
  `[project.entry-points."tessera.nodes"]`.
- `tests/test_$package.py`: a simulation, a refused request, and a real render.

Increment `version` of the tile whenever it makes something else of the same inputs: results in the cache
are then made again.
"""

_INIT = '''\
"""The tile $title for Tessera."""

from $package.tile import $kind

__all__ = ["$kind", "tiles"]

tiles = [$kind]
"""The node types of this package, named in its entry point."""
'''

_TILE = '''\
"""$title: the centre of a video, enlarged to the whole frame."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from tessera.context import Context
from tessera.media.algebra.expression import Picture, even
from tessera.media.algebra.item import Item, Video
from tessera.node import Category, Made, NodeType, ours

__all__ = ["$kind"]


class $kind(NodeType):
    type_id = "$type_id"
    name = "$title"
    category: ClassVar[Category] = "edit"
    source = "ours"
    summary = "Shows the centre of a video, enlarged to the whole frame."
    version = 1

    class Params(NodeType.Params):
        zoom: int = ours(150, ge=100, le=400, description="Size of the picture in percent of the frame")

    def run(self, ctx: Context, inputs: Sequence[Item], params: Params) -> Iterable[Made]:
        # Nothing is decoded here: a tile describes its result, and Tessera renders all tiles at once.
        for item in inputs:
            video = item.value
            assert isinstance(video, Video)  # `NodeType.accepts`: by default, videos
            picture = enlarged(video.picture, params.zoom)
            yield Made(video.with_picture(picture), (item,), f"enlarged to {params.zoom} %")


def enlarged(picture: Picture, percent: int) -> Picture:
    """Return the centre of a picture at `percent` of its size, in a frame of the same size."""
    width = max(even(picture.width * 100 // percent), 2)
    height = max(even(picture.height * 100 // percent), 2)
    # Even offsets keep the colour planes, which have half the size, aligned with the brightness.
    x, y = even((picture.width - width) // 2), even((picture.height - height) // 2)
    return picture.crop(x, y, width, height).scale(even(picture.width), even(picture.height))
'''

_TEST = '''\
"""The tile $title, simulated and rendered."""

import subprocess
from pathlib import Path

import av
from tessera import run, simulate
from tessera.media.process.process import ffmpeg_path
from tessera.testing import agent, assert_plan

AGENT = "input > zoomed:$title(zoom=200) > destination"
FACTS = {"*": {"duration_ms": 90_000, "width": 1920, "height": 1080, "fps": 30}}

WHITE_BOX = "color=black:size=160x120:rate=10:duration=1,drawbox=x=40:y=30:w=80:h=60:color=white:t=fill"
"""One second of a white box in the centre of a black frame, each side half as long as that of the frame."""


def test_it_keeps_size_and_duration() -> None:
    record = simulate(agent(AGENT), {"video_ids": ["talk"]}, facts=FACTS)
    (output,) = record.outputs
    assert (output.width, output.height, output.duration_ms) == (1920, 1080, 90_000)


def test_it_refuses_a_zoom_below_100() -> None:
    assert_plan(AGENT, set={"zoomed.zoom": 99}).raises("/update_params/<zoomed>/zoom")


def test_it_enlarges_the_centre_of_a_real_video(tmp_path: Path) -> None:
    source = tmp_path / "box.mp4"
    subprocess.run([ffmpeg_path(), "-v", "error", "-f", "lavfi", "-i", WHITE_BOX, source], check=True)
    record = run(
        agent(AGENT), inputs=[source], out=tmp_path / "out", workspace=tmp_path / "workspace", quality="draft"
    )
    assert record.status == "completed"
    assert corner(source) < 50
    assert corner(Path(str(record.outputs[0].path))) > 200


def corner(video: Path) -> float:
    """Return the mean brightness (0-255) of the top left corner of the first frame."""
    with av.open(video) as container:
        frame = next(container.decode(video=0))
    return float(frame.to_ndarray(format="gray")[:10, :10].mean())
'''

TILE_FILES: Mapping[str, str] = {
    "pyproject.toml": _PROJECT,
    "README.md": _README,
    "src/$package/__init__.py": _INIT,
    "src/$package/tile.py": _TILE,
    "src/$package/py.typed": "",
    "tests/test_$package.py": _TEST,
}
"""The text of each file by its path; both hold placeholders of `string.Template`."""
