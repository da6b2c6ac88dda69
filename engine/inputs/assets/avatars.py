"""Avatar profiles of a workspace (contract, section 7): a speaker from a video, or an image and a voice."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from tessera.errors import Fault, MediaError, RequestError, pointer
from tessera.inputs.assets.asset import Asset
from tessera.inputs.assets.library import Library
from tessera.inputs.fetch.guard_proxy import GuardProxy
from tessera.inputs.fetch.http_file import fetch_file, inspect_file, name_of
from tessera.inputs.fetch.rules import FetchError, FetchRules
from tessera.media.algebra.time import to_ms
from tessera.media.ffmpeg.encode_settings import REPEATABLE
from tessera.media.probe.image_pixels import pixels_of
from tessera.media.probe.probe import DEMUXERS, PROTOCOLS
from tessera.media.process.process import run_ffmpeg
from tessera.text.masking import masked_text, masked_url

if TYPE_CHECKING:
    from tessera.database.interface import Database

__all__ = ["MAX_S", "MIN_S", "Profile", "create_profile", "find_profile", "profiles"]

MIN_S, MAX_S = 4, 15
"""The shortest and the longest video or voice of a profile, in seconds."""

_SOURCE_SETS = (("video_url",), ("video_id",), ("image_url", "audio_url"), ("image_id", "audio_id"))
_ALLOWED = "video_url, video_id, image_url and audio_url, or image_id and audio_id"
_MAX_NAME_LENGTH = 200
_MAX_SIDE_PX = 1280


class Profile(BaseModel):
    """One profile.

    Attributes
    ----------
    sources
        The sources of the profile: ids, and masked URLs.
    video
        The asset that shows the avatar; None until the profile is ready.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    id: str
    name: str
    status: Literal["pending", "processing", "ready", "failed"] = "pending"
    status_message: str | None = None
    sources: dict[str, str]
    video: str | None = None

    def assets(self) -> set[str]:
        """Return the ids of the assets that the profile needs."""
        own = {value.lower() for name, value in self.sources.items() if name.endswith("_id")}
        return own | ({self.video} if self.video else set())

    def to_dict(self, library: Library) -> dict[str, Any]:
        """Return the profile in the form of the contract."""
        preview = library.get(self.video) if self.video else None
        return {
            "id": self.id,
            "name": self.name,
            "video_preview_url": preview.path.absolute().as_uri() if preview is not None else None,
            "status": self.status,
            "status_message": self.status_message,
        }


def create_profile(
    workspace: Path, name: str, sources: Mapping[str, str], rules: FetchRules | None = None
) -> Profile:
    """Create a profile and save it.

    If a URL cannot be fetched or used, the profile is saved as `failed`, with the reason.

    Parameters
    ----------
    sources
        `video_url`, `video_id`, `image_url` and `audio_url`, or `image_id` and `audio_id`; the video or the
        audio lasts 4 to 15 s.

    Raises
    ------
    RequestError
        If the name is missing, the sources do not have this form, or an id is unusable: nothing is saved.
    WorkspaceError
        If the workspace cannot be written.
    """
    from tessera.database.location import open_database

    library = Library(workspace)
    _check_form(name, sources)
    stored = _assets_by_id(library, sources)
    masked = {key: masked_url(value) for key, value in sources.items()}
    profile = Profile(id=str(uuid.uuid4()), name=masked_text(name.strip()), sources=masked)
    database = open_database(workspace)
    try:
        _save(database, profile)
        try:
            profile = profile.model_copy(update={"status": "processing"})
            _save(database, profile)
            found = stored or {key: _fetched(library, key, url, rules) for key, url in sources.items()}
            video = _video_of(library, found, name)
            ready: dict[str, Any] = {"status": "ready", "video": video.id}
        except (FetchError, MediaError) as error:
            ready = {"status": "failed", "status_message": str(error)}
        profile = profile.model_copy(update=ready)
        _save(database, profile)
    finally:
        database.close()
    return profile


def profiles(workspace: Path) -> list[Profile]:
    """Return the profiles of a workspace, the oldest first.

    Raises
    ------
    WorkspaceError
        If a profile cannot be read.
    """
    from tessera.database.location import database_exists, open_database
    from tessera.database.statements import decoding

    if not database_exists(workspace):
        return []
    database = open_database(workspace)
    try:
        with database.read() as connection:
            found = connection.rows("SELECT body FROM avatars ORDER BY number")
    finally:
        database.close()
    with decoding("an avatar profile"):
        return [Profile.model_validate_json(body) for (body,) in found]


