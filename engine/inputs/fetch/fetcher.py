"""Fetch URLs into assets of the workspace: first inspect all, then fetch each once."""

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
from tessera.inputs.fetch.http_file import HttpInfo, RetryPolicy, fetch_file, inspect_file, name_of
from tessera.inputs.fetch.parallel_downloads import DownloadSlot, ParallelDownloads, ProgressCallback
from tessera.inputs.fetch.rules import FetchError, FetchRules, PassingError
from tessera.inputs.fetch.ytdlp_site import About, SiteInfo, fetch_video, inspect_site
from tessera.media.algebra.time import Range, to_ms
from tessera.request import SourceRef
from tessera.text.masking import masked_url

__all__ = ["Fetched", "Fetcher", "Inspection"]

Found = TypeVar("Found")
_INSPECT_BYTES = 64 * 10**6
"""The most bytes that one inspection may receive: pages and metadata."""
_MARGIN_S = Fraction(1)


@dataclass(frozen=True, slots=True)
class Inspection:
    """The facts about a URL that are known before it is fetched.

    Attributes
    ----------
    key
        The identity of the source: URLs with the same key are one source.
    name
        The name of the source.
    duration
        Seconds, if a site states it.
    about
        The metadata from a site.
    source_info
        For an archive item: its id, its connection and its artifact.
    """

    key: str
    name: str
    found: HttpInfo | SiteInfo
    source_info: Mapping[str, str] | None = None

    @property
    def duration(self) -> Fraction | None:
        return self.found.duration if isinstance(self.found, SiteInfo) else None

    @property
    def about(self) -> About | None:
        return self.found.about if isinstance(self.found, SiteInfo) else None


@dataclass(frozen=True, slots=True)
class Fetched:
    """A fetched source.

    Attributes
    ----------
    asset
        The media of the source, or of a part of it.
    part
        The range of the source that the asset covers, in seconds; None: the whole source.
    """

    asset: Asset
    part: Range | None = None


