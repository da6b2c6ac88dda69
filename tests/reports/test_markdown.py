"""`--format markdown`: comments that show a reviewer what a rewrite does, whatever the names in it are."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tessera import load_agent, plan, simulate
from tessera.agent import AgentTemplate
from tessera.cli import main
from tessera.drawing.mermaid import mermaid_of
from tessera.drawing.model import Drawing, DrawnEdge, DrawnTile
from tessera.graph.diff import diff
from tessera.graph.plan import Plan
from tessera.graph.preview import preview
from tessera.reports.diff_markdown import diff_markdown
from tessera.reports.markdown import LIMIT, Comment, code, plain
from tessera.reports.plan_markdown import plan_markdown
from tessera.testing import agent, node_id
from tessera.text.wording import one_line
from tests.support.media import FIXTURES, MEDIA

GITHUB_LIMIT = 65_536
HOSTILE = (
    "@octocat #1 GH-2 org/repo#3 | a | b\n\n# x\n</code></details><script>alert(1)</script> "
    "`c` ``` **b** [l](http://evil.example) ![i](//x) www.evil.example <!-- $x$ \\| ~~s~~ &#64;me"
)
ANY_TEXT = (
    st.text(max_size=60) | st.just(HOSTILE) | st.text(alphabet="@#|`*_[]()<>!&;\\~$-=\n1ax .:/", max_size=30)
)
RENDERER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


class Html(HTMLParser):
    """The elements and the text of rendered Markdown; `loose` is the text outside `code` and `pre`."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = self.loose = ""
        self.cells: list[str] = []
        self.comments: list[str] = []
        self.feed(RENDERER.render(text))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag != "br":
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "td" in self.open or "th" in self.open:
            self.cells[-1] += data
        if not {"code", "pre"} & set(self.open):
            self.loose += data

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


def check(text: str) -> Html:
    """Check that a comment is small, well-formed, and mentions and links nothing."""
    assert len(text.encode()) <= LIMIT < GITHUB_LIMIT
    html = Html(text)
    allowed = "h3 p strong ul li code table thead tbody tr th td details summary pre br"
    assert set(html.tags) <= set(allowed.split())
    assert (html.open, html.comments) == ([], [])
    assert not re.search(r"@\w|#\d|\bGH-\d|https?://|www\.", html.loose, re.IGNORECASE)
    return html


def shown(text: str) -> str:
    return text.replace("\u200b", "")


# escaping


@given(ANY_TEXT)
def test_any_text_is_shown_as_it_is_in_a_cell_and_in_a_list(text: str) -> None:
    wanted = shown(one_line(text))
    html = check(f"| x | y |\n| --- | --- |\n| a {plain(text)} | {code(text, 300)} |\n\n- b {plain(text)}\n")
    assert [shown(cell).strip() for cell in html.cells[2:]] == [f"a {wanted}".strip(), wanted]
    assert shown(html.text).strip().endswith(f"b {wanted}".strip())
    assert html.tags == ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td", "code", "ul", "li"]


def test_long_texts_are_cut() -> None:
    assert len(shown(Html(plain("|" * 10_000)).text.strip())) == 300
    assert plain("\n" * 10**6 + "a") == "…"


@given(ANY_TEXT)
def test_no_text_leaves_a_label_or_the_fence_of_a_graph(text: str) -> None:
    tiles = (
        DrawnTile("a", text, "edit", "runs", ((text, text, text),)),
        DrawnTile(text, text, "edit", "removed"),
    )
    drawn = mermaid_of(Drawing(tiles, (DrawnEdge("a", text, "rewired", (text,)),), ("a", text), text))
    comment = Comment()
    comment.graph(drawn, 2, 1)
    html = check(comment.text())
    assert html.tags == ["details", "summary", "pre", "code"]
    for line in drawn.splitlines()[1:4]:
        assert re.fullmatch(r'  n\d(\[".*"\]|( ==>\|".*"\| n\d))(:::\w+)?', line)
        assert line.count('"') == 2


def named(name: str, tiles: int = 3) -> AgentTemplate:
    """Return a chain of tiles of an unknown type with this name."""
    raw = json.loads(agent(" > ".join(["input", *(f"mirror_{index}" for index in range(tiles))])).to_json())
    for node in raw["agent_nodes"][1:]:
        node["node_type"] = {"node_type_name": name}
        node["params_used"] = {name: name, "x": [name]}
    raw["agent"]["name"] = name
    return load_agent(raw, unknown_tiles="opaque")


