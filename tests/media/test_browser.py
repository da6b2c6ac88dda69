"""Files made by copying play in a browser: headless Chromium seeks in them, plays them, sees each picture.

The tests are skipped if no Chromium or Chrome is installed; `TESSERA_BROWSER` names another browser.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tessera.inputs.resolve import video_of
from tessera.media.algebra.item import Video
from tessera.media.copy.stream_copy import CopyReport
from tessera.media.ffmpeg.compiler import Located
from tessera.media.probe.probe import probe
from tessera.media.process.process import run_ffmpeg
from tessera.media.render.renderer import Renderer
from tests.support.media import paint

RATE = 25
FRAMES = 150
SIZE = (128, 64)
WAIT_S = 180


def browser() -> str | None:
    """Return a browser that plays H.264, or None."""
    named = os.environ.get("TESSERA_BROWSER")
    names = [named] if named else ["chromium", "chromium-browser", "google-chrome", "chrome"]
    return next((found for name in names if (found := shutil.which(name))), None)


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser() is None, reason="no Chromium or Chrome is installed (TESSERA_BROWSER)"),
]


def numbered(path: Path, *coding: str) -> Located:
    """Make a source in which every picture shows its own number as light and dark blocks."""
    block = "if(mod(floor(N/pow(2\\,floor(X/16)))\\,2)\\,235\\,16)"
    sight = f"color=s={SIZE[0]}x{SIZE[1]}:r={RATE}:d={FRAMES // RATE},geq=lum='{block}':cb=128:cr=128"
    inputs = ["-y", "-f", "lavfi", "-i", sight, "-f", "lavfi", "-i", f"sine=440:r=48000:d={FRAMES // RATE}"]
    x264 = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-bf", "3", "-g", "30"]
    run_ffmpeg([*inputs, *x264, *coding, "-c:a", "aac", str(path)])
    return Located(path, probe(path))


def kinds(value: Video) -> dict[str, tuple[Video, list[tuple[Fraction, Fraction]], tuple[str, str]]]:
    """Return one of each kind of copy: the value, its ranges, how picture and sound are made."""
    assert value.sound is not None
    whole = [(Fraction(0), value.duration)]
    once = [(Fraction(777, 1000), Fraction(4719, 1000))]
    twice = [(Fraction(3, 10), Fraction(27, 10)), (Fraction(29, 10), Fraction(53, 10))]
    clear = value.picture.keep(once).scale(160, 64).scale(*SIZE)
    return {
        "whole": (value, whole, ("copied", "copied")),
        "cut": (value.keep(once), once, ("cut", "copied")),
        "cuts": (value.keep(twice), twice, ("cut", "encoded")),
        "sound": (value.with_sound(value.sound.denoise()), whole, ("copied", "encoded")),
        "picture": (value.keep(once).with_picture(clear), once, ("encoded", "copied")),
    }


def wanted(ranges: list[tuple[Fraction, Fraction]]) -> list[tuple[Fraction, int]]:
    """Return the time and the number of each picture within the ranges."""
    found, at = list[tuple[Fraction, int]](), Fraction(0)
    for start, end in ranges:
        shown = [number for number in range(FRAMES) if start <= Fraction(number, RATE) < end]
        found.extend((at + Fraction(number, RATE) - start, number) for number in shown)
        at += end - start
    return found


class Handler(SimpleHTTPRequestHandler):
    """Serve a folder, and receive the report of the page."""

    def __init__(self, tell: Callable[[dict[str, Any]], None], *args: Any, **options: Any) -> None:
        self.tell = tell
        super().__init__(*args, **options)

    def do_POST(self) -> None:
        self.tell(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_args: Any) -> None:
        pass


def visit(folder: Path) -> dict[str, Any]:
    """Open the page of a folder in the browser, and return its report."""
    report: dict[str, Any] = {}
    done = threading.Event()

    def tell(what: dict[str, Any]) -> None:
        report.update(what)
        done.set()

    program = browser()
    assert program is not None
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, tell, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        flags = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--autoplay-policy=no-user-gesture-required",
        ]
        profile = f"--user-data-dir={folder / 'profile'}"
        page = f"http://127.0.0.1:{server.server_address[1]}/browser.html"
        running = subprocess.Popen(
            [program, *flags, profile, page], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            assert done.wait(WAIT_S), "the page reported nothing"
        finally:
            running.kill()
            running.wait()
            server.shutdown()
    return report


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_every_kind_of_copy_plays_and_shows_each_picture_at_its_time(container: str, tmp_path: Path) -> None:
    located = numbered(tmp_path / f"source.{container}")
    renderer = Renderer(lambda _asset: located, paint)
    tasks, rows = [], {}
    for name, (value, ranges, how) in kinds(video_of("source", located.info)).items():
        made = renderer.render(value, tmp_path / f"{name}.mp4").made
        assert isinstance(made, CopyReport)
        assert made.picture == how[0]
        assert made.sound == (how[1] if container == "mp4" else "encoded")
        shown = wanted(ranges)
        looked = [*shown[:4], *shown[20:40], *shown[60::7], *shown[-5:], shown[1], shown[-1], shown[0]]
        middles = [float(time + Fraction(1, 2 * RATE)) for time, _number in looked]
        tasks.append({"file": f"{name}.mp4", "at": middles})
        rows[f"{name}.mp4"] = ([number for _time, number in looked], value.duration)
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    shutil.copy(Path(__file__).with_name("browser.html"), tmp_path)
    report = visit(tmp_path)
    for file, (numbers, duration) in rows.items():
        assert report[file].get("error") is None, (file, report[file])
        assert report[file]["seen"] == numbers, file
        assert report[file]["size"] == list(SIZE)
        assert report[file]["ended"]
        assert abs(report[file]["duration"] - duration) < 1 / RATE
        assert abs(report[file]["samples"] - duration * 48_000) <= 2048
