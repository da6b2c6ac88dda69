"""Simulation and run agree, for every agent of fixtures/ on real media."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from tessera import run, simulate
from tessera.inputs.local import LocalInput
from tessera.media.probe.probe import probe
from tessera.record.record import RunRecord
from tests.support.media import FIXTURES, MEDIA

AGENTS = FIXTURES / "agents"
CASES: list[tuple[str, str | None, list[str]]] = [
    ("single", None, ["talk.mp4"]),
    ("single", "single.one_long_clip", ["talk.mp4"]),
    ("single", None, ["silent.mp4"]),
    ("two_inputs", None, ["host=talk.mp4", "guest=street.mp4"]),
    ("fan_out", None, ["street.mp4"]),
    ("fan_in", None, ["portrait.mp4"]),
    ("diamond", None, ["portrait.mp4"]),
    ("diamond", "diamond.without_enhance", ["offset.mp4"]),
    ("generation_only", None, []),
    ("ignored_middle", "ignored_middle.without_mirror", ["rotated.mp4"]),
    ("trimmer", None, ["odd.mp4", "vfr.mkv", "tenbit.mp4", "multi_audio.mkv"]),
    ("enhance", None, ["street.mp4"]),
    ("enhance", None, ["silent.mp4"]),
    ("pad", None, ["portrait.mp4"]),
    ("older_nodes", None, ["rotated.mp4"]),
    ("older_nested", None, ["odd.mp4"]),
]


def _inputs(agent: str, places: list[str]) -> list[LocalInput]:
    """`host=a.mp4` is for the first Video Input, `guest=…` for the second."""
    import json

    nodes = json.loads((AGENTS / f"{agent}.json").read_text())
    ids = [
        node["agent_node_id"]
        for node in nodes.get("agent_nodes", [])
        if node["node_type"]["node_type_name"] == "Video Input"
    ]
    found = []
    for place in places:
        who, named, name = place.rpartition("=")
        node = ids[{"host": 0, "guest": 1}[who]] if named else None
        found.append(LocalInput(str(MEDIA / name), node))
    return found


def _lineage(record: RunRecord) -> list[dict[str, object]]:
    return [{key: value for key, value in item.items() if key != "kind"} for item in record.items]


@pytest.mark.parametrize(("agent", "request_name", "places"), CASES)
def test_what_is_simulated_is_what_is_rendered(
    agent: str, request_name: str | None, places: list[str], tmp_path: Path
) -> None:
    request = FIXTURES / "requests" / f"{request_name}.json" if request_name else None
    given = _inputs(agent, places)
    told = simulate(AGENTS / f"{agent}.json", request, inputs=given, workspace=tmp_path / "none")
    made = run(
        AGENTS / f"{agent}.json", request, inputs=given, workspace=tmp_path / "ws", out=tmp_path / "out"
    )
    assert made.status == told.status == "completed", made.errors
    assert _lineage(told) == _lineage(made)
    assert not (tmp_path / "none").exists()
    by_place = {(output.node, output.raw["index"]): output for output in told.outputs}
    assert {(output.node, output.raw["index"]) for output in made.outputs} == set(by_place)
    for output in made.outputs:
        assert output.path is not None
        assert output.thumbnail_path is not None
        assert output.thumbnail_path.stat().st_size > 1000
        wanted, info = by_place[output.node, output.raw["index"]], probe(output.path)
        assert info.picture is not None
        assert (info.picture.width, info.picture.height) == (wanted.width, wanted.height)
        assert info.kind == wanted.kind
        if info.kind == "video":
            rate = Fraction(wanted.fps or 0)
            assert abs(info.picture.rate / rate - 1) < Fraction(1, 200)
            assert wanted.duration_ms is not None
            assert abs(info.picture.duration * 1000 - wanted.duration_ms) <= 1000 / rate + 1
            assert (info.sound is not None) == wanted.has_audio
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert len(files) == 2 * len(made.outputs)
    assert not [name for name in files if name.startswith(".")]
