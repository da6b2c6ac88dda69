"""A workspace's connection to a Mimir archive, and the artifacts of the archive's items.

The paths and member names of the archive's API are our assumption, kept in one place: `_ITEM`, `_ITEMS`
and `_read`.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tessera.errors import WorkspaceError
from tessera.files import write_atomically
from tessera.inputs.fetch.guard_proxy import GuardProxy
from tessera.inputs.fetch.http_file import RetryPolicy, get_text
from tessera.inputs.fetch.rules import FetchError, FetchRules, PassingError
from tessera.text.checked import json_value
from tessera.text.masking import masked_url

__all__ = ["LIMIT", "Connection", "Item", "connect", "connection_of", "item_of"]

Artifact = Literal["highres", "proxy"]
_ITEM, _ITEMS = "/api/v1/items/{id}", "/api/v1/items?itemsPerPage=1"
LIMIT = 16 * 10**6
"""The largest response to one look-up, in bytes."""
_SETUP_HINT = "`tessera settings mimir --url URL --key KEY` connects one"


class Connection(BaseModel):
    """A workspace's connection to an archive."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    id: str
    url: str
    key: str = Field(repr=False)


@dataclass(frozen=True, slots=True)
class Item:
    """An item of the archive: its title, and the URLs of its artifacts."""

    id: str
    title: str
    artifacts: dict[Artifact, str]

    def choose(self, wanted: str) -> Artifact:
        """Choose the artifact to fetch: the requested one; for `auto`, highres, else proxy.

        Raises
        ------
        FetchError
            If the item has no such artifact.
        """
        for name in ("highres", "proxy"):
            if name in self.artifacts and wanted in (name, "auto"):
                return name
        has = " and ".join(self.artifacts)
        hint = f"it has {has}: ask for that, or for auto" if has else "and no other that can be fetched"
        lacks = "highres or proxy" if wanted == "auto" else wanted
        raise FetchError(
            f"Mimir item {self.id} ({self.title}) has no {lacks} artifact{'; ' if has else ', '}{hint}"
        )


def connect(workspace: Path, url: str, key: str, rules: FetchRules) -> Connection:
    """Verify a connection and save it with owner-only permissions.

    Raises
    ------
    FetchError
        If the archive cannot be reached or rejects the key.
    WorkspaceError
        If the connection cannot be saved.
    """
    base = url.rstrip("/")
    if urlsplit(base).scheme not in ("http", "https") or not urlsplit(base).hostname:
        raise FetchError(f"{masked_url(url)} is not an http or https URL: check the URL")
    connection = Connection(id=str(uuid.uuid5(uuid.NAMESPACE_URL, base)), url=base, key=key)
    try:
        with GuardProxy(rules, LIMIT) as guard:
            _get_json(connection, _ITEMS, guard, rules)
    except FetchError as error:
        raise FetchError(f"cannot connect to Mimir: {error}; check the URL and the key") from None
    write_atomically(_path(workspace), connection.model_dump_json() + "\n", private=True)
    return connection


def connection_of(workspace: Path | None) -> Connection:
    """Return the connection of a workspace.

    Raises
    ------
    FetchError
        If there is no connection: the message explains how to set one up.
    WorkspaceError
        If the connection cannot be read.
    """
    try:
        if workspace is None:
            raise FileNotFoundError
        return Connection.model_validate_json(_path(workspace).read_text("utf-8"))
    except FileNotFoundError:
        raise FetchError(f"no Mimir archive is connected to this workspace: {_SETUP_HINT}") from None
    except (OSError, ValueError, ValidationError):
        raise WorkspaceError(f"the workspace's connection to Mimir cannot be read: {_SETUP_HINT}") from None


def item_of(connection: Connection, item_id: str, guard: GuardProxy, rules: FetchRules) -> Item:
    """Look up an item; retry after a 429, a 5xx or a broken connection for up to `rules.retry_s`.

    Parameters
    ----------
    guard
        The proxy for all requests; closing it ends the look-up.

    Raises
    ------
    FetchError
        If the item does not exist or the archive cannot be queried.
    """
    try:
        raw = _get_json(connection, _ITEM.format(id=quote(item_id, safe="")), guard, rules)
    except FetchError as error:
        if "answered 404" in str(error):
            raise FetchError(f"Mimir has no item {item_id}: check the id") from None
        raise FetchError(f"Mimir item {item_id}: {error}") from None
    return _read(item_id, raw)


def _read(item_id: str, raw: Any) -> Item:
    if not isinstance(raw, dict):
        raise FetchError(f"Mimir item {item_id}: the archive's response is not valid")
    urls: dict[Artifact, Any] = {"highres": raw.get("highResUrl"), "proxy": raw.get("proxyUrl")}
    usable = {name: url for name, url in urls.items() if isinstance(url, str) and url}
    return Item(item_id, str(raw.get("title") or item_id), usable)


def _get_json(connection: Connection, path: str, guard: GuardProxy, rules: FetchRules) -> Any:
    retries, headers = RetryPolicy(rules, guard), {"Authorization": f"Bearer {connection.key}"}
    while True:
        try:
            text = get_text(connection.url + path, guard, rules, headers, LIMIT)
            break
        except PassingError as error:
            retries.wait(error)
    try:
        return json_value(text)
    except ValueError as error:
        shown = masked_url(connection.url)
        raise FetchError(f"{shown} does not respond like a Mimir archive: the response is {error}") from None


def _path(workspace: Path) -> Path:
    return workspace / "connections" / "mimir.json"
