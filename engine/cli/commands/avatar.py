"""`tessera avatar`: the avatar profiles of a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tessera.cli.options import AllowPrivate, Json, Workspace

if TYPE_CHECKING:
    from tessera.inputs.assets.avatars import Profile
    from tessera.inputs.assets.library import Library

__all__ = ["avatar"]

avatar = typer.Typer(help="Make and list avatar profiles, for `avatar_profile_id`.", rich_markup_mode=None)

_Source = Annotated[
    str | None, typer.Option(metavar="FILE|URL", help="A file, or an http(s) URL; 4 to 15 s.")
]


@avatar.callback()
def of_workspace() -> None:
    """Make and list avatar profiles, for `avatar_profile_id`."""


@avatar.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the profile is called.")],
    video: _Source = None,
    image: Annotated[str | None, typer.Option(metavar="FILE|URL", help="A picture, with --audio.")] = None,
    audio: _Source = None,
    allow_private: AllowPrivate = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Make a profile from a video of somebody who speaks, or from an image and a voice."""
    from tessera.cli.output import FAILED, OK, put_json, warn
    from tessera.cli.request_args import home_of, library_of
    from tessera.inputs.assets.avatars import create_profile
    from tessera.inputs.fetch.rules import FetchRules

    library = library_of(workspace, writable=True)
    given = {"video": video, "image": image, "audio": audio}
    sources = dict(_source(kind, place, library) for kind, place in given.items() if place is not None)
    made = create_profile(home_of(workspace), name, sources, FetchRules(allow_private=allow_private))
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
    """List the profiles of a workspace."""
    from tessera.cli.output import OK, printable, put, put_json
    from tessera.cli.request_args import home_of, library_of
    from tessera.inputs.assets.avatars import profiles

    home = home_of(workspace)
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
    profile_id: Annotated[str, typer.Argument(metavar="ID", help="The profile's id.")],
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Show a profile."""
    from tessera.cli.output import OK, put_json
    from tessera.cli.request_args import home_of, library_of
    from tessera.errors import NotFound
    from tessera.inputs.assets.avatars import find_profile

    found = find_profile(home_of(workspace), profile_id)
    if found is None:
        raise NotFound(f"no avatar profile {profile_id} in {home_of(workspace)}")
    library = library_of(workspace, writable=False)
    put_json(found.to_dict(library)) if as_json else _print(found, library)
    return OK


def _source(kind: str, place: str, library: Library) -> tuple[str, str]:
    """A member of a profile's sources: a file is stored, and named by its id."""
    from tessera.inputs.local import LocalInput

    if LocalInput(place).is_url:
        return f"{kind}_url", place
    return f"{kind}_id", library.add(Path(place)).id


def _print(profile: Profile, library: Library) -> None:
    from tessera.cli.output import printable, put

    facts = profile.to_dict(library)
    put(f"avatar_profile_id {profile.id}")
    put(printable(f"{profile.name}: {profile.status}"))
    for detail in (profile.status_message, facts["video_preview_url"]):
        if detail is not None:
            put(printable(detail))
