"""Valid run requests (contract, section 3), and the faults of requests that break a rule."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from tessera import RequestError, RunRequest
from tessera.errors import Fault
from tessera.request import SOURCE_FIELDS
from tessera.testing import agent, node_id
from tests.support.planning import (
    ONE_VIDEO,
    assert_has,
    assert_only,
    codes,
    edges_of,
    json_values,
    mutations,
    places,
    planned,
    refused,
)

TRIMMER = agent("a:Video Input")
TWO = agent("{a:Video Input, b:Video Input} > c:Rough Cut")
GENERATION = agent("a:Image Generation")
MIRRORED = agent("a:Video Input > b:Mirror > c:Destination")
A, B, C, D = (node_id(name) for name in "abcd")
NOBODY = A[:-2] + "00"

URL, YOUTUBE = "https://example.com/a.mp4", "https://youtu.be/abc"
ITEMS: dict[str, Any] = {
    "video_ids": "v",
    "node_render_ids": "r",
    "video_urls": URL,
    "youtube_urls": YOUTUBE,
    "signed_urls": URL + "?sig=1",
    "video_id_inputs": {"id": "v"},
    "node_render_inputs": {"id": "r"},
    "video_url_inputs": {"url": URL},
    "youtube_url_inputs": {"url": YOUTUBE},
    "mimir_assets": {"id": "m"},
}
START, END = "input_clip_start_ms", "input_clip_end_ms"
CLIPS: list[dict[str, int]] = [{}, {START: 0}, {START: 1500}, {END: 4000}, {START: 1500, END: 4000}]
OWN_CLIPS: list[dict[str, int]] = [{}, {START: 20}, {END: 90}, {START: 20, END: 90}]
Found = tuple[str, str, int | None, int | None]


def expected_source(field: str, item: Any, shared: dict[str, int]) -> Found:
    key = item if isinstance(item, str) else item.get("id", item.get("url"))
    own = {} if isinstance(item, str) else {name: item[name] for name in (START, END) if name in item}
    clip = own or shared
    return SOURCE_FIELDS[field], key, clip.get(START), clip.get(END)


def bound_sources(template: Any, request: Any, at: int = 0) -> list[Found]:
    sources = planned(template, request).inputs[at].sources
    return [(source.form, source.key, source.start_ms, source.end_ms) for source in sources]


def request_at(sources: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return a request with the sources at top level or in an entry of `video_inputs`."""
    return dict(sources) if place == "top" else {"video_inputs": [{"agent_node_id": A, **sources}]}


def test_these_tests_cover_every_source_form() -> None:
    assert list(ITEMS) == list(SOURCE_FIELDS)


@pytest.mark.parametrize("place", ["top", "entry"])
@pytest.mark.parametrize("shared", CLIPS, ids=str)
@pytest.mark.parametrize("field", ITEMS)
def test_every_source_form_works_with_every_clip_form(field: str, shared: dict[str, int], place: str) -> None:
    item = ITEMS[field]
    items = [item] if isinstance(item, str) else [{**item, **own} for own in OWN_CLIPS]
    found = bound_sources(TRIMMER, request_at({field: items, **shared}, place))
    assert found == [expected_source(field, item, shared) for item in items]


@pytest.mark.parametrize("place", ["top", "entry"])
@pytest.mark.parametrize("pair", list(combinations(ITEMS, 2)), ids="+".join)
def test_any_two_source_forms_mix_and_keep_their_order(pair: tuple[str, str], place: str) -> None:
    sources = {field: [ITEMS[field]] for field in reversed(pair)}
    found = bound_sources(TRIMMER, request_at({**sources, START: 7}, place))
    assert found == [expected_source(field, ITEMS[field], {START: 7}) for field in pair]


@pytest.mark.parametrize("place", ["top", "entry"])
def test_all_source_forms_mix_with_and_without_clips(place: str) -> None:
    sources = {
        field: [item, item] if isinstance(item, str) else [{**item, **own} for own in OWN_CLIPS]
        for field, item in ITEMS.items()
    }
    found = bound_sources(TRIMMER, request_at({**sources, START: 5, END: 6}, place))
    assert found == [
        expected_source(field, item, {START: 5, END: 6}) for field in ITEMS for item in sources[field]
    ]


