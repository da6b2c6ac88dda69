"""Tessera on other platforms, as far as a Linux machine can show it.

The dependencies resolve from wheels alone. In child processes the modules of Tessera see what Windows and
macOS have (see `tests.support.other_platform`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tessera.media.process.process import run_ffmpeg
from tests.support.media import MEDIA
from tests.support.other_platform import missing_names

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="hides what Linux has")

PREPARED = """
import sys
from pathlib import Path

from tessera.cli import main

TALK = "fixtures/media/talk.mp4"
FACTS = "fixtures/facts/one_talk.json"


def command(*words, code=0):
    found = main([str(word) for word in words])
    assert found == code, (words, found)
"""

QUESTIONS = """
from tessera import load_agent, plan, simulate
from tessera.testing import agent, assert_plan

out = Path(sys.argv[1])
template = load_agent("fixtures/agents/single.json")
assert plan(template, "fixtures/requests/single.youtube.json").order
assert simulate(template, inputs=[TALK], workspace=out / "api").status == "completed"
tiles = agent("input > rough_cut > {captions, mirror} > watermark > destination")
assert_plan(tiles, ignore=["captions"]).edges("rough_cut > watermark via captions", "mirror > watermark")

single, social, fan_in = (f"fixtures/agents/{name}.json" for name in ("single", "social", "fan_in"))
youtube = "fixtures/requests/single.youtube.json"
command("validate", single, youtube)
command("validate", "fixtures/agents/invalid/cycle.json", code=2)
command("plan", social, "--input", TALK)
command("plan", single, "--input", TALK, "--explain-media")
command("simulate", single, youtube, "--facts", FACTS)
command("simulate", social, "--input", TALK, "--workspace", out / "cli")
command("estimate", social, "--input", TALK)
command("explain", fan_in, "--input", TALK, "--ignore", "Mirror", "--edge", "Reframe:Watermark")
command("diff", fan_in, "fixtures/agents/diamond.json", code=1)
command("graph", fan_in, "--format", "svg", "--out", out / "graph.svg")
command("shrink", fan_in, "--while", "true", "--out", out / "shrunk")
"""

SUITE = """
def test_a_rewrite(agent, assert_plan):
    assert_plan(agent("input > captions > mirror"), ignore=["captions"]).edges("input > mirror via captions")


def test_a_simulation(agent, assert_plan):
    assert_plan(agent("input > clips(num_clips=2) > destination"), set={"clips.num_clips": 3}).items(clips=3)
"""

PYTEST = """
import pytest

assert "tessera" not in sys.modules
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-c", "/dev/null", sys.argv[1]]))
"""

ON_WINDOWS = """
import os
import subprocess
import time

import psutil
from tessera.errors import RenderError
from tessera.files import alone_in, sweep, write_atomically
from tessera.media.ffmpeg.command import Command, SoundFeed
from tessera.media.ffmpeg.feed import run_command
from tessera.media.process.process_group import kill_group
from tessera.runner.workers.thread_pool import shared_pool

out = Path(sys.argv[1])
ended = subprocess.Popen(["true"])
ended.wait()
for pid in (os.getpid(), ended.pid):
    (out / f".part-{pid}-x").touch()
sweep([out])
assert [path.name for path in out.iterdir()] == [f".part-{os.getpid()}-x"]
(out / "assets").mkdir()
with alone_in(out / "assets"):
    write_atomically(out / "text", "one\\ntwo\\n")
assert (out / "text").read_bytes() == b"one\\ntwo\\n"
assert shared_pool()

family = subprocess.Popen(["sh", "-c", "sleep 60 & sleep 60"])
while len(children := psutil.Process(family.pid).children()) < 2:
    time.sleep(0.01)
kill_group(family.pid)
kill_group(family.pid)
family.wait()
assert not psutil.wait_procs(children, timeout=20)[1]

try:
    run_command(Command((), (), (SoundFeed("feed:0", 2, (), ()),)), out)
except RenderError as error:
    print(error)
"""

RUN = """
command("run", "fixtures/agents/trimmer.json", "--input", TALK, "--clip", "1.5:3", "--quality", "draft",
        "--workspace", Path(sys.argv[1]) / "ws", "--out", Path(sys.argv[1]) / "out")
"""

FED = """
from fractions import Fraction

from tessera import Catalogue, run
from tessera.node import Made, NodeType, ours_id
from tessera.testing import agent


class Cuts(NodeType):
    name = "Cuts"
    type_id = ours_id(name)
    category = "edit"
    source = "ours"

    def run(self, ctx, inputs, params):
        ranges = [(Fraction(n, 2), Fraction(n, 2) + Fraction(1, 5)) for n in range(40)]
        for item in inputs:
            yield Made(item.value.keep(ranges), (item,), "cut")


catalogue = Catalogue([*Catalogue.installed(), Cuts])
cuts = agent("input > cuts", catalogue=catalogue)
record = run(cuts, inputs=[TALK], workspace=Path(sys.argv[1]), catalogue=catalogue)
assert record.status == "completed", record.to_dict()["errors"]
"""

LONG_RUN = """
from tessera.testing import agent

