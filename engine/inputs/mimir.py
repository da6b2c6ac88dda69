"""Items of a connected Mimir archive: the connection of a workspace, and what an item's artifacts are.

The paths and member names of the archive's API are ours, in one place: `_ITEM`, `_ITEMS` and `_read`.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tessera.errors import WorkspaceError
from tessera.files import write_atomically
from tessera.inputs.fetch.guard_proxy import GuardProxy
from tessera.inputs.fetch.http_file import Retries, get_text
from tessera.inputs.fetch.rules import FetchError, FetchRules, PassingError
from tessera.text.masking import masked_url

__all__ = ["LIMIT", "Connection", "Item", "connect", "connection_of", "item_of"]

Artifact = Literal["highres", "proxy"]
_ITEM, _ITEMS = "/api/v1/items/{id}", "/api/v1/items?itemsPerPage=1"
LIMIT = 16 * 10**6
"""Bytes that one look-up may receive."""
_HOW = "`tessera settings mimir --url URL --key KEY` connects one"


class Connection(BaseModel):
    """A workspace's connection to an archive."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    id: str
    url: str
    key: str = Field(repr=False)


@dataclass(frozen=True, slots=True)
class Item:
    """An item of the archive: its title, and where the artifacts that it has can be fetched."""

    id: str
    title: str
    artifacts: dict[Artifact, str]

    def choose(self, wanted: str) -> Artifact:
        """The artifact to fetch: the one that is wanted; of `auto` highres, else proxy.

        Raises
        ------
        FetchError
            The item has no such artifact.
        """
        for name in ("highres", "proxy"):
            if name in self.artifacts and wanted in (name, "auto"):
                return name
        has = " and ".join(self.artifacts)
        hint = f"it has {has}: ask for that, or for auto" if has else "nor any other that can be fetched"
        lacks = "highres or proxy" if wanted == "auto" else wanted
        raise FetchError(
            f"Mimir item {self.id} ({self.title}) has no {lacks} artifact{'; ' if has else ', '}{hint}"
        )


def connect(workspace: Path, url: str, key: str, rules: FetchRules) -> Connection:
    """Verify a connection, and save it for its owner's eyes alone.

    Raises
    ------
    FetchError
        The archive cannot be reached, or refuses the key.
    WorkspaceError
        It cannot be saved.
    """
    base = url.rstrip("/")
    if urlsplit(base).scheme not in ("http", "https") or not urlsplit(base).hostname:
        raise FetchError(f"{masked_url(url)} is no http or https URL: check the URL")
    found = Connection(id=str(uuid.uuid5(uuid.NAMESPACE_URL, base)), url=base, key=key)
    try:
        with GuardProxy(rules, LIMIT) as guard:
            _asked(found, _ITEMS, guard, rules)
    except FetchError as error:
        raise FetchError(f"Mimir could not be connected: {error}; check URL and key") from None
    write_atomically(_path(workspace), found.model_dump_json() + "\n", private=True)
    return found


def connection_of(workspace: Path | None) -> Connection:
    """The connection of a workspace.

    Raises
    ------
    FetchError
        There is none: the message says how to set one up.
    WorkspaceError
        It cannot be read.
    """
    try:
        if workspace is None:
            raise FileNotFoundError
        return Connection.model_validate_json(_path(workspace).read_text("utf-8"))
    except FileNotFoundError:
        raise FetchError(f"no Mimir archive is connected to this workspace: {_HOW}") from None
    except (OSError, ValueError, ValidationError):
        raise WorkspaceError(f"the workspace's connection to Mimir cannot be read: {_HOW} anew") from None


def item_of(connection: Connection, item_id: str, guard: GuardProxy, rules: FetchRules) -> Item:
    """Look an item up; after a 429, a 5xx or a broken connection again, until `rules.retry_s` have passed.

    Parameters
    ----------
    guard
        The way out; once it is shut, the look-up ends.

    Raises
    ------
    FetchError
        There is no such item, or the archive cannot be asked.
    """
    try:
        raw = _asked(connection, _ITEM.format(id=quote(item_id, safe="")), guard, rules)
    except FetchError as error:
        if "answered 404" in str(error):
            raise FetchError(f"Mimir has no item {item_id}: check the id") from None
        raise FetchError(f"Mimir item {item_id}: {error}") from None
    return _read(item_id, raw)


def _read(item_id: str, raw: Any) -> Item:
    if not isinstance(raw, dict):
        raise FetchError(f"Mimir item {item_id}: the archive's answer is not understood")
    urls: dict[Artifact, Any] = {"highres": raw.get("highResUrl"), "proxy": raw.get("proxyUrl")}
    usable = {name: url for name, url in urls.items() if isinstance(url, str) and url}
    return Item(item_id, str(raw.get("title") or item_id), usable)


def _asked(connection: Connection, path: str, guard: GuardProxy, rules: FetchRules) -> Any:
    trying, headers = Retries(rules, guard), {"Authorization": f"Bearer {connection.key}"}
    while True:
        try:
            text = get_text(connection.url + path, guard, rules, headers)
            break
        except PassingError as error:
            trying.pause(error)
    try:
        return json.loads(text)
    except ValueError:
        raise FetchError(f"{masked_url(connection.url)} does not answer as Mimir does") from None


def _path(workspace: Path) -> Path:
    return workspace / "connections" / "mimir.json"
