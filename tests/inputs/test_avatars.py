"""Avatar profiles are made from a video, or an image and a voice; stored, listed and checked before a run."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tessera import RequestError
from tessera.inputs.assets.avatars import create_profile, find_profile, profiles
from tessera.inputs.assets.library import Library
from tessera.inputs.fetch.rules import FetchRules
from tessera.media.process.process import run_ffmpeg
from tessera.store.prune import prune
from tessera.store.store_check import check
from tests.inputs.test_fetch import tessera
from tests.support.media import MEDIA
from tests.support.servers import Served, serving

NOWHERE = "11111111-2222-3333-4444-555555555555"
RULES = FetchRules(allow_private=True, retry_s=0.2, pause_s=0.02)


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as found:
        yield found


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a clip of five seconds of a talk."""
    path = tmp_path_factory.mktemp("clip") / "anna.mp4"
    run_ffmpeg(["-y", "-i", str(MEDIA / "talk.mp4"), "-t", "5", "-c", "copy", str(path)])
    return path


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("voice") / "voice.wav"
    run_ffmpeg(["-y", "-f", "lavfi", "-i", "sine=d=4", str(path)])
    return path


def test_a_profile_is_created_from_a_video_listed_and_shown(clip: Path, tmp_path: Path) -> None:
    made = tessera("avatar", "create", "Anna", "--video", clip, "--json", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    profile = json.loads(made.stdout)
    assert (profile["name"], profile["status"], profile["status_message"]) == ("Anna", "ready", None)
    preview = Path(profile["video_preview_url"].removeprefix("file://"))
    assert preview.read_bytes() == clip.read_bytes()
    listed = tessera("avatar", "list", cwd=tmp_path).stdout
    assert listed.split() == [profile["id"], "ready", "Anna"]
    assert json.loads(tessera("avatar", "list", "--json", cwd=tmp_path).stdout) == [profile]
    assert json.loads(tessera("avatar", "show", profile["id"], "--json", cwd=tmp_path).stdout) == profile
    unknown = tessera("avatar", "show", NOWHERE, cwd=tmp_path)
    assert unknown.returncode == 2
    assert f"no avatar profile {NOWHERE}" in unknown.stderr


def test_an_image_and_a_voice_are_shown_as_a_video_as_long_as_the_voice(voice: Path, tmp_path: Path) -> None:
    library = Library(tmp_path)
    sources = {"image_id": library.add(MEDIA / "logo.png").id, "audio_id": library.add(voice).id}
    made = create_profile(tmp_path, "Logo", sources)
    assert (made.status, find_profile(tmp_path, made.id.upper())) == ("ready", made)
    shown = Library(tmp_path).get(made.video or "")
    assert shown is not None
    assert shown.info.sound is not None
    assert abs(float(shown.info.duration) - 4) < 0.05
    assert check(tmp_path).problems == []


@pytest.mark.parametrize(
    ("name", "sources", "says"),
    [
        ("Anna", {}, "/sources"),
        ("Anna", {"image_id": NOWHERE}, "/sources"),
        ("Anna", {"video_id": NOWHERE, "audio_id": NOWHERE}, "/sources"),
        ("Anna", {"video_id": NOWHERE}, "unknown video_id"),
        (" ", {"video_url": "http://a.example/b.mp4"}, "/name"),
        ("Anna", {"video_id": "long"}, "talk.mp4 lasts 24024 ms; video for an avatar lasts 4 to 15 s"),
        ("Anna", {"video_id": "logo"}, "logo.png is image, not video"),
    ],
)
def test_an_invalid_profile_is_refused_and_not_stored(
    name: str, sources: dict[str, str], says: str, tmp_path: Path
) -> None:
    library = Library(tmp_path)
    files = {"long": "talk.mp4", "logo": "logo.png"}
    given = {
        key: library.add(MEDIA / files[value]).id if value in files else value
        for key, value in sources.items()
    }
    with pytest.raises(RequestError) as caught:
        create_profile(tmp_path, name, given)
    assert says in str([(fault.loc, fault.message) for fault in caught.value.errors])
    assert profiles(tmp_path) == []


def test_a_url_is_fetched_and_a_failed_fetch_is_stored_as_failed(
    clip: Path, served: Served, tmp_path: Path
) -> None:
    served.files["/anna.mp4"] = clip.read_bytes()
    good = create_profile(tmp_path, "Anna", {"video_url": f"{served.url}/anna.mp4?sig=s3cret"}, RULES)
    assert good.status == "ready"
    bad = create_profile(tmp_path, "Bob", {"video_url": f"{served.url}/status/403.mp4?sig=s3cret"}, RULES)
    assert bad.status == "failed"
    assert "403 Forbidden" in (bad.status_message or "")
    private = create_profile(tmp_path, "Eve", {"video_url": f"{served.url}/anna.mp4"})
    assert "refused: 127.0.0.1 is a private address" in (private.status_message or "")
    assert profiles(tmp_path) == [good, bad, private]
    assert "s3cret" not in str(profiles(tmp_path))
    assert check(tmp_path).problems == []


def test_the_assets_of_a_profile_are_not_pruned(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tessera.store.prune._RECENT_S", -1)
    library = Library(tmp_path)
    made = create_profile(tmp_path, "Anna", {"video_id": library.add(clip).id})
    spare = library.add(MEDIA / "logo.png").id
    assert prune(tmp_path, 0).assets == [spare]
    assert check(tmp_path).problems == []
    assert made.video is not None
    assert Library(tmp_path).get(made.video) is not None


def test_a_workspace_of_the_previous_version_gets_the_table(clip: Path, tmp_path: Path) -> None:
    created = create_profile(tmp_path, "Anna", {"video_id": Library(tmp_path).add(clip).id})
    with sqlite3.connect(tmp_path / "tessera.db") as database:
        database.execute("drop table avatars")
        database.execute("update meta set schema = 2")
    database.close()
    assert profiles(tmp_path) == []
    again = create_profile(tmp_path, "Anna", {"video_id": created.sources["video_id"]})
    assert profiles(tmp_path) == [again]