def test_an_item_with_its_own_range_ignores_the_shared_range() -> None:
    request = {"video_id_inputs": [{"id": "v", START: 9000}], END: 4000}
    assert bound_sources(TRIMMER, request) == [("video_id", "v", 9000, None)]


def test_a_source_keeps_its_pointer_into_the_request() -> None:
    request = request_at({"video_ids": ["a", "b"], "mimir_assets": [{"id": "m"}]}, "entry")
    sources = planned(TRIMMER, request).inputs[0].sources
    assert [source.loc for source in sources] == [
        "/video_inputs/0/video_ids/0",
        "/video_inputs/0/video_ids/1",
        "/video_inputs/0/mimir_assets/0",
    ]


@pytest.mark.parametrize(
    ("given", "taken"), [({}, "highres"), ({"artifact": "proxy"}, "proxy"), ({"artifact": "auto"}, "auto")]
)
def test_a_mimir_asset_names_its_artifact(given: dict[str, str], taken: str) -> None:
    (source,) = planned(TRIMMER, {"mimir_assets": [{"id": "m", **given}]}).inputs[0].sources
    assert source.artifact == taken


def test_several_video_inputs_are_bound_in_the_order_of_the_template() -> None:
    entries = [
        {"agent_node_id": B.upper(), "video_ids": ["b"], START: 1},
        {"agent_node_id": A, "video_urls": [URL], "node_render_ids": ["r"]},
    ]
    p = planned(TWO, {"video_inputs": entries})
    assert [binding.node for binding in p.inputs] == [A, B]
    assert bound_sources(TWO, {"video_inputs": entries}, 0) == [
        ("node_render_id", "r", None, None),
        ("video_url", URL, None, None),
    ]
    assert bound_sources(TWO, {"video_inputs": entries}, 1) == [("video_id", "b", 1, None)]


@pytest.mark.parametrize("nothing", [None, []], ids=["null", "empty"])
def test_empty_arrays_and_nulls_count_as_absent(nothing: Any) -> None:
    top = dict.fromkeys((*SOURCE_FIELDS, "video_inputs", "ignore_nodes"), nothing)
    rest = {"callback_url": None, "update_params": None, START: None, END: None}
    assert planned(GENERATION, {**top, **rest}).inputs == ()
    assert bound_sources(TRIMMER, {**top, **rest, "video_ids": ["v"]}) == [("video_id", "v", None, None)]
    assert bound_sources(
        TRIMMER,
        {
            **top,
            **rest,
            "video_inputs": [
                {"agent_node_id": A, **dict.fromkeys(SOURCE_FIELDS, nothing), "video_ids": ["v"]}
            ],
        },
    )
    assert_only(refused(TRIMMER, top), "", A)


@pytest.mark.parametrize("form", ["dict", "text", "bytes", "path", "model"])
def test_a_request_can_be_a_model_a_dict_json_text_bytes_or_a_path(form: str, tmp_path: Path) -> None:
    request = {"video_id_inputs": [{"id": "v", START: 3}], "callback_url": "https://example.com/hook"}
    text = json.dumps(request)
    (tmp_path / "request.json").write_text(text)
    given = {
        "dict": request,
        "text": text,
        "bytes": text.encode(),
        "path": tmp_path / "request.json",
        "model": RunRequest.model_validate(request),
    }[form]
    assert planned(TRIMMER, given) == planned(TRIMMER, request)


def test_the_callback_url_is_recorded() -> None:
    p = planned(TRIMMER, {**ONE_VIDEO, "callback_url": "https://example.com/hook?x=1"})
    assert p.request.callback_url == "https://example.com/hook?x=1"


BAD_URLS = [
    "ftp://example.com/a",
    "file:///etc/passwd",
    "example.com",
    "",
    "http://",
    "https://exa mple.com/",
    "http://[::1",
    "http://h:99999/",
]

