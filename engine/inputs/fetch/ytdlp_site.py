"""A video of a site, with yt-dlp as a library: metadata first, then the file or the part that is needed."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from tessera.inputs.fetch.guard_proxy import GuardProxy
from tessera.inputs.fetch.http_file import Retries
from tessera.inputs.fetch.rules import FetchError, FetchRules, PassingError
from tessera.inputs.fetch.ytdlp_errors import explained
from tessera.media.algebra.time import Range, to_ms
from tessera.media.ffmpeg.encode_settings import REPEATABLE
from tessera.media.ffmpeg.process import ffmpeg_path
from tessera.media.probe.probe import DEMUXERS, PROTOCOLS
from tessera.text.masking import masked_url

__all__ = ["About", "SiteLook", "fetch_video", "look_at_site"]

_WHOLE = ("http", "https", "m3u8", "m3u8_native", "http_dash_segments")
_IN_PART = ("http", "https", "m3u8", "m3u8_native")
"""Ways of delivery that the guard sees all of; and those from which ffmpeg can take a part."""
_PROTOCOL = f"[protocol~='^({'|'.join(_WHOLE)})$']"
_NETWORK = ["-protocol_whitelist", "http,https,httpproxy,tcp,tls,crypto,data"]
_LOCAL = ["-protocol_whitelist", PROTOCOLS, "-format_whitelist", DEMUXERS]
"""What an ffmpeg of yt-dlp may read: of the network no file, and of files no playlist."""


@dataclass(frozen=True, slots=True)
class About:
    """What a site says of a video. `uploaded` is a date, YYYY-MM-DD."""

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
class SiteLook:
    """What is known of a video before it is fetched.

    Attributes
    ----------
    duration
        Seconds, as the site says; None where it does not.
    size
        Bytes, exact or about; None where the site does not say.
    in_parts
        Whether a part of it can be fetched.
    info
        What yt-dlp goes on with.
    """

    url: str
    about: About
    duration: Fraction | None
    size: int | None
    in_parts: bool
    info: Mapping[str, Any] = field(repr=False)


def look_at_site(url: str, guard: GuardProxy, rules: FetchRules) -> SiteLook:
    """Ask a site of a video. Nothing of the media is fetched.

    Raises
    ------
    FetchError
        It is private, removed, live, too long, a playlist, …: the message says what to do.
    PassingError
        It may work another time.
    """
    shown = masked_url(url)
    log = _Log()
    with _errors(shown, guard, log), _client(guard, rules, log, {}) as client:
        info = client.extract_info(url, download=False)
        info = client.sanitize_info(info) if info else None
    if not info:
        raise FetchError(f"{shown}: yt-dlp found nothing there; check the URL")
    if info.get("_type", "video") != "video" or "entries" in info:
        raise FetchError(f"{shown} is a playlist or a channel: give the URL of one video")
    if info.get("is_live") or info.get("live_status") in ("is_live", "is_upcoming", "post_live"):
        raise FetchError(f"{shown} is live, or is yet to be: wait until it is over and published")
    look = _look(url, info)
    name = f"{look.about.title} ({shown})"
    if look.duration is not None and look.duration > rules.most_seconds:
        what = f"lasts {to_ms(look.duration)} ms; at most {rules.most_seconds * 1000} ms are taken"
        raise FetchError(f"{name} {what}")
    if look.size is not None and look.size > rules.most_bytes and not look.in_parts:
        raise FetchError(f"{name} has about {look.size:,} bytes; at most {rules.most_bytes:,} are taken")
    return look


def fetch_video(
    look: SiteLook,
    part: Range | None,
    folder: Path,
    guard: GuardProxy,
    rules: FetchRules,
    busy: Callable[[bool], None],
) -> Path:
    """Fetch a video, or the part of it in this range of seconds, into a folder; gives the file.

    A whole stays as the site has it. A part is encoded anew and keeps the times of the source: the first time
    in it is the place on the source at which it begins.

    Parameters
    ----------
    busy
        Told when work on the file itself begins (True) and ends: no bytes come meanwhile.

    Raises
    ------
    FetchError
        It cannot be had.
    """
    shown = masked_url(look.url)
    trying = Retries(rules, guard)
    info: Mapping[str, Any] | None = look.info
    while True:
        log = _Log()
        options = {**_output(folder), **(_in_part(part) if part else {})}
        options["postprocessor_hooks"] = [lambda told: busy(told["status"] == "started")]
        try:
            with _errors(shown, guard, log), _client(guard, rules, log, options) as client:
                if info is not None:
                    made = client.process_ie_result(dict(copy.deepcopy(info)), download=True)
                else:
                    made = client.extract_info(look.url, download=True)
            if guard.ended is not None:  # a body without a length ends like a whole one when it is cut off
                raise FetchError(f"{shown}: {guard.ended}")
            return _file(made, shown)
        except PassingError as error:
            trying.pause(error, guard.received)
            info = None  # addresses of media expire: ask for them anew


def _look(url: str, info: Mapping[str, Any]) -> SiteLook:
    formats = info.get("requested_formats") or [info]
    sizes = [one.get("filesize") or one.get("filesize_approx") for one in formats]
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
    length = info.get("duration")
    duration = Fraction(str(length)) if isinstance(length, int | float) and length > 0 else None
    return SiteLook(
        url,
        about,
        duration,
        sum(int(size) for size in sizes) if all(sizes) else None,
        duration is not None and all(one.get("protocol") in _IN_PART for one in formats),
        info,
    )


def _file(made: Mapping[str, Any] | None, shown: str) -> Path:
    downloads = (made or {}).get("requested_downloads") or []
    path = Path(downloads[0].get("filepath", "")) if downloads else Path()
    if not path.is_file():
        raise FetchError(f"{shown}: yt-dlp fetched no file")
    return path


class _Log:
    """Keeps yt-dlp's warnings, and prints nothing."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def debug(self, _text: str) -> None:
        pass

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def error(self, _text: str) -> None:
        pass


