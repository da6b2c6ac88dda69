"""Checks, before a run starts, that asset parameters name existing assets of the right kind."""

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
class _AssetParameter:
    """A parameter that names an asset, and the condition under which it is in use.

    Attributes
    ----------
    switch
        A parameter that must be "custom" for this one to be used, on tiles that have it.
    overridden_by
        A parameter that takes precedence: if it has a value, this one is ignored.
    """

    kind: str
    switch: str | None = None
    overridden_by: str | None = None

    def is_active(self, values: Mapping[str, object]) -> bool:
        chosen = self.switch is None or values.get(self.switch, "custom") == "custom"
        return chosen and not (self.overridden_by is not None and values.get(self.overridden_by))


_AVATAR = "avatar profile"
_ASSET_PARAMETERS: Mapping[str, _AssetParameter] = {
    "image_id": _AssetParameter("image", switch="use_custom_logo"),
    "reference_image_id": _AssetParameter("image", overridden_by="lut_id"),
    "lut_id": _AssetParameter("lut"),
    "audio_id": _AssetParameter("audio"),
    "custom_intro_video_id": _AssetParameter("video", switch="use_custom_intro"),
    "custom_outro_video_id": _AssetParameter("video", switch="use_custom_outro"),
    "avatar_profile_id": _AssetParameter(_AVATAR),
}
_KIND_NAMES = {"image": "an image", "lut": "a colour table", "audio": "audio", "video": "a video"}


def check_assets(plan: Plan, library: Library, stubbed: Mapping[str, StubbedTile]) -> None:
    """Check the asset parameters in use of all tiles, except of those whose work a stub replaces.

    Raises
    ------
    RequestError
        If parameters name missing assets or assets of another kind: all of them, with JSON pointers.
    """
    faults = []
    for node in plan.order:
        if node in stubbed and stubbed[node].replaces_work():
            continue
        tile = plan.tile(node)
        values = tile.values()
        for name in _ASSET_PARAMETERS.keys() & values.keys():
            parameter, value = _ASSET_PARAMETERS[name], values[name]
            if not isinstance(value, str) or not value or not parameter.is_active(values):
                continue
            problem = _problem(parameter.kind, value, library)
            if problem is not None:
                faults.append(_fault(tile, name, problem))
    if faults:
        raise RequestError(sorted(faults, key=lambda fault: (fault.document, fault.loc)))


def _fault(tile: Tile, name: str, problem: str) -> Fault:
    overridden = tile.origin(name) == "override"
    loc = pointer("update_params", tile.id, name) if overridden else f"{tile.loc}/params_used/{name}"
    document: Document = "request" if overridden else "template"
    return Fault(loc, document, f"{tile.name} {tile.id}: {problem}")


def _problem(kind: str, asset_id: str, library: Library) -> str | None:
    """Return the reason why an id cannot be used as an asset of this kind, or None if it can."""
    if kind == _AVATAR:
        return _problem_of_profile(asset_id, library)
    try:
        asset = library.get(asset_id)
    except WorkspaceError as error:
        return str(error)
    if asset is None:
        shown = "colour table" if kind == "lut" else kind
        return f"unknown {shown} {asset_id}: it is not in the workspace; `tessera upload` stores one"
    if asset.info.kind != kind:
        found = _KIND_NAMES[asset.info.kind]
        return f"{asset.name} ({asset_id}) is {found}, but {_KIND_NAMES[kind]} is needed"
    return None


def _problem_of_profile(asset_id: str, library: Library) -> str | None:
    from tessera.inputs.assets.avatars import find_profile

    profile = find_profile(library.workspace, asset_id) if library.workspace is not None else None
    if profile is None:
        hint = "`tessera avatar create` makes one"
        return f"unknown avatar profile {asset_id}: it is not in the workspace; {hint}"
    if profile.status == "failed":
        return (
            f"avatar profile {profile.name} ({asset_id}) failed, and cannot be used: {profile.status_message}"
        )
    return None