def find_profile(workspace: Path, wanted: str) -> Profile | None:
    """Return the profile with this id (compared case-insensitively), or None."""
    return next((one for one in profiles(workspace) if one.id == wanted.lower()), None)


def _save(database: Database, profile: Profile) -> None:
    row = (profile.id, profile.model_dump_json())
    with database.write() as connection:
        connection.insert("avatars", ("profile_id", "body"), [row], "replace", key=("profile_id",))


def _check_form(name: str, sources: Mapping[str, str]) -> None:
    faults = []
    if not name.strip() or len(name) > _MAX_NAME_LENGTH or not name.isprintable():
        what = f"a name has 1 to {_MAX_NAME_LENGTH} printable characters"
        faults.append(Fault("/name", "request", what))
    if tuple(sorted(sources)) not in [tuple(sorted(way)) for way in _SOURCE_SETS]:
        limits = " and ".join(sorted(sources)) or "none"
        faults.append(Fault("/sources", "request", f"sources are {_ALLOWED}; not {limits}"))
    if faults:
        raise RequestError(faults)


def _assets_by_id(library: Library, sources: Mapping[str, str]) -> dict[str, Asset]:
    """Return the checked assets that the sources name by id; URLs are skipped."""
    found, faults = {}, []
    for key, value in sources.items():
        if not key.endswith("_id"):
            continue
        asset, kind = library.get(value), key.partition("_")[0]
        if asset is None:
            what: str | None = f"unknown {key} {value}: the workspace holds none"
        else:
            found[key], what = asset, _unfit_reason(asset, kind)
        if what is not None:
            faults.append(Fault(pointer("sources", key), "request", what))
    if faults:
        raise RequestError(faults)
    return found


def _unfit_reason(asset: Asset, kind: str) -> str | None:
    """Return the reason why an asset cannot be a source of this kind, or None if it can."""
    if asset.info.kind != kind:
        return f"{asset.name} is {asset.info.kind}, not {kind}"
    if kind != "image" and not MIN_S <= asset.info.duration <= MAX_S:
        lasts = to_ms(asset.info.duration)
        return f"{asset.name} lasts {lasts} ms; {kind} for an avatar lasts {MIN_S} to {MAX_S} s"
    return None


def _fetched(library: Library, key: str, url: str, rules: FetchRules | None) -> Asset:
    limits, kind = rules or FetchRules(), key.partition("_")[0]

    def check(asset: Asset) -> None:
        what = _unfit_reason(asset, kind)
        if what is not None:
            raise MediaError(what)

    with GuardProxy(limits, limits.most_bytes) as guard:
        inspection = inspect_file(url, guard, limits)
        if inspection.head == "page":
            raise FetchError(f"{masked_url(url)} is a web page, not media")

        def fill(folder: Path) -> tuple[Path, str | None]:
            media = folder / "fetched.part"
            digest, _version = fetch_file(inspection, media, guard, limits, lambda _bytes: None)
            return media, digest

        return library.receive(fill, name=name_of(url), shown=masked_url(url), check=check)


def _video_of(library: Library, found: Mapping[str, Asset], name: str) -> Asset:
    """Return the video of a profile: its own, or its image for the duration of its voice."""
    by_kind = {key.partition("_")[0]: asset for key, asset in found.items()}
    if "video" in by_kind:
        return by_kind["video"]
    with tempfile.TemporaryDirectory() as work:
        still, video = Path(work) / "still.png", Path(work) / "avatar.mp4"
        picture = pixels_of(by_kind["image"].path).convert("RGB")
        picture.thumbnail((_MAX_SIDE_PX, _MAX_SIDE_PX))
        picture.resize((max(picture.width // 2, 1) * 2, max(picture.height // 2, 1) * 2)).save(still)
        voice = by_kind["audio"]
        read = ["-protocol_whitelist", PROTOCOLS]
        image_in = ["-loop", "1", "-framerate", "25", *read, "-i", str(still)]
        voice_in = [*read, "-format_whitelist", DEMUXERS, "-i", f"file:{voice.path.absolute()}"]
        length = f"{float(voice.info.duration):.6f}"
        coding = ["-c:v", "libx264", "-tune", "stillimage", "-x264-params", REPEATABLE]
        coding += ["-pix_fmt", "yuv420p", "-c:a", "aac"]
        run_ffmpeg(
            ["-y", *image_in, *voice_in, "-map", "0:v", "-map", "1:a", "-t", length, *coding, str(video)]
        )
        return library.take(video, f"{name.strip()}.mp4")