BREACHES: list[tuple[str, Any, Any, str, tuple[str, ...]]] = [
    (
        "top level and entries",
        TRIMMER,
        {**ONE_VIDEO, **request_at(ONE_VIDEO, "entry")},
        "/video_inputs",
        ("video_ids", "not both"),
    ),
    ("top level for two inputs", TWO, ONE_VIDEO, "/video_ids", (A, B, "video_inputs")),
    ("no inputs", TRIMMER, {}, "", ("needs inputs", A)),
    ("no request", TRIMMER, None, "", ("needs inputs", A)),
    (
        "an input without an entry",
        TWO,
        request_at({"video_ids": ["v"]}, "entry"),
        "/video_inputs",
        ("no entry", B),
    ),
    (
        "an entry without a source",
        TRIMMER,
        request_at({"video_ids": []}, "entry"),
        "/video_inputs/0",
        ("no source", A),
    ),
    (
        "an entry with a range and no source",
        TRIMMER,
        request_at({START: 3}, "entry"),
        "/video_inputs/0",
        ("no source", A),
    ),
    (
        "an entry of an unknown node",
        TRIMMER,
        {
            "video_inputs": [
                {"agent_node_id": A, "video_ids": ["v"]},
                {"agent_node_id": NOBODY, "video_ids": ["v"]},
            ]
        },
        "/video_inputs/1/agent_node_id",
        ("unknown node", NOBODY, A),
    ),
    (
        "an entry of another tile",
        MIRRORED,
        {
            "video_inputs": [
                {"agent_node_id": A, "video_ids": ["v"]},
                {"agent_node_id": B, "video_ids": ["v"]},
            ]
        },
        "/video_inputs/1/agent_node_id",
        ("Mirror", B, A),
    ),
    (
        "an entry twice",
        TRIMMER,
        {
            "video_inputs": [
                {"agent_node_id": A, "video_ids": ["v"]},
                {"agent_node_id": A.upper(), "video_ids": ["w"]},
            ]
        },
        "/video_inputs/1/agent_node_id",
        ("already",),
    ),
    ("sources for a generation-only agent", GENERATION, ONE_VIDEO, "/video_ids", ("takes no inputs",)),
    (
        "entries for a generation-only agent",
        GENERATION,
        request_at({"video_ids": ["v"]}, "entry"),
        "/video_inputs",
        ("takes no inputs",),
    ),
    (
        "a range for a generation-only agent",
        GENERATION,
        {START: 5},
        "/input_clip_start_ms",
        ("takes no inputs",),
    ),
    (
        "a top-level range beside entries only",
        TRIMMER,
        {START: 5, **request_at({"video_ids": ["v"]}, "entry")},
        "/input_clip_start_ms",
        ("entry",),
    ),
    ("end before start", TRIMMER, {**ONE_VIDEO, START: 5, END: 4}, "/input_clip_end_ms", ("4 ms", "5 ms")),
    ("end at start", TRIMMER, {**ONE_VIDEO, START: 5, END: 5}, "/input_clip_end_ms", ("5 ms",)),
    ("end at 0", TRIMMER, {**ONE_VIDEO, END: 0}, "/input_clip_end_ms", ("0 ms",)),
    (
        "end before start in an entry",
        TRIMMER,
        request_at({"video_ids": ["v"], START: 5, END: 4}, "entry"),
        "/video_inputs/0/input_clip_end_ms",
        ("4 ms", "5 ms"),
    ),
    (
        "end before start in an item",
        TRIMMER,
        {"video_id_inputs": [{"id": "v"}, {"id": "v", START: 5, END: 4}]},
        "/video_id_inputs/1/input_clip_end_ms",
        ("4 ms", "5 ms"),
    ),
    (
        "end before start in an item of an entry",
        TRIMMER,
        request_at({"mimir_assets": [{"id": "m", START: 5, END: 4}]}, "entry"),
        "/video_inputs/0/mimir_assets/0/input_clip_end_ms",
        ("4 ms", "5 ms"),
    ),
    ("negative start", TRIMMER, {**ONE_VIDEO, START: -1}, "/input_clip_start_ms", ("at least 0", "-1")),
    ("negative end", TRIMMER, {**ONE_VIDEO, END: -1}, "/input_clip_end_ms", ("at least 0", "-1")),
    (
        "a fraction of a ms",
        TRIMMER,
        {**ONE_VIDEO, START: 1.5},
        "/input_clip_start_ms",
        ("whole number", "1.5"),
    ),
    ("a range in text", TRIMMER, {**ONE_VIDEO, START: "5"}, "/input_clip_start_ms", ("whole number",)),
    (
        "a range of true",
        TRIMMER,
        {**ONE_VIDEO, START: True},
        "/input_clip_start_ms",
        ("whole number", "true"),
    ),
    (
        "an unknown field",
        TRIMMER,
        {**ONE_VIDEO, "video_idz": ["v"]},
        "/video_idz",
        ("unknown field", "'video_ids'"),
    ),
    (
        "an unknown field of an entry",
        TRIMMER,
        request_at({"video_ids": ["v"], "youtube_url": [YOUTUBE]}, "entry"),
        "/video_inputs/0/youtube_url",
        ("'youtube_urls'",),
    ),
    (
        "an unknown field of an item",
        TRIMMER,
        {"video_url_inputs": [{"url": URL, "input_clip_start": 4}]},
        "/video_url_inputs/0/input_clip_start",
        ("'input_clip_start_ms'",),
    ),
    (
        "an unknown field of an item of an entry",
        TRIMMER,
        request_at({"mimir_assets": [{"id": "m", "artefact": "proxy"}]}, "entry"),
        "/video_inputs/0/mimir_assets/0/artefact",
        ("'artifact'",),
    ),
    (
        "an entry without its node",
        TRIMMER,
        {"video_inputs": [{"video_ids": ["v"]}]},
        "/video_inputs/0",
        ("agent_node_id", "required"),
    ),
    (
        "an item without its id",
        TRIMMER,
        {"video_id_inputs": [{START: 5}]},
        "/video_id_inputs/0",
        ("'id' is required",),
    ),
    (
        "an item without its URL",
        TRIMMER,
        {"youtube_url_inputs": [{}]},
        "/youtube_url_inputs/0",
        ("'url' is required",),
    ),
    ("an empty id", TRIMMER, {"video_ids": [""]}, "/video_ids/0", ("at least 1",)),
    ("a null id", TRIMMER, {"video_ids": [None]}, "/video_ids/0", ("a string", "null")),
    ("an id for an array", TRIMMER, {"video_ids": "v"}, "/video_ids", ("an array",)),
    (
        "an object for entries",
        TRIMMER,
        {"video_inputs": {"agent_node_id": A}},
        "/video_inputs",
        ("an array", "an object"),
    ),
    (
        "an unknown artifact",
        TRIMMER,
        {"mimir_assets": [{"id": "m", "artifact": "lowres"}]},
        "/mimir_assets/0/artifact",
        ("'highres'", "'proxy'", "lowres"),
    ),
    ("a request that is a list", TRIMMER, [], "", ("an object",)),
    ("a request that is a number", TRIMMER, 3, "", ("an object",)),
    ("a request that is not JSON", TRIMMER, "{]", "", ("not JSON", "line 1, column 2")),
    (
        "a request that is not there",
        TRIMMER,
        "/no/such/request.json",
        "",
        ("/no/such/request.json", "No such file"),
    ),
    (
        "an unknown ignored node",
        TRIMMER,
        {**ONE_VIDEO, "ignore_nodes": [NOBODY]},
        "/ignore_nodes/0",
        ("unknown node", NOBODY),
    ),
    ("an ignored number", TRIMMER, {**ONE_VIDEO, "ignore_nodes": [3]}, "/ignore_nodes/0", ("a string",)),
    ("ignored as text", TRIMMER, {**ONE_VIDEO, "ignore_nodes": A}, "/ignore_nodes", ("an array",)),
    ("all ignored", MIRRORED, {"ignore_nodes": [A, B, C]}, "/ignore_nodes", ("no tile is left",)),
    (
        "all that runs ignored",
        agent("a:Video Input; b:Mirror"),
        {"ignore_nodes": [A]},
        "/ignore_nodes",
        ("no tile is left",),
    ),
    (
        "an ignored input has an entry",
        TWO,
        {"ignore_nodes": [A], "video_inputs": [{"agent_node_id": n, "video_ids": ["v"]} for n in (A, B)]},
        "/video_inputs/0/agent_node_id",
        (A, "ignored", B),
    ),
    (
        "a trigger beside an input has an entry",
        agent("a:Video Input; b:S3 Trigger"),
        {"video_inputs": [{"agent_node_id": n, "video_ids": ["v"]} for n in (A, B)]},
        "/video_inputs/1/agent_node_id",
        ("S3 Trigger", B, A),
    ),
    (
        "overrides of an unknown node",
        TRIMMER,
        {**ONE_VIDEO, "update_params": {NOBODY: {}}},
        f"/update_params/{NOBODY}",
        ("unknown node", NOBODY),
    ),
    ("overrides as an array", TRIMMER, {**ONE_VIDEO, "update_params": []}, "/update_params", ("an object",)),
    (
        "overrides of one tile as an array",
        MIRRORED,
        {**ONE_VIDEO, "update_params": {B: []}},
        f"/update_params/{B}",
        ("an object",),
    ),
    (
        "overrides of an input",
        MIRRORED,
        {**ONE_VIDEO, "update_params": {A: {"x": 1}}},
        f"/update_params/{A}",
        ("Video Input", A, "protected"),
    ),
    (
        "overrides of a destination",
        MIRRORED,
        {**ONE_VIDEO, "update_params": {C: {"mode": "export"}}},
        f"/update_params/{C}",
        ("Destination", C, "protected"),
    ),
    (
        "overrides of a trigger",
        agent("a:S3 Trigger > b:Mirror"),
        {**ONE_VIDEO, "update_params": {A: {"x": 1}}},
        f"/update_params/{A}",
        ("S3 Trigger", "protected"),
    ),
    (
        "overrides of an ignored tile",
        MIRRORED,
        {**ONE_VIDEO, "ignore_nodes": [B], "update_params": {B: {"horizontal_flip": True}}},
        f"/update_params/{B}",
        ("Mirror", B, "ignored"),
    ),
    (
        "overrides of an unreachable tile",
        agent("a:Video Input; b:Mirror"),
        {**ONE_VIDEO, "update_params": {B: {"horizontal_flip": True}}},
        f"/update_params/{B}",
        ("Mirror", B, "does not run"),
    ),
    (
        "one tile overridden under two spellings",
        MIRRORED,
        {**ONE_VIDEO, "update_params": {B: {"horizontal_flip": True}, B.upper(): {"horizontal_flip": False}}},
        f"/update_params/{B.upper()}",
        ("twice", B),
    ),
    (
        "overrides of a documented type's unknown parameter",
        agent("a:Video Input > b:Clips"),
        {**ONE_VIDEO, "update_params": {B: {"num_clip": 3}}},
        f"/update_params/{B}/num_clip",
        ("Clips", B, "'num_clips'"),
    ),
    (
        "a parameter of another type",
        agent("a:Video Input > b:Clips"),
        {**ONE_VIDEO, "update_params": {B: {"num_clips": "3"}}},
        f"/update_params/{B}/num_clips",
        ("whole number", '"3"'),
    ),
    (
        "a parameter out of range",
        agent("a:Video Input > b:Clips"),
        {**ONE_VIDEO, "update_params": {B: {"num_clips": 21}}},
        f"/update_params/{B}/num_clips",
        ("at most 20", "21"),
    ),
    (
        "null where the schema has none",
        agent("a:Video Input > b:Clips"),
        {**ONE_VIDEO, "update_params": {B: {"prompt": None}}},
        f"/update_params/{B}/prompt",
        ("a string", "null"),
    ),
    (
        "parameters that do not go together",
        agent("a:Video Input > b:Watermark"),
        {**ONE_VIDEO, "update_params": {B: {"use_custom_logo": "custom"}}},
        f"/update_params/{B}",
        ("image_id",),
    ),
    *(
        (f"a video URL {url!r}", TRIMMER, {"video_urls": [URL, url]}, "/video_urls/1", ("http or https URL",))
        for url in BAD_URLS
    ),
    *(
        (
            f"a callback {url!r}",
            TRIMMER,
            {**ONE_VIDEO, "callback_url": url},
            "/callback_url",
            ("http or https URL",),
        )
        for url in BAD_URLS
    ),
    *(
        (
            f"a URL of an item of {field}",
            TRIMMER,
            {field: [{"url": "ftp://x/y"}]},
            f"/{field}/0/url",
            ("http or https",),
        )
        for field in ("video_url_inputs", "youtube_url_inputs")
    ),
    *(
        (f"a URL among {field}", TRIMMER, {field: ["ftp://x/y"]}, f"/{field}/0", ("http or https",))
        for field in ("youtube_urls", "signed_urls")
    ),
]


