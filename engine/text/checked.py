"""Checked readers for values from outside: numbers, ratios, dates, JSON and TOML.

Documents, media, servers and recordings are hostile. Each reader bounds the size of a text before it converts
it, and raises a `ValueError` alone, whose message says what is wrong and what is allowed. The caller adds the
place: a JSON pointer, a file, a header.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from fractions import Fraction
from typing import Any

__all__ = [
    "MAX_NUMBER_CHARS",
    "MAX_TOML_BYTES",
    "TooDeep",
    "exact_number",
    "instant",
    "json_object",
    "json_value",
    "mail_date",
    "toml_document",
    "whole_number",
]

MAX_NUMBER_CHARS = 100
"""The longest text of one exact number, in characters."""
MAX_TOML_BYTES = 1_000_000
"""The largest TOML document."""
_MAX_EXPONENT = 30
_MAX_DIGITS = 18
_MAX_DATE_CHARS = 64
_NUMBER = re.compile(r"[+-]?(?:\d+/\d+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE]([+-]?\d{1,4}))?)", re.ASCII)
_LONG_NUMBER = re.compile(r"\d{4301}", re.ASCII)
"""A number that Python does not convert: it has more than 4,300 digits."""
_MOST = 10**MAX_NUMBER_CHARS
_DEEP = "nested too deeply"


class TooDeep(ValueError):
    """Raised if a document is nested more deeply than its parser allows."""


def whole_number(text: str) -> int:
    """Parse a whole number ≥ 0 of at most 18 ASCII digits, such as a size in a header.

    Raises
    ------
    ValueError
        If the text is anything else.

    Examples
    --------
    >>> whole_number(" 565687 ")
    565687
    """
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits.lstrip("0")) <= _MAX_DIGITS):
        raise ValueError(f"{_cut(digits)} is not a whole number of at most {_MAX_DIGITS} digits")
    return int(digits.lstrip("0") or "0")


def exact_number(value: Any) -> Fraction:
    """Return a number, or its text as a whole number, decimal or ratio, as an exact fraction.

    A floating-point number counts as the decimal that it prints as.

    Raises
    ------
    ValueError
        If the value is not a finite number, divides by zero, or is longer than `MAX_NUMBER_CHARS`.

    Examples
    --------
    >>> exact_number("30000/1001"), exact_number(0.1)
    (Fraction(30000, 1001), Fraction(1, 10))
    """
    if isinstance(value, Fraction):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= _MOST:
            raise ValueError(f"a number has at most {MAX_NUMBER_CHARS} digits")
        return Fraction(value)
    text = str(value).strip() if isinstance(value, str | float) else None
    if text is not None and len(text) > MAX_NUMBER_CHARS:
        raise ValueError(f"{_cut(text)} is not a number: it is longer than {MAX_NUMBER_CHARS} characters")
    found = _NUMBER.fullmatch(text) if text is not None else None
    if text is None or found is None:
        raise ValueError(f"{_kind(value)} is not a number: give one such as 25, 23.976 or 30000/1001")
    if abs(int(found[1] or 0)) > _MAX_EXPONENT:
        raise ValueError(f"{text} is not a number that can be used: its exponent is over {_MAX_EXPONENT}")
    try:
        return Fraction(text)
    except ZeroDivisionError:
        raise ValueError(f"{text} is not a number: it divides by zero") from None


def json_value(text: str | bytes) -> Any:
    """Parse JSON in UTF-8. Numbers are finite and have at most 4,300 digits.

    The messages of its errors continue "it is …".

    Raises
    ------
    ValueError
        If the text is not JSON, is nested too deeply, or holds a number that is out of range.

    Examples
    --------
    >>> json_value('{"size": 3}')
    {'size': 3}
    """
    try:
        whole = text if isinstance(text, str) else text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"not JSON: not UTF-8 text at byte {error.start}") from None
    try:
        return json.loads(whole, parse_constant=_refuse_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise TooDeep(_DEEP) from None
    except ValueError as error:
        raise ValueError(f"not JSON: {_number_problem(whole) or error}") from None


def json_object(text: str | bytes) -> dict[str, Any]:
    """Parse a JSON object (see `json_value`).

    Raises
    ------
    ValueError
        If the text is not JSON within the bounds of `json_value`, or holds another type than an object.
    """
    found = json_value(text)
    if not isinstance(found, dict):
        raise ValueError(f"not an object, but {_kind(found)}")
    return found


def toml_document(data: bytes) -> dict[str, Any]:
    """Parse a TOML document of at most `MAX_TOML_BYTES`.

    Raises
    ------
    ValueError
        If the document is too large or too deep, is not UTF-8 or TOML, or holds a number that is too long.
    """
    import tomllib

    if len(data) > MAX_TOML_BYTES:
        raise ValueError(f"it has {len(data):,} bytes; at most {MAX_TOML_BYTES:,} are allowed")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 text at byte {error.start}") from None
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise TooDeep(_DEEP) from None
    except tomllib.TOMLDecodeError:
        raise
    except ValueError as error:
        raise ValueError(_number_problem(text) or str(error)) from None


def instant(text: str) -> datetime:
    """Parse a date and time with its zone in ISO 8601.

    Raises
    ------
    ValueError
        If the text is anything else.

    Examples
    --------
    >>> instant("2026-01-31T12:00:00+00:00").year
    2026
    """
    try:
        found = datetime.fromisoformat(text) if len(text) <= _MAX_DATE_CHARS else None
        # A time at the edge of the calendar has no equivalent in another zone.
        valid = found is not None and found.utcoffset() is not None and bool(found.timestamp() + 1)
    except (ValueError, TypeError, OverflowError):
        found, valid = None, False
    if found is None or not valid:
        raise ValueError(f"{_cut(text)} is not a date and time with a zone, as in 2026-01-31T12:00:00+00:00")
    return found


def mail_date(text: str) -> float:
    """Parse the date of an HTTP header into seconds since 1970.

    Raises
    ------
    ValueError
        If the text is not such a date.

    Examples
    --------
    >>> mail_date("Thu, 01 Jan 1970 00:00:10 GMT")
    10.0
    """
    from email.utils import parsedate_to_datetime

    try:
        if len(text) > _MAX_DATE_CHARS:
            raise ValueError
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        raise ValueError(f"{_cut(text)} is not a date, as in Thu, 01 Jan 1970 00:00:10 GMT") from None


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"the number {_cut(text)} is out of range: JSON numbers are below 1.8e308")
    return number


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _number_problem(text: str) -> str | None:
    """Return the message for a number with too many digits, or None if there is none."""
    found = _LONG_NUMBER.search(text)
    if found is None:
        return None
    line = text.count("\n", 0, found.start()) + 1
    return f"the number at line {line} has more than 4,300 digits"


def _kind(value: Any) -> str:
    """Return a short text for a wrong value: scalars as themselves, containers by their type."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple):
        return "an array"
    return _cut(value) if isinstance(value, str) else "null" if value is None else _cut(repr(value))


def _cut(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")
