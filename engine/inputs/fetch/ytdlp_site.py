"""Fetch a video from a site with yt-dlp as a library: first metadata, then the file or the needed part."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from tessera.inputs.fetch.guard_proxy import GuardProxy
from tessera.inputs.fetch.http_file import RetryPolicy
from tessera.inputs.fetch.rules import FetchError, FetchRules, PassingError
from tessera.inputs.fetch.ytdlp_errors import error_for
from tessera.media.algebra.time import Range, to_ms
from tessera.media.ffmpeg.encode_settings import REPEATABLE
from tessera.media.probe.probe import DEMUXERS, PROTOCOLS
from tessera.media.process.process import ffmpeg_path
from tessera.text.checked import exact_number
from tessera.text.masking import masked_url

__all__ = ["About", "SiteInfo", "fetch_video", "inspect_site"]

_WHOLE_PROTOCOLS = ("http", "https", "m3u8", "m3u8_native", "http_dash_segments")
_RANGE_PROTOCOLS = ("http", "https", "m3u8", "m3u8_native")
"""Delivery protocols whose traffic all passes the guard; and those from which ffmpeg can read a part."""
_PROTOCOL_FILTER = f"[protocol~='^({'|'.join(_WHOLE_PROTOCOLS)})$']"
_NETWORK = ["-protocol_whitelist", "http,https,httpproxy,tcp,tls,crypto,data"]
_LOCAL = ["-protocol_whitelist", PROTOCOLS, "-format_whitelist", DEMUXERS]
"""Allowed inputs of yt-dlp's ffmpeg: no files from the network, no playlists from files."""


@dataclass(frozen=True, slots=True)
class About:
    """A site's metadata of a video. `uploaded` is a date, YYYY-MM-DD."""

    site: str
    id: str
    title: str
    url: str
    channel: str | None = None
    channel_id: str | None = None
    uploaded: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SiteInfo:
    """The facts about a video that are known before it is fetched.

    Attributes
    ----------
    duration
        Seconds, as stated by the site; None if not stated.
    size
        Bytes, exact or approximate; None if the site does not state it.
    in_parts
        True if a part of the video can be fetched.
    info
        The state that yt-dlp continues with.
    """

    url: str
    about: About
    duration: Fraction | None
    size: int | None
    in_parts: bool
    info: Mapping[str, Any] = field(repr=False)


def inspect_site(url: str, guard: GuardProxy, rules: FetchRules) -> SiteInfo:
    """Request the metadata of a video from a site. No media is fetched.

    Raises
    ------
    FetchError
        If the video is private, removed, live, too long, a playlist, …: the message suggests what to do.
    PassingError
        If a later attempt may succeed.
    """
    shown = masked_url(url)
    log = _Log()
    with _translated_errors(shown, guard, log), _client(guard, rules, log, {}) as client:
        info = client.extract_info(url, download=False)
        info = client.sanitize_info(info) if info else None
    if not info:
        raise FetchError(f"{shown}: yt-dlp found nothing there; check the URL")
    if info.get("_type", "video") != "video" or "entries" in info:
        raise FetchError(f"{shown} is a playlist or a channel: give the URL of one video")
    if info.get("is_live") or info.get("live_status") in ("is_live", "is_upcoming", "post_live"):
        raise FetchError(f"{shown} is live or upcoming: wait until it is over and published")
    site = _inspection_from_info(url, info)
    name = f"{site.about.title} ({shown})"
    if site.duration is not None and site.duration > rules.most_seconds:
        what = f"lasts {to_ms(site.duration)} ms; at most {rules.most_seconds * 1000} ms are allowed"
        raise FetchError(f"{name} {what}")
    if site.size is not None and site.size > rules.most_bytes and not site.in_parts:
        raise FetchError(f"{name} has about {site.size:,} bytes; at most {rules.most_bytes:,} are allowed")
    return site


def fetch_video(
    site: SiteInfo,
    part: Range | None,
    folder: Path,
    guard: GuardProxy,
    rules: FetchRules,
    set_working: Callable[[bool], None],
) -> Path:
    """Fetch a video, or this range of it in seconds, into a folder; return the file.

    A whole video keeps the site's encoding. A part is re-encoded and keeps the source's timestamps: its first
    timestamp is its position in the source.

    Parameters
    ----------
    set_working
        Called with True when processing of the file begins and with False when it ends: no bytes arrive
        meanwhile.

    Raises
    ------
    FetchError
        If the video cannot be fetched.
    """
    shown = masked_url(site.url)
    retries = RetryPolicy(rules, guard)
    info: Mapping[str, Any] | None = site.info
    while True:
        log = _Log()
        options = {**_output_options(folder), **(_range_options(part) if part else {})}
        options["postprocessor_hooks"] = [
            lambda status_report: set_working(status_report["status"] == "started")
        ]
        try:
            with _translated_errors(shown, guard, log), _client(guard, rules, log, options) as client:
                if info is not None:
                    result = client.process_ie_result(dict(copy.deepcopy(info)), download=True)
                else:
                    result = client.extract_info(site.url, download=True)
            # A body without a length ends the same way when it is complete and when it is cut off.
            if guard.close_reason is not None:
                raise FetchError(f"{shown}: {guard.close_reason}")
            return _downloaded_file(result, shown)
        except PassingError as error:
            retries.wait(error, guard.received)
            info = None  # media URLs expire: request new ones


