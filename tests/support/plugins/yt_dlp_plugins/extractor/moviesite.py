"""A video site for tests, as a plug-in of yt-dlp's own kind."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from yt_dlp.extractor.common import InfoExtractor
from yt_dlp.utils import ExtractorError


class MovieSiteIE(InfoExtractor):  # type: ignore[misc]
    """`/site/watch?v=ID`, with `&list=…` the same; its facts are JSON at `/site/api/ID.json`."""

    _VALID_URL = r"(?P<base>https?://[^/]+)/site/watch\?(?:.*&)?v=(?P<id>\w+)"

    def _real_extract(self, url: str) -> dict[str, Any]:
        base, video = self._match_valid_url(url).group("base", "id")
        if "list" in parse_qs(urlsplit(url).query) and not self._yes_playlist("list", video):
            pass
        facts = self._download_json(f"{base}/site/api/{video}.json", video)
        if "error" in facts:
            raise ExtractorError(facts["error"], expected=True, video_id=video)
        if facts.get("geo"):
            self.raise_geo_restricted(countries=["FR"])
        if facts.get("leads_to"):
            return self.url_result(facts["leads_to"])
        facts = {
            "title": f"Film {video}",
            "formats": [{"format_id": "0", "url": "/site/media/a.mp4"}],
            **facts,
        }
        formats = [{"ext": "mp4", **one, "url": self._url(base, one["url"])} for one in facts.pop("formats")]
        return {"id": video, **facts, "formats": formats}

    @staticmethod
    def _url(base: str, url: str) -> str:
        return base + url if url.startswith("/") else url


class MovieListIE(InfoExtractor):  # type: ignore[misc]
    """`/site/list/NAME` and `/site/channel/NAME`: a hundred videos."""

    _VALID_URL = r"(?P<base>https?://[^/]+)/site/(?:list|channel)/(?P<id>\w+)"

    def _real_extract(self, url: str) -> dict[str, Any]:
        base, name = self._match_valid_url(url).group("base", "id")
        entries = (self.url_result(f"{base}/site/watch?v=v{number}") for number in range(100))
        return self.playlist_result(entries, name, "All films")
