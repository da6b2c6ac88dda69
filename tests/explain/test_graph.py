"""`explain`: why a tile, a connection, a value and an output are as they are; the command."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from tessera import RequestError, load_agent, plan, simulate
from tessera.cli import main
from tessera.explain.graph import explain_edge, explain_parameter, explain_tile
from tessera.explain.output import explain_output, explain_traffic, flows_of
from tessera.explain.stories import Cause, EdgeStory, ParameterStory, TileStory
from tessera.graph.preview import has_inputs, preview
from tests.support.media import FIXTURES, MEDIA
from tests.support.planning import agent, chain, runs, uid

FACTS = {"*": {"duration_ms": 9000, "width": 640, "height": 360, "fps": 30, "speech": [[1000, 4000]]}}
DIAMOND = agent(
    *("Video Input", "Clips", "Mirror", "Captions", "Watermark", "Destination"),
    edges=[(0, 1), (1, 2), (1, 3), (2, 4), (3, 4), (4, 5)],
)


def tile(template: Any, node: int, **request: Any) -> TileStory:
    loaded = load_agent(template)
    return explain_tile(loaded, preview(loaded, request), uid(node))


def edge(template: Any, source: int, target: int, **request: Any) -> EdgeStory:
    loaded = load_agent(template)
    return explain_edge(loaded, preview(loaded, request), uid(source), uid(target))


def parameter(template: Any, node: int, name: str, **request: Any) -> ParameterStory:
    loaded = load_agent(template)
    return explain_parameter(loaded, preview(loaded, request), uid(node), name)


def ignoring(*nodes: int) -> dict[str, Any]:
    return {"ignore_nodes": [uid(node) for node in nodes]}


def places(causes: Iterable[Cause]) -> list[str]:
    return [cause.loc for cause in causes if cause.document]


# tiles


def test_a_source_runs_because_runs_start_from_it() -> None:
    story = tile(DIAMOND, 0)
    assert (story.state, story.loc) == ("runs", "/agent_nodes/0")
    assert "the run starts from it: it is a Video Input" in story.reason
    assert [link.tile.id for link in story.path] == [uid(0)]
    assert "generates its own media" in tile(agent("Image Generation"), 0).reason
    assert "no Video Input runs" in tile(chain("YouTube Trigger", "Mirror"), 0).reason


def test_a_tile_is_reached_by_the_shortest_way_from_a_source() -> None:
    story = tile(DIAMOND, 4, **ignoring(1))
    assert story.state == "runs"
    assert [link.tile.id for link in story.path] == [uid(0), uid(2), uid(4)]
    assert [[ref.name for ref in link.via] for link in story.path] == [[], ["Clips"], []]
    assert "reached from Video Input 00000000 through 2 connections" in story.reason
    assert [link.tile.id for link in story.fed_by] == [uid(2), uid(3)]
    assert [link.tile.id for link in story.feeds] == [uid(5)]


def test_every_source_that_leads_to_a_tile_is_told() -> None:
    two = agent("Video Input", "Mirror", "Video Input", "Watermark", edges=[(0, 1), (1, 3), (2, 3)])
    story = tile(two, 3)
    assert [ref.id for ref in story.reached_from] == [uid(0), uid(2)]
    assert [link.tile.id for link in story.path] == [uid(2), uid(3)]
    assert "and from 1 more source" in story.reason


def test_an_ignored_tile_says_by_which_entry_and_what_leads_past_it() -> None:
    story = tile(DIAMOND, 2, ignore_nodes=[uid(3), uid(2).upper()])
    assert story.state == "ignored"
    assert places(story.causes) == ["/ignore_nodes/1"]
    assert story.causes[0].document == "request"
    ((source, link),) = story.instead
    assert (source.id, link.tile.id, len(link.via)) == (uid(1), uid(4), 1)
    assert (story.path, story.fed_by, story.feeds) == ((), (), ())


@pytest.mark.parametrize(
    ("template", "node", "request_body", "words", "place"),
    [
        (
            agent("Video Input", "Mirror", "Video Input", "Captions", edges=[(0, 1), (2, 3)]),
            1,
            ignoring(0),
            "Video Input 00000000 leads to it but is ignored",
            "/ignore_nodes/0",
        ),
        (
            agent("Video Input", "Captions", "Mirror", edges=[(0, 1)]),
            2,
            {},
            "no tile feeds it, and a Mirror is not a source",
            "/agent_nodes/2",
        ),
        (
            agent("Video Input", "Captions", "Mirror", "Reframe", edges=[(0, 1), (2, 3)]),
            3,
            {},
            "a path to it begins at Mirror 00000002",
            "/agent_nodes/2",
        ),
        (
            agent("Video Input", "Captions", "YouTube Trigger", "Mirror", edges=[(0, 1), (2, 3)]),
            3,
            {},
            "YouTube Trigger 00000002 leads to it but does not run",
            "/agent_nodes/2",
        ),
    ],
)
def test_a_skipped_tile_says_why_nothing_leads_to_it(
    template: Any, node: int, request_body: dict[str, Any], words: str, place: str
) -> None:
    story = tile(template, node, **request_body)
    assert (story.state, story.reason) == ("skipped", "no running tile leads to it")
    assert words in story.causes[0].message
    assert places(story.causes) == [place]
    assert [notice.code for notice in story.notices] == ["skipped_tile"]


def test_a_trigger_is_skipped_beside_a_video_input() -> None:
    story = tile(agent("Video Input", "YouTube Trigger", "Mirror", edges=[(0, 2), (1, 2)]), 1)
    assert (story.state, story.reason) == ("skipped", "a trigger does not run if a Video Input runs")
    assert story.causes[0].message == "Video Input 00000000 runs"


def test_a_video_input_says_what_it_takes() -> None:
    story = tile(DIAMOND, 0, video_urls=["https://example.org/a.mp4"], input_clip_start_ms=1500)
    assert [cause.message for cause in story.inputs] == [
        "video_url https://example.org/a.mp4, 1.5 s to the end"
    ]
    assert places(story.inputs) == ["/video_urls/0"]
    assert [cause.message for cause in tile(DIAMOND, 0).inputs] == ["no input is given"]


def test_warnings_of_a_tile_are_its_own() -> None:
    template = chain("Video Input", "Rough Cut", "Mirror")
    request = {"update_params": {uid(2).upper(): {"horizontal_flip": True, "unheard_of": 1}}}
    assert [notice.code for notice in tile(template, 1, **request).notices] == ["no_prompt"]
    assert {notice.code for notice in tile(template, 2, **request).notices} == {
        "needless_override",
        "unknown_parameter",
    }


# parameters


def test_a_value_has_a_layer_for_each_that_gave_it() -> None:
    template = chain("Video Input", ("Clips", {"num_clips": 2}))
    request = {"update_params": {uid(1).upper(): {"num_clips": 3, "prompt": "best"}}}
    story = parameter(template, 1, "num_clips", **request)
    assert [(layer.origin, layer.value, layer.document, layer.loc) for layer in story.layers] == [
        ("default", None, None, ""),
        ("template", 2, "template", "/agent_nodes/1/params_used/num_clips"),
        ("override", 3, "request", f"/update_params/{uid(1).upper()}/num_clips"),
    ]
    assert (story.value, story.origin, story.runs, story.known) == (3, "override", True, True)
    assert [layer.origin for layer in parameter(template, 1, "prompt", **request).layers] == [
        "default",
        "override",
    ]
    assert parameter(template, 1, "target_duration").origin == "default"


def test_a_value_without_effect_says_so() -> None:
    template = chain("Video Input", ("Mirror", {"theirs/own~": 1}), "Captions")
    story = parameter(template, 1, "theirs/own~", **ignoring(1))
    assert (story.runs, story.known) == (False, False)
    assert [layer.loc for layer in story.layers] == ["/agent_nodes/1/params_used/theirs~1own~0"]


# connections


def test_a_connection_of_the_template_is_where_it_stands() -> None:
    story = edge(DIAMOND, 1, 3)
    assert (story.state, places(story.causes)) == ("template", ["/connections/2"])


def test_a_rewired_connection_names_every_tile_and_step_that_it_skips() -> None:
    story = edge(chain("Video Input", "Clips", "Mirror", "Captions"), 0, 3, **ignoring(2, 1))
    assert story.state == "rewired"
    assert [ref.name for ref in story.via] == ["Clips", "Mirror"]
    assert story.reason == "rewired past Clips 00000001, Mirror 00000002, which are ignored"
    assert places(story.causes) == ["/ignore_nodes/1", "/ignore_nodes/0"]
    assert places(story.path) == ["/connections/0", "/connections/1", "/connections/2"]


@pytest.mark.parametrize(
    ("source", "target", "ignored", "words", "found"),
    [
        (1, 2, [2], "Mirror 00000002 is ignored", ["/ignore_nodes/0", "/connections/1"]),
        (0, 4, [], "leads through Clips 00000001, Mirror 00000002", ["/connections/0", "/connections/1"]),
        (0, 4, [1, 2], "leads through Captions 00000003", [""]),
        (4, 1, [], "it is the other way round: Clips 00000001 leads to Watermark 00000004", []),
        (2, 3, [], "no path leads from Mirror 00000002 to Captions 00000003", []),
        (2, 2, [], "never connected to itself", []),
    ],
)
def test_a_connection_that_is_not_there_says_why(
    source: int, target: int, ignored: list[int], words: str, found: list[str]
) -> None:
    template = agent(
        *("Video Input", "Clips", "Mirror", "Captions", "Watermark"),
        edges=[(0, 1), (1, 2), (1, 3), (2, 4), (3, 4)] if ignored != [1, 2] else [(0, 1), (1, 3), (3, 4)],
    )
    story = edge(template, source, target, **ignoring(*ignored))
    assert story.state == "absent"
    assert words in story.reason
    assert set(found) <= set(places(story.causes))


def test_an_absent_connection_tells_what_there_is_instead() -> None:
    story = edge(DIAMOND, 2, 4, **ignoring(2))
    told = [cause.message for cause in story.causes]
    assert "instead Clips 00000001 → Watermark 00000004, past Mirror 00000002" in told
    assert [link.tile.id for link in story.fed_by] == [uid(1), uid(3)]
    skipped = edge(agent("Video Input", "Captions", "Mirror", edges=[(0, 1)]), 0, 2)
    assert skipped.reason == "Mirror 00000002 is skipped"
    assert "no path from one to the other" in skipped.causes[-1].message


@settings(max_examples=60)
@given(runs())
def test_stories_agree_with_the_plan(case: tuple[dict[str, Any], dict[str, Any]]) -> None:
    template, request = load_agent(case[0]), case[1]
    try:
        decided = plan(template, request)
    except RequestError:
        return
    for node in template:
        story = explain_tile(template, decided, node.id)
        assert (story.state == "runs") == (node.id in decided.graph)
        assert (story.state == "ignored") == (node.id in decided.changes.removed)
        for link, onward in zip(story.path, story.path[1:], strict=False):
            assert decided.graph.edges[link.tile.id, onward.tile.id]["via"] == tuple(
                ref.id for ref in onward.via
            )
        for one in story.parameters:
            values = decided.tile(node.id) if node.id in decided.graph else node
            assert (one.value, one.origin) == (values.values()[one.parameter], values.origin(one.parameter))
        for other in template:
            said = explain_edge(template, decided, node.id, other.id)
            assert (said.state != "absent") == decided.graph.has_edge(node.id, other.id)
            json.dumps(said.to_dict())
        json.dumps(story.to_dict())


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda t, p: explain_tile(t, p, uid(1)[:-1] + "2"), f"did you mean {uid(1)!r}"),
        (lambda t, p: explain_edge(t, p, uid(0), "nobody"), "this agent has no tile nobody"),
        (lambda t, p: explain_parameter(t, p, uid(1), "num_clip"), "did you mean 'num_clips'"),
        (lambda t, p: explain_parameter(t, p, uid(0), "x"), "has no parameter 'x'; it has none"),
    ],
)
def test_what_is_not_there_names_the_nearest(ask: Any, words: str) -> None:
    template = load_agent(DIAMOND)
    with pytest.raises(RequestError, match="(?s)" + words.replace("(", r"\(")):
        ask(template, preview(template))


# what goes through


def test_a_tile_receives_what_is_made_before_it() -> None:
    request = {"video_ids": ["v"], "update_params": {uid(1): {"num_clips": 2, "target_duration": 1}}}
    decided = plan(DIAMOND, request)
    record = simulate(decided, facts=FACTS).to_dict()
    story = explain_traffic(record, decided, uid(4))
    assert [(item.tile.name, item.number) for item in story.receives] == [
        *(("Mirror", 1), ("Mirror", 2), ("Captions", 1), ("Captions", 2))
    ]
    assert [item.duration_ms for item in story.makes] == [1000] * 4
    assert (story.status, story.outputs) == ("completed", ())
    assert explain_traffic(record, decided, uid(5)).outputs == (1, 2, 3, 4)
    assert str(flows_of(record)[uid(1)]) == "2 × 1 s"
    with pytest.raises(RequestError, match="not in this run"):
        explain_traffic(record, decided, "nobody")


def test_an_output_leads_back_to_seconds_of_its_source() -> None:
    template = chain(
        "Video Input", ("Clips", {"num_clips": 1, "target_duration": 1}), "Reframe", "Destination"
    )
    request = {"video_id_inputs": [{"id": "v", "input_clip_start_ms": 500}]}
    record = simulate(template, request, facts=FACTS).to_dict()
    story = explain_output(record, 1)
    assert [item.tile.name for item in story.steps] == ["Reframe", "Clips", "Video Input"]
    assert [item.parents for item in story.steps] == [((uid(1), 1),), ((uid(0), 1),), ()]
    assert story.steps[0].changes == ("640×360 → 360×640",)
    assert story.steps[1].changes == ("8.5 s → 1 s",)
    assert all(item.why for item in story.steps)
    (piece,) = story.steps[0].pieces
    assert piece.source == "v"
    assert piece.start_ms >= 500
    assert piece.end_ms - piece.start_ms == 1000
    assert story.inputs[0].clip_ms == (500.0, 9000.0)
    assert (story.delivered_by.name, story.number, story.total) == ("Destination", 1, 1)


def test_an_output_that_many_items_became_has_each_step_once() -> None:
    two = agent("Video Input", "Mirror", "Reframe", "Montage", edges=[(0, 1), (0, 2), (1, 3), (2, 3)])
    story = explain_output(simulate(two, {"video_ids": ["v"]}, facts=FACTS).to_dict(), 1)
    assert [item.tile.name for item in story.steps] == ["Montage", "Mirror", "Reframe", "Video Input"]


def test_an_output_that_is_not_there() -> None:
    record = simulate(DIAMOND, {"video_ids": ["v"]}, facts=FACTS).to_dict()
    count = len(record["outputs"])
    for number in (0, -1, count + 1):
        with pytest.raises(RequestError, match=f"this run makes {count}, numbered from 1"):
            explain_output(record, number)
    with pytest.raises(RequestError, match="makes no outputs: M 1 failed"):
        explain_output({**record, "outputs": [], "status_message": "M 1 failed"}, 1)
    with pytest.raises(RequestError, match="holds no items"):
        explain_output({**record, "items": []}, 1)


def test_a_preview_stands_in_for_inputs_only() -> None:
    template = load_agent(DIAMOND)
    assert not has_inputs(preview(template, {"ignore_nodes": [uid(1).upper()]}))
    assert has_inputs(preview(template, {"video_ids": ["v"]}))
    assert has_inputs(preview(load_agent(agent("Image Generation"))))
    for bad in ({"ignore_nodes": 3}, {"ignore_nodes": ["x"]}, {"video_urlz": []}, []):
        with pytest.raises(RequestError):
            preview(template, bad)


# the command

TALK = str(MEDIA / "talk.mp4")
AGENT = str(FIXTURES / "agents" / "ignored_middle.json")


def said(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["explain", *args])
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return code, out, err


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TESSERA_WORKSPACE", raising=False)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (
            ("--node", "Watermark", "--ignore", "Mirror"),
            ["═(past Mirror", "no input is given", "reached from"],
        ),
        (("--node", "Watermark", "--input", TALK), ["receives, by simulation", "24.024 s", "talk.mp4"]),
        (("--node", "Mirror", "--ignore", "Mirror"), ["ignored", "[request /ignore_nodes/0]"]),
        (("--node", "watermark.logo_size", "--set", "Watermark.logo_size=50"), ["= 50", "was", "30.0"]),
        (("--edge", "Reframe:Watermark", "--ignore", "Mirror"), ["rewired past Mirror", "/connections/2"]),
        (("--edge", "Reframe:Watermark", "--input", TALK), ["absent", "leads through Mirror"]),
        (("--edge", "Reframe:Mirror", "--input", TALK), ["carries", "1 × 24.024 s"]),
        (("--output", "1", "--input", TALK, "--clip", "2:5"), ["the way back", "2 s to 5 s of talk.mp4"]),
    ],
    ids=lambda value: " ".join(value)[:50],
)
def test_the_command_tells_it_as_text_and_as_json(
    capsys: pytest.CaptureFixture[str], args: tuple[str, ...], words: list[str]
) -> None:
    code, out, err = said(capsys, AGENT, *args)
    assert (code, err) == (0, "")
    assert [word for word in words if word not in out] == []
    assert "\x1b" not in out
    code, out, err = said(capsys, AGENT, *args, "--json")
    assert (code, err) == (0, "")
    assert isinstance(json.loads(out), dict)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "give one of --node"),
        (("--node", "Mirror", "--output", "1"), "give one of --node"),
        (("--node", "Miror"), "did you mean 'Mirror'"),
        (("--node", "Mirror.horizontal_flap"), "did you mean 'horizontal_flip'"),
        (("--node", "Miror.x"), "did you mean 'Mirror'"),
        (("--edge", "Mirror"), "give A:B"),
        (("--edge", "Mirror:Nobody"), "no node 'Nobody'"),
        (("--output", "7", "--input", TALK), "this run makes 1, numbered from 1"),
        (("--output", "1"), "needs inputs"),
        (("--node", "Mirror", "--ignore", "Nobody"), "no node 'Nobody'"),
        (("--node", "Mirror", "--facts", '{"*": {"width": "x"}}', "--input", TALK), "facts"),
        (("--node", "Mirror", "--of", "latest"), "no run 'latest'"),
        (("--node", "Mirror", "--of", "latest", "--ignore", "Mirror"), "holds its request"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_what_cannot_be_explained_ends_with_2(
    capsys: pytest.CaptureFixture[str], args: tuple[str, ...], words: str
) -> None:
    code, out, err = said(capsys, AGENT, *args)
    assert (code, out) == (2, "")
    assert words in err
    assert said(capsys, AGENT, *args, "--json")[0] == 2


def test_media_that_nobody_knows_leaves_the_graph_explained(capsys: pytest.CaptureFixture[str]) -> None:
    request = '{"video_urls": ["https://example.org/a.mp4"]}'
    code, out, _err = said(capsys, AGENT, request, "--node", "Mirror", "--json")
    found = json.loads(out)
    assert (code, found["state"], found["traffic"]) == (0, "runs", None)
    assert "is not known" in found["traffic_unknown"]
    code, out, _err = said(capsys, AGENT, request, "--node", "Mirror", "--facts", json.dumps(FACTS), "--json")
    assert json.loads(out)["traffic"]["makes"][0]["duration_ms"] == 9000


def test_a_simulation_may_assume_and_be_stubbed(capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.dumps({"*": {key: value for key, value in FACTS["*"].items() if key != "speech"}})
    template = json.dumps(
        chain("Video Input", ("Clips", {"num_clips": 1, "target_duration": 2}), "Destination")
    )
    args = (template, '{"video_ids": ["v"]}', "--node", "Clips", "--facts", facts)
    assert said(capsys, *args)[0] == 2
    code, out, _err = said(capsys, *args, "--assume")
    assert (code, "speech of v: assumed" in out) == (0, True)
    stub = json.dumps({"answers": {"speech": [[0, 5000]]}})
    code, out, _err = said(capsys, *args, "--stub", f"Clips={stub}", "--json")
    answers = json.loads(out)["traffic"]["answers"]
    assert (code, [one["origin"] for one in answers]) == (0, ["stubbed"])


def test_a_run_that_was_made_is_explained_from_its_record(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", AGENT, "--input", TALK, "--clip", "1:1.5", "--ignore", "Mirror"]) == 0
    code, out, _err = said(capsys, AGENT, "--of", "latest", "--output", "1", "--json")
    found = json.loads(out)
    assert (code, found["mode"], [step["tile"]["node_type_name"] for step in found["steps"]]) == (
        *(0, "run"),
        ["Watermark", "Reframe", "Video Input"],
    )
    assert Path(found["path"]).exists()
    code, out, _err = said(capsys, AGENT, "--of", "latest", "--node", "Mirror")
    assert (code, "ignored" in out) == (0, True)
    assert "in this run" in said(capsys, AGENT, "--of", "latest", "--node", "Reframe")[1]


def test_names_with_dots_and_colons_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    template = json.dumps(chain("Video Input", "v1.2: x", "Mirror"))
    opaque = ("--unknown-tiles", "opaque")
    assert said(capsys, template, "--node", "v1.2: x", *opaque)[0] == 0
    code, out, _err = said(capsys, template, "--edge", "v1.2: x:Mirror", *opaque, "--json")
    assert (code, json.loads(out)["state"]) == (0, "template")


def test_a_long_chain_is_explained_without_recursion(capsys: pytest.CaptureFixture[str]) -> None:
    Path("long.json").write_text(json.dumps(chain("Video Input", *["Mirror"] * 2000)))
    code, out, _err = said(capsys, "long.json", "--node", uid(2000), "--json")
    assert (code, len(json.loads(out)["path"])) == (0, 2001)
