"""The notation of agents: its meaning, its errors, and round trips without loss."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera import AgentTemplate, RequestError, load_agent
from tessera.testing import NotationError, agent, node_id, strategies, to_notation
from tessera.testing.notation.names import Names
from tessera.testing.notation.writer import chains_of

AGENTS = sorted(Path("fixtures/agents").glob("*.json"))


def edges(template: AgentTemplate) -> set[str]:
    name_of = Names(template).name_of
    return {f"{name_of[edge.source]} > {name_of[edge.target]}" for edge in template.connections}


def facts(template: AgentTemplate) -> list[Any]:
    """Return everything of an agent that the notation keeps."""
    name_of = Names(template).name_of
    tiles = [(name_of[tile.id], tile.type, dict(tile.explicit)) for tile in template]
    return [tiles, edges(template)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("input > mirror", {"input > mirror"}),
        ("input > {mirror, captions}", {"input > mirror", "input > captions"}),
        (
            "{input, input_2} > {mirror, captions}",
            {"input > mirror", "input > captions", "input_2 > mirror", "input_2 > captions"},
        ),
        (
            "input > {mirror > captions, reframe} > watermark",
            {
                "input > mirror",
                "mirror > captions",
                "captions > watermark",
                "input > reframe",
                "reframe > watermark",
            },
        ),
        ("input > mirror; input > captions", {"input > mirror", "input > captions"}),
        ("input > mirror\ninput > captions # more\n# nothing", {"input > mirror", "input > captions"}),
        ("input\n  > mirror\n  > captions", {"input > mirror", "mirror > captions"}),
        ("input >\n{\n mirror,\n captions,\n}", {"input > mirror", "input > captions"}),
        ("input > mirror; input > mirror", {"input > mirror"}),
        ("input", set()),
        ("", set()),
    ],
)
def test_chains_groups_and_lines_make_edges(text: str, expected: set[str]) -> None:
    assert edges(agent(text)) == expected


@pytest.mark.parametrize(
    ("name", "type_name"),
    [
        ("input", "Video Input"),
        ("video_input", "Video Input"),
        ("Video Input", "Video Input"),
        ("rough_cut", "Rough Cut"),
        ("RoughCut", "Rough Cut"),
        ("rough cut", "Rough Cut"),
        ("AI_B_Roll", "AI B-Roll"),
        ("music", "AI Music"),
        ("mirror_7", "Mirror"),
        ("sun", "Premiere Export"),
        ("host:Video Input", "Video Input"),
        ("host : input", "Video Input"),
        ('x:"71156aca-3e21-45b0-8960-099dba07c83a"', "Mirror"),
    ],
)
def test_names_mean_types(name: str, type_name: str) -> None:
    assert [tile.name for tile in agent(name)] == [type_name]


def test_the_same_name_in_another_spelling_is_the_same_tile() -> None:
    a = agent("Video_Input > left:Mirror > Captions; LEFT > rough cut; input > RoughCut")
    assert [tile.name for tile in a] == ["Video Input", "Mirror", "Captions", "Rough Cut"]
    assert edges(a) == {"input > left", "left > captions", "left > rough_cut", "input > rough_cut"}


def test_a_free_name_may_be_used_before_its_type_is_given() -> None:
    a = agent("input > left > captions; left:Mirror(vertical_flip=true)")
    assert [tile.name for tile in a] == ["Video Input", "Mirror", "Captions"]
    assert a.nodes[1].explicit == {"vertical_flip": True}


def test_ids_follow_from_names_alone() -> None:
    one, other = agent("input > left:Mirror"), agent("a:Captions; left:Reframe")
    assert one.nodes[1].id == other.nodes[1].id == node_id("left")
    assert UUID(node_id("left")).version == 5


def test_parameters_are_json_values() -> None:
    text = 'clips(num_clips=3, target_duration=4.5, prompt="a > b; {c} # \\"d\\"\\n")'
    assert agent(text).nodes[0].explicit == {
        "num_clips": 3,
        "target_duration": 4.5,
        "prompt": 'a > b; {c} # "d"\n',
    }
    assert agent('mirror("a b" = [null, {"c": false}],)').nodes[0].explicit == {"a b": [None, {"c": False}]}


def test_an_agent_has_the_name_given_to_it() -> None:
    assert agent("input", name="Mine").name == "Mine"


def test_agent_accepts_every_form_that_load_agent_accepts() -> None:
    path = AGENTS[0]
    wanted = facts(load_agent(path))
    for source in (path, str(path), path.read_text(), path.read_bytes(), load_agent(path)):
        assert facts(agent(source)) == wanted


@pytest.mark.parametrize(
    ("text", "words", "column"),
    [
        ("input > rough_kut", ["'rough_kut'", "did you mean rough_cut"], 8),
        ("input > x:Captoins", ["'Captoins'", "Captions"], 8),
        ("input > zzzzzz", ["zzzzzz", "tessera nodes"], 8),
        ("input >", ["name of a tile", "the end"], 7),
        ("input > > mirror", ["name of a tile", "'>'"], 8),
        ("input > {mirror", ["',' or '}'", "the end"], 15),
        ("input > {}", ["at least one"], 9),
        ("input mirror: > captions", ["name of a type"], 14),
        ("clips(num_clips)", ["'='", "')'"], 15),
        ("clips(num_clips=)", ["JSON value"], 16),
        ("clips(num_clips=NaN)", ["JSON"], 16),
        ("clips(num_clips=1 prompt=2)", ["',' or ')'"], 18),
        ("clips(num_clips=1, num_clips=2)", ["'num_clips' is given twice"], 19),
        ("clips(num_clips=1) > clips(num_clips=2)", ["'clips' are given twice"], 21),
        ("a:Mirror > a:Captions", ["'a' is already a Mirror, not a Captions"], 11),
        ("music > ai_music:Mirror", ["plain name"], 0),
        ("input > via", ["'via' is not a valid name"], 8),
        ("input > mirror } > captions", ["'>', ';' or a new line"], 15),
        ("input > " + "{" * 60, ["nested"], 58),
    ],
)
def test_a_syntax_error_is_shown_at_its_place(text: str, words: list[str], column: int) -> None:
    with pytest.raises(NotationError) as caught:
        agent(f"input > captions\n{text}")
    assert all(word in str(caught.value) for word in words), caught.value
    assert str(caught.value).splitlines()[-2:] == [f"    {text}", f"    {' ' * column}^"]


def test_a_faulty_agent_is_refused_with_names_in_the_notes() -> None:
    with pytest.raises(RequestError) as caught:
        agent("input > clips(num_clips=0) > mirror > clips")
    assert [fault.loc for fault in caught.value.errors] == [
        "/agent_nodes/1/params_used/num_clips",
        "/connections/2",
    ]
    assert "cycle: Clips → Mirror → Clips (ids clips → mirror)" in caught.value.__notes__[1]


@pytest.mark.parametrize(
    "text",
    [
        "input > rough_cut > {captions, mirror} > watermark > destination",
        "{host:Video Input, guest:Video Input} > rough_cut",
        "input > mirror > {captions, reframe}\ncaptions > watermark",
        "input > clips(num_clips=3, target_duration=4)",
        'input > mirror("a b"=[1, {"c": null}])',
        "input\nmirror",
    ],
)
def test_the_shortest_text_is_kept(text: str) -> None:
    assert to_notation(agent(text)) == text


@pytest.mark.parametrize("path", AGENTS, ids=lambda path: path.stem)
def test_an_export_survives_the_notation(path: Path) -> None:
    exported = load_agent(path)
    assert facts(agent(to_notation(exported))) == facts(exported)


@given(strategies.agents())
def test_agents_survive_the_notation(template: AgentTemplate) -> None:
    again = agent(to_notation(template))
    assert facts(again) == facts(template)
    assert [tile.id for tile in again] == [tile.id for tile in template]
    assert to_notation(again) == to_notation(template)


@given(strategies.agents(), st.data())
def test_exports_in_any_order_survive_the_notation(template: AgentTemplate, data: st.DataObject) -> None:
    document = template.to_dict()
    document["agent_nodes"] = data.draw(st.permutations(document["agent_nodes"]))
    document["connections"] = data.draw(st.permutations(document["connections"]))
    for node in document["agent_nodes"]:
        del node["tile_name"]
    exported = load_agent(document)
    assert facts(agent(to_notation(exported))) == facts(exported)


@given(st.integers(1, 8), st.data())
def test_chains_cover_every_edge_once_and_every_tile(count: int, data: st.DataObject) -> None:
    order = [str(at) for at in range(count)]
    pairs = [(str(low), str(high)) for high in range(count) for low in range(high)]
    wanted = data.draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    chains = list(chains_of(order, wanted))
    covered = [
        (source, target)
        for chain in chains
        for before, after in pairwise(chain)
        for source in before
        for target in after
    ]
    assert sorted(covered) == sorted(wanted)
    assert {node for chain in chains for stage in chain for node in stage} == set(order)


def test_unknown_types_survive_the_notation_as_opaque_tiles() -> None:
    a = agent('input > x:"Odd > Tile" > mirror', unknown_tiles="opaque")
    assert a.nodes[1].name == "Odd > Tile"
    assert facts(agent(to_notation(a), unknown_tiles="opaque"))[1] == facts(a)[1]


def test_a_long_chain_is_read_and_written() -> None:
    text = " > ".join(["input", *(f"mirror_{at}" for at in range(1, 10_001))])
    assert to_notation(agent(text)) == text


def test_tiles_are_found_by_name_type_and_id() -> None:
    a = agent("input > left:Mirror > captions; left > mirror_2 > ai_music")
    names = Names(a)
    assert names.id("LEFT") == names.id("<left>") == names.id(node_id("left").upper()) == node_id("left")
    assert names.id("Video Input") == node_id("input")
    assert names.id("music") == node_id("ai_music")
    with pytest.raises(NotationError, match="'Mirror' is ambiguous: use one of left, mirror_2"):
        names.id("Mirror")
    with pytest.raises(NotationError, match="no tile 'captoins'; did you mean 'captions'"):
        names.id("captoins")