HOSTILE_AGENT = named(HOSTILE)


def test_a_hostile_agent_gives_a_harmless_comment() -> None:
    template = HOSTILE_AGENT
    ids = [node.id for node in template]
    planned = preview(template, {"ignore_nodes": [ids[2]], "update_params": {ids[1]: {"x": HOSTILE}}})
    html = check(plan_markdown(planned, template))
    assert html.tags.count("table") == 2
    assert "@octocat" in shown(html.text)
    check(diff_markdown(diff(template, planned), HOSTILE, HOSTILE))
    check(diff_markdown(diff(template, template), HOSTILE, HOSTILE))


# what a reviewer sees

CHAIN = agent("input > captions > mirror > watermark > destination")


def request(**members: Any) -> dict[str, Any]:
    return {"video_ids": ["v"], **members}


def test_a_plan_shows_what_a_request_does() -> None:
    asked = request(ignore_nodes=[node_id("mirror")], update_params={node_id("watermark"): {"logo_size": 50}})
    html = check(plan_markdown(plan(CHAIN, asked), CHAIN))
    ids = {name: node_id(name)[:8] for name in ("captions", "mirror", "watermark")}
    for line in (
        "4 tiles, 3 connections, 1 input; 1 tile removed, 1 connection rewired, 1 parameter overridden.",
        f"removed: Mirror {ids['mirror']}",
        f"rewired: Captions {ids['captions']} → Watermark {ids['watermark']}, past Mirror {ids['mirror']}",
        f"overridden: Watermark {ids['watermark']} logo_size: 30.0 → 50",
        'n1 ==>|"skips Mirror"| n3',
    ):
        assert line in html.text
    assert html.cells[4:8] == ["1", "Video Input", node_id("input")[:8], ""]


def test_a_plan_lists_warnings_and_skipped_tiles() -> None:
    template = agent("input > watermark > clips\nschedule_trigger > mirror")
    html = check(plan_markdown(plan(template, request()), template))
    assert "order_advice Clips" in html.text
    assert "skipped: " in html.text


def test_a_plan_without_changes_says_so() -> None:
    assert "no changes to the agent" in plan_markdown(plan(CHAIN, request()), CHAIN)


def test_a_diff_of_agents_draws_both() -> None:
    found = diff(CHAIN, agent("input > captions > watermark(logo_size=20) > destination"))
    html = check(diff_markdown(found, "old.json", "new.json"))
    mirror, watermark = node_id("mirror")[:8], node_id("watermark")[:8]
    assert html.text.startswith("Agents differ")
    assert f"➖ removed\ntile\nMirror {mirror}" in html.text
    assert f"✏️ changed\nparameter\nWatermark {watermark} logo_size\n30.0 (default)\n20" in html.text
    assert ":::removed" in html.text
    assert 'n1 ==>|"added"| n' in html.text


def test_a_diff_of_a_plan_names_the_tiles_that_a_connection_skips() -> None:
    found = diff(CHAIN, plan(CHAIN, request(ignore_nodes=[node_id("mirror")])))
    html = check(diff_markdown(found, "a", "b"))
    assert f"past Mirror {node_id('mirror')[:8]}" in html.text
    assert '"added<br/>past Mirror"' in html.text


def test_a_diff_of_runs_shows_statuses_and_outputs() -> None:
    facts = {"*": {"duration_ms": 9000, "width": 640, "height": 360, "fps": 30, "speech": [[0, 8000]]}}
    template = agent("input > clips(num_clips=2, target_duration=2) > destination")
    old = simulate(template, request(), facts=facts)
    new = simulate(template, request(update_params={node_id("clips"): {"target_duration": 3}}), facts=facts)
    html = check(diff_markdown(diff(old, new), "old", "new"))
    clips = node_id("clips")[:8]
    assert html.text.startswith("Runs differ")
    assert f"output\nClips {clips} #1 duration_ms\n2 s\n3 s" in shown(html.text)
    # A record holds no connections, so there is no graph to draw.
    assert "mermaid" not in diff_markdown(diff(old, new), "old", "new")


