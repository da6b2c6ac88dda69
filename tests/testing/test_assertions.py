"""`assert_plan`: the plans that each assertion accepts, and the messages of its failures."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tessera import RunRequest
from tessera.testing import NotationError, PlanAssertion, agent, assert_plan, node_id

DIAMOND = agent("input > rough_cut > {captions, mirror} > watermark > destination")
PAIR = agent("host:Video Input > mirror > captions; guest:Video Input > mirror_2 > captions")
VIDEO = {"duration_ms": 90_000, "width": 640, "height": 360, "fps": "25", "speech": [[0, 90_000]]}


def fails(check: Callable[[], object], *words: str) -> str:
    """Return the text of the failure of a check, and assert that it contains all words."""
    with pytest.raises(AssertionError) as caught:
        check()
    text = str(caught.value)
    assert all(word in text for word in words), text
    return text


def without(*tiles: str, of: Any = DIAMOND, **options: Any) -> PlanAssertion:
    return assert_plan(of, ignore=tiles, **options)


def test_edges_accepts_named_edges_if_no_other_edge_is_rewired() -> None:
    p = without("captions")
    assert p.edges("rough_cut > watermark via captions", "mirror > watermark") is p
    p.edges("rough_cut > watermark via captions").edges("{rough_cut} > watermark via captions")
    without().edges().edges("input > rough_cut > {captions, mirror} > watermark > destination")
    without("rough_cut", "captions").edges(
        "input > mirror via rough_cut", "input > watermark via rough_cut > captions"
    )


@pytest.mark.parametrize(
    ("ignored", "edge", "lines"),
    [
        (
            ["captions"],
            "rough_cut > watermark via mirror",
            [
                "- rough_cut > watermark via mirror",
                "+ rough_cut > watermark via captions",
                "mirror is not ignored",
            ],
        ),
        (["captions"], "rough_cut > captions", ["- rough_cut > captions", "captions is ignored"]),
        (
            ["captions"],
            "input > watermark",
            [
                "no such edge; input feeds: rough_cut",
                "watermark is fed by: rough_cut, mirror",
                "goes through rough_cut",
                "+ rough_cut > watermark via captions",
                "not expected; captions is ignored",
            ],
        ),
        (["captions"], "rough_cut > watermark", ["+ rough_cut > watermark via captions", "no such edge"]),
        ([], "rough_cut > mirror via captions", ["captions is not ignored"]),
        (["mirror"], "rough_cut > captions via mirror", ["the template has this edge itself"]),
        (["captions", "mirror"], "rough_cut > watermark via mirror", ["the plan uses another path"]),
        (
            ["captions", "mirror"],
            "rough_cut > watermark via mirror > captions",
            ["mirror does not feed captions"],
        ),
        (["input"], "input > rough_cut", ["input is ignored"]),
        ([], "destination > input", ["destination feeds: nothing", "input is fed by: nothing"]),
    ],
)
def test_a_wrong_edge_is_shown_with_the_cause(ignored: list[str], edge: str, lines: list[str]) -> None:
    template = "input > rough_cut > {captions, mirror} > watermark > destination; input_2 > mirror"
    fails(lambda: assert_plan(template, ignore=ignored).edges(edge), *lines)


def test_an_edge_of_a_skipped_tile_is_shown_with_the_cause() -> None:
    p = without("host", of=PAIR).skipped("mirror").tiles("guest, mirror_2, captions")
    fails(lambda: p.edges("mirror > captions"), "mirror does not run: nothing that runs leads to it")


def test_has_edges_only_edges_and_no_edges() -> None:
    p = without("captions", "mirror")
    p.has_edges("watermark > destination").has_edges()
    p.only_edges("input > rough_cut", "rough_cut > watermark via captions", "watermark > destination")
    p.no_edges("rough_cut > captions", "input > watermark").no_edges()
    fails(
        lambda: p.only_edges("input > rough_cut"),
        "+ watermark > destination",
        "not expected; the template has this edge",
    )
    fails(lambda: p.no_edges("rough_cut > watermark"), "+ rough_cut > watermark via captions")
    fails(lambda: p.has_edges("rough_cut > mirror"), "mirror is ignored")


def test_tiles_removed_skipped_and_order() -> None:
    p = without("captions").tiles("input", "rough_cut", "mirror", "watermark", "destination")
    p.removed("captions").skipped().order("input", "watermark").order("rough_cut > mirror > destination")
    fails(lambda: p.tiles("input", "captions"), "- captions (ignored)", "+ mirror (runs)")
    fails(lambda: p.removed(), "+ captions (ignored)")
    fails(lambda: p.skipped("mirror"), "- mirror (runs)")
    fails(lambda: p.order("watermark > input"), "- watermark > input", "+ input > watermark")
    fails(lambda: p.order("captions > input"), "captions does not run (ignored)")


def test_parameters_have_a_value_and_an_origin() -> None:
    template = "input > clips(num_clips=2) > watermark > reframe"
    p = assert_plan(template, set={"watermark.logo_size": 50, "reframe": {"aspect_ratio": "1:1"}})
    p.param("watermark.logo_size", 50).param("watermark.logo_size", 50.0, origin="override")
    p.param("reframe.aspect_ratio", "1:1", origin="override").param("clips.num_clips", 2, origin="template")
    p.param("clips.prompt", "", origin="default").param("clips.target_duration", None)
    fails(lambda: p.param("watermark.logo_size", 30), "watermark.logo_size is 50 (override), expected 30")
    fails(
        lambda: p.param("clips.num_clips", origin="override"),
        "is 2 with origin template, expected origin override",
    )
    fails(lambda: p.param("clips.num_clip"), "no parameter 'num_clip'; did you mean 'num_clips'")
    fails(lambda: without("captions").param("captions.caption_font"), "captions does not run (ignored)")


def test_values_are_compared_as_json() -> None:
    p = assert_plan("mirror_0:Mirror(vertical_flip=true); input")
    fails(lambda: p.param("mirror_0.vertical_flip", 1), "does not run (skipped)")
    p = assert_plan("input > mirror(vertical_flip=true)")
    fails(lambda: p.param("mirror.vertical_flip", 1), "is true (template), expected 1")


def test_warnings_are_found_by_code_tile_and_text() -> None:
    p = assert_plan("input > captions > rough_cut > mirror", set={"mirror.horizontal_flip": True})
    p.warns("order_advice").warns("order_advice", node="rough_cut", match="after Captions captions")
    p.warns("needless_override", node="mirror").no_warnings("skipped_tile")
    fails(
        lambda: p.warns("order_advice", node="mirror"),
        "expected a warning order_advice about mirror",
        "+ order_advice:",
    )
    fails(lambda: p.warns("order_advice", match="nonesuch"), "matching 'nonesuch'")
    fails(lambda: p.no_warnings(), "+ no_prompt: Rough Cut rough_cut has no prompt")
    fails(lambda: assert_plan("input").warns("no_prompt"), "the plan has no warnings")


def test_a_refused_request_is_asserted_by_pointers() -> None:
    p = without(
        "mirror", set={"captions.nonesuch": 1, "watermark.logo_size": "big", "mirror.vertical_flip": True}
    )
    p.raises(
        "/update_params/<captions>/nonesuch",
        "/update_params/<watermark>/logo_size",
        "/update_params/<mirror>",
    )
    p.raises("/update_params/<captions>/nonesuch", only=False).raises(match="ignored").raises()
    p.raises(f"/update_params/{node_id('captions')}/nonesuch", only=False)
    assert [fault.document for fault in p.errors] == ["request"] * 3
    fails(
        lambda: p.raises("/update_params/<captions>/nonesuch"),
        "+ '/update_params/<mirror>' (request): Mirror mirror is ignored",
    )
    fails(lambda: p.raises("/update_params/<rough_cut>", only=False), "- '/update_params/<rough_cut>'")
    fails(lambda: p.raises("/update_params/<mirror>", match="number", only=False), "matching 'number'")
    fails(lambda: p.raises(match="nonesuch text"), "- 'nonesuch text'")
    for check in (p.edges, p.tiles, p.no_warnings, p.outputs, lambda: p.param("mirror.x"), lambda: p.plan):
        fails(check, "rejected with these faults", "'/update_params/<watermark>/logo_size'")


def test_raises_fails_if_the_request_is_not_refused() -> None:
    fails(
        lambda: without().raises("/ignore_nodes/0"),
        "expected a fault at /ignore_nodes/0, but the request is valid",
    )
    assert without().errors == ()


def test_an_agent_that_does_not_load_can_be_asserted() -> None:
    p = assert_plan("input > clips(num_clips=0)").raises(
        "/agent_nodes/1/params_used/num_clips", match="at least 1"
    )
    fails(lambda: p.edges("input > clips"), "an invalid agent", "num_clips")
    assert_plan({"agent_nodes": 1, "connections": []}).raises("/agent_nodes")
    assert_plan("nowhere.json").raises("", match="cannot read")


def test_a_request_can_have_every_form_and_names_in_place_of_ids(tmp_path: Path) -> None:
    body = {"video_ids": ["v"], "ignore_nodes": [node_id("captions")]}
    path = tmp_path / "request.json"
    path.write_text(json.dumps(body))
    requests: Iterable[Any] = (body, json.dumps(body), path, str(path), RunRequest(**body))
    for request in requests:
        assert_plan(DIAMOND, request).removed("captions")
        assert_plan(DIAMOND, request, ignore="mirror").removed("captions", "mirror")
    named = {
        "ignore_nodes": ["<captions>"],
        "update_params": {"<mirror>": {"vertical_flip": True}},
        "video_inputs": [{"agent_node_id": "<input>", "video_ids": ["v"]}],
    }
    p = assert_plan(DIAMOND, named, set={"mirror.horizontal_flip": False})
    p.removed("captions").param("mirror.vertical_flip", True).param("mirror.horizontal_flip", False)
    for odd in ([], 3, "nowhere.json", "{"):
        assert_plan(DIAMOND, odd).raises("")


def test_every_input_that_runs_gets_a_dummy_source_by_default() -> None:
    def inputs(p: PlanAssertion) -> dict[str, list[str]]:
        name_of = p.names().name_of
        return {name_of[one.node]: [source.key for source in one.sources] for one in p.plan.inputs}

    assert inputs(without()) == {"input": ["input"]}
    assert inputs(without(of=PAIR)) == {"host": ["host"], "guest": ["guest"]}
    assert inputs(without("host", of=PAIR)) == {"guest": ["guest"]}
    assert inputs(without(of="s3_trigger > mirror")) == {"s3_trigger": ["s3_trigger"]}
    assert inputs(without(of="image_generation")) == {}
    url = "https://example.org/a.mp4"
    assert inputs(without(inputs=["v", url])) == {"input": ["v", url]}
    assert inputs(without(of=PAIR, inputs={"host": url, "guest": {"node_render_ids": ["r"]}})) == {
        "host": [url],
        "guest": ["r"],
    }
    assert inputs(assert_plan(DIAMOND, {"youtube_urls": [url]})) == {"input": [url]}
    without(inputs=[]).raises("", match="needs inputs")
    without(of=PAIR, inputs={"host": "v"}).raises("/video_inputs")


def test_items_durations_and_outputs_come_from_a_simulation() -> None:
    p = assert_plan("input > clips(num_clips=2, target_duration=10) > {mirror, reframe}", facts={"*": VIDEO})
    p.items(clips=2, mirror=2).items({"reframe": 2}).durations(clips=[10, 10.0]).durations({"input": 90})
    p.outputs(4).outputs("mirror", "mirror", "reframe", {"tile": "reframe", "seconds": 10, "height": 640})
    fails(lambda: p.items(clips=3), "clips: expected 3, got 2 (rank")
    fails(lambda: p.durations(clips=10), "clips: expected 10 s, got 10 s, 10 s")
    fails(lambda: p.outputs(1), "expected 1 outputs, got 4", "1. tile mirror, kind video, seconds 10.0")
    fails(lambda: p.outputs({"tile": "reframe", "width": 1}), "tile: expected 'reframe', got 'mirror'")


def test_a_dummy_input_is_a_minute_of_speech_and_other_inputs_have_no_assumed_facts() -> None:
    p = without().items(input=1, captions=1).durations(input=60)
    p.outputs({"width": 1920, "height": 1080, "fps": "30", "has_audio": True}, "watermark")
    without(facts={"input": VIDEO}).durations(input=90)
    fails(lambda: without(inputs="v").outputs(2), "cannot be simulated", "unknown video_id v")
    without("captions").items(captions=0)
    fails(lambda: without("captions").items(captions=1), "it does not run")


def test_unknown_names_are_errors_of_the_test() -> None:
    for check in (
        lambda: without("captoins"),
        lambda: without(set={"captoins.x": 1}),
        lambda: without(set={"captions": 1}),
        lambda: without().edges("captoins > mirror"),
        lambda: without().edges("captions"),
        lambda: without().edges("captions > mirror via a via b"),
        lambda: without().items(captoins=1),
    ):
        with pytest.raises(NotationError):
            check()


def test_tiles_of_an_export_are_named_by_their_types() -> None:
    p = assert_plan("fixtures/agents/two_inputs.json", ignore=["reframe_2"])
    p.edges("input_2 > watermark via reframe_2", "reframe > watermark > destination")


def test_a_stub_by_name_sets_the_items_or_the_fault_of_a_tile() -> None:
    a = "input > captions > {clips, mirror}"
    made = {"makes": [{"duration_ms": 3000}, {"duration_ms": 4000}]}
    p = assert_plan(a, stubs={"captions": made}).items(captions=2, mirror=2).durations(captions=[3, 4])
    p.durations(mirror=[3, 4])
    with pytest.raises(AssertionError, match="blocked: Captions captions failed"):
        assert_plan(a, stubs={"captions": {"fault": "error"}}).items(mirror=1)
    with pytest.raises(NotationError, match="no tile"):
        assert_plan(a, stubs={"watermark": made})


# reasons, credits, time and outputs in any order


def test_the_reason_of_an_item_is_asserted() -> None:
    p = assert_plan("input > clips(num_clips=2, target_duration=10) > mirror > destination")
    p.why(clips="rank 1 of 2").why({"mirror": "left to right"})
    fails(lambda: p.why(clips="rank 9"), "clips: no item says 'rank 9'", "rank 1 of 2")


def test_the_credits_of_a_run_are_asserted_exactly() -> None:
    p = assert_plan("input > mirror > destination")
    total = re.search(r"got ([0-9.]+)", fails(lambda: p.credits(-1), "expected -1 credits"))
    assert total is not None
    p.credits(total[1]).credits(float(total[1]))
    fails(lambda: p.credits(float(total[1]) + 1), f"got {total[1]}", "mirror")


def test_the_duration_of_a_run_is_asserted() -> None:
    p = assert_plan("input > mirror > destination")
    found = re.search(r"got ([0-9.]+) s", fails(lambda: p.makespan(0), "expected at most 0 s", "mirror"))
    assert found is not None
    p.makespan(float(found[1])).makespan(at_most=float(found[1]) + 1)
    fails(lambda: p.makespan(float(found[1]) - 0.01), "the longest path")


def test_outputs_are_asserted_in_any_order() -> None:
    p = assert_plan(
        'input > {mirror, reframe(aspect_ratio="1:1"), reframe_2(aspect_ratio="9:16")} > destination'
    )
    square, tall = {"width": 1080, "height": 1080}, {"tile": "reframe_2"}
    p.outputs(tall, {"width": 1920}, square, in_order=False)
    # A loose expectation never takes the output that a strict one needs.
    p.outputs({"kind": "video"}, square, {"kind": "video"}, in_order=False)
    fails(lambda: p.outputs(tall, {"width": 1920}, square), "outputs differ")
    fails(lambda: p.outputs(square, square, tall, in_order=False), "width: expected 1080, got 1920")
    fails(lambda: p.outputs(square, in_order=False), "expected 1, got 3")


@pytest.mark.slow
def test_types_tell_what_is_no_agent(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(
        "from tessera.testing import agent, assert_plan\n"
        "assert_plan('input > mirror')\n"
        "assert_plan({'agent_nodes': []}, {'video_ids': ['a']})\n"
        "assert_plan(3)  # type: ignore[arg-type]\n"
        "agent(3)  # type: ignore[arg-type]\n"
        "assert_plan('input > mirror', 3)  # type: ignore[arg-type]\n"
    )
    line = [sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports", str(tmp_path / "wrong.py")]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