@pytest.mark.parametrize(
    ("template", "request_", "loc", "words"),
    [case[1:] for case in BREACHES],
    ids=[case[0] for case in BREACHES],
)
def test_each_broken_rule_gives_one_fault_with_its_pointer(
    template: Any, request_: Any, loc: str, words: tuple[str, ...]
) -> None:
    assert_only(refused(template, request_), loc, *words)


def test_faults_of_shape_and_of_graph_are_reported_together() -> None:
    request = {
        "video_ids": ["v", 3],
        "video_urlz": [],
        START: 5,
        END: 4,
        "callback_url": "nowhere",
        "video_inputs": [{"agent_node_id": NOBODY, "video_ids": ["v"], "extra": 1}],
        "ignore_nodes": [NOBODY, 7],
        "update_params": {C: {"prompt": 3, "model_tier": "slow"}, A: {"x": 1}, B: 5},
    }
    assert sorted(places(refused(TWO, request))) == sorted(
        [
            "/video_ids/1",
            "/video_urlz",
            "/input_clip_end_ms",
            "/callback_url",
            "/video_inputs",
            "/video_inputs",
            "/video_inputs/0/agent_node_id",
            "/video_inputs/0/extra",
            "/ignore_nodes/0",
            "/ignore_nodes/1",
            f"/update_params/{C}/prompt",
            f"/update_params/{C}/model_tier",
            f"/update_params/{A}",
            f"/update_params/{B}",
        ]
    )


