"""The catalogue has every tile of the contract (section 8), with its id, facts and parameters."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from tessera import nodes
from tessera.node import NOTHING, REFS, VIDEO, Catalogue, Kind, NodeType, is_id, ours_id
from tessera.testing import assert_plan, node_id

IDS = {
    "Video Input": "9451e6ff-ac7f-4317-9055-a2f35f641b29",
    "Rough Cut": "e6098dd4-4a6e-470f-981e-2618c11eee21",
    "Clips": "bcc5cb04-76b7-48e9-a344-0e8a29c19be0",
    "Reframe": "0e3a90e4-173f-42fc-b7ef-0df6a062e26c",
    "Silence Removal": "a22d0b93-2bbf-479d-8efd-d446163982e8",
    "Captions": "cdccb204-168e-4aec-aa72-480b11e74324",
    "Cinematic Captions": "dfa94b02-6a18-4922-9613-636bd202d69d",
    "Motion Graphics": "19144346-8714-4a02-b19c-32c18bd1ad13",
    "Intro": "ef3f8d59-26be-4ea0-b655-9a08b10577cc",
    "Outro": "cf517f33-3f78-4d55-88c2-a7d8478f8ef9",
    "Watermark": "6808af58-2d9a-4e3b-aacb-2d9c143b7729",
    "Color Correction": "8254e1f8-dfea-42f9-90d8-aa91ec859bec",
    "Mirror": "71156aca-3e21-45b0-8960-099dba07c83a",
    "Audio Enhance": "425274c9-7735-4cf2-b7cb-46c6a7f0066a",
    "Voice": "14abd0c1-402c-40b8-8ec8-defd951efe01",
    "AI B-Roll": "2160392b-ebe8-4f3d-b81e-fd11bdbbeb77",
    "AI Voiceover": "9570c960-b32b-4e4d-8871-5775d886f7cb",
    "AI Music": "3b281fb9-9eb2-40f6-b05b-4b6f909a3da9",
    "AI Avatar": "b3b4c9e2-2a47-4fa9-8ce8-0c1fa1d7b6ef",
    "Video Generation": "a2eb3ec2-da7a-4f97-94d2-a9a537548522",
    "Audio Generation": "14687f30-5fd0-468f-8239-2784d83df95b",
    "Image Generation": "18b998a0-2ea7-4676-a5d3-3ae6c8ac0b72",
    "AI Content Generation": "d898f2b1-3151-4231-a4d4-dd4d5a020b05",
}
OURS = (
    "YouTube Trigger",
    "Google Drive Trigger",
    "S3 Trigger",
    "Schedule Trigger",
    "Montage",
    "Premiere Export",
    "Mimir Export",
    "Destination",
    "AI Augment",
    "Captions With Emojis",
)
TILDE = (
    "Montage",
    "Reframe",
    "Silence Removal",
    "Color Correction",
    "Mirror",
    "Voice",
    "AI B-Roll",
    "AI Voiceover",
    "AI Music",
    "Destination",
)
SOME_ID = "0f8fad5b-d9cb-469f-a165-70867728950e"

every_tile = pytest.mark.parametrize("tile", nodes.tiles, ids=lambda tile: tile.name)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue(nodes.tiles)


def tile_named(name: str) -> type[NodeType]:
    found = Catalogue(nodes.tiles).find(name)
    assert found is not None, name
    return found


def refusal(name: str, params: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        tile_named(name).Params(**params)
    return str(caught.value)


@pytest.mark.parametrize(("name", "type_id"), IDS.items())
def test_documented_tile_has_the_hosted_id(catalogue: Catalogue, name: str, type_id: str) -> None:
    tile = catalogue.find(type_id)
    assert tile is not None
    assert (tile.name, tile.type_id, tile.source) == (name, type_id, "documented")
    assert catalogue.find(name) is tile


@pytest.mark.parametrize("name", OURS)
def test_tile_without_a_published_id_is_marked_ours(catalogue: Catalogue, name: str) -> None:
    tile = catalogue.find(name)
    assert tile is not None
    assert (tile.name, tile.type_id, tile.source) == (name, ours_id(name), "ours")


def test_catalogue_holds_these_tiles_and_no_others(catalogue: Catalogue) -> None:
    assert catalogue.names() == sorted([*IDS, *OURS])


def test_ids_and_names_are_unique() -> None:
    assert len({tile.type_id.lower() for tile in nodes.tiles}) == len(nodes.tiles)
    names = [name.casefold().replace(" ", "") for tile in nodes.tiles for name in (tile.name, *tile.aliases)]
    assert len(set(names)) == len(names)


@every_tile
def test_a_tile_describes_itself(tile: type[NodeType]) -> None:
    assert is_id(tile.type_id)
    assert tile.summary.endswith(".")
    assert "\n" not in tile.summary


@every_tile
def test_every_parameter_has_a_default(tile: type[NodeType]) -> None:
    assert tile.Params.model_validate({}).model_dump() == tile.defaults()


@every_tile
def test_defaults_survive_json_unchanged(tile: type[NodeType]) -> None:
    sent = json.dumps(dict(tile.defaults()))
    assert tile.Params.model_validate(json.loads(sent)).model_dump_json() == tile.Params().model_dump_json()


@every_tile
def test_json_schema_describes_every_parameter(tile: type[NodeType]) -> None:
    schema = tile.Params.model_json_schema()
    assert schema["additionalProperties"] is False
    assert "required" not in schema
    assert all(described["description"] for described in schema["properties"].values())
    json.dumps(schema)


@every_tile
def test_unknown_parameter_is_refused(tile: type[NodeType]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        tile.Params.model_validate({"no_such_parameter": 1})


@pytest.mark.parametrize(
    ("name", "accepts", "produces", "combines"),
    [
        ("Video Input", NOTHING, Kind.VIDEO, False),
        ("YouTube Trigger", NOTHING, Kind.VIDEO, False),
        ("Rough Cut", VIDEO, Kind.VIDEO, False),
        ("Clips", VIDEO, Kind.VIDEO, False),
        ("Montage", VIDEO, Kind.VIDEO, True),
        ("AI Avatar", NOTHING, Kind.VIDEO, False),
        ("Video Generation", REFS, Kind.VIDEO, False),
        ("Audio Generation", REFS, Kind.AUDIO, False),
        ("Image Generation", REFS, Kind.IMAGE, False),
        ("AI Content Generation", NOTHING, Kind.VIDEO, False),
        ("Premiere Export", VIDEO, Kind.PROJECT, True),
        ("Mimir Export", VIDEO, None, False),
        ("Destination", VIDEO, None, False),
    ],
)
def test_every_tile_has_its_kinds_of_inputs_and_outputs(
    name: str, accepts: frozenset[Kind], produces: Kind | None, combines: bool
) -> None:
    tile = tile_named(name)
    assert (tile.accepts, tile.produces, tile.combines) == (accepts, produces, combines)
    assert tile.optional_input is (accepts is REFS)


def test_sources_generators_and_outputs() -> None:
    def those(fact: str) -> set[str]:
        return {tile.name for tile in nodes.tiles if getattr(tile, fact)()}

    triggers = {"YouTube Trigger", "Google Drive Trigger", "S3 Trigger", "Schedule Trigger"}
    assert those("is_input") == {"Video Input"}
    assert those("is_trigger") == triggers
    assert those("is_output") == {"Mimir Export", "Destination"}
    assert those("protected") == {"Video Input", "Destination", *triggers}
    assert those("is_generator") == {
        "AI Avatar",
        "Video Generation",
        "Audio Generation",
        "Image Generation",
        "AI Content Generation",
    }


@pytest.mark.parametrize(
    ("name", "documented"),
    [
        ("Captions", {"caption_style": "colored", "base_color": "#F8FAFC", "highlight_color": "#A78BCA"}),
        (
            "Captions",
            {"caption_font": "Montserrat", "caption_font_weight": "700", "caption_font_size_px": None},
        ),
        ("Watermark", {"use_custom_logo": "mosaic", "image_id": None, "logo_position": "bottom-right"}),
        ("Watermark", {"logo_size": 30, "logo_opacity": 80, "logo_margin_x": 20, "logo_margin_y": 20}),
        ("AI Avatar", {"video_model": "seedance-2-fast"}),
        ("Video Generation", {"resolution": "720p", "duration": "8", "aspect_ratio": "16:9"}),
        ("Audio Generation", {"mode": "voiceover"}),
        ("Image Generation", {"image_size": "landscape_4_3", "quality": "high", "output_format": "png"}),
    ],
)
def test_documented_defaults(name: str, documented: dict[str, Any]) -> None:
    defaults = tile_named(name).defaults()
    assert {parameter: defaults[parameter] for parameter in documented} == documented


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("Clips", {"num_clips": 20, "target_duration": 30}),
        ("Clips", {"num_clips": None, "target_duration": None}),
        ("Captions", {"caption_font_weight": "100", "caption_vertical_position": 50, "base_color": "#fff"}),
        ("Captions With Emojis", {"caption_style": "karaoke", "caption_font_size_px": 64}),
        ("Cinematic Captions", {"color_override": "#F8FAFC80", "caption_position": "top-left"}),
        ("Motion Graphics", {"frequency_per_minute": "auto"}),
        ("Motion Graphics", {"frequency_per_minute": 2.5}),
        ("Watermark", {"use_custom_logo": "custom", "image_id": SOME_ID}),
        ("Outro", {"use_custom_outro": "custom", "custom_outro_video_id": SOME_ID}),
        ("Video Generation", {"duration": "7.5", "selected_context": [{"any": ["json"]}]}),
        ("Image Generation", {"image_size": "custom", "custom_width": 256, "custom_height": 3840}),
        ("Voice", {"safewords": ["Tessera"], "translation_dictionary": {"tile": "tuile"}}),
        ("AI Music", {"start_s": 2, "end_s": 2.5}),
    ],
)
def test_allowed_values_are_kept(name: str, params: dict[str, Any]) -> None:
    kept = tile_named(name).Params.model_validate(params).model_dump()
    assert {parameter: kept[parameter] for parameter in params} == params


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("Clips", {"num_clips": "5"}),
        ("Clips", {"num_clips": 0}),
        ("Clips", {"num_clips": 21}),
        ("Clips", {"num_clips": True}),
        ("Clips", {"target_duration": 300.5}),
        ("Clips", {"prompt": None}),
        ("Captions", {"caption_font_weight": 700}),
        ("Captions", {"caption_font_weight": "650"}),
        ("Captions", {"base_color": "red"}),
        ("Captions", {"base_color": None}),
        ("Captions", {"stroke_enabled": 1}),
        ("Captions", {"stroke_width": float("inf")}),
        ("Captions", {"caption_vertical_position": 101}),
        ("Motion Graphics", {"frequency_per_minute": "5"}),
        ("Motion Graphics", {"frequency_per_minute": 0}),
        ("Rough Cut", {"model_tier": "turbo"}),
        ("Watermark", {"logo_opacity": 5}),
        ("Watermark", {"logo_size": 0}),
        ("Watermark", {"logo_margin_x": -1}),
        ("Watermark", {"image_id": "logo.png"}),
        ("AI B-Roll", {"max_generations": 21}),
        ("Video Generation", {"duration": 8}),
        ("Video Generation", {"duration": "8s"}),
        ("Video Generation", {"duration": "0.0"}),
        ("Image Generation", {"custom_width": 500}),
        ("Image Generation", {"custom_width": 240}),
        ("Image Generation", {"custom_height": 3856}),
        ("Color Correction", {"preset": "golden hour"}),
    ],
)
def test_other_values_are_refused(name: str, params: dict[str, Any]) -> None:
    assert next(iter(params)) in refusal(name, params)


@pytest.mark.parametrize(
    ("name", "params", "missing"),
    [
        ("Watermark", {"use_custom_logo": "custom"}, "image_id"),
        ("Watermark", {"use_custom_logo": "custom", "image_id": None}, "image_id"),
        ("Intro", {"use_custom_intro": "custom"}, "custom_intro_video_id"),
        ("Outro", {"use_custom_outro": "custom"}, "custom_outro_video_id"),
        ("Image Generation", {"image_size": "custom"}, "custom_width and custom_height"),
        ("Image Generation", {"image_size": "custom", "custom_width": 512}, "custom_height"),
    ],
)
def test_the_custom_setting_needs_its_asset(name: str, params: dict[str, Any], missing: str) -> None:
    choice = next(iter(params))
    assert f"{choice} 'custom' needs {missing} too" in refusal(name, params)


def test_music_ends_after_it_starts() -> None:
    assert "end_s (5) must be greater than start_s (7.5)" in refusal("AI Music", {"start_s": 7.5, "end_s": 5})


def test_avoid_prompt_is_deprecated() -> None:
    params = tile_named("Motion Graphics").Params
    assert [name for name, field in params.model_fields.items() if field.deprecated] == ["avoid_prompt"]


def test_emoji_captions_take_the_parameters_of_captions() -> None:
    assert tile_named("Captions With Emojis").defaults() == tile_named("Captions").defaults()


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("rough cut", "Rough Cut"),
        ("ROUGHCUT", "Rough Cut"),
        (" Ai  b-roll ", "AI B-Roll"),
        ("CDCCB204-168E-4AEC-AA72-480B11E74324", "Captions"),
        ("News UK", "Premiere Export"),
        ("sun", "Premiere Export"),
        ("ai augment", "AI Augment"),
        ("Captions with Emojis", "Captions With Emojis"),
    ],
)
def test_a_name_is_found_ignoring_case_and_spaces(catalogue: Catalogue, wanted: str, name: str) -> None:
    found = catalogue.find(wanted)
    assert found is not None
    assert found.name == name


def test_unknown_name_finds_nothing(catalogue: Catalogue) -> None:
    assert catalogue.find("Teleporter", None, "") is None


@pytest.mark.parametrize(
    ("wanted", "name"), [("Watermrk", "Watermark"), ("Ruff Cut", "Rough Cut"), ("Clip", "Clips")]
)
def test_nearest_name_comes_first(catalogue: Catalogue, wanted: str, name: str) -> None:
    assert catalogue.nearest(wanted)[0] == name


@every_tile
def test_only_tiles_with_our_own_parameter_names_are_lenient(tile: type[NodeType]) -> None:
    assert tile.lenient() is (tile.name in {*OURS, *TILDE})


@pytest.mark.parametrize(
    ("old", "now"),
    [("top-center", "top"), ("bottom-center", "bottom"), ("center-left", "left"), ("center-right", "right")],
)
def test_old_names_of_caption_positions_stay_readable_with_a_warning(old: str, now: str) -> None:
    given = assert_plan(f'input > cinematic_captions(caption_position="{old}") > destination')
    changed = assert_plan(
        "input > cinematic_captions > destination", set={"cinematic_captions.caption_position": old}
    )
    for p in (given, changed):
        p.warns("old_value", match=f"{old!r}, an old name of {now!r}")
        params: Any = p.plan.tile(node_id("cinematic_captions")).params
        assert params.caption_position == now


@pytest.mark.parametrize("position", ["auto", "top-left", "top", "left", "center", "bottom-right"])
def test_caption_positions_have_the_names_of_the_contract(position: str) -> None:
    assert_plan(f'input > cinematic_captions(caption_position="{position}") > destination').no_warnings(
        "old_value"
    )


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((1920, 1080), (1920, 1080)),
        ((1080, 1920), (1080, 1920)),
        ((640, 480), (480, 480)),
        ((1000, 1200), (1000, 1250)),
        ((2560, 1080), (1920, 1080)),
    ],
)
def test_reframe_auto_keeps_a_shape_that_fits_and_else_takes_the_nearest(
    size: tuple[int, int], shown: tuple[int, int]
) -> None:
    facts = {"*": {"duration_ms": 5_000, "width": size[0], "height": size[1], "fps": "25"}}
    p = assert_plan('input > reframe(aspect_ratio="auto") > destination', facts=facts)
    p.outputs({"width": shown[0], "height": shown[1]})
