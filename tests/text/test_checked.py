"""Values from outside are read within bounds: anything else is one `ValueError` in plain words, at once."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.cli import main
from tessera.text.checked import (
    MAX_TOML_BYTES,
    exact_number,
    instant,
    json_object,
    json_value,
    mail_date,
    whole_number,
)
from tests.support.media import FIXTURES

DIGITS = "9" * 5000
READERS = (whole_number, exact_number, json_value, json_object, instant, mail_date)


def said_of(reader: Callable[[Any], Any], value: Any) -> str | None:
    """Return the message with which a reader refuses a value, or None if it reads it."""
    try:
        reader(value)
    except ValueError as error:
        return str(error)
    return None


@given(st.text(max_size=300) | st.from_regex(r"[-+0-9./eE_ nafitNI]{0,40}", fullmatch=True))
def test_any_text_is_read_or_refused_in_a_short_message(text: str) -> None:
    for reader in READERS:
        assert len(said_of(reader, text) or "") < 300


@given(st.fractions(max_denominator=10**30))
def test_a_fraction_is_read_back_from_its_text(number: Fraction) -> None:
    assert exact_number(str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e30, max_value=1e30))
def test_a_float_counts_as_the_decimal_that_it_prints_as(number: float) -> None:
    if number == 0 or abs(number) > 1e-30:
        assert exact_number(number) == Fraction(str(number))


NO_NUMBERS: list[Any] = [
    *(
        "0/0",
        "1/0",
        "",
        " ",
        "/",
        "1/",
        "nan",
        "inf",
        "-Infinity",
        "1e999999999",
        "1e-999999999",
        "1_000",
        "٣",
    ),
    *(DIGITS, f"1/{DIGITS}", "0x10", "1/2/3", "1/-2", math.nan, math.inf, 1e300, 10**5000, -(10**5000)),
    *({}, [], None, True, object(), b"1"),
]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=range(len(NO_NUMBERS)))
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="number") as caught:
        exact_number(value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", "\xb2", "٣", "1e3", "9" * 19, DIGITS, "0x1", "1_0"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a whole number of at most 18 digits"):
        whole_number(text)
    assert whole_number("000" + "9" * 18) == 10**18 - 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 200_000, "nested too deeply"),
        ('{"a":' * 200_000, "nested too deeply"),
        ("\n\n" + DIGITS, "not JSON: the number at line 3 has more than 4,300 digits"),
        ("1e999", "not JSON: the number '1e999' is out of range"),
        ("-1e999", "not JSON: the number '-1e999' is out of range"),
        ("NaN", "not JSON: NaN is not JSON"),
        ("[1,", "not JSON: Expecting value at line 1, column 4"),
        (b"\xff", "not JSON: not UTF-8 text at byte 0"),
    ],
)
def test_what_is_no_json_is_refused(text: str | bytes, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        json_value(text)


NO_INSTANTS = (
    *("", "soon", "2026-02-30T00:00:00+00:00", "2026-01-01T00:00:00", "2026-01-01T00:00:00+99:99", DIGITS),
    *("2026-13-01", "2026-01-01T25:00:00Z", "2026-01-01"),
)


@pytest.mark.parametrize("text", NO_INSTANTS)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a date and time with a zone"):
        instant(text)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_an_instant_at_the_edge_of_the_calendar_can_be_compared_or_is_refused(text: str) -> None:
    if said_of(instant, text) is None:
        assert abs(instant(text) - instant("2026-01-01T00:00:00Z")).days > 1000


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (b"x=" + b"[" * 20_000 + b"]" * 20_000, "nested too deeply"),
        (b"x=" + b"9" * 5000, "the number at line 1 has more than 4,300 digits"),
        (b"\xff", "not UTF-8 text at byte 0"),
        (b"x=9999-99-99", "at line 1, column"),
        (b"#" * (MAX_TOML_BYTES + 1), "at most 1,000,000 are allowed"),
        (b"[node_types]\na=inf", "/node_types/a: tessera.toml: must be a string"),
    ],
)
def test_bad_settings_are_one_error_with_exit_code_2(
    document: bytes,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "tessera.toml").write_bytes(document)
    monkeypatch.chdir(tmp_path)
    agent = str(FIXTURES / "agents" / "trimmer.json")
    assert main(["plan", agent, "--input", "https://example.org/a.mp4"]) == 2
    told = capsys.readouterr().err
    assert says in told
    assert "tessera.toml" in told
    assert "internal error" not in told


@pytest.mark.parametrize("option", ["--clip", "--balance"])
@pytest.mark.parametrize("value", [DIGITS, "1e999", "NaN:", "0/0:", "٣:", "{}"])
def test_a_bad_number_on_the_command_line_is_one_short_error(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = str(FIXTURES / "agents" / "trimmer.json")
    assert main(["simulate", agent, "--input", "https://example.org/a.mp4", option, value]) == 2
    told = capsys.readouterr().err
    assert option in told
    assert len(told) < 400
    assert "internal error" not in told