def test_faults_of_template_and_of_request_are_reported_together() -> None:
    template = agent("input > mirror:Mirrorr", unknown_tiles="opaque").to_dict()
    faults = refused(template, {"video_ids": "v"})
    assert {(fault.document, fault.loc) for fault in faults} == {
        ("template", "/agent_nodes/1/node_type"),
        ("request", "/video_ids"),
    }


def test_a_model_that_breaks_a_rule_is_refused_like_its_json() -> None:
    assert_only(
        refused(TRIMMER, RunRequest(video_ids=["v"], input_clip_start_ms=5, input_clip_end_ms=4)),
        "/input_clip_end_ms",
    )


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), 10**5000, {1, 2}, object(), "\ud800"],
    ids=["nan", "inf", "digits", "set", "object", "surrogate"],
)
def test_a_value_that_json_cannot_hold_is_a_fault_with_its_pointer(value: Any) -> None:
    request = {**ONE_VIDEO, "update_params": {B: {"horizontal_flip": [True, value]}}}
    assert_has(refused(MIRRORED, request), f"/update_params/{B}/horizontal_flip/1", "JSON")


def test_a_generation_only_agent_needs_no_request() -> None:
    assert planned(GENERATION, None).order == (A,)
    assert planned(GENERATION, {}).inputs == ()


