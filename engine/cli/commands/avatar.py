"""`tessera avatar`: create, list and show avatar profiles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tessera.cli.options import AllowPrivate, Json, Workspace
from tessera.text.wording import printable

if TYPE_CHECKING:
    from tessera.inputs.assets.avatars import Profile
    from tessera.inputs.assets.library import Library

__all__ = ["avatar"]

avatar = typer.Typer(
    help="Manage avatar profiles, for the parameter `avatar_profile_id`.", rich_markup_mode=None
)

_Source = Annotated[str | None, typer.Option(metavar="FILE|URL", help="File or http(s) URL, 4 to 15 s long.")]


@avatar.callback()
def avatar_commands() -> None:
    """Manage avatar profiles, for the parameter `avatar_profile_id`."""


@avatar.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the profile.")],
    video: _Source = None,
    image: Annotated[
        str | None, typer.Option(metavar="FILE|URL", help="Image file or URL. Requires --audio.")
    ] = None,
    audio: _Source = None,
    allow_private: AllowPrivate = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Create a profile from a video of a speaker, or from an image and a voice."""
    from tessera.cli.display.output import FAILED, OK, put_json, warn
    from tessera.cli.request_args import library_of, workspace_folder
    from tessera.inputs.assets.avatars import create_profile
    from tessera.inputs.fetch.rules import FetchRules

    library = library_of(workspace, writable=True)
    options = {"video": video, "image": image, "audio": audio}
    sources = dict(_source(kind, place, library) for kind, place in options.items() if place is not None)
    made = create_profile(workspace_folder(workspace), name, sources, FetchRules(allow_private=allow_private))
    if as_json:
        put_json(made.to_dict(library))
    else:
        _print(made, library)
    if made.status == "failed":
        warn(f"{made.name}: {made.status_message}")
        return FAILED
    return OK


@avatar.command("list")
def list_all(workspace: Workspace = None, as_json: Json = False) -> int:
    """List the profiles in the workspace."""
    from tessera.cli.display.output import OK, put, put_json
    from tessera.cli.request_args import library_of, workspace_folder
    from tessera.inputs.assets.avatars import profiles

    home = workspace_folder(workspace)
    found = profiles(home)
    if as_json:
        library = library_of(workspace, writable=False)
        put_json([one.to_dict(library) for one in found])
        return OK
    if not found:
        put(f"no avatar profiles in {home}")
    for one in found:
        put(printable(f"{one.id}  {one.status:10}  {one.name}"))
    return OK


@avatar.command()
def show(
    profile_id: Annotated[str, typer.Argument(metavar="ID", help="Profile id.")],
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Show a profile."""
    from tessera.cli.display.output import OK, put_json
    from tessera.cli.request_args import library_of, workspace_folder
    from tessera.errors import NotFound
    from tessera.inputs.assets.avatars import find_profile

    found = find_profile(workspace_folder(workspace), profile_id)
    if found is None:
        raise NotFound(f"no avatar profile {profile_id} in {workspace_folder(workspace)}")
    library = library_of(workspace, writable=False)
    put_json(found.to_dict(library)) if as_json else _print(found, library)
    return OK


def _source(kind: str, place: str, library: Library) -> tuple[str, str]:
    """Return the source field and value of a URL, or of a file after storing it in the library."""
    from tessera.inputs.local import LocalInput

    if LocalInput(place).is_url:
        return f"{kind}_url", place
    return f"{kind}_id", library.add(Path(place)).id


def _print(profile: Profile, library: Library) -> None:
    from tessera.cli.display.output import put

    facts = profile.to_dict(library)
    put(f"avatar_profile_id {profile.id}")
    put(printable(f"{profile.name}: {profile.status}"))
    for detail in (profile.status_message, facts["video_preview_url"]):
        if detail is not None:
            put(printable(detail))
