"""Translate yt-dlp errors into the cause and the next step for the user."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tessera.inputs.fetch.guard_proxy import GuardProxy
from tessera.inputs.fetch.rules import FetchError, PassingError
from tessera.text.masking import masked_text
from tessera.text.wording import one_line

__all__ = ["error_for"]

_HINT = "download it where you may, and give the file"
_ADVICE_BY_TEXT: tuple[tuple[str, str], ...] = (
    (r"members[- ]only|join this channel|requires payment", f"is for members or buyers only; {_HINT}"),
    (
        r"confirm your age|age[- ]restricted|inappropriate for some users|age[- ]gate",
        f"is age-restricted: it needs a sign-in; {_HINT}",
    ),
    (r"not a bot|unusual traffic", f"is refused, as the site suspects a robot; try again later, or {_HINT}"),
    (r"private video|is private|private access", f"is private: ask its owner to make it public, or {_HINT}"),
    (
        r"geo[- ]?restrict|available (?:in|from) your (?:country|location|region)|blocked it in your country",
        f"is not available from here (geo-blocked); {_HINT}",
    ),
    (
        r"live event will begin|premieres in|upcoming|is not currently live|live stream|offline\b",
        "is live or upcoming: wait until it is over and published",
    ),
    (
        r"removed|no longer available|unavailable|terminated|does not exist|has been deleted|not found",
        "is not available: it was removed or never existed; check the URL",
    ),
    (r"sign in|log ?in|registered users|account", f"needs a sign-in; {_HINT}"),
    (
        r"no suitable extractor|unsupported url",
        "is a web page, not media, and not of a site that yt-dlp supports",
    ),
    (r"drm", f"is protected by DRM, and cannot be fetched; {_HINT}"),
)
_RUNTIME = re.compile(r"javascript runtime|n challenge|challenge solving|only images are available", re.I)
_NO_FORMAT = re.compile(r"requested format is not available|no video formats found", re.I)
_INSTALL_RUNTIME = "YouTube needs a JavaScript runtime: install one with `pip install 'yt-dlp[default,deno]'`"


def error_for(shown: str, error: BaseException, guard: GuardProxy, warnings: Sequence[str]) -> FetchError:
    """Return our error for a yt-dlp error.

    Parameters
    ----------
    shown
        The masked URL.
    warnings
        Earlier warnings of yt-dlp.
    """
    from yt_dlp.networking.exceptions import HTTPError

    reason = guard.refusal or guard.close_reason
    if reason is not None:
        return FetchError(f"{shown}: {reason}")
    causes = list(_causes(error))
    text = _text(error)
    answers = [current for current in causes if isinstance(current, HTTPError)]
    for answer in answers:
        answer.close()
    found = re.search(r"HTTP Error (\d{3})", text)
    status = int(answers[0].status) if answers else int(found[1]) if found else None
    kinds = {kind.__name__ for current in causes for kind in type(current).__mro__}
    if "GeoRestrictedError" in kinds:
        return FetchError(f"{shown} is not available from here (geo-blocked); {_HINT}")
    if "UserNotLive" in kinds:
        return FetchError(f"{shown} is live or upcoming: wait until it is over and published")
    broke = {"TransportError", "ContentTooShortError"} & kinds or text.startswith("[download] Got error")
    if status is None and not broke:
        return FetchError(_message_from_text(shown, text, warnings))
    if status is None:
        return PassingError(f"{shown} could not be reached: {guard.connect_error or text}; check the network")
    message = f"{shown}: the server answered {status}"
    if status == 429 or status >= 500:
        return PassingError(f"{message}: try again later")
    if status in (404, 410):
        return FetchError(f"{message}: it is not available, was removed or never existed; check the URL")
    return FetchError(f"{message}: {text}")


def _message_from_text(shown: str, text: str, warnings: Sequence[str]) -> str:
    if _RUNTIME.search(text) or (_NO_FORMAT.search(text) and any(map(_RUNTIME.search, warnings))):
        return f"{shown} cannot be fetched: {_INSTALL_RUNTIME}"
    for pattern, what in _ADVICE_BY_TEXT:
        if re.search(pattern, text, re.I):
            return f"{shown} {what}"
    if _NO_FORMAT.search(text):
        return f"{shown} has no video that can be fetched; {_HINT}"
    return f"{shown} cannot be fetched: {text}; a newer yt-dlp may help, or {_HINT}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all its causes, as linked by yt-dlp and by Python."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        current = pending.pop(0)
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        exc_info = getattr(current, "exc_info", None) or (None, None)
        cause = getattr(current, "cause", None)
        pending += [exc_info[1], cause if isinstance(cause, BaseException) else None, current.__cause__]


def _text(error: BaseException) -> str:
    """Return the text of an error without prefixes, advice to report it, and secrets."""
    text = str(error).removeprefix("ERROR: ")
    text = re.split(r"; please report this issue|\(caused by|\. Use --|\. See +https?:", text)[0]
    text = re.sub(r"^\[[^\]]+\] (?:[^ :]+: )?", "", text)
    return one_line(masked_text(text)).rstrip(".") or type(error).__name__