def test_a_trigger_beside_a_video_input_is_skipped_with_the_tiles_only_it_feeds() -> None:
    p = planned(agent("a:YouTube Trigger; b:Video Input > c:Mirror; d:Mirror; a > {c, d}"))
    assert p.order == (B, C)
    assert p.changes.skipped == (A, D)
    assert codes(p).count("skipped_tile") == 2
    assert [binding.node for binding in p.inputs] == [B]


def test_a_trigger_without_a_video_input_takes_the_requests_inputs() -> None:
    assert [binding.node for binding in planned(agent("a:YouTube Trigger > b:Mirror")).inputs] == [A]


def test_a_trigger_takes_the_inputs_if_the_video_input_beside_it_is_ignored() -> None:
    p = planned(
        agent("{a:Video Input, b:S3 Trigger} > c:Mirror"),
        {**ONE_VIDEO, "ignore_nodes": [A]},
    )
    assert (p.order, [binding.node for binding in p.inputs]) == ((B, C), [B])


def test_an_ignored_video_input_needs_no_entry_and_the_tiles_only_it_feeds_are_skipped() -> None:
    template = agent("{a:Video Input, b:Video Input}; a > c:Mirror; b > d:Mirror")
    p = planned(template, {**ONE_VIDEO, "ignore_nodes": [A]})
    assert p.order == (B, D)
    assert p.changes.removed == (A,)
    assert p.changes.skipped == (C,)