@contextlib.contextmanager
def _errors(shown: str, guard: GuardProxy, log: _Log) -> Iterator[None]:
    """Makes errors of yt-dlp ours."""
    from yt_dlp.utils import YoutubeDLError

    try:
        yield
    except (YoutubeDLError, OSError) as error:
        raise explained(shown, error, guard, log.warnings) from None


def _client(guard: GuardProxy, rules: FetchRules, log: _Log, options: Mapping[str, Any]) -> Any:
    """A yt-dlp that goes out through the guard only, and keeps nothing anywhere.

    The generic extractor is left out: what is no known site's is no media of ours.
    """
    from yt_dlp.postprocessor.ffmpeg import FFmpegPostProcessor

    from tessera.inputs.fetch.ytdlp_proxy import guarded_client

    # As yt-dlp's own command does: some of its parts do not look at the option `ffmpeg_location`.
    FFmpegPostProcessor._ffmpeg_location.set(ffmpeg_path())
    return guarded_client(
        {
            "proxy": guard.proxy,
            "allowed_extractors": ["default", "-generic"],
            "noplaylist": True,
            "playlist_items": "1",
            "lazy_playlist": True,
            "extract_flat": "in_playlist",
            "format": f"bv*{_PROTOCOL}+ba{_PROTOCOL}/b{_PROTOCOL}/bv*{_PROTOCOL}",
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


def _output(folder: Path) -> dict[str, Any]:
    """Where the file is put; what stands for itself in a template is doubled."""
    safe = str(folder.absolute()).replace("%", "%%").replace("$", "$$")
    return {"outtmpl": {"default": f"{safe}/media.%(ext)s"}, "overwrites": True, "continuedl": True}


def _in_part(part: Range) -> dict[str, Any]:
    """Only a range: ffmpeg reads what it needs of the source, decodes it, and encodes what lies within.

    Times stay those of the source, so that a range can be cut from the part to the frame.
    """
    from yt_dlp.utils import download_range_func

    start, end = (float(edge) for edge in part)
    coding = "-c:v libx264 -preset veryfast -crf 16 -pix_fmt yuv420p -enc_time_base:v demux"
    coding += f" -x264-params {REPEATABLE} -c:a aac -b:a 256k -f mp4"
    return {
        "download_ranges": download_range_func(None, [(start, end)]),
        "force_keyframes_at_cuts": True,
        "external_downloader_args": {
            "ffmpeg_i": ["-copyts", *_NETWORK],
            "ffmpeg_o": coding.split(),
        },
    }