tiles = agent('input > reframe(aspect_ratio="9:16")').to_json()
sys.exit(main(["run", tiles, "--input", sys.argv[1], "--workspace", sys.argv[2]]))
"""


def started(platform: str, folder: Path, script: str, *words: str | Path) -> subprocess.Popen[str]:
    """Start a script in a child process that sees a platform, in the folder of the checkout."""
    file = folder / "script.py"
    file.write_text(script, "utf-8")
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.other_platform", platform, str(file), *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def output(platform: str, folder: Path, script: str, *words: str | Path) -> str:
    child = started(platform, folder, script, *words)
    said = child.communicate(timeout=300)[0]
    assert child.returncode == 0, said
    return said


# Windows


def test_what_is_hidden_is_what_a_platform_lacks() -> None:
    windows, macos = missing_names("win32"), missing_names("darwin")
    for module in ("fcntl", "resource", "pwd", "grp", "termios", "pty", "tty", "crypt", "syslog"):
        assert module in windows
        assert windows[module] is None
        assert macos.get(module, set()) is not None
    assert {"killpg", "sysconf", "getuid", "O_NONBLOCK", "register_at_fork"} <= (windows["os"] or set())
    assert {"SIGKILL", "SIGHUP"} <= (windows["signal"] or set())
    assert {"F_SETPIPE_SZ", "F_SETSIG"} <= (macos["fcntl"] or set())
    assert {"sched_getaffinity", "pidfd_open", "memfd_create"} <= (macos["os"] or set())
    assert "killpg" not in (macos["os"] or set())


@pytest.mark.parametrize("line", ["import fcntl", "from os import killpg", "import signal; signal.SIGKILL"])
def test_a_module_that_needs_posix_is_found(tmp_path: Path, line: str) -> None:
    """The test of this test: a module of that package which cannot be imported on Windows."""
    (tmp_path / "needy.py").write_text(line)
    script = f"import tessera\ntessera.__path__.append({str(tmp_path)!r})\nimport tessera.needy\n"
    child = started("win32", tmp_path, script)
    said = child.communicate(timeout=120)[0]
    assert child.returncode != 0
    assert "does not exist on" in said or "cannot import name 'killpg'" in said


def test_plans_and_simulations_need_nothing_of_posix(tmp_path: Path) -> None:
    output("win32", tmp_path, PREPARED + QUESTIONS, tmp_path)
    assert (tmp_path / "graph.svg").read_bytes().startswith(b"<svg")


def test_a_test_suite_needs_nothing_of_posix(tmp_path: Path) -> None:
    suite = tmp_path / "test_suite.py"
    suite.write_text(SUITE)
    assert "2 passed" in output("win32", tmp_path, "import sys\n" + PYTEST, suite)


def test_windows_ends_processes_locks_and_cleans_up_by_its_own_means(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    said = output("win32", tmp_path, PREPARED + ON_WINDOWS, tmp_path / "work")
    assert "a process cannot inherit on Windows" in said


# macOS


def test_a_run_needs_nothing_of_linux(tmp_path: Path) -> None:
    output("darwin", tmp_path, PREPARED + RUN, tmp_path)
    assert [path.suffix for path in sorted((tmp_path / "out").iterdir())] == [".jpg", ".mp4"]


def test_a_render_with_many_cuts_needs_nothing_of_linux(tmp_path: Path) -> None:
    output("darwin", tmp_path, PREPARED + FED, tmp_path / "ws")


def until(true: Callable[[], Any], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "timed out"
        time.sleep(0.02)
    return found


def test_cancelling_a_run_ends_its_ffmpeg_without_the_means_of_linux(tmp_path: Path) -> None:
    video = tmp_path / "long.mp4"
    run_ffmpeg(["-stream_loop", "20", "-i", str(MEDIA / "talk.mp4"), "-c", "copy", str(video)])
    child = started("darwin", tmp_path, PREPARED + LONG_RUN, video, tmp_path / "ws")

    def encoders() -> list[psutil.Process]:
        children = psutil.Process(child.pid).children(recursive=True)
        return [one for one in children if "libx264" in one.cmdline()]

    try:
        found = until(encoders)
        child.send_signal(signal.SIGINT)
        assert child.wait(60) == 130
        assert not psutil.wait_procs(found, timeout=20)[1]
    finally:
        child.kill()
        child.communicate()


# Wheels

PLATFORMS = {
    "Linux x86-64": ["manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64"],
    "Linux aarch64": ["manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64"],
    "macOS arm64": ["macosx_14_0_arm64"],
    "macOS x86-64": ["macosx_14_0_x86_64"],
    "Windows x86-64": ["win_amd64"],
}


def index_answers() -> bool:
    look = [sys.executable, "-m", "pip", "index", "versions", "--retries", "0", "--timeout", "20", "filelock"]
    return subprocess.run(look, capture_output=True, check=False, timeout=120).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_plain_install_resolves_from_wheels_alone(tmp_path: Path, platform: str) -> None:
    if not index_answers():
        pytest.skip("pip reaches no package index")
    tags = [word for tag in PLATFORMS[platform] for word in ("--platform", tag)]
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
    pip += ["--report", str(tmp_path / "report.json"), "--target", str(tmp_path / "target")]
    pip += ["--only-binary=:all:", "--python-version", "3.11", *tags, *PROJECT["dependencies"]]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    files = [one["download_info"]["url"] for one in report["install"]]
    assert len(files) >= len(PROJECT["dependencies"])
    assert all(file.endswith(".whl") for file in files)


@pytest.mark.slow
@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_the_types_hold_on_other_platforms(tmp_path: Path, platform: str) -> None:
    """mypy finds each use of a name of the standard library that the platform lacks."""
    mypy = [sys.executable, "-m", "mypy", "--platform", platform, "--cache-dir", str(tmp_path)]
    done = subprocess.run(mypy, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
