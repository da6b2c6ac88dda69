"""URLs made assets of the workspace: all are looked at first, and then each is fetched once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

from tessera.errors import TesseraError
from tessera.inputs.assets.asset import Asset
from tessera.inputs.assets.library import Library
from tessera.inputs.fetch.download_cache import Download, DownloadCache, key_of
from tessera.inputs.fetch.guard_proxy import GuardProxy
from tessera.inputs.fetch.http_file import HttpLook, Retries, fetch_file, look_at_file, name_of
from tessera.inputs.fetch.parallel_downloads import DownloadSlot, ParallelDownloads, Told
from tessera.inputs.fetch.rules import FetchError, FetchRules, PassingError
from tessera.inputs.fetch.ytdlp_site import About, SiteLook, fetch_video, look_at_site
from tessera.media.algebra.time import Range, to_ms
from tessera.request import SourceRef
from tessera.text.masking import masked_url

__all__ = ["Fetched", "Fetcher", "Look"]

Found = TypeVar("Found")
_LOOK_BYTES = 64 * 10**6
"""What looking at one source may receive: pages and metadata."""
_ROUND_S = Fraction(1)


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of a URL before it is fetched.

    Attributes
    ----------
    key
        What it leads to: URLs of one key are one source.
    name
        What the source is called.
    duration
        Seconds, where a site says.
    about
        What a site says of it.
    source_info
        Of an item of an archive: which it is, of which connection, and which artifact.
    """

    key: str
    name: str
    found: HttpLook | SiteLook
    source_info: Mapping[str, str] | None = None

    @property
    def duration(self) -> Fraction | None:
        return self.found.duration if isinstance(self.found, SiteLook) else None

    @property
    def about(self) -> About | None:
        return self.found.about if isinstance(self.found, SiteLook) else None


@dataclass(frozen=True, slots=True)
class Fetched:
    """A source that is there.

    Attributes
    ----------
    asset
        Its media, or that of a part of it.
    part
        The range of the source that the asset holds, in seconds; None: the whole.
    """

    asset: Asset
    part: Range | None = None


