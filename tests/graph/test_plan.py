"""The content of a plan: changes, origins of values, warnings and advice; plans of very large agents."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tessera import AgentTemplate, Plan, RequestError, load_agent, plan
from tessera.graph.changes import Change, Rewire
from tessera.graph.model import build_graph, is_opaque
from tessera.graph.plan import static_items
from tessera.graph.rewrite import TooManyEdges, ignore_nodes
from tessera.node import NodeType, opaque
from tessera.testing import agent, node_id
from tests.support.planning import expect_faults

DIAMOND = agent("input > a:Mirror > {b:Clips, c:Watermark}; b > c; lone:Mirror")


def plan_of(template: Any, *ignored: str, **request: Any) -> Plan:
    """Return a plan with one video as input that ignores the tiles of these names."""
    ignore = [node_id(name) for name in ignored]
    return plan(template, {"video_ids": ["v"], "ignore_nodes": ignore, **request})


def advice(p: Plan) -> list[str]:
    return [notice.message for notice in p.warnings if notice.code == "order_advice"]


def test_nothing_changes_without_rewrites() -> None:
    p = plan_of(agent("input > a:Mirror"))
    assert not p.changes
    assert p.changes.to_dict() == {"removed": [], "rewired": [], "overridden": [], "skipped": []}
    assert p.order == (node_id("input"), node_id("a"))
    assert p.warnings == ()


def test_a_single_rewrite_is_a_change() -> None:
    a = agent("input > a:Mirror")
    assert plan_of(a, update_params={node_id("a"): {"vertical_flip": True}}).changes
    assert plan_of(a, "a").changes.removed
    assert plan_of(a, "a").changes


def test_the_changes_list_removed_rewired_and_skipped_tiles() -> None:
    p = plan_of(DIAMOND, "a")
    assert p.changes.removed == (node_id("a"),)
    assert p.changes.rewired == (
        Rewire(node_id("input"), node_id("b"), (node_id("a"),)),
        Rewire(node_id("input"), node_id("c"), (node_id("a"),)),
    )
    assert p.changes.skipped == (node_id("lone"),)
    assert p.graph.edges[node_id("b"), node_id("c")]["via"] == ()
    assert p.graph.edges[node_id("input"), node_id("b")]["via"] == (node_id("a"),)


def test_a_skipped_tile_gives_a_warning_with_the_reason() -> None:
    document = agent("input; t:S3 Trigger; lone:Mirror > after:Mirror")
    skipped = {one.loc: one.message for one in plan_of(document).warnings if one.code == "skipped_tile"}
    assert list(skipped) == ["/agent_nodes/1", "/agent_nodes/2", "/agent_nodes/3"]
    assert "a trigger does not run beside a Video Input" in skipped["/agent_nodes/1"]
    assert "nothing that runs leads to it" in skipped["/agent_nodes/3"]


def test_an_agent_without_a_tile_that_can_run_is_refused() -> None:
    with expect_faults(("", "no tile of this agent can run"), ("/video_ids", "this agent takes no inputs")):
        plan_of(agent("lone:Mirror"))


def test_every_parameter_has_the_origin_of_its_value() -> None:
    document = agent("input > w:Watermark(logo_size=10, logo_opacity=50)")
    p = plan_of(document, update_params={node_id("w").upper(): {"logo_size": 20, "logo_margin_x": 0}})
    found = p.tile(node_id("w")).parameters()
    assert found["logo_size"] == {"value": 20, "origin": "override"}
    assert found["logo_margin_x"] == {"value": 0, "origin": "override"}
    assert found["logo_opacity"] == {"value": 50, "origin": "template"}
    assert found["logo_margin_y"] == {"value": 20, "origin": "default"}
    assert p.tile(node_id("w")).params.logo_size == 20  # type: ignore[attr-defined]


def test_an_override_is_recorded_with_the_old_value_and_the_new() -> None:
    document = agent("input > m:Mirror(vertical_flip=true)")
    values = {"vertical_flip": False, "horizontal_flip": False, "axis": "x"}
    p = plan_of(document, update_params={node_id("m"): values})
    assert p.changes.overridden == (
        Change(node_id("m"), "vertical_flip", True, False),
        Change(node_id("m"), "horizontal_flip", True, False),
        Change(node_id("m"), "axis", None, "x"),
    )


def test_an_override_that_changes_nothing_gives_a_warning() -> None:
    node = node_id("m").upper()
    (notice,) = plan_of(agent("input > m:Mirror"), update_params={node: {"horizontal_flip": True}}).warnings
    assert (notice.code, notice.document) == ("needless_override", "request")
    assert notice.loc == f"/update_params/{node}/horizontal_flip"


@pytest.mark.parametrize("tile", ["Clips", "Rough Cut"])
@pytest.mark.parametrize("style", ["Captions", "Cinematic Captions", "Motion Graphics", "Watermark", "Outro"])
def test_clips_and_rough_cut_are_better_placed_before_style_tiles(tile: str, style: str) -> None:
    (message,) = advice(plan_of(agent(f"input > s:{style} > m:Mirror > c:{tile}")))
    assert (
        message
        == f"{tile} {node_id('c')} comes after {style} {node_id('s')}; place it before {style} instead"
    )


@pytest.mark.parametrize("style", ["Captions", "Cinematic Captions", "Motion Graphics", "Watermark"])
def test_reframe_is_better_placed_before_tiles_whose_picture_it_would_cut_off(style: str) -> None:
    assert len(advice(plan_of(agent(f"input > s:{style} > r:Reframe")))) == 1


@pytest.mark.parametrize(
    "tiles",
    [
        ("Rough Cut", "Clips", "Reframe", "Captions", "Watermark"),
        ("Color Correction", "Reframe", "Intro", "Outro"),
        ("Mirror", "Audio Enhance", "Clips"),
    ],
)
def test_a_good_order_gets_no_advice(tiles: tuple[str, ...]) -> None:
    assert advice(plan_of(agent(" > ".join(["input", *tiles])))) == []


def test_advice_follows_the_paths_of_the_graph() -> None:
    document = agent("{c:Clips, input, s:Captions, d:Reframe}; input > {c, s}; s > d")
    assert len(advice(plan_of(document))) == 1
    assert advice(plan_of(document, "s")) == []


def test_advice_on_a_join_names_each_type_on_any_path_once() -> None:
    document = agent("input > {s:Captions, t:Captions, w:Watermark} > r:Reframe")
    assert len(advice(plan_of(document))) == 2


def test_rough_cut_without_a_prompt_gets_a_warning() -> None:
    assert [one.code for one in plan_of(agent("input > r:Rough Cut")).warnings] == ["no_prompt"]
    assert plan_of(agent('input > r:Rough Cut(prompt="the goals")')).warnings == ()


def test_tiles_that_are_ready_run_in_the_order_of_the_template() -> None:
    document = agent("{z:Mirror, y:Mirror, input, x:Mirror}; input > {z, x}; x > y")
    assert plan_of(document).order == tuple(node_id(name) for name in ("input", "z", "x", "y"))


def test_the_minimum_number_of_items_is_known_before_a_run() -> None:
    document = agent("input > {a:Mirror, b:Mirror} > c:Mirror > r:Premiere Export")
    found = dict(static_items(plan_of(document, video_ids=["v", "w"])))
    assert {name: found[node_id(name)] for name in ("input", "a", "c", "r")} == {
        "input": 0,
        "a": 2,
        "c": 4,
        "r": 4,
    }


def plan_json(p: Plan) -> Any:
    return json.loads(p.to_json())


def test_a_plan_read_back_equals_the_plan() -> None:
    document = DIAMOND.to_dict() | {"agent": {"id": "x", "name": "Mine"}}
    p = plan_of(
        document,
        "a",
        update_params={node_id("b"): {"num_clips": 2}},
        input_clip_start_ms=5,
        callback_url="https://example.com/hook",
    )
    again = Plan.from_dict(plan_json(p))
    assert again == p
    assert again.to_json() == p.to_json()
    assert (again.order, again.inputs, again.changes) == (p.order, p.inputs, p.changes)
    assert (again.warnings, again.request) == (p.warnings, p.request)
    assert list(again.graph.edges(data=True)) == list(p.graph.edges(data=True))
    assert [again.tile(node).params for node in again.order] == [p.tile(node).params for node in p.order]


@pytest.mark.parametrize(
    ("path", "value", "loc", "part"),
    [
        ("tiles", ..., "", "not a plan: 'tiles' is required"),
        ("tiles/1/parameters/horizontal_flip/value", False, "/tiles/1/parameters/horizontal_flip", "default"),
        (
            "tiles/1/parameters/horizontal_flip/origin",
            "me",
            "/tiles/1/parameters/horizontal_flip/origin",
            "one of",
        ),
        ("tiles/1/node_type_id", "?", "/tiles/1/node_type_id", "unknown node type"),
        ("tiles/1/agent_node_id", node_id("input"), "/tiles/1/agent_node_id", "duplicate tile"),
        ("order/1", node_id("input"), "/order", "every tile exactly once"),
        ("order", [node_id("a"), node_id("input")], "/edges/0", "leads backwards"),
        ("edges/0/target", "x", "/edges/0", "names an unknown tile"),
        ("inputs", [], "/inputs", f"exactly one entry for each of: {node_id('input')}"),
        ("inputs/0/sources", [], "/inputs/0/sources", "at least 1"),
        ("inputs/0/sources/0/form", "ftp", "/inputs/0/sources/0/form", "one of"),
        ("request/video_ids", 5, "/request/video_ids", "an array"),
    ],
)
def test_a_plan_with_a_changed_value_is_refused_at_that_value(
    path: str, value: Any, loc: str, part: str
) -> None:
    raw = plan_json(plan_of(agent("input > a:Mirror")))
    raw["tiles"][1]["node_type_name"] = "?" if "node_type_id" in path else "Mirror"
    *holders, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    holder: Any = raw
    for step in holders:
        holder = holder[step]
    if value is ...:
        del holder[last]
    else:
        holder[last] = value
    with expect_faults((loc, part)):
        Plan.from_dict(raw)


@pytest.mark.parametrize("source", [None, [], "{", {}, "nowhere.json"])
def test_a_source_that_is_not_a_plan_is_refused(source: Any) -> None:
    with pytest.raises(RequestError):
        Plan.from_dict(source)


def long_chain(count: int = 10_000) -> AgentTemplate:
    """Return an input and a chain of mirrors, `count` tiles in all."""
    return agent(" > ".join(["input", *(f"mirror_{number}" for number in range(1, count))]))


def layers(count: int = 10_000) -> AgentTemplate:
    """Return layers of 100 mirrors, each fed by three of the layer above, `count` tiles in all."""
    mirrors = [f"mirror_{number}" for number in range(1, count)]
    lines = ["input", *mirrors, f"input > {{{', '.join(mirrors[:100])}}}"]
    for number in range(101, count):
        above = (number - 1) // 100 * 100 - 99
        feeds = (f"mirror_{above + (number * 7 + step * 13) % 100}" for step in range(3))
        lines.append(f"{{{', '.join(feeds)}}} > mirror_{number}")
    return agent("\n".join(lines))


@pytest.mark.parametrize("build", [long_chain, layers])
def test_ten_thousand_tiles_load_plan_and_survive_json(build: Callable[[], AgentTemplate]) -> None:
    document = build().to_json()
    started = time.process_time()
    p = plan(load_agent(document), {"video_ids": ["v"]})
    assert time.process_time() - started < 5
    assert len(p.order) == 10_000
    assert Plan.from_dict(plan_json(p)) == p


def test_ignoring_the_middle_of_a_chain_of_ten_thousand_connects_its_ends() -> None:
    template = long_chain()
    first, *middle, last = (tile.id for tile in template)
    p = plan(template, {"video_ids": ["v"], "ignore_nodes": middle})
    assert p.order == (first, last)
    assert p.changes.rewired == (Rewire(first, last, tuple(middle)),)


def test_a_cycle_of_ten_thousand_tiles_is_found() -> None:
    document = long_chain().to_dict()
    last, first = node_id("mirror_9999"), node_id("mirror_1")
    document["connections"].append({"source_agent_node_id": last, "target_agent_node_id": first})
    with expect_faults(("/connections/9999", "(9,949 more)")):
        load_agent(document)


def test_ignoring_a_long_chain_between_many_tiles_is_refused_before_it_fills_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tessera.graph.rewrite.MAX_VIA", 1_000_000)
    names = [f"mirror_{number}" for number in range(1_400)]
    before, after, long = names[:200], names[200:400], names[400:]
    document = agent(f"input > {{{', '.join(before)}}} > {' > '.join(long)} > {{{', '.join(after)}}}")
    with expect_faults(("/ignore_nodes", "at most 1,000,000 are allowed")):
        plan_of(document, *long)


def test_thousands_of_unknown_ids_are_refused_without_comparing_each_with_every_tile() -> None:
    document = long_chain(3_000)
    ids = [node_id(f"unknown {index}") for index in range(3_000)]
    started = time.process_time()
    with expect_faults(*((f"/ignore_nodes/{index}", "unknown node") for index in range(3_000))):
        plan(document, {"video_ids": ["v"], "ignore_nodes": ids})
    assert time.process_time() - started < 20


def test_connections_past_two_ignored_tiles_count_once() -> None:
    before = ", ".join(f"mirror_{number}" for number in range(600))
    after = ", ".join(f"mirror_{number}" for number in range(600, 1_200))
    document = agent(f"input > {{{before}}} > {{x:Mirror, y:Mirror}} > {{{after}}}")
    assert plan_of(document, "x", "y").graph.number_of_edges() == 600 + 600 * 600
    with pytest.raises(TooManyEdges, match="360,000"):
        ignore_nodes(build_graph(load_agent(document)), [node_id("x"), node_id("y")], limit=359_999)


def test_a_rewrite_does_not_change_its_argument() -> None:
    p = plan_of(DIAMOND)
    before = (dict(p.graph.nodes(data=True)), list(p.graph.edges(data=True)))
    ignore_nodes(p.graph, [node_id("a")])
    assert (dict(p.graph.nodes(data=True)), list(p.graph.edges(data=True))) == before


def test_plans_with_equal_content_are_equal() -> None:
    mirror = agent("input > a:Mirror")
    first, again = plan_of(mirror), plan_of(mirror)
    other = plan_of(mirror, update_params={node_id("a"): {"vertical_flip": True}})
    assert (first == again, first == other, first == "a plan") == (True, False, False)
    assert len({first, again, other}) == 2


def test_a_plan_is_written_with_one_member_on_a_line_and_a_newline_at_the_end() -> None:
    text = plan_of(agent("input > a:Mirror", name="Café")).to_json()
    assert text.startswith('{\n "agent": {\n  "id": null,\n  "name": "Café"\n')
    assert text.endswith("\n}\n")


def test_a_type_called_opaque_is_not_an_opaque_type() -> None:
    class Opaque(NodeType):
        name = "Opaque"

    assert is_opaque(opaque(None, "Hologram"))
    assert not is_opaque(Opaque)
    assert not is_opaque(NodeType)