def test_a_destination_and_an_unreachable_tile_may_be_ignored() -> None:
    p = planned(agent("a:Video Input > b:Destination; c:Mirror"), {**ONE_VIDEO, "ignore_nodes": [B, C]})
    assert (p.order, p.changes.removed, p.changes.skipped) == ((A,), (B, C), ())


def test_ignored_ids_may_repeat_and_differ_in_case() -> None:
    p = planned(MIRRORED, {**ONE_VIDEO, "ignore_nodes": [B, B.upper(), B]})
    assert p.changes.removed == (B,)
    assert edges_of(p) == {(A, C): (B,)}


def test_overridden_ids_may_differ_in_case() -> None:
    p = planned(MIRRORED, {**ONE_VIDEO, "update_params": {B.upper(): {"vertical_flip": True}}})
    assert p.tile(B).values()["vertical_flip"] is True


def test_an_override_replaces_a_nested_object_as_a_whole() -> None:
    template = agent('a:Image Generation(selected_context={"a": 1, "b": {"c": 2}})')
    p = planned(template, {"update_params": {A: {"selected_context": {"b": {"d": 3}}}}})
    assert p.tile(A).values()["selected_context"] == {"b": {"d": 3}}
    assert p.tile(A).params.model_dump()["selected_context"] == {"b": {"d": 3}}


def test_null_overrides_where_the_schema_allows_it() -> None:
    p = planned(
        agent("a:Video Input > b:Clips(num_clips=3)"),
        {**ONE_VIDEO, "update_params": {B: {"num_clips": None}}},
    )
    assert p.tile(B).values()["num_clips"] is None


def test_an_override_can_complete_parameters_of_the_template() -> None:
    image = node_id("image")
    values = {"use_custom_logo": "custom", "image_id": image}
    p = planned(agent("a:Video Input > b:Watermark"), {**ONE_VIDEO, "update_params": {B: values}})
    assert p.tile(B).params.model_dump()["image_id"] == image


@pytest.mark.parametrize("name", ["mirror_axis", "a/b", "a~b"])
def test_an_unknown_override_of_an_undocumented_type_is_kept_with_a_warning(name: str) -> None:
    p = planned(MIRRORED, {**ONE_VIDEO, "update_params": {B: {name: 1}}})
    (notice,) = [one for one in p.warnings if one.code == "unknown_parameter"]
    assert notice.loc == f"/update_params/{B}/" + name.replace("~", "~0").replace("/", "~1")
    assert notice.document == "request"
    assert p.tile(B).unknown == {name: 1}
    assert p.tile(B).origin(name) == "override"


def test_a_rewired_connection_whose_kinds_do_not_fit_is_an_error() -> None:
    template = agent("a:Image Generation > b:Video Generation > c:Clips")
    faults = refused(template, {"ignore_nodes": [B]})
    assert_only(faults, "/ignore_nodes/0", A, C, f"via {B}", "image", "video")


def test_a_rewired_connection_whose_kinds_do_not_fit_an_undocumented_type_gives_a_warning() -> None:
    p = planned(agent("a:Image Generation > b:Video Generation > c:Destination"), {"ignore_nodes": [B]})
    (notice,) = [one for one in p.warnings if one.code == "kinds_do_not_fit"]
    assert (notice.loc, notice.document) == ("/ignore_nodes/0", "request")
    assert f"via {B}" in notice.message


