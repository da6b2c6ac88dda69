"""A fault is shown at the line and the column of its value in the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.errors import pointer
from tessera.reports.positions import Position, locate, syntax_error

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=6) | st.sampled_from(
    ['"', "\\", "/", "~", "{", "]", "\n", "é", "𝄞", "a"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(TEXT, below, max_size=4),
    max_leaves=20,
)


def pointers(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield every pointer into a value with the value there."""
    yield pointer(*at), value
    members = (
        value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
    )
    for name, child in members:
        yield from pointers(child, (*at, name))


def value_at(text: str, place: Position) -> Any:
    """Return the JSON value that begins at a position."""
    lines = text.split("\n")
    offset = sum(len(line) + 1 for line in lines[: place.line - 1]) + place.column - 1
    return json.JSONDecoder().raw_decode(text, offset)[0]


@given(
    VALUES, st.sampled_from([None, 0, 1, "\t"]), st.booleans(), st.booleans(), st.sampled_from(["", "\n \n"])
)
def test_the_value_of_every_pointer_begins_at_its_position(
    value: Any, indent: Any, ascii_only: bool, mark: bool, before: str
) -> None:
    text = before + json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    wanted = dict(pointers(value))
    found = locate(text.encode("utf-8-sig" if mark else "utf-8"), wanted)
    assert {place: value_at(text, at) for place, at in found.items()} == wanted


def test_the_last_of_two_members_of_one_name_counts() -> None:
    text = b'{"a": {"b": 1, "c": 2},\n "a": {"b": 3}}'
    found = locate(text, ["/a/b", "/a", "/a/c"])
    # The parser never sees the first `a`, so its `c` does not exist.
    assert found == {"/a/b": (2, 13), "/a": (2, 7), "/a/c": (2, 7)}


def test_a_pointer_out_of_the_document_gets_the_nearest_value_above() -> None:
    text = b'{"a": [\n  10]}'
    assert locate(text, ["/a/1", "/a/0/x", "/b", "/a/-"]) == {
        "/a/1": (1, 7),
        "/a/0/x": (2, 3),
        "/b": (1, 1),
        "/a/-": (1, 7),
    }


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b'{"a": 1,\n "b": }', (2, 7)),
        (b"\xef\xbb\xbf{'a'}", (1, 2)),
        (b'{"a":\n "\xff"}', (2, 3)),
        (b"", (1, 1)),
        (b"[" * 200_000, (1, 1)),
        (b"{}", (1, 1)),
    ],
)
def test_a_text_that_is_not_json_is_shown_where_it_stops_being_json(
    data: bytes, place: tuple[int, int]
) -> None:
    assert syntax_error(data) == place


def test_a_windows_file_has_the_same_positions() -> None:
    assert locate(b'{\r\n "a": 1,\r\n "b": 2\r\n}', ["/b"]) == {"/b": (3, 7)}


@pytest.mark.parametrize(
    "text",
    [
        "[" * 300_000 + "1" + "]" * 300_000,
        '{"a":' * 300_000 + "1" + "}" * 300_000,
        '"' + '\\"' * 300_000,
        '["' * 300_000,
        '{"a": 1, ' * 2 + '"a": 2, ' * 200_000 + "}}",
    ],
    ids=["arrays", "objects", "open string", "open strings", "one name"],
)
def test_a_hostile_text_is_read_in_one_pass(text: str) -> None:
    assert locate(text.encode(), ["/0/0/0", "/a/a"])["/0/0/0"].line == 1


@given(st.binary(max_size=60), st.lists(st.text(max_size=8), max_size=4))
def test_any_bytes_and_any_pointer_have_a_position(data: bytes, wanted: list[str]) -> None:
    for place in (*locate(data, wanted).values(), syntax_error(data)):
        assert place >= (1, 1)
        assert place.line <= data.count(b"\n") + 1
