"""`load_agent` reads every generation of the export and reports all faults with their pointers."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera import RequestError, load_agent, plan
from tessera.settings import settings
from tessera.testing import agent, node_id
from tessera.text.nearest import suggestion
from tests.support.planning import expect_faults, json_values, mutations

MIRROR = "71156aca-3e21-45b0-8960-099dba07c83a"
EXAMPLE = agent("input > a:Mirror > b:Watermark").to_dict()


def connection(source: str, target: str) -> dict[str, Any]:
    """Return a connection between two tiles by their names."""
    return {"source_agent_node_id": node_id(source), "target_agent_node_id": node_id(target)}


def mirror(node: str) -> dict[str, Any]:
    """Return an exported Mirror with this id."""
    (exported,) = agent("mirror").to_dict()["agent_nodes"]
    return {**exported, "agent_node_id": node}


def today() -> dict[str, Any]:
    return agent("input > a:Mirror").to_dict()


def older() -> dict[str, Any]:
    nodes: list[dict[str, Any]] = [
        {
            "id": node["agent_node_id"],
            "node_type_id": None,
            "node_type_name": node["node_type"]["node_type_name"],
            "position_x": 1.5,
            "position_y": -2,
            "z_index": 0,
            "instance_id": None,
            "notification_settings": {},
            "params_used": None,
        }
        for node in today()["agent_nodes"]
    ]
    edge = {
        "id": node_id("edge"),
        "agent_id": node_id("agent"),
        "agent_state_id": None,
        "source_agent_node_id": node_id("input"),
        "target_agent_node_id": node_id("a"),
    }
    return {
        "nodes": nodes,
        "connections": [edge],
        "update_params_template": {node_id("a"): {"horizontal_flip": True}},
    }


def oldest(*types: str) -> dict[str, Any]:
    exported = today()
    nodes = []
    for number, node in enumerate(exported["agent_nodes"]):
        name = types[number] if types else node["node_type"]["node_type_name"]
        kind = node_id(f"type {name}")
        nodes.append(
            {
                "agent_node_id": node["agent_node_id"],
                "node_id": kind,
                "params_used": {},
                "node": {"id": kind, "name": name},
            }
        )
    return {"nodes": nodes, "connections": exported["connections"]}


@pytest.mark.parametrize("generation", [today, older, oldest])
def test_every_generation_of_the_export_loads_to_the_same_graph(generation: Any) -> None:
    template = load_agent(generation())
    assert [(tile.id, tile.name) for tile in template] == [
        (node_id("input"), "Video Input"),
        (node_id("a"), "Mirror"),
    ]
    assert [(edge.source, edge.target) for edge in template.connections] == [(node_id("input"), node_id("a"))]
    assert template.warnings == ()


@pytest.mark.parametrize("generation", [today, older, oldest])
def test_an_agent_written_out_keeps_unknown_members_and_loads_again(generation: Any) -> None:
    document = generation()
    document["x_top"] = {"deep": [1]}
    document["connections"][0]["x_edge"] = "kept"
    document["agent"] = {"name": "Mine", "x_meta": 1}
    (document.get("agent_nodes") or document["nodes"])[1]["x_node"] = [None]
    written = load_agent(document).to_dict()
    assert written["x_top"] == {"deep": [1]}
    assert written["connections"][0]["x_edge"] == "kept"
    assert written["agent"]["x_meta"] == 1
    assert written["agent"]["name"] == "Mine"
    assert written["agent_nodes"][1]["x_node"] == [None]
    assert written.get("update_params_template") == document.get("update_params_template")
    assert load_agent(json.dumps(written)).to_dict() == written


def test_changing_a_written_agent_or_the_document_does_not_change_the_template() -> None:
    document = agent('g:Image Generation(selected_context={"refs": [1]})').to_dict()
    template = load_agent(document)
    template.to_dict()["agent_nodes"][0]["params_used"]["selected_context"]["refs"].append(2)
    document["agent_nodes"][0]["params_used"]["selected_context"]["refs"].append(3)
    assert template.nodes[0].explicit == {"selected_context": {"refs": [1]}}


def test_nodes_is_read_if_agent_nodes_is_empty() -> None:
    nodes = agent("watermark").to_dict()["agent_nodes"]
    nodes[0]["params_used"] = {"nope": 1}
    with expect_faults(("/nodes/0/params_used/nope", "has no parameter 'nope'")):
        load_agent({"agent_nodes": [], "nodes": nodes, "connections": []})


def test_ids_ignore_case_and_keep_their_spelling() -> None:
    document = agent("input > a:Mirror").to_dict()
    document["connections"][0]["target_agent_node_id"] = node_id("a").upper()
    template = load_agent(document)
    assert template.connections[0].target == node_id("a")
    found = template.get(node_id("a").upper())
    assert found is not None
    assert found.id == node_id("a")


@pytest.mark.parametrize("name", ["Mirror", "mirror", " M i r r o r "])
def test_a_type_is_found_by_name_if_the_id_is_unknown(name: str) -> None:
    document = agent("mirror").to_dict()
    document["agent_nodes"][0]["node_type"] = {"node_type_id": node_id("unknown"), "node_type_name": name}
    assert load_agent(document).nodes[0].name == "Mirror"


def test_a_type_is_found_by_id_before_its_name() -> None:
    document = agent("mirror").to_dict()
    document["agent_nodes"][0]["node_type"] = {
        "node_type_id": MIRROR.upper(),
        "node_type_name": "Spiegel",
    }
    assert load_agent(document).nodes[0].name == "Mirror"


def typed(**members: Any) -> dict[str, Any]:
    """Return an agent of one Mirror tile with these members of its type, or of the node itself."""
    document = agent("mirror").to_dict()
    document["agent_nodes"][0] = {**document["agent_nodes"][0], **members}
    return document


@pytest.mark.parametrize(
    ("members", "place"),
    [
        (
            {"node_type": {"node_type_id": MIRROR, "node_type_name": "Reframe"}},
            "/agent_nodes/0/node_type/node_type_name",
        ),
        (
            {"node_type": {"node_type_id": MIRROR, "node_type_name": "Spiegel"}},
            "/agent_nodes/0/node_type/node_type_name",
        ),
        ({"node_type": {"node_type_id": MIRROR}, "node_type_name": "Clips"}, "/agent_nodes/0/node_type_name"),
        ({"node_type": None, "node": {"id": MIRROR, "name": "Clips"}}, "/agent_nodes/0/node/name"),
        (
            {"node_type": {"node_type_name": "Mirror"}, "node": {"name": "Clips"}},
            "/agent_nodes/0/node/name",
        ),
        (
            {
                "node_type": {"node_type_id": MIRROR},
                "node_type_id": "0e3a90e4-173f-42fc-b7ef-0df6a062e26c",
            },
            "/agent_nodes/0/node_type_id",
        ),
    ],
)
def test_a_name_that_contradicts_the_id_is_a_warning_at_its_place(
    members: dict[str, Any], place: str
) -> None:
    template = load_agent(typed(**members))
    (warning,) = template.warnings
    assert (warning.code, warning.loc) == ("type_contradiction", place)
    assert f"the type that counts, Mirror ({MIRROR})" in warning.message


@pytest.mark.parametrize(
    "node_type",
    [
        {"node_type_id": MIRROR, "node_type_name": " m i r r o r"},
        {"node_type_id": MIRROR, "node_type_name": None},
        {"node_type_id": MIRROR, "node_type_name": ""},
        {"node_type_id": node_id("unpublished"), "node_type_name": "Mirror"},
        {"node_type_id": None, "node_type_name": "Mirror"},
    ],
)
def test_a_name_that_agrees_with_the_id_is_no_warning(node_type: dict[str, Any]) -> None:
    assert load_agent(typed(node_type=node_type)).warnings == ()


@pytest.mark.parametrize("text", ["", "  "])
@pytest.mark.parametrize(
    ("path", "members"),
    [
        (
            "node_type/node_type_id",
            lambda text: {"node_type": {"node_type_id": text, "node_type_name": "Clips"}},
        ),
        ("node_type_id", lambda text: {"node_type_id": text}),
        ("node_id", lambda text: {"node_id": text}),
        ("node/id", lambda text: {"node": {"id": text}}),
    ],
)
def test_an_empty_type_id_is_an_error_at_its_place(path: str, members: Any, text: str) -> None:
    with pytest.raises(RequestError) as caught:
        load_agent(typed(**members(text)))
    (fault,) = caught.value.errors
    assert fault.loc == f"/agent_nodes/0/{path}"
    assert "empty" in fault.message


def test_text_bytes_files_and_dicts_give_the_same_agent(tmp_path: Path) -> None:
    text = json.dumps(EXAMPLE)
    path = tmp_path / "agent.json"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    forms: list[Any] = [
        EXAMPLE,
        text,
        "\ufeff \n" + text,
        text.encode(),
        bytearray(text.encode()),
        path,
        str(path),
    ]
    assert [load_agent(form).to_dict() for form in forms] == [load_agent(EXAMPLE).to_dict()] * len(forms)


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("{", "is not JSON: Expecting property name enclosed in double quotes at line 1, column 2"),
        (b"", "is not JSON"),
        (b'{"connections": "\xff"}', "not UTF-8 text at byte 17"),
        ('{"connections": NaN}', "NaN is not JSON"),
        ('{"connections": -Infinity}', "-Infinity is not JSON"),
        ('{"connections": ' + "9" * 5000 + "}", "is not JSON"),
        ('{"name": "\\ud83d"}', "an unpaired surrogate escape"),
        ("[" * 100_000, "nested more than 100 levels deep"),
        ('{"a":' * 101 + "1" + "}" * 101, "nested more than 100 levels deep"),
        (
            "nowhere.json",
            "cannot read 'nowhere.json': No such file or directory; give a path, JSON text or a dict",
        ),
        ("", "cannot read ''"),
        ("\0", "cannot read"),
        (b"[]", "an agent is an object"),
        (None, "an agent is an object"),
        (7, "an agent is an object"),
    ],
)
def test_a_source_that_is_not_an_agent_gives_one_fault(source: Any, part: str) -> None:
    with expect_faults(("", part)):
        load_agent(source)


def test_a_file_that_is_not_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "agent.json"
    path.write_text("nope")
    with expect_faults(("", f"{path} is not JSON: Expecting value at line 1, column 1")):
        load_agent(path)


def test_a_document_that_contains_itself_is_refused() -> None:
    endless: dict[str, Any] = {"agent_nodes": [], "connections": []}
    endless["a"], endless["b"] = endless, [endless]
    with expect_faults(("", "nested more than 100 levels deep")):
        load_agent(endless)


@pytest.mark.parametrize(
    ("path", "value", "loc", "part"),
    [
        ("connections", ..., "", "'connections' is required"),
        ("agent_nodes", ..., "", "'agent_nodes' (or 'nodes', in older exports) is required"),
        ("agent", 5, "/agent", "must be an object, not 5"),
        ("agent/name", 5, "/agent/name", "must be a string, not 5"),
        ("agent_nodes", {}, "/agent_nodes", "must be an array, not an object"),
        ("connections", None, "/connections", "must be an array, not null"),
        ("connections/0", "x", "/connections/0", 'must be an object, not "x"'),
        ("connections/1/source_agent_node_id", ..., "/connections/1", "'source_agent_node_id' is required"),
        ("agent_nodes/1", [], "/agent_nodes/1", "must be an object, not an array"),
        ("agent_nodes/1/agent_node_id", ..., "/agent_nodes/1", "a node needs an 'agent_node_id'"),
        (
            "agent_nodes/1/agent_node_id",
            node_id("a") + "\n",
            "/agent_nodes/1/agent_node_id",
            "must be an id: hex digits in groups of 8-4-4-4-12, not",
        ),
        ("agent_nodes/1/node_type", "Mirror", "/agent_nodes/1/node_type", "must be an object"),
        (
            "agent_nodes/1/node_type/node_type_id",
            4,
            "/agent_nodes/1/node_type/node_type_id",
            "must be a string",
        ),
        ("agent_nodes/1/params_used", [1], "/agent_nodes/1/params_used", "must be an object, not an array"),
        ("agent_nodes/1/node_type", ..., "/agent_nodes/1", f"node {node_id('a')} has no type"),
        ("update_params_template", [], "/update_params_template", "must be an object"),
    ],
)
def test_a_value_of_the_wrong_shape_is_the_only_fault(path: str, value: Any, loc: str, part: str) -> None:
    document: Any = {**json.loads(json.dumps(EXAMPLE)), "agent": {"name": "x"}}
    *holders, last = path.split("/")
    holder = document
    for step in holders:
        holder = holder[int(step) if step.isdigit() else step]
    if value is ...:
        del holder[last]
    else:
        holder[int(last) if last.isdigit() else last] = value
    with expect_faults((loc, part)):
        load_agent(document)


def test_a_duplicate_id_in_another_case_names_the_first() -> None:
    document = agent("a:Mirror; b:Mirror").to_dict()
    document["agent_nodes"][1]["agent_node_id"] = node_id("a").upper()
    with expect_faults(
        (
            "/agent_nodes/1/agent_node_id",
            f"duplicate node id {node_id('a').upper()} (first used at /agent_nodes/0)",
        )
    ):
        load_agent(document)


def test_a_connection_to_an_unknown_node_is_a_fault_of_that_end() -> None:
    document = today()
    document["connections"] = [connection("input", "x"), connection("y", "a")]
    with expect_faults(
        ("/connections/0/target_agent_node_id", f"connection to unknown node {node_id('x')}"),
        ("/connections/1/source_agent_node_id", f"connection to unknown node {node_id('y')}"),
    ):
        load_agent(document)


def test_a_tile_connected_to_itself_is_a_fault() -> None:
    document = today()
    document["connections"].append(connection("a", "a"))
    with expect_faults(("/connections/1", f"node {node_id('a')} is connected to itself")):
        load_agent(document)


def test_a_cycle_is_a_fault_of_the_connection_that_closes_it() -> None:
    document = agent("input > a:Mirror > b:Mirror > c:Mirror > d:Mirror").to_dict()
    document["connections"].insert(2, connection("c", "a"))
    path = "Mirror → Mirror → Mirror → Mirror (ids " + " → ".join(node_id(name) for name in "abc") + ")"
    with expect_faults(("/connections/2", f"the connections form a cycle: {path}")):
        load_agent(document)


def test_each_group_of_tiles_on_cycles_gives_one_cycle() -> None:
    document = agent("a:Mirror > b:Mirror; c:Mirror; d:Mirror").to_dict()
    document["connections"] += [connection("b", "a"), connection("c", "d"), connection("d", "c")]
    with expect_faults(("/connections/1", "cycle"), ("/connections/3", "cycle")):
        load_agent(document)


def test_a_cycle_through_faulty_tiles_is_found_too() -> None:
    document = agent("a:Mirrow > b:Watermark", unknown_tiles="opaque").to_dict()
    document["connections"].append(connection("b", "a"))
    document["agent_nodes"][1]["params_used"] = 5
    with expect_faults(
        ("/agent_nodes/0/node_type", "unknown node type 'Mirrow'; nearest: Mirror"),
        ("/agent_nodes/1/params_used", "must be an object"),
        ("/connections/1", f"(ids {node_id('a')} → {node_id('b')})"),
    ):
        load_agent(document)


def test_a_long_cycle_is_printed_in_part() -> None:
    document = agent(" > ".join(f"mirror_{number}" for number in range(10_000))).to_dict()
    document["connections"].append(connection("mirror_9999", "mirror_0"))
    with pytest.raises(RequestError) as caught:
        load_agent(document)
    message = caught.value.errors[0].message
    assert "(9,950 more) → Mirror → Mirror (ids" in message
    assert f"(9,950 more) → {node_id('mirror_9999')})" in message
    assert len(message) < 3_000


def test_an_unknown_type_is_named_with_the_nearest_names() -> None:
    with expect_faults(("/agent_nodes/0/node_type", "unknown node type 'Caption'; nearest: Captions, ")):
        load_agent(agent("a:Caption", unknown_tiles="opaque").to_dict())


def test_an_unknown_type_of_an_older_export_is_a_fault_of_its_node_id() -> None:
    with expect_faults(
        ("/nodes/0/node_id", "unknown node type 'Zzz'"), ("/nodes/1/node_id", "unknown node type")
    ):
        load_agent(oldest("Zzz", "Qqq"))


@pytest.mark.parametrize(
    ("tile", "params", "at", "part"),
    [
        ("Watermark", {"logo_size": "30"}, "/logo_size", 'must be a number, not "30"'),
        ("Watermark", {"logo_size": 0}, "/logo_size", "must be more than 0, not 0"),
        ("Watermark", {"logo_position": "top"}, "/logo_position", "one of 'top-left'"),
        ("Watermark", {"image_id": "x"}, "/image_id", "must be an id: hex digits"),
        ("Watermark", {"use_custom_logo": "custom"}, "", "needs image_id too"),
        (
            "Watermark",
            {"logo_sise": 3},
            "/logo_sise",
            "has no parameter 'logo_sise'; did you mean 'logo_size'",
        ),
        ("Clips", {"num_clips": 2.5}, "/num_clips", "must be a whole number, not 2.5"),
        ("Clips", {"num_clips": True}, "/num_clips", "must be a whole number, not true"),
        ("Clips", {"prompt": None}, "/prompt", "must be a string, not null"),
        ("Motion Graphics", {"frequency_per_minute": "often"}, "/frequency_per_minute", "'auto' or a number"),
        ("Mirror", {"horizontal_flip": "yes"}, "/horizontal_flip", "must be true or false"),
        ("Image Generation", {"selected_context": {"a": [float("nan")]}}, "/selected_context/a/0", "finite"),
        ("Audio Enhance", {"9" * 5000: 1}, "/" + "9" * 5000, "has no parameter"),
    ],
)
def test_a_wrong_parameter_names_tile_value_and_what_is_allowed(
    tile: str, params: dict[str, Any], at: str, part: str
) -> None:
    document = agent(f"a:{tile}").to_dict()
    document["agent_nodes"][0]["params_used"] = params
    with expect_faults((f"/agent_nodes/0/params_used{at}", part)):
        load_agent(document)


def test_an_unknown_parameter_of_an_undocumented_type_is_kept_with_a_warning() -> None:
    template = load_agent(agent('a:Mirror("flip/axis"="x")'))
    assert template.nodes[0].unknown == {"flip/axis": "x"}
    assert [(one.code, one.loc) for one in template.warnings] == [
        ("unknown_parameter", "/agent_nodes/0/params_used/flip~1axis")
    ]
    assert template.to_dict()["agent_nodes"][0]["params_used"] == {"flip/axis": "x"}


def test_a_deprecated_parameter_gives_a_warning() -> None:
    (warning,) = load_agent(agent('a:Motion Graphics(avoid_prompt="cats")')).warnings
    assert (warning.code, warning.loc) == ("deprecated_parameter", "/agent_nodes/0/params_used/avoid_prompt")
    assert "say in prompt what to avoid" in warning.message


def test_two_equal_tiles_give_one_warning_each() -> None:
    tile = 'Motion Graphics(avoid_prompt="cats")'
    template = agent(f"a:{tile} > b:{tile}")
    assert [one.loc for one in template.warnings] == [
        f"/agent_nodes/{index}/params_used/avoid_prompt" for index in (0, 1)
    ]


@pytest.mark.parametrize(
    ("source", "target", "part"),
    [
        ("Mirror", "Video Input", "Video Input is an input tile and takes no incoming connection"),
        ("Mirror", "S3 Trigger", "S3 Trigger is a trigger tile and takes no incoming connection"),
        ("Destination", "Mirror", "Destination is an output tile and feeds no other tile"),
        ("Image Generation", "Watermark", "Image Generation produces image, but Watermark accepts video"),
        ("Audio Generation", "AI Avatar", "AI Avatar accepts nothing"),
    ],
)
def test_an_impossible_connection_is_an_error(source: str, target: str, part: str) -> None:
    document = agent(f"a:{source}; b:{target}").to_dict()
    document["connections"] = [connection("a", "b")]
    with expect_faults(("/connections/0", part)):
        load_agent(document)


def test_kinds_that_do_not_fit_an_undocumented_type_give_a_warning() -> None:
    (warning,) = load_agent(agent("i:Image Generation > d:Destination")).warnings
    assert (warning.code, warning.loc) == ("kinds_do_not_fit", "/connections/0")
    assert "Image Generation produces image, but Destination accepts video" in warning.message


def test_a_duplicate_connection_counts_once_with_a_warning() -> None:
    document = today()
    document["connections"] *= 2
    template = load_agent(document)
    assert len(template.connections) == 1
    assert [(one.code, one.loc) for one in template.warnings] == [("duplicate_connection", "/connections/1")]


def test_all_faults_are_reported_together_in_the_order_of_the_document() -> None:
    document = agent("input; a:Mirrr; b:Watermark", unknown_tiles="opaque").to_dict()
    document["agent_nodes"][2]["params_used"] = {"logo_size": "x", "nope": 1}
    document["agent_nodes"].append({"agent_node_id": node_id("late"), "params_used": {}})
    document["agent_nodes"] += [mirror(node_id(f"mirror_{number}")) for number in range(7)]
    document["agent_nodes"].append(mirror(node_id("input")))
    document["connections"] = [
        connection("input", "zz"),
        connection("input", "input"),
        connection("b", "input"),
    ]
    with pytest.raises(RequestError) as caught:
        load_agent(document)
    assert [fault.loc for fault in caught.value.errors] == [
        "/agent_nodes/1/node_type",
        "/agent_nodes/2/params_used/logo_size",
        "/agent_nodes/2/params_used/nope",
        "/agent_nodes/3",
        "/agent_nodes/11/agent_node_id",
        "/connections/0/target_agent_node_id",
        "/connections/1",
        "/connections/2",
    ]
    assert {fault.document for fault in caught.value.errors} == {"template"}


def test_unknown_tiles_can_be_loaded_as_opaque_tiles() -> None:
    document = agent("input > x:Hologram > y:Hologram > b:Mirror", unknown_tiles="opaque").to_dict()
    document["agent_nodes"][1]["params_used"] = {"anything": [1]}
    template = load_agent(document, unknown_tiles="opaque")
    assert [tile.name for tile in template] == ["Video Input", "Hologram", "Hologram", "Mirror"]
    assert template.nodes[1].type is template.nodes[2].type
    assert [one.code for one in template.warnings] == ["opaque_tile", "unknown_parameter", "opaque_tile"]
    decided = plan(document, {"video_ids": ["v"]}, unknown_tiles="opaque")
    assert type(decided).from_dict(json.loads(decided.to_json())) == decided


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "tessera.toml"
    monkeypatch.setenv("TESSERA_CONFIG", str(path))
    return path


def test_the_config_file_maps_names_and_ids_to_types(config: Path) -> None:
    config.write_text(f'[node_types]\n"Flip It" = "mirror"\n"{node_id("theirs")}" = "{MIRROR}"\n')
    document = agent("a:Flip It; b:Whatever", unknown_tiles="opaque").to_dict()
    document["agent_nodes"][1]["node_type"]["node_type_id"] = node_id("theirs").upper()
    assert [tile.name for tile in load_agent(document)] == ["Mirror", "Mirror"]


def test_a_config_file_in_the_current_directory_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TESSERA_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    assert settings().max_items == 10_000
    (tmp_path / "tessera.toml").write_text("max_items = 5")
    assert settings().max_items == 5


@pytest.mark.parametrize(
    ("text", "loc", "part"),
    [
        ("max_items = 0", "/max_items", "must be more than 0"),
        ("max_itms = 1", "/max_itms", "did you mean 'max_items'"),
        (
            "[node_types]\nFlip = 'Mirorr'",
            "/node_types/Flip",
            "unknown node type 'Mirorr'; did you mean 'Mirror'",
        ),
        ("what?", "", "tessera.toml"),
    ],
)
def test_a_wrong_config_file_is_an_error_that_names_it(config: Path, text: str, loc: str, part: str) -> None:
    config.write_text(text)
    with expect_faults((loc, part)):
        load_agent(EXAMPLE)


def test_a_config_file_named_in_the_environment_must_exist(config: Path) -> None:
    with expect_faults(("", f"TESSERA_CONFIG is {config}, but it cannot be read")):
        load_agent(EXAMPLE)


@given(json_values)
def test_every_json_value_loads_or_raises_a_request_error(value: Any) -> None:
    for form in (value, json.dumps(value)):
        try:
            load_agent(form)
        except RequestError as error:
            json.dumps(error.to_dict()).encode()


@given(mutations(agent("input > a:Mirror > b:Watermark(logo_size=20) > d:Destination").to_dict()))
def test_every_mutation_of_an_agent_plans_or_raises_a_request_error(document: Any) -> None:
    with suppress(RequestError):
        template = load_agent(document)
        assert load_agent(template.to_dict()).to_dict() == template.to_dict()
        assert json.loads(template.to_json()) == template.to_dict()
        plan(template, {"video_ids": ["v"]}).to_json().encode()


@given(st.text(max_size=8), st.text(max_size=8))
def test_text_around_an_id_is_refused(before: str, after: str) -> None:
    document = agent("g:Image Generation").to_dict()
    document["agent_nodes"][0]["agent_node_id"] = before + node_id("g") + after
    if before + after:
        with pytest.raises(RequestError):
            load_agent(document)


@pytest.mark.parametrize("count", [50, 51, 52])
def test_a_cycle_of_more_than_fifty_tiles_is_shortened_in_the_message(count: int) -> None:
    names = [f"mirror_{number}" for number in range(count)]
    document = agent(" > ".join(names)).to_dict()
    document["connections"].append(connection(names[-1], names[0]))
    shown, ids = ["Mirror"] * count, [node_id(name) for name in names]
    if count > 50:
        shown[49:-1] = ids[49:-1] = [f"({count - 50} more)"]
    with pytest.raises(RequestError) as caught:
        load_agent(document)
    (fault,) = caught.value.errors
    path = " → ".join([*shown, "Mirror"])
    assert fault.message == f"the connections form a cycle: {path} (ids {' → '.join(ids)})"


def test_a_tile_holds_validated_parameters() -> None:
    (tile,) = load_agent(agent("a:Watermark(logo_size=10)")).nodes
    assert tile.params.model_dump()["logo_size"] == 10
    assert tile.params.model_dump()["logo_margin_y"] == 20


def test_a_name_is_suggested_once() -> None:
    assert suggestion("num_clip", ["num_clips", "num_clips"]) == "; did you mean 'num_clips'?"


def test_an_unknown_parameter_is_named_once() -> None:
    document = agent("a:Clips").to_dict()
    document["agent_nodes"][0]["params_used"] = {"number_of_clips": 3}
    with pytest.raises(RequestError) as caught:
        load_agent(document)
    (fault,) = caught.value.errors
    assert fault.message.startswith("Clips ")
    assert fault.message.endswith(" has no parameter 'number_of_clips'; did you mean 'num_clips'?")