class Fetcher:
    """Looks at URLs, and fetches them into a library.

    Parameters
    ----------
    told
        Called with the progress of each download, in the thread that called `fetch`.
    cancelled
        Asked some times a second.
    """

    def __init__(
        self,
        library: Library,
        rules: FetchRules | None = None,
        *,
        told: Told = lambda _transfer: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._library, self._rules = library, rules or FetchRules()
        self._told, self._cancelled = told, cancelled
        self._known = DownloadCache(library.workspace)

    def look(self, sources: Mapping[str, SourceRef]) -> dict[str, Look | TesseraError]:
        """Look at sources, side by side.

        Returns what was found, or why it cannot be used, of each, by the keys that were given.

        Raises
        ------
        Cancelled
            Meanwhile the run was cancelled.
        """
        lanes: ParallelDownloads[Look] = ParallelDownloads(self._rules, self._told, self._cancelled)

        def job(ref: SourceRef) -> Callable[[], Look]:
            return lambda: self._item(ref, lanes) if ref.form == "mimir" else self._look(ref, lanes)

        return lanes.run({place: job(ref) for place, ref in sources.items()})

    def fetch(
        self, looks: Mapping[str, Look], wanted: Mapping[str, Sequence[Range | None]]
    ) -> dict[str, Fetched | TesseraError]:
        """Fetch what was looked at, each source once, and what is known and unchanged not at all.

        Parameters
        ----------
        wanted
            By key: the ranges of it that are needed, in seconds; None stands for the whole.

        Raises
        ------
        Cancelled
            Meanwhile the run was cancelled.
        """
        ranges: dict[str, list[Range | None]] = {}
        first: dict[str, Look] = {}
        for url, look in looks.items():
            ranges.setdefault(look.key, []).extend(wanted[url])
            first.setdefault(look.key, look)
        lanes: ParallelDownloads[Fetched] = ParallelDownloads(self._rules, self._told, self._cancelled)

        def job(look: Look) -> Callable[[], Fetched]:
            return lambda: self._fetch(look, ranges[look.key], lanes)

        found = lanes.run({key: job(look) for key, look in first.items()})
        return {url: found[look.key] for url, look in looks.items()}

    # one source

    def _item(self, ref: SourceRef, lanes: ParallelDownloads[Look]) -> Look:
        """An item of the archive that the workspace is connected to."""
        from tessera.inputs.mimir import LIMIT, connection_of, item_of

        connection = connection_of(self._library.workspace)
        with self._lane(lanes, connection.url, f"Mimir item {ref.key}", LIMIT, None, tell=False) as lane:
            item = item_of(connection, ref.key, lane.guard, self._rules)
        artifact = item.choose(ref.artifact or "highres")
        look = self._look(SourceRef("signed_url", item.artifacts[artifact]), lanes)
        info = {
            "provider": "mimir",
            "item_id": item.id,
            "artifact": artifact,
            "connection_id": connection.id,
        }
        return replace(
            look, key=f"mimir:{connection.id}:{item.id}:{artifact}", name=item.title, source_info=info
        )

    def _look(self, ref: SourceRef, lanes: ParallelDownloads[Look]) -> Look:
        url, form = ref.key, ref.form
        with self._lane(lanes, url, name_of(url), _LOOK_BYTES, None, tell=False) as lane:
            guard, rules = lane.guard, self._rules
            if form != "youtube_url":
                plain = _patiently(lambda: look_at_file(url, guard, rules), guard, rules)
                if plain.head != "page":
                    return Look(key_of(url), name_of(url), plain)
                if form == "signed_url":
                    raise FetchError(f"{masked_url(url)} is a web page, not media")
            site = _patiently(lambda: look_at_site(url, guard, rules), guard, rules)
            return Look(f"site:{site.about.site}:{site.about.id}", site.about.title, site)

    def _fetch(
        self, look: Look, ranges: Iterable[Range | None], lanes: ParallelDownloads[Fetched]
    ) -> Fetched:
        if isinstance(look.found, HttpLook):
            return Fetched(self._file(look, look.found, lanes))
        return self._video(look, look.found, ranges, lanes)

    def _file(self, look: Look, found: HttpLook, lanes: ParallelDownloads[Fetched]) -> Asset:
        known = self._found(look.key, found.version)
        if known is not None:
            return known
        version: str | None = None
        with self._lane(lanes, found.url, look.name, sys.maxsize, found.size) as lane:

            def fill(folder: Path) -> tuple[Path, str | None]:
                nonlocal version
                media = folder / "fetched.part"
                digest, version = fetch_file(found, media, lane.guard, self._rules, lane.has)
                return media, digest

            asset = self._received(fill, look.name, masked_url(found.url))
        if version is not None:
            self._known.keep(look.key, Download(asset=asset.id, version=version, name=look.name))
        return asset

    def _video(
        self, look: Look, found: SiteLook, ranges: Iterable[Range | None], lanes: ParallelDownloads[Fetched]
    ) -> Fetched:
        whole = self._found(look.key, "whole")
        if whole is not None:
            return Fetched(whole)
        part = _hull(ranges, found)
        key, version = look.key, "whole"
        if part is not None:
            version = f"{part[0]}-{part[1]}"
            key = f"{look.key}:{version}"
            known = self._found(key, version)
            if known is not None:
                return Fetched(known, _held(known))
        total = found.size if part is None else None
        with self._lane(lanes, found.url, look.name, self._rules.most_bytes, total) as lane:

            def fill(folder: Path) -> tuple[Path, str | None]:
                return fetch_video(found, part, folder, lane.guard, self._rules, lane.works), None

            asset = self._received(fill, look.name, f"{look.name} ({masked_url(found.url)})")
        self._known.keep(key, Download(asset=asset.id, version=version, name=look.name))
        return Fetched(asset, _held(asset) if part is not None else None)

    def _found(self, key: str, version: str | None) -> Asset | None:
        known = self._known.find(key, version)
        return self._library.intact(known.asset) if known is not None else None

    def _received(self, fill: Callable[[Path], tuple[Path, str | None]], name: str, shown: str) -> Asset:
        most = self._rules.most_seconds

        def check(asset: Asset) -> None:
            if asset.info.kind != "video":
                raise FetchError(
                    f"{shown} has no moving picture (it is {asset.info.kind}); a video is needed"
                )
            if asset.info.duration > most:
                length = to_ms(asset.info.duration)
                raise FetchError(f"{shown} lasts {length} ms; at most {most * 1000} ms are taken")

        return self._library.receive(fill, name=name, shown=shown, check=check)

    @contextmanager
    def _lane(
        self,
        lanes: ParallelDownloads[Look] | ParallelDownloads[Fetched],
        url: str,
        name: str,
        limit: int,
        total: int | None,
        *,
        tell: bool = True,
    ) -> Iterator[DownloadSlot]:
        with GuardProxy(self._rules, limit) as guard:
            lane, done = DownloadSlot(url, name, guard, total, self._rules), False
            lanes.open(lane, tell=tell)
            try:
                yield lane
                done = True
            finally:
                lanes.close(lane, done=done)


def _patiently(look: Callable[[], Found], guard: GuardProxy, rules: FetchRules) -> Found:
    """Look, and look again while what hinders may pass."""
    trying = Retries(rules, guard)
    while True:
        try:
            return look()
        except PassingError as error:
            trying.pause(error)


def _hull(ranges: Iterable[Range | None], found: SiteLook) -> Range | None:
    """The range to fetch, which holds all that are needed and something on either side, so that every frame
    of them is in it; None where that is the whole, or where parts cannot be had.
    """
    needed = list(ranges)
    if not found.in_parts or found.duration is None or None in needed:
        return None
    kept = [one for one in needed if one is not None]
    start, end = min(one[0] for one in kept), max(one[1] for one in kept)
    start, end = max(start - _ROUND_S, Fraction(0)), min(end + _ROUND_S, found.duration)
    return (start, end) if start > 0 or end < found.duration else None


def _held(asset: Asset) -> Range:
    """The range of its source that a part holds: its times are those of the source, which begins at 0."""
    picture = asset.info.picture
    assert picture is not None
    start = picture.start * picture.time_base
    return start, start + picture.duration
