"""A plan and a run display themselves in notebooks: tables and a graph, harmless whatever the names are."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera import plan, run, simulate
from tessera.graph.plan import Plan
from tessera.graph.preview import preview
from tessera.reports.html import text
from tessera.reports.notebook import run_html
from tessera.testing import agent, node_id
from tessera.text.wording import one_line
from tests.reports.test_markdown import HOSTILE, HOSTILE_AGENT
from tests.support.media import MEDIA

CHAIN = agent("input > captions > mirror > watermark > destination")
FACTS = {"*": {"duration_ms": 9000, "width": 640, "height": 360, "fps": 30, "speech": [[0, 8000]]}}
ASKED = {
    "video_ids": ["v"],
    "ignore_nodes": [node_id("mirror")],
    "update_params": {node_id("watermark"): {"logo_size": 50}},
}
VOID = {"img", "br"}


class Html(HTMLParser):
    """The text and the elements of a page that is well-formed, loads nothing and runs nothing."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.images: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        assert tag not in ("script", "style", "link", "iframe", "a", "image", "use", "foreignobject")
        for name, value in attrs:
            assert not name.startswith("on")
            assert name not in ("href", "xlink:href", "srcset")
            if name == "src":
                assert (value or "").startswith("data:image/jpeg;base64,")
                self.images.append(value or "")
            if name == "style":
                assert "url(" not in (value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f"{data}\n" if data.strip() else ""

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)


def words(page: str) -> str:
    return " ".join(Html(page).text.split())


@pytest.mark.parametrize("read", [False, True], ids=["planned", "read from JSON"])
def test_a_plan_displays_its_changes_tiles_and_graph(read: bool) -> None:
    planned = plan(CHAIN, ASKED)
    page = (Plan.from_dict(planned.to_dict()) if read else planned)._repr_html_()
    found = words(page)
    short = node_id("mirror")[:8]
    mirror = short if read else f"Mirror {short}"
    for line in (
        "4 tiles, 3 connections, 1 input",
        f"removed: {mirror} rewired: Captions {node_id('captions')[:8]}",
        f"→ Watermark {node_id('watermark')[:8]} , past {mirror}",
        "logo_size : 30.0 → 50",
        f"skips {short if read else 'Mirror'}",
        "logo_size = 50 (override)",
        "rewired past ignored tiles",
    ):
        assert line in found
    assert Html(page).tags.count("svg") == 1


def test_a_plan_displays_its_warnings() -> None:
    assert "Warnings order_advice Clips" in words(
        plan(agent("input > watermark > clips"), {"video_ids": ["v"]})._repr_html_()
    )


@pytest.mark.parametrize("forecast", [False, True])
def test_a_simulation_displays_its_outputs(forecast: bool) -> None:
    timed: dict[str, Any] = {"workers": 2} if forecast else {}
    page = simulate(plan(CHAIN, ASKED), facts=FACTS, **timed)._repr_html_()
    found = words(page)
    assert ("credits, nothing is rendered" in found) == forecast
    assert ("skips Mirror" in found) == forecast
    assert "video 9 s 640×360 30 yes described" in found
    assert "Captions" in found
    assert "1 × 9 s" in found
    assert Html(page).tags.count("svg") == 1


def test_a_failed_run_displays_its_errors() -> None:
    page = simulate(plan(CHAIN, ASKED), facts=FACTS, faults=["captions=error"])._repr_html_()
    assert re.search(r"Errors Captions \w+ : ", words(page))


def test_a_run_displays_thumbnails_within_the_page(tmp_path: Path) -> None:
    record = run(
        agent("input > mirror > destination"),
        inputs=[MEDIA / "talk.mp4"],
        out=tmp_path / "out",
        workspace=tmp_path / "work",
        quality="draft",
    )
    page = record._repr_html_()
    html = Html(page)
    assert len(html.images) == 1
    assert record.run_id in html.text
    assert str(record.outputs[0].path) in html.text
    assert html.tags.count("svg") == 1
    thumbnail = record.outputs[0].thumbnail_path
    assert thumbnail is not None
    thumbnail.write_bytes(b"\xff\xd8\xff" + bytes(100_000))
    assert Html(record._repr_html_()).images == []
    thumbnail.write_bytes(b"<svg onload=alert(1)>")
    assert Html(record._repr_html_()).images == []


def test_hostile_names_are_text() -> None:
    ids = [node.id for node in HOSTILE_AGENT]
    planned = preview(HOSTILE_AGENT, {"ignore_nodes": [ids[2]], "update_params": {ids[1]: {"x": HOSTILE}}})
    page = planned._repr_html_()
    assert "<script>alert(1)</script>" in Html(page).text
    record = simulate(planned, facts=FACTS).to_dict()
    Html(run_html(record, planned))
    record["status_message"] = record["run_id"] = record["mode"] = HOSTILE
    record["outputs"] = [
        {**output, "path": HOSTILE, "thumbnail_path": HOSTILE} for output in record["outputs"]
    ]
    record["errors"] = [{"original_node_id": HOSTILE, "messages": [HOSTILE]}]
    assert "<script>alert(1)</script>" in Html(run_html(record)).text


@given(st.text(max_size=40) | st.just(HOSTILE) | st.text(alphabet="<>&\"'/!-a \n\0\ud800", max_size=20))
def test_any_text_is_shown_as_it_is(value: str) -> None:
    html = Html(f'<p title="{text(value)}">a{text(value)}</p>')
    assert html.tags == ["p"]
    assert html.text.removesuffix("\n") == "a" + one_line(value)


def test_a_large_graph_is_bounded() -> None:
    names = [f"mirror_{index}" for index in range(9_998)]
    template = agent(" > ".join(["input", *names, "destination"]))
    planned = plan(template, {"video_ids": ["v"], "ignore_nodes": [node_id(name) for name in names[1::2]]})
    for page in (planned._repr_html_(), replace(planned, template=None)._repr_html_()):
        assert len(page) < 200_000
        found = words(page)
        assert "The graph is not drawn here: 10,000 tiles and" in found
        assert "4,901 more rows, left out here" in found


def test_importing_plans_and_records_does_not_import_the_display() -> None:
    line = "import sys, tessera; tessera.plan, tessera.run; print([m for m in sys.modules if 'reports' in m])"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