def test_a_diff_of_requests_shows_inputs_and_ignored_tiles() -> None:
    found = diff(request(), request(video_ids=["w"], ignore_nodes=[node_id("mirror")]))
    html = check(diff_markdown(found, "old", "new"))
    assert "Requests differ" in html.text
    assert f"➕ added\nignored\n{node_id('mirror')[:8]}" in html.text


def test_equal_documents_are_one_line() -> None:
    assert (
        check(diff_markdown(diff(CHAIN, CHAIN), "a", "b"))
        .text.strip()
        .endswith("No differences between a and b.")
    )


# size


def test_a_graph_of_10_000_tiles_gives_a_summary_and_says_what_is_left_out() -> None:
    names = [f"mirror_{index}" for index in range(9_998)]
    template = agent(" > ".join(["input", *names, "destination"]))
    planned: Plan = plan(template, request(ignore_nodes=[node_id(name) for name in names[1::2]]))
    html = check(plan_markdown(planned, template))
    for line in (
        "5,001 tiles, 5,000 connections, 1 input; 4,999 tiles removed, 4,999 connections rewired.",
        "more, left out here",
        "4,901 more rows, left out here",
        "The graph is left out: 10,000 tiles and 14,998 connections are too many for a comment.",
    ):
        assert line in html.text
    html = check(diff_markdown(diff(template, planned), "a", "b"))
    assert "The graph is left out: 10,000 tiles" in html.text


def test_huge_texts_everywhere_still_fit() -> None:
    template = named(HOSTILE * 40, 300)
    html = check(plan_markdown(preview(template), template))
    assert "left out" in html.text
    check(diff_markdown(diff(CHAIN, template, unknown_tiles="opaque"), HOSTILE, HOSTILE))


# the commands

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def tessera(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Run:
    monkeypatch.chdir(FIXTURES)

    def run(*args: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(args)
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out

    return run


TALK = str(MEDIA / "talk.mp4")


def test_the_commands_print_comments(tessera: Run) -> None:
    code, out = tessera(
        "plan", "agents/ignored_middle.json", "--input", TALK, "--ignore", "Mirror", "--format", "markdown"
    )
    assert code == 0
    assert "Mirror" in check(out).text
    code, out = tessera("diff", "agents/fan_in.json", "agents/diamond.json", "--format", "markdown")
    assert code == 1
    assert "between agents/fan_in.json and agents/diamond.json" in check(out).text
    code, out = tessera(
        "simulate", "agents/social.json", "--input", TALK, "--ignore", "Captions", "--format", "markdown"
    )
    assert code == 0
    html = check(out)
    assert re.search(
        r"completed: 3 outputs of 6 tiles; .* about [\d.]+ s with 2 workers; [\d.]+ credits\. Nothing",
        html.text,
    )
    assert "video\n6 s\n360×640\n30000/1001\nyes\ndescribed\n0.05" in html.text
    assert '"skips Captions<br/>3 × 6 s"' in html.text


def test_a_simulation_that_fails_shows_its_errors(tessera: Run) -> None:
    code, out = tessera(
        "simulate", "agents/single.json", "--input", TALK, "--fail", "Reframe", "--format", "markdown"
    )
    html = check(out)
    assert code == 1
    assert "Errors" in html.text
    assert "injected failure Reframe" in html.text


def test_text_and_json_stay_as_they_were(tessera: Run) -> None:
    for line in (
        ("plan", "agents/single.json", "--input", TALK),
        ("diff", "agents/fan_in.json", "agents/diamond.json"),
        ("simulate", "agents/single.json", "--input", TALK, "--assume"),
    ):
        assert tessera(*line) == tessera(*line, "--format", "text")
        assert tessera(*line, "--json") == tessera(*line, "--format", "json")


@pytest.mark.parametrize(
    "line",
    [
        ("plan", "agents/single.json", "--input", TALK, "--json", "--format", "markdown"),
        ("plan", "agents/single.json", "--input", TALK, "--explain-media", "--format", "markdown"),
        ("simulate", "agents/single.json", "--sweep", "sweeps/single.jsonl", "--format", "markdown"),
        ("diff", "agents/single.json", "agents/single.json", "--format", "sarif"),
    ],
)
def test_formats_that_do_not_go_together_are_refused(line: tuple[str, ...], tessera: Run) -> None:
    assert tessera(*line)[0] == 2
