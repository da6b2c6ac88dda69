"""What yt-dlp says when it cannot have a video, as what happened and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tessera.inputs.fetch.guard_proxy import GuardProxy
from tessera.inputs.fetch.rules import FetchError, PassingError
from tessera.text.masking import masked_url
from tessera.text.wording import one_line

__all__ = ["explained"]

_GIVE = "download it where you may, and give the file"
_SAID: tuple[tuple[str, str], ...] = (
    (r"members[- ]only|join this channel|requires payment", f"is for members or buyers only; {_GIVE}"),
    (
        r"confirm your age|age[- ]restricted|inappropriate for some users|age[- ]gate",
        f"is age-restricted: it needs a sign-in; {_GIVE}",
    ),
    (r"not a bot|unusual traffic", f"is refused, as the site suspects a robot; try again later, or {_GIVE}"),
    (r"private video|is private|private access", f"is private: ask its owner to make it public, or {_GIVE}"),
    (
        r"geo[- ]?restrict|available (?:in|from) your (?:country|location|region)|blocked it in your country",
        f"is not available from here (geo-blocked); {_GIVE}",
    ),
    (
        r"live event will begin|premieres in|upcoming|is not currently live|live stream|offline\b",
        "is live, or is yet to be: wait until it is over and published",
    ),
    (
        r"removed|no longer available|unavailable|terminated|does not exist|has been deleted|not found",
        "is not available: it was removed, or never was there; check the URL",
    ),
    (r"sign in|log ?in|registered users|account", f"needs a sign-in; {_GIVE}"),
    (r"no suitable extractor|unsupported url", "is a web page, not media, and of no site that yt-dlp knows"),
    (r"drm", f"is protected by DRM, and cannot be fetched; {_GIVE}"),
)
_RUNTIME = re.compile(r"javascript runtime|n challenge|challenge solving|only images are available", re.I)
_NO_FORMAT = re.compile(r"requested format is not available|no video formats found", re.I)
_INSTALL = "YouTube needs a JavaScript runtime: install one with `pip install 'yt-dlp[default,deno]'`"


def explained(shown: str, error: BaseException, guard: GuardProxy, warnings: Sequence[str]) -> FetchError:
    """Our error for one of yt-dlp's.

    Parameters
    ----------
    shown
        The URL, masked.
    warnings
        What yt-dlp warned of before.
    """
    from yt_dlp.networking.exceptions import HTTPError

    said = guard.refused or guard.ended
    if said is not None:
        return FetchError(f"{shown}: {said}")
    causes = list(_causes(error))
    text = _text(error)
    answers = [one for one in causes if isinstance(one, HTTPError)]
    for answer in answers:
        answer.close()
    found = re.search(r"HTTP Error (\d{3})", text)
    status = int(answers[0].status) if answers else int(found[1]) if found else None
    kinds = {kind.__name__ for one in causes for kind in type(one).__mro__}
    if "GeoRestrictedError" in kinds:
        return FetchError(f"{shown} is not available from here (geo-blocked); {_GIVE}")
    if "UserNotLive" in kinds:
        return FetchError(f"{shown} is live, or is yet to be: wait until it is over and published")
    broke = {"TransportError", "ContentTooShortError"} & kinds or text.startswith("[download] Got error")
    if status is None and not broke:
        return FetchError(_from_words(shown, text, warnings))
    if status is None:
        return PassingError(f"{shown} could not be reached: {guard.trouble or text}; check the network")
    told = f"{shown}: the server answered {status}"
    if status == 429 or status >= 500:
        return PassingError(f"{told}: try again later")
    if status in (404, 410):
        return FetchError(f"{told}: it is not available, was removed, or never was there; check the URL")
    return FetchError(f"{told}: {text}")


def _from_words(shown: str, text: str, warnings: Sequence[str]) -> str:
    if _RUNTIME.search(text) or (_NO_FORMAT.search(text) and any(map(_RUNTIME.search, warnings))):
        return f"{shown} cannot be fetched: {_INSTALL}"
    for pattern, what in _SAID:
        if re.search(pattern, text, re.I):
            return f"{shown} {what}"
    if _NO_FORMAT.search(text):
        return f"{shown} has no video that can be fetched; {_GIVE}"
    return f"{shown} cannot be fetched: {text}; a newer yt-dlp may know better, or {_GIVE}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and all that caused it, as yt-dlp and Python keep them."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        kept = getattr(one, "exc_info", None) or (None, None)
        cause = getattr(one, "cause", None)
        waiting += [kept[1], cause if isinstance(cause, BaseException) else None, one.__cause__]


def _text(error: BaseException) -> str:
    """What an error says, without its prefixes, advice to report it, and secrets."""
    text = str(error).removeprefix("ERROR: ")
    text = re.split(r"; please report this issue|\(caused by|\. Use --|\. See +https?:", text)[0]
    text = re.sub(r"^\[[^\]]+\] (?:[^ :]+: )?", "", text)
    text = re.sub(r"https?://\S+", lambda found: masked_url(found[0]), text)
    return one_line(text).rstrip(".") or type(error).__name__