def test_more_than_a_million_rewired_connections_are_refused_quickly_with_their_number() -> None:
    width = 1001
    before = ", ".join(f"mirror_{number}" for number in range(width))
    after = ", ".join(f"mirror_{number}" for number in range(width, 2 * width))
    template = agent(f"input > {{{before}}} > middle:Mirror > {{{after}}}")
    started = time.process_time()
    assert_only(
        refused(template, {**ONE_VIDEO, "ignore_nodes": [node_id("middle")]}),
        "/ignore_nodes",
        "1,002,001",
        "1,000,000",
    )
    assert time.process_time() - started < 3


FULL_REQUEST: dict[str, Any] = {
    "video_inputs": [
        {"agent_node_id": A, "video_ids": ["v"], START: 1, END: 9},
        {"agent_node_id": B, "mimir_assets": [{"id": "m", "artifact": "auto", START: 3}]},
    ],
    "callback_url": "https://example.com/hook",
    "ignore_nodes": [],
    "update_params": {C: {"prompt": "short", "combine_input_renders": True}},
}


@given(json_values)
def test_every_json_value_is_a_request_or_raises_a_request_error(value: Any) -> None:
    for form in (
        value,
        json.dumps(value),
        {"video_ids": value, "update_params": {A: value}, "ignore_nodes": value},
    ):
        with suppress(RequestError):
            planned(TWO, form).to_json().encode()


@given(mutations(FULL_REQUEST))
def test_every_mutation_of_a_request_plans_or_raises_a_request_error(request: Any) -> None:
    with suppress(RequestError):
        planned(TWO, request).to_json().encode()


@pytest.mark.parametrize("unknown_tiles", ["error", "opaque"])
def test_names_that_cannot_be_encoded_are_faults_of_the_template(unknown_tiles: str) -> None:
    template = agent("image_generation; mirror").to_dict()
    template["agent"] = {"name": "half \ud800"}
    template["agent_nodes"][1]["node_type"] = {"node_type_id": None, "node_type_name": "\ud800"}
    faults = refused(template, {}, unknown_tiles=unknown_tiles)
    assert places(faults) == ["/agent/name", "/agent_nodes/1/node_type"]
    assert json.dumps([fault.to_dict() for fault in faults], ensure_ascii=False).encode()


def has_suggestion(faults: Sequence[Fault]) -> list[bool]:
    """Return for each fault about an unknown node whether it suggests another id."""
    return ["; did you mean '" in fault.message for fault in faults if "unknown node" in fault.message]


def test_only_the_first_twenty_unknown_ids_get_a_suggestion() -> None:
    unknown = [f"{A[:-3]}{number:03x}" for number in range(21)]
    expected_hints = [True] * 20 + [False]
    assert has_suggestion(refused(MIRRORED, {**ONE_VIDEO, "ignore_nodes": unknown})) == expected_hints
    both = {"ignore_nodes": unknown[:5], "update_params": {node: {} for node in unknown[5:]}}
    assert has_suggestion(refused(MIRRORED, {**ONE_VIDEO, **both})) == expected_hints
    entries = [{"agent_node_id": node, "video_ids": ["v"]} for node in unknown]
    assert has_suggestion(refused(MIRRORED, {"video_inputs": entries})) == expected_hints


def test_an_unknown_id_unlike_all_others_gets_no_suggestion() -> None:
    strange = "fedcfedc-3333-4999-9777-feedfeedfeed"
    (fault,) = refused(MIRRORED, {**ONE_VIDEO, "ignore_nodes": [strange]})
    assert fault.message == f"unknown node {strange}"


def test_missing_inputs_are_named_in_singular_and_plural() -> None:
    assert [one.message for one in refused(TRIMMER, {})] == [
        f"the agent needs inputs for its Video Input {A}"
    ]
    assert [one.message for one in refused(TWO, {})] == [
        f"the agent needs inputs for its Video Inputs {A}, {B}"
    ]
