"""Parameters that name assets: each must be in the workspace, and of its kind, where it is in use."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tessera.inputs.assets.avatars import create_profile
from tessera.inputs.assets.library import Library
from tessera.media.ffmpeg.process import run_ffmpeg
from tessera.runner.answers.stubs import read_stubs
from tessera.runner.asset_checks import check_assets
from tests.inputs.test_uploads import CUBE
from tests.support.builders import IN, chain, planned, refused, uid
from tests.support.media import MEDIA

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
    """A workspace that holds an asset of each kind, and their ids."""
    folder = tmp_path_factory.mktemp("workspace")
    cube = folder / "warm.cube"
    cube.write_text(CUBE)
    files = {"image": "logo.png", "video": "silent.mp4", "audio": "sound.wav"}
    library = Library(folder / "ws")
    ids = {kind: library.add(MEDIA / name).id for kind, name in files.items()}
    return library, {**ids, "lut": library.add(cube).id}


def checked(library: Library, tile: str, params: Mapping[str, Any], **request: Any) -> None:
    check_assets(planned(chain(IN, f"t:{tile}", t=params), **request), library, {})


@pytest.mark.parametrize(("tile", "name", "others", "kind"), NAMES)
def test_an_asset_must_be_there_and_of_its_kind(
    tile: str, name: str, others: Mapping[str, Any], kind: str, held: tuple[Library, Mapping[str, str]]
) -> None:
    library, ids = held
    checked(library, tile, {**others, name: ids[kind]})
    checked(library, tile, {**others, name: ids[kind].upper()})
    with refused((PARAM + name, f"{tile} {uid('t')}: unknown")):
        checked(library, tile, {**others, name: NOWHERE})
    for other in ids.keys() - {kind}:
        with refused((PARAM + name, f"is {SHOWN[other]}, but {SHOWN[kind]} is needed")):
            checked(library, tile, {**others, name: ids[other]})


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
def test_what_is_not_in_use_need_not_be_there(tile: str, params: Mapping[str, Any], tmp_path: Path) -> None:
    checked(Library(tmp_path), tile, params)


def test_a_colour_table_goes_before_a_reference_image(held: tuple[Library, Mapping[str, str]]) -> None:
    library, ids = held
    checked(library, "Color Correction", {"lut_id": ids["lut"], "reference_image_id": NOWHERE})
    with refused((PARAM + "lut_id", "unknown colour table")):
        checked(library, "Color Correction", {"lut_id": NOWHERE, "reference_image_id": NOWHERE})


def test_an_override_is_named_where_it_stands_and_every_fault_is_told(tmp_path: Path) -> None:
    agent = chain(IN, "a:AI Music", "b:Watermark", a={"audio_id": NOWHERE})
    mark = {"use_custom_logo": "custom", "image_id": NOWHERE}
    decided = planned(agent, update_params={uid("b"): mark})
    override = f"/update_params/{uid('b')}/image_id"
    with refused((PARAM + "audio_id", "unknown audio"), (override, "unknown image")):
        check_assets(decided, Library(tmp_path), {})


def test_a_tile_that_a_stub_stands_in_for_needs_no_asset(tmp_path: Path) -> None:
    decided = planned(chain(IN, "t:AI Music", t={"audio_id": NOWHERE}))
    stubs = read_stubs({"AI Music": {"makes": [{}]}}, decided, None)
    check_assets(decided, Library(tmp_path), stubs)


def test_an_avatar_profile_must_be_known_and_not_have_failed(tmp_path: Path) -> None:
    clip = tmp_path / "anna.mp4"
    run_ffmpeg(["-y", "-i", str(MEDIA / "talk.mp4"), "-t", "5", "-c", "copy", str(clip)])
    library = Library(tmp_path / "ws")
    good = create_profile(tmp_path / "ws", "Anna", {"video_id": library.add(clip).id})
    bad = create_profile(tmp_path / "ws", "Bob", {"video_url": "http://127.0.0.1:1/bob.mp4"})

    def spoken(profile: str) -> None:
        agent = chain("a:AI Avatar", a={"avatar_profile_id": profile})
        check_assets(planned(agent, video_ids=[]), library, {})

    spoken(good.id)
    place = "/agent_nodes/0/params_used/avatar_profile_id"
    with refused((place, "Bob")):
        spoken(bad.id)
    with refused((place, "unknown avatar profile")):
        spoken(NOWHERE)