class Fetcher:
    """Inspects URLs and fetches them into a library.

    Parameters
    ----------
    on_progress
        Called with the progress of each download, in the thread that called `fetch`.
    cancelled
        Polled several times a second.
    """

    def __init__(
        self,
        library: Library,
        rules: FetchRules | None = None,
        *,
        on_progress: ProgressCallback = lambda _transfer: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._library, self._rules = library, rules or FetchRules()
        self._progress, self._cancelled = on_progress, cancelled
        self._cache = DownloadCache(library.workspace)

    def inspect(self, sources: Mapping[str, SourceRef]) -> dict[str, Inspection | TesseraError]:
        """Inspect sources in parallel.

        Return the inspection of each source, or the error that makes it unusable, by the given keys.

        Raises
        ------
        Cancelled
            If the run is cancelled meanwhile.
        """
        pool: ParallelDownloads[Inspection] = ParallelDownloads(self._rules, self._progress, self._cancelled)

        def job(ref: SourceRef) -> Callable[[], Inspection]:
            return lambda: (
                self._inspect_item(ref, pool) if ref.form == "mimir" else self._inspect_url(ref, pool)
            )

        return pool.run({place: job(ref) for place, ref in sources.items()})

    def fetch(
        self, inspections: Mapping[str, Inspection], wanted: Mapping[str, Sequence[Range | None]]
    ) -> dict[str, Fetched | TesseraError]:
        """Fetch inspected sources, each once; unchanged sources come from the cache.

        Parameters
        ----------
        wanted
            The needed ranges by key, in seconds; None means the whole source.

        Raises
        ------
        Cancelled
            If the run is cancelled meanwhile.
        """
        ranges: dict[str, list[Range | None]] = {}
        first: dict[str, Inspection] = {}
        for url, info in inspections.items():
            ranges.setdefault(info.key, []).extend(wanted[url])
            first.setdefault(info.key, info)
        pool: ParallelDownloads[Fetched] = ParallelDownloads(self._rules, self._progress, self._cancelled)

        def job(info: Inspection) -> Callable[[], Fetched]:
            return lambda: self._fetch(info, ranges[info.key], pool)

        found = pool.run({key: job(info) for key, info in first.items()})
        return {url: found[info.key] for url, info in inspections.items()}

    # one source

    def _inspect_item(self, ref: SourceRef, pool: ParallelDownloads[Inspection]) -> Inspection:
        """Inspect an item of the archive that the workspace is connected to."""
        from tessera.inputs.mimir import LIMIT, connection_of, item_of

        connection = connection_of(self._library.workspace)
        with self._slot(pool, connection.url, f"Mimir item {ref.key}", LIMIT, None, report=False) as slot:
            item = item_of(connection, ref.key, slot.guard, self._rules)
        artifact = item.choose(ref.artifact or "highres")
        info = self._inspect_url(SourceRef("signed_url", item.artifacts[artifact]), pool)
        source_info = {
            "provider": "mimir",
            "item_id": item.id,
            "artifact": artifact,
            "connection_id": connection.id,
        }
        return replace(
            info, key=f"mimir:{connection.id}:{item.id}:{artifact}", name=item.title, source_info=source_info
        )

    def _inspect_url(self, ref: SourceRef, pool: ParallelDownloads[Inspection]) -> Inspection:
        url, form = ref.key, ref.form
        with self._slot(pool, url, name_of(url), _INSPECT_BYTES, None, report=False) as slot:
            guard, rules = slot.guard, self._rules
            if form != "youtube_url":
                plain = _inspect_with_retries(lambda: inspect_file(url, guard, rules), guard, rules)
                if plain.head != "page":
                    return Inspection(key_of(url), name_of(url), plain)
                if form == "signed_url":
                    raise FetchError(f"{masked_url(url)} is a web page, not media")
            site = _inspect_with_retries(lambda: inspect_site(url, guard, rules), guard, rules)
            return Inspection(f"site:{site.about.site}:{site.about.id}", site.about.title, site)

    def _fetch(
        self, info: Inspection, ranges: Iterable[Range | None], pool: ParallelDownloads[Fetched]
    ) -> Fetched:
        if isinstance(info.found, HttpInfo):
            return Fetched(self._fetch_file(info, info.found, pool))
        return self._fetch_site_video(info, info.found, ranges, pool)

    def _fetch_file(self, info: Inspection, found: HttpInfo, pool: ParallelDownloads[Fetched]) -> Asset:
        known = self._cached_asset(info.key, found.version)
        if known is not None:
            return known
        version: str | None = None
        with self._slot(pool, found.url, info.name, sys.maxsize, found.size) as slot:

            def fill(folder: Path) -> tuple[Path, str | None]:
                nonlocal version
                media = folder / "fetched.part"
                digest, version = fetch_file(found, media, slot.guard, self._rules, slot.set_received)
                return media, digest

            asset = self._store(fill, info.name, masked_url(found.url))
        if version is not None:
            self._cache.keep(info.key, Download(asset=asset.id, version=version, name=info.name))
        return asset

    def _fetch_site_video(
        self,
        info: Inspection,
        found: SiteInfo,
        ranges: Iterable[Range | None],
        pool: ParallelDownloads[Fetched],
    ) -> Fetched:
        whole = self._cached_asset(info.key, "whole")
        if whole is not None:
            return Fetched(whole)
        part = _hull(ranges, found)
        key, version = info.key, "whole"
        if part is not None:
            version = f"{part[0]}-{part[1]}"
            key = f"{info.key}:{version}"
            known = self._cached_asset(key, version)
            if known is not None:
                return Fetched(known, _covered_range(known))
        total = found.size if part is None else None
        with self._slot(pool, found.url, info.name, self._rules.most_bytes, total) as slot:

            def fill(folder: Path) -> tuple[Path, str | None]:
                return fetch_video(found, part, folder, slot.guard, self._rules, slot.set_working), None

            asset = self._store(fill, info.name, f"{info.name} ({masked_url(found.url)})")
        self._cache.keep(key, Download(asset=asset.id, version=version, name=info.name))
        return Fetched(asset, _covered_range(asset) if part is not None else None)

    def _cached_asset(self, key: str, version: str | None) -> Asset | None:
        known = self._cache.find(key, version)
        return self._library.intact(known.asset) if known is not None else None

    def _store(self, fill: Callable[[Path], tuple[Path, str | None]], name: str, shown: str) -> Asset:
        most = self._rules.most_seconds

        def check(asset: Asset) -> None:
            if asset.info.kind != "video":
                raise FetchError(
                    f"{shown} has no moving picture (it is {asset.info.kind}); a video is needed"
                )
            if asset.info.duration > most:
                length = to_ms(asset.info.duration)
                raise FetchError(f"{shown} lasts {length} ms; at most {most * 1000} ms are allowed")

        return self._library.receive(fill, name=name, shown=shown, check=check)

    @contextmanager
    def _slot(
        self,
        pool: ParallelDownloads[Inspection] | ParallelDownloads[Fetched],
        url: str,
        name: str,
        limit: int,
        total: int | None,
        *,
        report: bool = True,
    ) -> Iterator[DownloadSlot]:
        with GuardProxy(self._rules, limit) as guard:
            slot, done = DownloadSlot(url, name, guard, total, self._rules), False
            pool.open(slot, report=report)
            try:
                yield slot
                done = True
            finally:
                pool.close(slot, done=done)


def _inspect_with_retries(inspect: Callable[[], Found], guard: GuardProxy, rules: FetchRules) -> Found:
    """Inspect, and retry after transient errors."""
    retries = RetryPolicy(rules, guard)
    while True:
        try:
            return inspect()
        except PassingError as error:
            retries.wait(error)


def _hull(ranges: Iterable[Range | None], found: SiteInfo) -> Range | None:
    """Return the range to fetch, or None for the whole source or if partial fetches are impossible.

    The range covers all needed ranges, with a margin on each side so that every frame is included.
    """
    needed = list(ranges)
    if not found.in_parts or found.duration is None or None in needed:
        return None
    kept = [one for one in needed if one is not None]
    start, end = min(one[0] for one in kept), max(one[1] for one in kept)
    start, end = max(start - _MARGIN_S, Fraction(0)), min(end + _MARGIN_S, found.duration)
    return (start, end) if start > 0 or end < found.duration else None


def _covered_range(asset: Asset) -> Range:
    """Return the range of the source that a part covers: its timestamps are those of the source."""
    picture = asset.info.picture
    assert picture is not None
    start = picture.start * picture.time_base
    return start, start + picture.duration
