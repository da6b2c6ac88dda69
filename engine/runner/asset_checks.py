"""Parameters that name assets of a workspace, checked before a run exists: each is there, and of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tessera.errors import Document, Fault, RequestError, WorkspaceError, pointer
from tessera.inputs.assets.library import Library

if TYPE_CHECKING:
    from tessera.graph.model import Tile
    from tessera.graph.plan import Plan
    from tessera.runner.answers.stubs import StubbedTile

__all__ = ["check_assets"]


@dataclass(frozen=True, slots=True)
class _Named:
    """What a parameter names, and when it is in use.

    Attributes
    ----------
    switch
        The parameter that must be "custom" for that, where the tile has it.
    after
        The parameter that goes before this one: where it has a value, this one has no part in the work.
    """

    kind: str
    switch: str | None = None
    after: str | None = None

    def used(self, values: Mapping[str, object]) -> bool:
        chosen = self.switch is None or values.get(self.switch, "custom") == "custom"
        return chosen and not (self.after is not None and values.get(self.after))


_AVATAR = "avatar profile"
_NAMED: Mapping[str, _Named] = {
    "image_id": _Named("image", switch="use_custom_logo"),
    "reference_image_id": _Named("image", after="lut_id"),
    "lut_id": _Named("lut"),
    "audio_id": _Named("audio"),
    "custom_intro_video_id": _Named("video", switch="use_custom_intro"),
    "custom_outro_video_id": _Named("video", switch="use_custom_outro"),
    "avatar_profile_id": _Named(_AVATAR),
}
_SHOWN = {"image": "an image", "lut": "a colour table", "audio": "audio", "video": "a video"}


def check_assets(decided: Plan, library: Library, stubbed: Mapping[str, StubbedTile]) -> None:
    """Refuse parameters in use that name what the workspace does not hold, or what is of another kind.

    Tiles whose work a stub does are left out.

    Raises
    ------
    RequestError
        Every such parameter, with its JSON pointer.
    """
    faults = []
    for node in decided.order:
        if node in stubbed and stubbed[node].replaces_work():
            continue
        tile = decided.tile(node)
        values = tile.values()
        for name in _NAMED.keys() & values.keys():
            named, value = _NAMED[name], values[name]
            if not isinstance(value, str) or not value or not named.used(values):
                continue
            problem = _problem(named.kind, value, library)
            if problem is not None:
                faults.append(_fault(tile, name, problem))
    if faults:
        raise RequestError(sorted(faults, key=lambda fault: (fault.document, fault.loc)))


def _fault(tile: Tile, name: str, problem: str) -> Fault:
    overridden = tile.origin(name) == "override"
    loc = pointer("update_params", tile.id, name) if overridden else f"{tile.loc}/params_used/{name}"
    document: Document = "request" if overridden else "template"
    return Fault(loc, document, f"{tile.name} {tile.id}: {problem}")


def _problem(kind: str, wanted: str, library: Library) -> str | None:
    """Why an id cannot stand for something of a kind; None where it can."""
    if kind == _AVATAR:
        return _problem_of_profile(wanted, library)
    try:
        asset = library.get(wanted)
    except WorkspaceError as error:
        return str(error)
    if asset is None:
        shown = "colour table" if kind == "lut" else kind
        return f"unknown {shown} {wanted}: the workspace holds none with this id; `tessera upload` stores one"
    if asset.info.kind != kind:
        found = _SHOWN[asset.info.kind]
        return f"{asset.name} ({wanted}) is {found}, and {_SHOWN[kind]} is needed"
    return None


def _problem_of_profile(wanted: str, library: Library) -> str | None:
    from tessera.inputs.assets.avatars import find_profile

    profile = find_profile(library.workspace, wanted) if library.workspace is not None else None
    if profile is None:
        made = "`tessera avatar create` makes one"
        return f"unknown avatar profile {wanted}: the workspace holds none with this id; {made}"
    if profile.status == "failed":
        return (
            f"avatar profile {profile.name} ({wanted}) failed, and cannot be used: {profile.status_message}"
        )
    return None
