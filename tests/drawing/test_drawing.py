"""Drawings of agents and runs: mermaid, DOT, plain text, and SVG with its layout."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera import load_agent, simulate
from tessera.cli import main
from tessera.drawing.ascii import ascii_of, chains
from tessera.drawing.dot import dot_of
from tessera.drawing.layers import assign_layers, crossings
from tessera.drawing.layout import Layout, Link, lay_out
from tessera.drawing.mermaid import mermaid_of
from tessera.drawing.model import Drawing, DrawnEdge, DrawnTile, Flow, draw, flows_of
from tessera.drawing.svg import svg_of
from tessera.graph.preview import preview
from tessera.testing import agent, node_id
from tessera.text.wording import short_ids
from tests.support.media import FIXTURES, MEDIA

FACTS = {"*": {"duration_ms": 60000, "width": 640, "height": 360, "fps": 30, "speech": [[0, 50000]]}}
CLIPS = agent("input > clips(num_clips=2, target_duration=5) > mirror > destination")
HOSTILE = '<b>&"x"\'</text><script>alert(1)</script>]]> `c`;\\|#1;\n\u202e\x1b[31m\x00\ufffe\ud800 -->'


def drawing_of(template: Any, *, simulated: bool = False, **request: Any) -> Drawing:
    loaded = load_agent(template, unknown_tiles="opaque")
    decided = preview(loaded, request)
    flows = flows_of(simulate(decided, facts=FACTS).to_dict()) if simulated else None
    return draw(loaded, decided, flows)


def hostile() -> Drawing:
    """Return a drawing whose texts all try to break out of the format."""
    flow = Flow((("video", 1),), (), HOSTILE)
    tiles = (
        DrawnTile(node_id("input"), HOSTILE, "edit", "removed", ((HOSTILE, HOSTILE, {HOSTILE: 1}),), flow),
        DrawnTile(HOSTILE, HOSTILE, "output", "skipped"),
        DrawnTile("", "", "edit", "runs"),
    )
    edges = (
        DrawnEdge(node_id("input"), HOSTILE, "rewired", (node_id("input"), HOSTILE), flow),
        DrawnEdge(node_id("input"), "", "gone"),
        DrawnEdge(HOSTILE, "", "kept"),
    )
    return Drawing(tiles, edges, (node_id("input"), HOSTILE, ""), HOSTILE)


# plain text and mermaid


def test_mermaid_labels_are_escaped() -> None:
    for line in mermaid_of(hostile()).splitlines():
        for label in re.findall(r'"([^"]*)"', line):
            assert not set("<>`|]\\\x1b") & set(label.replace("<br/>", ""))
    named = Drawing((DrawnTile(node_id("input"), 'a "b"', "edit", "runs"),), (), (node_id("input"),))
    assert "a #34;b#34;" in mermaid_of(named)


def test_plain_text_contains_no_terminal_control_characters() -> None:
    assert not set("\x1b\x00\u202e") & set(ascii_of(hostile()))


def test_chains_hold_every_connection_once() -> None:
    pairs = [(a, b) for a in range(8) for b in range(a + 1, 8) if (a * b) % 3 != 1]
    tiles = [f"mirror_{number}" for number in range(8)]
    lines = [*tiles, *(f"{tiles[source]} > {tiles[target]}" for source, target in pairs)]
    drawing = draw(agent("\n".join(lines)))
    found = [edge for chain_of in chains(drawing.edges, drawing.order) for edge in chain_of]
    assert len(found) == len(set(found)) == len(pairs)
    for chain_of in chains(drawing.edges, drawing.order):
        assert all(before.target == after.source for before, after in pairwise(chain_of))


def test_short_ids_are_unique_prefixes() -> None:
    ids = [node_id("clips"), node_id("clips")[:9] + "bbbb" + node_id("clips")[13:], node_id("mirror")]
    assert short_ids(ids) == {ids[0]: ids[0][:10], ids[1]: ids[1][:10], ids[2]: ids[2][:8]}


def test_every_format_shows_the_items_of_a_connection() -> None:
    drawing = drawing_of(CLIPS, simulated=True, ignore_nodes=[node_id("mirror")])
    assert "Clips ═(skips Mirror; 2 × 5 s)═▶ Destination" in ascii_of(drawing)
    assert "makes 2 × 5 s" in ascii_of(drawing)
    assert 'n1 ==>|"skips Mirror<br/>2 × 5 s"| n3' in mermaid_of(drawing)
    assert 'n1 -> n3 [label="skips Mirror\\n2 × 5 s", style="bold"];' in dot_of(drawing)
    assert {"skips Mirror", "2 × 5 s", "1 × 60 s"} <= set(texts(svg_of(drawing)))
    carried = [edge["carries"]["items"] for edge in drawing.to_dict()["edges"] if "carries" in edge]
    assert carried == [1, 2]


@pytest.mark.parametrize(
    ("flow", "words"),
    [
        (Flow((("video", 3),), (6000, 6000, 6000), "completed"), "3 × 6 s"),
        (Flow((("video", 2),), (6000, 11500), "completed"), "2 items, 17.5 s"),
        (Flow((("image", 1),), (), "completed"), "1 image"),
        (Flow((("image", 1), ("video", 1)), (4000,), "completed"), "2 items, 4 s"),
        (Flow((), (), "completed"), "no items"),
        (Flow((), (), "partial_complete"), "partial complete"),
    ],
)
def test_a_flow_is_summarised_in_a_few_words(flow: Flow, words: str) -> None:
    assert str(flow) == words


# DOT

_ID = r"n\d+"
_STRING = r'"(?:[^"\\]|\\[\\n"])*"'
_ATTRIBUTES = rf"\[(\w+=(?:{_STRING}|<.*>)(?:, \w+=(?:{_STRING}|<.*>))*)\]"


def statements(text: str) -> list[str]:
    """Return the statements of a DOT graph, each checked against the grammar of our output."""
    first, *lines, last = text.splitlines()
    assert re.fullmatch(rf"digraph {_STRING} \{{", first), first
    assert last == "}"
    for line in lines:
        assert re.fullmatch(rf"  (?:graph|node|edge|{_ID}|{_ID} -> {_ID})(?: {_ATTRIBUTES})?;", line), line
        for label in re.findall(r"label=(<.*>), tooltip", line):
            ElementTree.fromstring(f"<x>{label[1:-1]}</x>")
    return [line.strip() for line in lines]


def test_dot_strikes_out_removed_tiles() -> None:
    request = {
        "ignore_nodes": [node_id("mirror")],
        "update_params": {node_id("clips"): {"prompt": 'say "hi"'}},
    }
    lines = statements(dot_of(drawing_of(CLIPS, **request)))
    (mirror,) = [line for line in lines if line.startswith("n2 [")]
    assert "<s><b>Mirror</b></s>" in mirror
    assert "dashed" in mirror
    assert 'n1 -> n2 [style="dashed", color="#888888"];' in lines
    assert any("&quot;say" in line for line in lines if line.startswith("n1 ["))
    assert "n0 -> n1;" in lines


def test_dot_is_valid_for_hostile_names() -> None:
    text = dot_of(hostile())
    assert len(statements(text)) == 3 + 3 + 3
    assert "<script>" not in "".join(re.findall(r"label=<.*>, tooltip", text))
    text.encode()


# SVG


def parse(svg: str) -> ElementTree.Element:
    svg.encode()
    return ElementTree.fromstring(svg)


def texts(svg: str) -> list[str]:
    return [one.text or "" for one in parse(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_svg_is_well_formed_and_harmless_for_hostile_names() -> None:
    svg = svg_of(hostile())
    found = {one.tag.rpartition("}")[2] for one in parse(svg).iter()}
    assert found == {"svg", "title", "rect", "g", "path", "text"}
    assert "<script" not in svg
    assert not {name for one in parse(svg).iter() for name in one.attrib if name.startswith("on")}
    assert not re.search(r"(href|url\(|@import)", svg)
    assert not set("\x00\x1b\u202e\ufffe\ud800") & set(svg)


def test_svg_strikes_out_removed_tiles_and_labels_rewired_connections() -> None:
    svg = svg_of(
        drawing_of(
            CLIPS, ignore_nodes=[node_id("mirror")], update_params={node_id("clips"): {"num_clips": 3}}
        )
    )
    assert {"Mirror", "removed", "skips Mirror", "num_clips: 2 → 3", "ignored in this run"} <= set(texts(svg))
    groups = parse(svg).iter("{http://www.w3.org/2000/svg}g")
    (mirror,) = [one for one in groups if one[0].text == f"Mirror {node_id('mirror')}"]
    assert [one.tag.rpartition("}")[2] for one in mirror] == ["title", "rect", "text", "path", "text", "text"]
    assert "stroke-dasharray" in mirror[1].attrib
    assert "sans-serif" in parse(svg).attrib["font-family"]
    assert 'fill="#ffffff"' in svg


def test_svg_of_a_template_has_no_legend() -> None:
    svg = svg_of(draw(CLIPS))
    assert "ignored in this run" not in texts(svg)
    assert svg == svg_of(draw(load_agent(CLIPS.to_json())))


def test_svg_marks_failed_tiles() -> None:
    flows = {node_id("clips"): Flow((), (), "failed"), node_id("mirror"): Flow((), (), "blocked")}
    assert texts(svg_of(draw(CLIPS, preview(CLIPS), flows))).count("failed") == 2
    assert parse(svg_of(draw(load_agent({"agent_nodes": [], "connections": []})))) is not None


@pytest.mark.parametrize("path", sorted((FIXTURES / "agents").glob("*.json")), ids=lambda path: path.stem)
def test_every_fixture_agent_is_drawn(path: Path) -> None:
    drawing = draw(load_agent(path))
    assert len(texts(svg_of(drawing))) == 2 * len(drawing.tiles)
    assert len(statements(dot_of(drawing))) == 3 + len(drawing.tiles) + len(drawing.edges)


# the layout


def layout_of(
    count: int, pairs: Sequence[tuple[int, int]], label: tuple[float, float] | None = None
) -> Layout:
    return lay_out([(100.0, 40.0)] * count, [Link(*pair, label) for pair in pairs])


def boxes_of(layout: Layout, sizes: Sequence[tuple[float, float]]) -> list[tuple[float, float, float, float]]:
    return [
        (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        for (x, y), (width, height) in zip(layout.centres, sizes, strict=True)
    ]


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    slack = 0.01
    return (
        one[0] < other[2] - slack
        and other[0] < one[2] - slack
        and one[1] < other[3] - slack
        and other[1] < one[3] - slack
    )


@st.composite
def pictures(draw: st.DrawFn) -> tuple[list[tuple[float, float]], list[Link]]:
    """Draw sizes of nodes and acyclic links between them, some of them labelled."""
    count = draw(st.integers(1, 14))
    place = draw(st.permutations(range(count)))
    pairs = [(low, high) for high in range(count) for low in range(high)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=30)) if pairs else []
    labels = st.none() | st.just((60.0, 14.0)) | st.just((90.0, 28.0))
    sizes = [
        (draw(st.sampled_from([80.0, 120.0])), draw(st.sampled_from([40.0, 90.0]))) for _ in range(count)
    ]
    return sizes, [Link(place[low], place[high], draw(labels)) for low, high in chosen]


@settings(max_examples=150)
@given(pictures())
def test_nothing_overlaps_and_routes_join_their_ends(picture: tuple[list[Any], list[Link]]) -> None:
    sizes, links = picture
    layout = lay_out(sizes, links)
    assert layout == lay_out(sizes, links)
    boxes = boxes_of(layout, sizes)
    words = []
    for link, route in zip(links, layout.routes, strict=True):
        begin, end = route.pieces[0].points[0], route.end
        source, target = boxes[link.source], boxes[link.target]
        assert begin == pytest.approx((source[2], (source[1] + source[3]) / 2))
        assert end == pytest.approx((target[0], (target[1] + target[3]) / 2))
        for one, other in pairwise(route.pieces):
            assert one.points[-1] == pytest.approx(other.points[0])
        if link.label:
            assert route.label is not None
            (x, y), (width, height) = route.label, link.label
            words.append((x - width / 2, y - height / 2, x + width / 2, y + height / 2))
    for one, other in combinations([*boxes, *words], 2):
        assert not overlap(one, other)
    for left, top, right, bottom in boxes:
        assert left >= -0.01
        assert top >= -0.01
        assert right <= layout.width + 0.01
        assert bottom <= layout.height + 0.01


@settings(max_examples=100)
@given(pictures())
def test_crossings_are_counted_and_few(picture: tuple[list[Any], list[Link]]) -> None:
    cells = assign_layers(*picture)
    place = {cell: index for row in cells.layers for index, cell in enumerate(row)}
    expected = 0
    for row in cells.layers:
        lines = [(place[cell], place[other]) for cell in row for other in cells.after[cell]]
        expected += sum(
            (one[0] - other[0]) * (one[1] - other[1]) < 0 for one, other in combinations(lines, 2)
        )
    assert crossings(cells) == expected
    assert sorted(cell for row in cells.layers for cell in row) == list(range(len(cells.rank)))
    for chain_of in cells.chains:
        assert all(cells.rank[other] > cells.rank[one] for one, other in pairwise(chain_of))


def test_a_tree_and_a_diamond_have_no_crossings() -> None:
    tree = [((node - 1) // 3, node) for node in range(1, 120)]
    assert crossings(assign_layers([(10.0, 10.0)] * 120, [Link(*pair) for pair in tree])) == 0
    swapped = [(0, 4), (1, 3), (2, 5), (4, 6), (3, 7), (5, 8)]
    assert crossings(assign_layers([(10.0, 10.0)] * 9, [Link(*pair) for pair in swapped])) == 0


def test_a_chain_is_one_straight_line() -> None:
    layout = layout_of(5, [(0, 1), (1, 2), (2, 3), (3, 4)])
    assert len({y for _x, y in layout.centres}) == 1
    assert all(piece.form == "line" for route in layout.routes for piece in route.pieces)


def test_a_long_connection_passes_other_tiles_in_a_straight_line() -> None:
    layout = layout_of(5, [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)])
    inner = [y for piece in layout.routes[4].pieces[1:-1] for _x, y in piece.points]
    assert len(set(inner)) == 1
    assert all(abs(y - inner[0]) > 20 for _x, y in layout.centres[1:4])


def test_a_chain_of_two_hundred_is_folded() -> None:
    layout = layout_of(200, [(node, node + 1) for node in range(199)])
    assert 0.8 < layout.width / layout.height < 3.5
    assert sum(piece.form == "corners" for route in layout.routes for piece in route.pieces) > 4
    assert layout.centres[0][1] < layout.centres[199][1]
    boxes = boxes_of(layout, [(100.0, 40.0)] * 200)
    assert not any(overlap(one, other) for one, other in combinations(boxes, 2))
    for route in layout.routes:
        for piece in route.pieces:
            assert all(0 <= x <= layout.width and 0 <= y <= layout.height for x, y in piece.points)


def test_a_late_source_is_drawn_next_to_the_tile_it_feeds() -> None:
    layout = layout_of(5, [(0, 1), (1, 2), (2, 3), (4, 3)])
    assert layout.centres[4][0] == layout.centres[2][0]


def test_separate_parts_of_a_graph_do_not_overlap() -> None:
    layout = layout_of(40, [(node, node + 1) for node in range(0, 40, 2)])
    boxes = boxes_of(layout, [(100.0, 40.0)] * 40)
    assert not any(overlap(one, other) for one, other in combinations(boxes, 2))
    assert layout.width <= 1_500


def test_large_graphs_are_laid_out_without_recursion() -> None:
    count = 3_000
    layout_of(count, [(node, node + 1) for node in range(count - 1)], (60.0, 14.0))
    layout_of(count, [((node - 1) // 3, node) for node in range(1, count)])
    layout_of(600, [(node, 599) for node in range(599)] + [(node, node + 1) for node in range(598)])


# the command


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TESSERA_WORKSPACE", raising=False)


def run_command(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["graph", *args])
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return code, out, err


@pytest.mark.parametrize("form", ["ascii", "mermaid", "dot", "svg"])
def test_the_command_prints_and_writes_a_drawing(capsys: pytest.CaptureFixture[str], form: str) -> None:
    args = (CLIPS.to_json(), "--ignore", "Mirror", "--format", form)
    code, out, err = run_command(capsys, *args)
    assert (code, err) == (0, "")
    assert run_command(capsys, *args, "--out", "drawing") == (0, "", "")
    assert Path("drawing").read_text("utf-8") == out
    found = json.loads(run_command(capsys, *args, "--json")[1])
    assert (found["format"], found["drawing"]) == (form, out)
    assert run_command(capsys, *args, "--out", "nowhere/drawing")[0] == 1


def test_the_command_draws_a_simulation(capsys: pytest.CaptureFixture[str]) -> None:
    template, talk = CLIPS.to_json(), str(MEDIA / "talk.mp4")
    for source in (("--input", talk, "--simulate"), ('{"video_ids": ["v"]}', "--facts", json.dumps(FACTS))):
        code, out, err = run_command(capsys, template, *source, "--json", "--format", "svg")
        assert (code, err) == (0, "")
        assert json.loads(out)["tiles"][1]["makes"]["items"] == 2
        assert "2 × 5 s" in json.loads(out)["drawing"]
    assert run_command(capsys, template, "--simulate")[0] == 2
    assert run_command(capsys, template, '{"video_ids": ["v"]}', "--simulate")[0] == 2
    assert run_command(capsys, "-", "--facts", "-")[0] == 2


def test_a_request_may_lack_its_inputs(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _err = run_command(
        capsys, CLIPS.to_json(), json.dumps({"ignore_nodes": [node_id("mirror").upper()]})
    )
    assert (code, "skips Mirror" in out) == (0, True)
