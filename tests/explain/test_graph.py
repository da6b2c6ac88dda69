"""`explain`: the reasons for tiles, connections, values and outputs; the command."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from tessera import AgentTemplate, RequestError, load_agent, plan, simulate
from tessera.cli import main
from tessera.drawing.model import flows_of
from tessera.explain.graph import explain_edge, explain_parameter, explain_tile
from tessera.explain.output import explain_output, explain_traffic
from tessera.explain.stories import Cause, EdgeStory, ParameterStory, TileStory
from tessera.graph.preview import has_inputs, preview
from tessera.testing import agent, node_id
from tests.support.media import FIXTURES, MEDIA
from tests.support.planning import runs

FACTS = {"*": {"duration_ms": 9000, "width": 640, "height": 360, "fps": 30, "speech": [[1000, 4000]]}}
DIAMOND = agent("input > clips > {mirror, captions} > watermark > destination")
CLIPS = node_id("clips")


def tile(template: AgentTemplate, name: str, **request: Any) -> TileStory:
    return explain_tile(template, preview(template, request), node_id(name))


def edge(template: AgentTemplate, source: str, target: str, **request: Any) -> EdgeStory:
    return explain_edge(template, preview(template, request), node_id(source), node_id(target))


def parameter(template: AgentTemplate, tile: str, name: str, **request: Any) -> ParameterStory:
    return explain_parameter(template, preview(template, request), node_id(tile), name)


def ignoring(*names: str) -> dict[str, Any]:
    return {"ignore_nodes": ids(*names)}


def ids(*names: str) -> list[str]:
    return [node_id(name) for name in names]


def with_short_ids(text: str) -> str:
    """Return a text with the short id of a tile in place of each name in angle brackets."""
    return re.sub(r"<(\w+)>", lambda match: node_id(match[1])[:8], text)


def places(causes: Iterable[Cause]) -> list[str]:
    return [cause.loc for cause in causes if cause.document]


# tiles


def test_a_source_tile_runs_because_a_run_starts_from_it() -> None:
    story = tile(DIAMOND, "input")
    assert (story.state, story.loc) == ("runs", "/agent_nodes/0")
    assert "the run starts from it: it is a Video Input" in story.reason
    assert [link.tile.id for link in story.path] == ids("input")
    assert "generates its own media" in tile(agent("image_generation"), "image_generation").reason
    assert "no Video Input runs" in tile(agent("youtube_trigger > mirror"), "youtube_trigger").reason


def test_the_path_of_a_tile_is_the_shortest_path_from_a_source() -> None:
    story = tile(DIAMOND, "watermark", **ignoring("clips"))
    assert story.state == "runs"
    assert [link.tile.id for link in story.path] == ids("input", "mirror", "watermark")
    assert [[ref.name for ref in link.via] for link in story.path] == [[], ["Clips"], []]
    assert with_short_ids("reached from Video Input <input> through 2 connections") in story.reason
    assert [link.tile.id for link in story.fed_by] == ids("mirror", "captions")
    assert [link.tile.id for link in story.feeds] == ids("destination")


def test_every_source_that_leads_to_a_tile_is_listed() -> None:
    two = agent("{input, mirror, input_2, watermark}; input > mirror > watermark; input_2 > watermark")
    story = tile(two, "watermark")
    assert [ref.id for ref in story.reached_from] == ids("input", "input_2")
    assert [link.tile.id for link in story.path] == ids("input_2", "watermark")
    assert "and from 1 more source" in story.reason


def test_an_ignored_tile_has_its_entry_in_the_request_and_the_connection_that_replaces_it() -> None:
    story = tile(DIAMOND, "mirror", ignore_nodes=[node_id("captions"), node_id("mirror").upper()])
    assert story.state == "ignored"
    assert places(story.causes) == ["/ignore_nodes/1"]
    assert story.causes[0].document == "request"
    ((source, link),) = story.instead
    assert (source.id, link.tile.id, len(link.via)) == (*ids("clips", "watermark"), 1)
    assert (story.path, story.fed_by, story.feeds) == ((), (), ())


@pytest.mark.parametrize(
    ("template", "name", "request_body", "words", "place"),
    [
        (
            agent("input > mirror; input_2 > captions"),
            "mirror",
            ignoring("input"),
            "Video Input <input> leads to it but is ignored",
            "/ignore_nodes/0",
        ),
        (
            agent("input > captions; mirror"),
            "mirror",
            {},
            "no tile feeds it, and a Mirror is not a source",
            "/agent_nodes/2",
        ),
        (
            agent("input > captions; mirror > reframe"),
            "reframe",
            {},
            "a path to it begins at Mirror <mirror>",
            "/agent_nodes/2",
        ),
        (
            agent("input > captions; youtube_trigger > mirror"),
            "mirror",
            {},
            "YouTube Trigger <youtube_trigger> leads to it but does not run",
            "/agent_nodes/2",
        ),
    ],
)
def test_a_skipped_tile_has_a_reason_why_nothing_leads_to_it(
    template: AgentTemplate, name: str, request_body: dict[str, Any], words: str, place: str
) -> None:
    story = tile(template, name, **request_body)
    assert (story.state, story.reason) == ("skipped", "no running tile leads to it")
    assert with_short_ids(words) in story.causes[0].message
    assert places(story.causes) == [place]
    assert [notice.code for notice in story.notices] == ["skipped_tile"]


def test_a_trigger_is_skipped_beside_a_video_input() -> None:
    story = tile(agent("{input, youtube_trigger} > mirror"), "youtube_trigger")
    assert (story.state, story.reason) == ("skipped", "a trigger does not run if a Video Input runs")
    assert story.causes[0].message == with_short_ids("Video Input <input> runs")


def test_a_video_input_lists_its_sources() -> None:
    story = tile(DIAMOND, "input", video_urls=["https://example.org/a.mp4"], input_clip_start_ms=1500)
    assert [cause.message for cause in story.inputs] == [
        "video_url https://example.org/a.mp4, 1.5 s to the end"
    ]
    assert places(story.inputs) == ["/video_urls/0"]
    assert [cause.message for cause in tile(DIAMOND, "input").inputs] == ["no input is given"]


def test_a_tile_lists_only_its_own_warnings() -> None:
    template = agent("input > rough_cut > mirror")
    request = {"update_params": {node_id("mirror").upper(): {"horizontal_flip": True, "unheard_of": 1}}}
    assert [notice.code for notice in tile(template, "rough_cut", **request).notices] == ["no_prompt"]
    assert {notice.code for notice in tile(template, "mirror", **request).notices} == {
        "needless_override",
        "unknown_parameter",
    }


# parameters


def test_a_value_has_one_layer_for_each_origin() -> None:
    template = agent("input > clips(num_clips=2)")
    request = {"update_params": {node_id("clips").upper(): {"num_clips": 3, "prompt": "best"}}}
    story = parameter(template, "clips", "num_clips", **request)
    assert [(layer.origin, layer.value, layer.document, layer.loc) for layer in story.layers] == [
        ("default", None, None, ""),
        ("template", 2, "template", "/agent_nodes/1/params_used/num_clips"),
        ("override", 3, "request", f"/update_params/{node_id('clips').upper()}/num_clips"),
    ]
    assert (story.value, story.origin, story.runs, story.known) == (3, "override", True, True)
    assert [layer.origin for layer in parameter(template, "clips", "prompt", **request).layers] == [
        "default",
        "override",
    ]
    assert parameter(template, "clips", "target_duration").origin == "default"


def layers_of(
    capsys: pytest.CaptureFixture[str], *args: str
) -> list[tuple[str, Any, str | None, str, str, bool]]:
    code, out, err = run_command(capsys, *args, "--json")
    assert (code, err) == (0, "")
    names = ("origin", "value", "document", "loc", "option", "in_force")
    return [tuple(layer[name] for name in names) for layer in json.loads(out)["layers"]]


def test_every_layer_of_a_value_is_listed_and_the_winner_is_marked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    template = agent("input > clips(num_clips=2)").to_json()
    request = json.dumps({"update_params": {CLIPS.upper(): {"num_clips": 3}}})
    default = ("default", None, None, "", "", False)
    of_template = ("template", 2, "template", "/agent_nodes/1/params_used/num_clips", "", False)
    of_request = ("override", 3, "request", f"/update_params/{CLIPS.upper()}/num_clips", "", False)
    set_4 = ("override", 4, None, "", "--set Clips.num_clips=4", False)
    set_5 = ("override", 5, None, "", "--set clips.num_clips=5", True)
    typed = ("--set", "Clips.num_clips=4", "--set", "clips.num_clips=5")
    node = ("--node", "Clips.num_clips")
    every = [default, of_template, of_request, set_4, set_5]
    assert layers_of(capsys, template, request, *node, *typed) == every
    assert layers_of(capsys, template, *node, *typed) == [default, of_template, set_4, set_5]
    assert layers_of(capsys, template, request, *node)[-1] == (*of_request[:-1], True)
    assert layers_of(capsys, template, *node)[-1] == (*of_template[:-1], True)


def test_the_layers_of_a_value_fit_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    template = agent("input > clips(num_clips=2)").to_json()
    request = json.dumps({"update_params": {CLIPS: {"num_clips": 3}}})
    typed = ("--set", "Clips.num_clips=4", "--set", "Clips.num_clips=5")
    _code, out, _err = run_command(capsys, template, request, "--node", "Clips.num_clips", *typed)
    assert [line.split() for line in out.splitlines()[3:]] == [
        ["default", "null", "of", "every", "Clips"],
        ["template", "2", "/agent_nodes/1/params_used/num_clips"],
        ["request", "3", f"/update_params/{CLIPS}/num_clips"],
        ["--set", "4", "--set", "Clips.num_clips=4"],
        ["*", "--set", "5", "--set", "Clips.num_clips=5"],
    ]
    assert max(map(len, out.splitlines())) <= 80


def test_what_an_option_did_is_never_looked_for_in_the_request(
    capsys: pytest.CaptureFixture[str],
) -> None:
    template = agent("input > clips > mirror > watermark").to_json()
    request = json.dumps({"video_ids": ["v"], "ignore_nodes": [node_id("mirror")]})
    facts = ("--facts", json.dumps(FACTS))
    _code, out, _err = run_command(capsys, template, request, "--node", "Mirror", *facts, "--json")
    assert json.loads(out)["causes"][0]["loc"] == "/ignore_nodes/0"
    ignore = ("--ignore", "Mirror", "--ignore", "Watermark")
    _code, out, _err = run_command(capsys, template, request, "--node", "Watermark", *ignore, "--json")
    (cause,) = json.loads(out)["causes"]
    assert (cause["loc"], cause["document"], cause["option"]) == ("", None, "--ignore Watermark")
    asked = ("--set", "Clips.num_clips=9", "--set", "Clips.target_duration=5")
    for subject in (("--output", "1"), ("--node", "Clips")):
        _code, out, _err = run_command(capsys, template, request, *subject, *asked, *facts, "--json")
        found = json.loads(out)
        (short,) = found["not_as_asked"] if "not_as_asked" in found else found["traffic"]["not_as_asked"]
        assert (short["loc"], short["document"]) == ("", None)
        assert short["option"] == "--set Clips.num_clips=9"
    _code, out, _err = run_command(capsys, template, "--node", "Video Input", "--input", TALK, "--json")
    assert json.loads(out)["inputs"][0]["option"] == "--input"


def test_a_value_of_an_ignored_tile_has_no_effect() -> None:
    template = agent('input > mirror("theirs/own~"=1) > captions')
    story = parameter(template, "mirror", "theirs/own~", **ignoring("mirror"))
    assert (story.runs, story.known) == (False, False)
    assert [layer.loc for layer in story.layers] == ["/agent_nodes/1/params_used/theirs~1own~0"]


# connections


def test_a_connection_of_the_template_has_its_pointer() -> None:
    story = edge(DIAMOND, "clips", "captions")
    assert (story.state, places(story.causes)) == ("template", ["/connections/2"])


def test_a_rewired_connection_names_every_tile_and_step_it_bypasses() -> None:
    story = edge(
        agent("input > clips > mirror > captions"), "input", "captions", **ignoring("mirror", "clips")
    )
    assert story.state == "rewired"
    assert [ref.name for ref in story.via] == ["Clips", "Mirror"]
    assert story.reason == with_short_ids("rewired past Clips <clips>, Mirror <mirror>, which are ignored")
    assert places(story.causes) == ["/ignore_nodes/1", "/ignore_nodes/0"]
    assert places(story.path) == ["/connections/0", "/connections/1", "/connections/2"]


@pytest.mark.parametrize(
    ("source", "target", "ignored", "words", "found"),
    [
        ("clips", "mirror", ["mirror"], "Mirror <mirror> is ignored", ["/ignore_nodes/0", "/connections/1"]),
        (
            *("input", "watermark", []),
            "leads through Clips <clips>, Mirror <mirror>",
            ["/connections/0", "/connections/1"],
        ),
        ("input", "watermark", ["clips", "mirror"], "leads through Captions <captions>", [""]),
        (
            *("watermark", "clips", []),
            "it is the other way round: Clips <clips> leads to Watermark <watermark>",
            [],
        ),
        ("mirror", "captions", [], "no path leads from Mirror <mirror> to Captions <captions>", []),
        ("mirror", "mirror", [], "never connected to itself", []),
    ],
)
def test_an_absent_connection_has_a_reason(
    source: str, target: str, ignored: list[str], words: str, found: list[str]
) -> None:
    template = agent(
        "input > clips > {mirror, captions} > watermark"
        if ignored != ["clips", "mirror"]
        else "input; clips; mirror; input > clips > captions > watermark"
    )
    story = edge(template, source, target, **ignoring(*ignored))
    assert story.state == "absent"
    assert with_short_ids(words) in story.reason
    assert set(found) <= set(places(story.causes))


def test_an_absent_connection_names_the_connection_that_replaces_it() -> None:
    story = edge(DIAMOND, "mirror", "watermark", **ignoring("mirror"))
    messages = [cause.message for cause in story.causes]
    assert with_short_ids("instead Clips <clips> → Watermark <watermark>, past Mirror <mirror>") in messages
    assert [link.tile.id for link in story.fed_by] == ids("clips", "captions")
    skipped = edge(agent("input > captions; mirror"), "input", "mirror")
    assert skipped.reason == with_short_ids("Mirror <mirror> is skipped")
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
            edge_story = explain_edge(template, decided, node.id, other.id)
            assert (edge_story.state != "absent") == decided.graph.has_edge(node.id, other.id)
            json.dumps(edge_story.to_dict())
        json.dumps(story.to_dict())


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda t, p: explain_tile(t, p, CLIPS[:-1] + "x"), f"did you mean {CLIPS!r}"),
        (lambda t, p: explain_edge(t, p, node_id("input"), "nobody"), "this agent has no tile nobody"),
        (lambda t, p: explain_parameter(t, p, CLIPS, "num_clip"), "did you mean 'num_clips'"),
        (lambda t, p: explain_parameter(t, p, node_id("input"), "x"), "has no parameter 'x'; it has none"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(ask: Any, words: str) -> None:
    with pytest.raises(RequestError, match="(?s)" + words.replace("(", r"\(")):
        ask(DIAMOND, preview(DIAMOND))


# items


def test_a_tile_receives_the_items_of_the_tiles_before_it() -> None:
    request = {"video_ids": ["v"], "update_params": {CLIPS: {"num_clips": 2, "target_duration": 1}}}
    decided = plan(DIAMOND, request)
    record = simulate(decided, facts=FACTS).to_dict()
    story = explain_traffic(record, decided, node_id("watermark"))
    assert [(item.tile.name, item.number) for item in story.receives] == [
        *(("Mirror", 1), ("Mirror", 2), ("Captions", 1), ("Captions", 2))
    ]
    assert [item.duration_ms for item in story.makes] == [1000] * 4
    assert (story.status, story.outputs) == ("completed", ())
    assert explain_traffic(record, decided, node_id("destination")).outputs == (1, 2, 3, 4)
    assert str(flows_of(record)[CLIPS]) == "2 × 1 s"
    with pytest.raises(RequestError, match="not in this run"):
        explain_traffic(record, decided, "nobody")


def test_an_output_is_traced_back_to_seconds_of_its_source() -> None:
    template = agent("input > clips(num_clips=1, target_duration=1) > reframe > destination")
    request = {"video_id_inputs": [{"id": "v", "input_clip_start_ms": 500}]}
    record = simulate(template, request, facts=FACTS).to_dict()
    story = explain_output(record, 1)
    assert [item.tile.name for item in story.steps] == ["Reframe", "Clips", "Video Input"]
    assert [item.parents for item in story.steps] == [((CLIPS, 1),), ((node_id("input"), 1),), ()]
    assert story.steps[0].changes == ("640×360 → 360×640",)
    assert story.steps[1].changes == ("8.5 s → 1 s",)
    assert all(item.why for item in story.steps)
    (piece,) = story.steps[0].pieces
    assert piece.source == "v"
    assert piece.start_ms >= 500
    assert piece.end_ms - piece.start_ms == 1000
    assert story.inputs[0].clip_ms == (500.0, 9000.0)
    assert (story.delivered_by.name, story.number, story.total) == ("Destination", 1, 1)


def test_an_output_made_of_many_items_lists_each_step_once() -> None:
    two = agent("input > {mirror, reframe} > montage")
    story = explain_output(simulate(two, {"video_ids": ["v"]}, facts=FACTS).to_dict(), 1)
    assert [item.tile.name for item in story.steps] == ["Montage", "Mirror", "Reframe", "Video Input"]


def test_a_missing_output_is_refused_with_the_number_of_outputs() -> None:
    record = simulate(DIAMOND, {"video_ids": ["v"]}, facts=FACTS).to_dict()
    count = len(record["outputs"])
    for number in (0, -1, count + 1):
        with pytest.raises(RequestError, match=f"this run makes {count}, numbered from 1"):
            explain_output(record, number)
    with pytest.raises(RequestError, match="makes no outputs: M 1 failed"):
        explain_output({**record, "outputs": [], "status_message": "M 1 failed"}, 1)
    with pytest.raises(RequestError, match="holds no items"):
        explain_output({**record, "items": []}, 1)


def test_only_inputs_may_be_missing_in_a_preview() -> None:
    assert not has_inputs(preview(DIAMOND, {"ignore_nodes": [CLIPS.upper()]}))
    assert has_inputs(preview(DIAMOND, {"video_ids": ["v"]}))
    assert has_inputs(preview(agent("image_generation")))
    for bad in ({"ignore_nodes": 3}, {"ignore_nodes": ["x"]}, {"video_urlz": []}, []):
        with pytest.raises(RequestError):
            preview(DIAMOND, bad)


# the command

TALK = str(MEDIA / "talk.mp4")
AGENT = str(FIXTURES / "agents" / "ignored_middle.json")


def run_command(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
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
        (("--node", "Mirror", "--ignore", "Mirror"), ["ignored", "[--ignore Mirror]"]),
        (("--node", "watermark.logo_size", "--set", "Watermark.logo_size=50"), ["= 50", "* --set", "30.0"]),
        (("--edge", "Reframe:Watermark", "--ignore", "Mirror"), ["rewired past Mirror", "/connections/2"]),
        (("--edge", "Reframe:Watermark", "--input", TALK), ["absent", "leads through Mirror"]),
        (("--edge", "Reframe:Mirror", "--input", TALK), ["carries", "1 × 24.024 s"]),
        (("--output", "1", "--input", TALK, "--clip", "2:5"), ["the way back", "2 s to 5 s of talk.mp4"]),
    ],
    ids=lambda value: " ".join(value)[:50],
)
def test_the_command_explains_as_text_and_as_json(
    capsys: pytest.CaptureFixture[str], args: tuple[str, ...], words: list[str]
) -> None:
    code, out, err = run_command(capsys, AGENT, *args)
    assert (code, err) == (0, "")
    assert [word for word in words if word not in out] == []
    assert "\x1b" not in out
    code, out, err = run_command(capsys, AGENT, *args, "--json")
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
def test_a_question_without_an_answer_exits_with_2(
    capsys: pytest.CaptureFixture[str], args: tuple[str, ...], words: str
) -> None:
    code, out, err = run_command(capsys, AGENT, *args)
    assert (code, out) == (2, "")
    assert words in err
    assert run_command(capsys, AGENT, *args, "--json")[0] == 2


def test_the_graph_is_explained_even_if_the_media_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    request = '{"video_urls": ["https://example.org/a.mp4"]}'
    code, out, _err = run_command(capsys, AGENT, request, "--node", "Mirror", "--json")
    found = json.loads(out)
    assert (code, found["state"], found["traffic"]) == (0, "runs", None)
    assert "is not known" in found["traffic_unknown"]
    code, out, _err = run_command(
        capsys, AGENT, request, "--node", "Mirror", "--facts", json.dumps(FACTS), "--json"
    )
    assert json.loads(out)["traffic"]["makes"][0]["duration_ms"] == 9000


def test_a_simulation_takes_assumptions_and_stubs(capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.dumps({"*": {key: value for key, value in FACTS["*"].items() if key != "speech"}})
    template = agent("input > clips(num_clips=1, target_duration=2) > destination").to_json()
    args = (template, '{"video_ids": ["v"]}', "--node", "Clips", "--facts", facts)
    assert run_command(capsys, *args)[0] == 2
    code, out, _err = run_command(capsys, *args, "--assume")
    assert (code, "speech of v: assumed" in out) == (0, True)
    stub = json.dumps({"answers": {"speech": [[0, 5000]]}})
    code, out, _err = run_command(capsys, *args, "--stub", f"Clips={stub}", "--json")
    answers = json.loads(out)["traffic"]["answers"]
    assert (code, [one["origin"] for one in answers]) == (0, ["stubbed"])


def test_a_recorded_run_can_be_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", AGENT, "--input", TALK, "--clip", "1:1.5", "--ignore", "Mirror"]) == 0
    code, out, _err = run_command(capsys, AGENT, "--of", "latest", "--output", "1", "--json")
    found = json.loads(out)
    assert (code, found["mode"], [step["tile"]["node_type_name"] for step in found["steps"]]) == (
        *(0, "run"),
        ["Watermark", "Reframe", "Video Input"],
    )
    assert Path(found["path"]).exists()
    code, out, _err = run_command(capsys, AGENT, "--of", "latest", "--node", "Mirror")
    assert (code, "ignored" in out) == (0, True)
    assert "in this run" in run_command(capsys, AGENT, "--of", "latest", "--node", "Reframe")[1]


def test_names_with_dots_and_colons_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    template = agent('input > odd:"v1.2: x" > mirror', unknown_tiles="opaque").to_json()
    opaque = ("--unknown-tiles", "opaque")
    assert run_command(capsys, template, "--node", "v1.2: x", *opaque)[0] == 0
    code, out, _err = run_command(capsys, template, "--edge", "v1.2: x:Mirror", *opaque, "--json")
    assert (code, json.loads(out)["state"]) == (0, "template")


def test_a_long_chain_is_explained_without_recursion(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["input", *(f"mirror_{number}" for number in range(1, 2001))]
    Path("long.json").write_text(agent(" > ".join(names)).to_json())
    code, out, _err = run_command(capsys, "long.json", "--node", node_id("mirror_2000"), "--json")
    assert (code, len(json.loads(out)["path"])) == (0, 2001)


def test_a_run_is_explained_without_an_agent_and_says_why_tiles_ran_or_were_cached(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    template = tmp_path / "agent.json"
    template.write_text(agent("input > mirror(horizontal_flip=true) > watermark > destination").to_json())
    for size in ("20", "30"):
        main(["run", str(template), "--input", TALK, "--clip", ":1", "--set", f"Watermark.logo_size={size}"])
    template.unlink()
    _code, out, _err = run_command(capsys, "--of", "latest", "--output", "1", "--json")
    work = {one["tile"]["node_type_name"]: (one["how"], one["why"]) for one in json.loads(out)["work"]}
    assert work["Mirror"][0] == "cached"
    assert work["Watermark"][0] == "ran"
    assert "logo_size 20.0 → 30.0" in work["Watermark"][1]
    for subject in (("--node", "Watermark"), ("--output", "1")):
        code, out, _err = run_command(capsys, "--of", "latest", *subject)
        assert code == 0
        assert "why it ran or came from the cache" in out
        assert "logo_size 20.0 → 30.0" in out
    code, out, _err = run_command(capsys, "--of", "latest", "--node", "Watermark.logo_size", "--json")
    layer = json.loads(out)["layers"][-1]
    assert (layer["value"], layer["in_force"]) == (30, True)
    assert run_command(capsys, "--of", "latest", "--edge", "Mirror:Watermark")[0] == 0


def test_without_a_run_explain_needs_an_agent(capsys: pytest.CaptureFixture[str]) -> None:
    code, _out, err = run_command(capsys, "--node", "Mirror")
    assert (code, err) == (2, "error: no agent given: pass AGENT, or --of RUN\n")
