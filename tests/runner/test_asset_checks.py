"""Check that parameters in use name assets that are in the workspace and of the right kind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tessera import RequestError, plan
from tessera.inputs.assets.avatars import create_profile
from tessera.inputs.assets.library import Library
from tessera.media.process.process import run_ffmpeg
from tessera.runner.answers.stubs import read_stubs
from tessera.runner.asset_checks import check_assets
from tessera.testing import agent, node_id
from tests.inputs.test_uploads import CUBE
from tests.support.media import MEDIA
from tests.support.planning import ONE_VIDEO, assert_has, assert_only

NOWHERE = "11111111-2222-3333-4444-555555555555"
PARAM = "/agent_nodes/1/params_used/"
NAMES = [
    ("Watermark", "image_id", {"use_custom_logo": "custom"}, "image"),
    ("Intro", "custom_intro_video_id", {"use_custom_intro": "custom"}, "video"),
    ("Outro", "custom_outro_video_id", {"use_custom_outro": "custom"}, "video"),
    ("AI Music", "audio_id", {}, "audio"),
    ("Montage", "audio_id", {}, "audio"),
    ("Color Correction", "reference_image_id", {}, "image"),
    ("Color Correction", "lut_id", {}, "lut"),
]
SHOWN = {"image": "an image", "video": "a video", "audio": "audio", "lut": "a colour table"}


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> tuple[Library, Mapping[str, str]]:
    """Return a workspace with one asset of each kind, and their ids."""
    folder = tmp_path_factory.mktemp("workspace")
    cube = folder / "warm.cube"
    cube.write_text(CUBE)
    files = {"image": "logo.png", "video": "silent.mp4", "audio": "sound.wav"}
    library = Library(folder / "ws")
    ids = {kind: library.add(MEDIA / name).id for kind, name in files.items()}
    return library, {**ids, "lut": library.add(cube).id}


def checked(library: Library, tile: str, params: Mapping[str, Any]) -> None:
    given = ", ".join(f"{name}={json.dumps(value)}" for name, value in params.items())
    check_assets(plan(agent(f"input > t:{tile}({given})"), ONE_VIDEO), library, {})


def assert_refused(library: Library, tile: str, params: Mapping[str, Any], name: str, words: str) -> None:
    """Assert that one parameter, and no other, is refused with these words."""
    with pytest.raises(RequestError) as caught:
        checked(library, tile, params)
    assert_only(caught.value.errors, PARAM + name, words, document="template")


@pytest.mark.parametrize(("tile", "name", "others", "kind"), NAMES)
def test_an_asset_must_exist_and_be_of_the_right_kind(
    tile: str, name: str, others: Mapping[str, Any], kind: str, held: tuple[Library, Mapping[str, str]]
) -> None:
    library, ids = held
    checked(library, tile, {**others, name: ids[kind]})
    checked(library, tile, {**others, name: ids[kind].upper()})
    assert_refused(library, tile, {**others, name: NOWHERE}, name, f"{tile} {node_id('t')}: unknown")
    for other in ids.keys() - {kind}:
        words = f"is {SHOWN[other]}, but {SHOWN[kind]} is needed"
        assert_refused(library, tile, {**others, name: ids[other]}, name, words)


@pytest.mark.parametrize(
    ("tile", "params"),
    [
        ("Watermark", {"use_custom_logo": "mosaic", "image_id": NOWHERE}),
        ("Watermark", {"image_id": NOWHERE}),
        ("Intro", {"custom_intro_video_id": NOWHERE}),
        ("Outro", {"use_custom_outro": "mosaic", "custom_outro_video_id": NOWHERE}),
        ("AI Music", {"audio_id": None}),
    ],
)
def test_an_unused_asset_may_be_missing(tile: str, params: Mapping[str, Any], tmp_path: Path) -> None:
    checked(Library(tmp_path), tile, params)


def test_a_colour_table_takes_precedence_over_a_reference_image(
    held: tuple[Library, Mapping[str, str]],
) -> None:
    library, ids = held
    checked(library, "Color Correction", {"lut_id": ids["lut"], "reference_image_id": NOWHERE})
    both = {"lut_id": NOWHERE, "reference_image_id": NOWHERE}
    assert_refused(library, "Color Correction", both, "lut_id", "unknown colour table")


def test_all_faults_are_reported_and_an_override_by_its_place_in_the_request(tmp_path: Path) -> None:
    document = agent(f'input > ai_music(audio_id="{NOWHERE}") > watermark')
    mark = {"use_custom_logo": "custom", "image_id": NOWHERE}
    decided = plan(document, {**ONE_VIDEO, "update_params": {node_id("watermark"): mark}})
    with pytest.raises(RequestError) as caught:
        check_assets(decided, Library(tmp_path), {})
    faults = caught.value.errors
    assert_has(faults, PARAM + "audio_id", "unknown audio", document="template")
    assert_has(faults, f"/update_params/{node_id('watermark')}/image_id", "unknown image")
    assert len(faults) == 2


def test_a_stubbed_tile_needs_no_asset(tmp_path: Path) -> None:
    decided = plan(agent(f'input > ai_music(audio_id="{NOWHERE}")'), ONE_VIDEO)
    stubs = read_stubs({"AI Music": {"makes": [{}]}}, decided, None)
    check_assets(decided, Library(tmp_path), stubs)


def test_an_avatar_profile_must_exist_and_not_have_failed(tmp_path: Path) -> None:
    clip = tmp_path / "anna.mp4"
    run_ffmpeg(["-y", "-i", str(MEDIA / "talk.mp4"), "-t", "5", "-c", "copy", str(clip)])
    library = Library(tmp_path / "ws")
    good = create_profile(tmp_path / "ws", "Anna", {"video_id": library.add(clip).id})
    bad = create_profile(tmp_path / "ws", "Bob", {"video_url": "http://127.0.0.1:1/bob.mp4"})

    def spoken(profile: str) -> None:
        document = agent(f'ai_avatar(avatar_profile_id="{profile}")')
        check_assets(plan(document, {"video_ids": []}), library, {})

    spoken(good.id)
    for profile, words in ((bad.id, "Bob"), (NOWHERE, "unknown avatar profile")):
        with pytest.raises(RequestError) as caught:
            spoken(profile)
        place = "/agent_nodes/0/params_used/avatar_profile_id"
        assert_only(caught.value.errors, place, words, document="template")