def _inspection_from_info(url: str, info: Mapping[str, Any]) -> SiteInfo:
    formats = info.get("requested_formats") or [info]
    sizes = [one.get("filesize") or one.get("filesize_approx") for one in formats]
    known = [size for size in map(_positive, sizes) if size is not None]
    day = info.get("upload_date")
    about = About(
        site=str(info.get("extractor_key") or info.get("extractor")),
        id=str(info["id"]),
        title=str(info.get("title") or info["id"]),
        url=masked_url(str(info.get("webpage_url") or url)),
        channel=info.get("channel") or info.get("uploader"),
        channel_id=info.get("channel_id") or info.get("uploader_id"),
        uploaded=f"{day[:4]}-{day[4:6]}-{day[6:]}" if isinstance(day, str) and len(day) == 8 else None,
    )
    duration = _positive(info.get("duration"))
    return SiteInfo(
        url,
        about,
        duration,
        int(sum(known)) if len(known) == len(sizes) else None,
        duration is not None and all(one.get("protocol") in _RANGE_PROTOCOLS for one in formats),
        info,
    )


def _positive(value: Any) -> Fraction | None:
    """Return a number of a site's page as a fraction, or None if it is not one, or not above 0."""
    if not isinstance(value, int | float):
        return None
    try:
        number = exact_number(value)
    except ValueError:
        return None
    return number if number > 0 else None


def _downloaded_file(result: Mapping[str, Any] | None, shown: str) -> Path:
    downloads = (result or {}).get("requested_downloads") or []
    path = Path(downloads[0].get("filepath", "")) if downloads else Path()
    if not path.is_file():
        raise FetchError(f"{shown}: yt-dlp fetched no file")
    return path


class _Log:
    """Collects yt-dlp's warnings and prints nothing."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def debug(self, _text: str) -> None:
        pass

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def error(self, _text: str) -> None:
        pass


@contextlib.contextmanager
def _translated_errors(shown: str, guard: GuardProxy, log: _Log) -> Iterator[None]:
    """Translate yt-dlp errors into ours."""
    from yt_dlp.utils import YoutubeDLError

    try:
        yield
    except (YoutubeDLError, OSError) as error:
        raise error_for(shown, error, guard, log.warnings) from None


def _client(guard: GuardProxy, rules: FetchRules, log: _Log, options: Mapping[str, Any]) -> Any:
    """Return a yt-dlp client that uses only the guard proxy and stores no cache.

    The generic extractor is excluded: only known sites are supported.
    """
    from yt_dlp.postprocessor.ffmpeg import FFmpegPostProcessor

    from tessera.inputs.fetch.ytdlp_proxy import proxied_client

    # yt-dlp's own command sets this too: some of its modules ignore the option `ffmpeg_location`.
    FFmpegPostProcessor._ffmpeg_location.set(ffmpeg_path())
    return proxied_client(
        {
            "proxy": guard.proxy,
            "allowed_extractors": ["default", "-generic"],
            "noplaylist": True,
            "playlist_items": "1",
            "lazy_playlist": True,
            "extract_flat": "in_playlist",
            "format": f"bv*{_PROTOCOL_FILTER}+ba{_PROTOCOL_FILTER}/b{_PROTOCOL_FILTER}/bv*{_PROTOCOL_FILTER}",
            "format_sort": ["res:1080", "vcodec:h264", "acodec:aac"],
            "ffmpeg_location": ffmpeg_path(),
            "socket_timeout": rules.patience_s,
            "retries": 0,
            "fragment_retries": 3,
            "extractor_retries": 1,
            "skip_unavailable_fragments": False,
            "hls_prefer_native": True,
            "fixup": "never",
            "external_downloader_args": {"ffmpeg_i": _NETWORK},
            "postprocessor_args": {"ffmpeg_i": _LOCAL},
            "cachedir": False,
            "updatetime": False,
            "quiet": True,
            "noprogress": True,
            "logger": log,
            "color": "never",
            **options,
        }
    )


def _output_options(folder: Path) -> dict[str, Any]:
    """Return the output options; the characters of a template are escaped by doubling."""
    safe = str(folder.absolute()).replace("%", "%%").replace("$", "$$")
    return {"outtmpl": {"default": f"{safe}/media.%(ext)s"}, "overwrites": True, "continuedl": True}


def _range_options(part: Range) -> dict[str, Any]:
    """Return the options for a range: ffmpeg reads, decodes and re-encodes only what it covers.

    Timestamps stay those of the source, so that a range can be cut from the part to the frame.
    """
    from yt_dlp.utils import download_range_func

    start, end = (float(edge) for edge in part)
    coding = "-c:v libx264 -preset veryfast -crf 16 -pix_fmt yuv420p -enc_time_base:v demux"
    coding += f" -x264-params {REPEATABLE} -c:a aac -b:a 256k -f mp4"
    return {
        "download_ranges": download_range_func(None, [(start, end)]),
        "force_keyframes_at_cuts": True,
        "external_downloader_args": {"ffmpeg_i": ["-copyts", *_NETWORK], "ffmpeg_o": coding.split()},
    }
