"""What a plan says: what changes, where each value comes from, advice; and that it can be very large."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tessera import Plan, RequestError, load_agent, plan
from tessera.graph.changes import Change, Rewire
from tessera.graph.model import build_graph, is_opaque
from tessera.graph.plan import static_items
from tessera.graph.rewrite import TooManyEdges, ignore_nodes
from tessera.node import NodeType, opaque
from tests.support.builders import IN, agent, chain, planned, refused, uid

DIAMOND = agent(IN, "a:Mirror", "b:Clips", "c:Watermark", "lone:Mirror", edges="in>a a>b b>c a>c")


def advice(decided: Plan) -> list[str]:
    return [notice.message for notice in decided.warnings if notice.code == "order_advice"]


def test_nothing_changes_without_rewrites() -> None:
    decided = planned(chain(IN, "a:Mirror"))
    assert not decided.changes
    assert decided.changes.to_dict() == {"removed": [], "rewired": [], "overridden": [], "skipped": []}
    assert decided.order == (uid("in"), uid("a"))
    assert decided.warnings == ()


def test_any_one_rewrite_is_a_change() -> None:
    a = chain(IN, "a:Mirror")
    assert planned(a, update_params={uid("a"): {"vertical_flip": True}}).changes
    assert planned(a, "a").changes.removed
    assert planned(a, "a").changes


def test_the_changes_say_what_is_removed_rewired_and_skipped() -> None:
    decided = planned(DIAMOND, "a")
    assert decided.changes.removed == (uid("a"),)
    assert decided.changes.rewired == (
        Rewire(uid("in"), uid("b"), (uid("a"),)),
        Rewire(uid("in"), uid("c"), (uid("a"),)),
    )
    assert decided.changes.skipped == (uid("lone"),)
    assert decided.graph.edges[uid("b"), uid("c")]["via"] == ()
    assert decided.graph.edges[uid("in"), uid("b")]["via"] == (uid("a"),)


def test_a_tile_that_is_skipped_gives_a_warning_that_says_why() -> None:
    document = agent(IN, "t:S3 Trigger", "lone:Mirror", "after:Mirror", edges="lone>after")
    skipped = {one.loc: one.message for one in planned(document).warnings if one.code == "skipped_tile"}
    assert list(skipped) == ["/agent_nodes/1", "/agent_nodes/2", "/agent_nodes/3"]
    assert "a trigger does not run beside a Video Input" in skipped["/agent_nodes/1"]
    assert "nothing that runs leads to it" in skipped["/agent_nodes/3"]


def test_an_agent_in_which_nothing_can_run_is_refused() -> None:
    with refused(("", "no tile of this agent can run"), ("/video_ids", "this agent takes no inputs")):
        planned(agent("lone:Mirror"))


def test_every_parameter_says_where_its_value_comes_from() -> None:
    document = chain(IN, "w:Watermark", w={"logo_size": 10, "logo_opacity": 50})
    decided = planned(document, update_params={uid("w").upper(): {"logo_size": 20, "logo_margin_x": 0}})
    found = decided.tile(uid("w")).parameters()
    assert found["logo_size"] == {"value": 20, "origin": "override"}
    assert found["logo_margin_x"] == {"value": 0, "origin": "override"}
    assert found["logo_opacity"] == {"value": 50, "origin": "template"}
    assert found["logo_margin_y"] == {"value": 20, "origin": "default"}
    assert decided.tile(uid("w")).params.logo_size == 20  # type: ignore[attr-defined]


def test_an_override_is_recorded_with_the_old_value_and_the_new() -> None:
    document = chain(IN, "m:Mirror", m={"vertical_flip": True})
    values = {"vertical_flip": False, "horizontal_flip": False, "axis": "x"}
    decided = planned(document, update_params={uid("m"): values})
    assert decided.changes.overridden == (
        Change(uid("m"), "vertical_flip", True, False),
        Change(uid("m"), "horizontal_flip", True, False),
        Change(uid("m"), "axis", None, "x"),
    )


def test_an_override_with_the_value_that_is_there_gives_a_warning_at_its_place() -> None:
    node = uid("m").upper()
    (notice,) = planned(chain(IN, "m:Mirror"), update_params={node: {"horizontal_flip": True}}).warnings
    assert (notice.code, notice.document) == ("needless_override", "request")
    assert notice.loc == f"/update_params/{node}/horizontal_flip"


@pytest.mark.parametrize("tile", ["Clips", "Rough Cut"])
@pytest.mark.parametrize("style", ["Captions", "Cinematic Captions", "Motion Graphics", "Watermark", "Outro"])
def test_clips_and_rough_cut_are_better_placed_before_style_tiles(tile: str, style: str) -> None:
    (message,) = advice(planned(chain(IN, f"s:{style}", "m:Mirror", f"c:{tile}")))
    assert message == f"{tile} {uid('c')} comes after {style} {uid('s')}; place it before {style} instead"


@pytest.mark.parametrize("style", ["Captions", "Cinematic Captions", "Motion Graphics", "Watermark"])
def test_reframe_is_better_placed_before_what_it_would_cut_off(style: str) -> None:
    assert len(advice(planned(chain(IN, f"s:{style}", "r:Reframe")))) == 1


@pytest.mark.parametrize(
    "tiles",
    [
        ("Rough Cut", "Clips", "Reframe", "Captions", "Watermark"),
        ("Color Correction", "Reframe", "Intro", "Outro"),
        ("Mirror", "Audio Enhance", "Clips"),
    ],
)
def test_a_good_order_gets_no_advice(tiles: tuple[str, ...]) -> None:
    assert advice(planned(chain(IN, *(f"t{index}:{tile}" for index, tile in enumerate(tiles))))) == []


def test_advice_follows_the_paths_of_the_run_not_the_list_of_tiles() -> None:
    document = agent("c:Clips", IN, "s:Captions", "d:Reframe", edges="in>s in>c s>d")
    assert len(advice(planned(document))) == 1
    assert advice(planned(document, "s")) == []


def test_advice_on_a_join_names_what_came_by_any_path_once() -> None:
    document = agent(
        IN, "s:Captions", "t:Captions", "w:Watermark", "r:Reframe", edges="in>s in>t in>w s>r t>r w>r"
    )
    assert len(advice(planned(document))) == 2


def test_rough_cut_without_a_prompt_gets_a_warning() -> None:
    assert [one.code for one in planned(chain(IN, "r:Rough Cut")).warnings] == ["no_prompt"]
    assert planned(chain(IN, "r:Rough Cut", r={"prompt": "the goals"})).warnings == ()


def test_of_tiles_that_could_come_next_the_first_in_the_template_comes_first() -> None:
    document = agent("z:Mirror", "y:Mirror", IN, "x:Mirror", edges="in>z in>x x>y")
    assert planned(document).order == tuple(uid(name) for name in ("in", "z", "x", "y"))


def test_the_least_number_of_items_is_known_before_a_run() -> None:
    document = agent(
        IN, "a:Mirror", "b:Mirror", "c:Mirror", "r:Premiere Export", edges="in>a in>b a>c b>c c>r"
    )
    found = dict(static_items(planned(document, video_ids=["v", "w"])))
    assert {name: found[uid(name)] for name in ("in", "a", "c", "r")} == {"in": 0, "a": 2, "c": 4, "r": 4}


def written(decided: Plan) -> Any:
    return json.loads(decided.to_json())


def test_a_plan_read_back_holds_everything() -> None:
    document = {**DIAMOND, "agent": {"id": "x", "name": "Mine"}}
    decided = planned(
        document,
        "a",
        update_params={uid("b"): {"num_clips": 2}},
        input_clip_start_ms=5,
        callback_url="https://example.com/hook",
    )
    again = Plan.from_dict(written(decided))
    assert again == decided
    assert again.to_json() == decided.to_json()
    assert (again.order, again.inputs, again.changes) == (decided.order, decided.inputs, decided.changes)
    assert (again.warnings, again.request) == (decided.warnings, decided.request)
    assert list(again.graph.edges(data=True)) == list(decided.graph.edges(data=True))
    assert [again.tile(node).params for node in again.order] == [
        decided.tile(node).params for node in decided.order
    ]


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
        ("tiles/1/agent_node_id", uid("in"), "/tiles/1/agent_node_id", "duplicate tile"),
        ("order/1", uid("in"), "/order", "every tile exactly once"),
        ("order", [uid("a"), uid("in")], "/edges/0", "leads backwards"),
        ("edges/0/target", "x", "/edges/0", "names an unknown tile"),
        ("inputs", [], "/inputs", f"exactly one entry for each of: {uid('in')}"),
        ("inputs/0/sources", [], "/inputs/0/sources", "at least 1"),
        ("inputs/0/sources/0/form", "ftp", "/inputs/0/sources/0/form", "one of"),
        ("request/video_ids", 5, "/request/video_ids", "an array"),
    ],
)
def test_a_plan_that_was_tampered_with_is_refused_at_the_place(
    path: str, value: Any, loc: str, part: str
) -> None:
    raw = written(planned(chain(IN, "a:Mirror")))
    raw["tiles"][1]["node_type_name"] = "?" if "node_type_id" in path else "Mirror"
    *holders, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    holder: Any = raw
    for step in holders:
        holder = holder[step]
    if value is ...:
        del holder[last]
    else:
        holder[last] = value
    with refused((loc, part)):
        Plan.from_dict(raw)


@pytest.mark.parametrize("source", [None, [], "{", {}, "nowhere.json"])
def test_what_is_no_plan_at_all_is_refused(source: Any) -> None:
    with pytest.raises(RequestError):
        Plan.from_dict(source)


def large(kind: str, count: int = 10_000) -> dict[str, Any]:
    """A chain, or layers of 100 tiles each of which feeds three of the next."""
    tiles = [IN, *(f"{index}:Mirror" for index in range(1, count))]
    names = ["in", *(str(index) for index in range(1, count))]
    if kind == "chain":
        pairs = [(index, index + 1) for index in range(count - 1)]
    else:
        pairs = [(0, index) for index in range(1, 101)]
        pairs += [
            ((index - 1) // 100 * 100 - 99 + (index * 7 + step * 13) % 100, index)
            for index in range(101, count)
            for step in range(3)
        ]
    return agent(*tiles, edges=" ".join(f"{names[a]}>{names[b]}" for a, b in pairs))


@pytest.mark.parametrize("kind", ["chain", "layers"])
def test_ten_thousand_tiles_load_plan_and_go_through_json(kind: str) -> None:
    document = json.dumps(large(kind))
    started = time.process_time()
    decided = plan(load_agent(document), {"video_ids": ["v"]})
    assert time.process_time() - started < 5
    assert len(decided.order) == 10_000
    assert Plan.from_dict(written(decided)) == decided


def test_a_chain_of_ten_thousand_loses_all_its_middle() -> None:
    document = large("chain")
    middle = [one["agent_node_id"] for one in document["agent_nodes"][1:-1]]
    decided = plan(document, {"video_ids": ["v"], "ignore_nodes": middle})
    assert decided.order == (uid("in"), uid("9999"))
    assert decided.changes.rewired == (Rewire(uid("in"), uid("9999"), tuple(middle)),)


def test_the_last_tile_of_a_chain_of_ten_thousand_may_close_a_cycle() -> None:
    document = large("chain")
    document["connections"].append({"source_agent_node_id": uid("9999"), "target_agent_node_id": uid("1")})
    with refused(("/connections/9999", "(9,949 more)")):
        load_agent(document)


def test_a_long_chain_between_many_tiles_is_refused_before_it_fills_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tessera.graph.rewrite.MAX_VIA", 1_000_000)
    tiles = [IN, *(f"{index}:Mirror" for index in range(1_400))]
    pairs = [f"in>{index} {index}>400" for index in range(200)]
    pairs += [f"{index}>{index + 1}" for index in range(400, 1_399)] + [
        f"1399>{index}" for index in range(200, 400)
    ]
    document = agent(*tiles, edges=" ".join(pairs))
    with refused(("/ignore_nodes", "at most 1,000,000 are allowed")):
        planned(document, " ".join(str(index) for index in range(400, 1_400)))


def test_many_unknown_ids_are_refused_without_comparing_each_with_every_tile() -> None:
    document = large("chain", 3_000)
    ids = [uid(f"unknown {index}") for index in range(3_000)]
    started = time.process_time()
    with refused(*((f"/ignore_nodes/{index}", "unknown node") for index in range(3_000))):
        plan(document, {"video_ids": ["v"], "ignore_nodes": ids})
    assert time.process_time() - started < 20


def test_connections_that_two_ignored_tiles_both_make_count_once() -> None:
    wide = [f"{index}:Mirror" for index in range(1_200)]
    pairs = [f"in>{index} {index}>x {index}>y" for index in range(600)]
    pairs += [f"x>{index} y>{index}" for index in range(600, 1_200)]
    document = agent(IN, "x:Mirror", "y:Mirror", *wide, edges=" ".join(pairs))
    assert planned(document, "x y").graph.number_of_edges() == 600 + 600 * 600
    with pytest.raises(TooManyEdges, match="360,000"):
        ignore_nodes(build_graph(load_agent(document)), [uid("x"), uid("y")], limit=359_999)


def test_rewriting_does_not_change_the_graph_that_it_is_given() -> None:
    decided = planned(DIAMOND)
    before = (dict(decided.graph.nodes(data=True)), list(decided.graph.edges(data=True)))
    ignore_nodes(decided.graph, [uid("a")])
    assert (dict(decided.graph.nodes(data=True)), list(decided.graph.edges(data=True))) == before


def test_plans_are_equal_exactly_when_they_say_the_same() -> None:
    mirror = chain(IN, "a:Mirror")
    first, again = planned(mirror), planned(mirror)
    other = planned(mirror, update_params={uid("a"): {"vertical_flip": True}})
    assert (first == again, first == other, first == "a plan") == (True, False, False)
    assert len({first, again, other}) == 2


def test_a_plan_is_written_with_one_member_on_a_line_and_a_newline_at_the_end() -> None:
    text = planned({**chain(IN, "a:Mirror"), "agent": {"name": "Café"}}).to_json()
    assert text.startswith('{\n "agent": {\n  "id": null,\n  "name": "Café"\n')
    assert text.endswith("\n}\n")


def test_only_the_stand_in_is_opaque_not_a_type_that_shares_its_name() -> None:
    class Opaque(NodeType):
        name = "Opaque"

    assert is_opaque(opaque(None, "Hologram"))
    assert not is_opaque(Opaque)
    assert not is_opaque(NodeType)
