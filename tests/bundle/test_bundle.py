"""A run packed into one file can be simulated anywhere, and contains no secret."""

from __future__ import annotations

import json
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tessera import RequestError, load_agent, run
from tessera.bundle.bundle import read_bundle, write_bundle
from tessera.bundle.simulation import replay
from tessera.media.probe.probe import probe
from tessera.store.run_store import RunStore
from tessera.text.masking import mask_urls
from tests.support.bundles import rewritten
from tests.support.media import FIXTURES, MEDIA


def test_a_replay_equals_the_run_except_for_times_ids_and_files(tmp_path: Path) -> None:
    made = run(
        FIXTURES / "agents" / "single.json",
        {"callback_url": "https://example.org/hook?token=s3cret"},
        inputs=[str(MEDIA / "talk.mp4")],
        workspace=tmp_path / "ws",
    )
    write_bundle(RunStore(tmp_path / "ws"), made.run_id, tmp_path / "run.zip")
    with zipfile.ZipFile(tmp_path / "run.zip") as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert sorted(texts) == [
        "agent.json",
        "events.jsonl",
        "facts.json",
        "plan.json",
        "record.json",
        "versions.json",
    ]
    assert not any("s3cret" in text for text in texts.values())
    result = replay(tmp_path / "run.zip")
    assert result.to_dict()["items"] == made.to_dict()["items"]
    assert [output.duration_ms for output in result.outputs] == [
        output.duration_ms for output in made.outputs
    ]
    assert read_bundle(tmp_path / "run.zip").record["run_id"] == made.run_id


@pytest.mark.parametrize(
    ("options", "agent"),
    [
        ({}, "single"),
        ({"request": {"update_params": {"<mirror>": {"vertical_flip": True}}}}, "diamond"),
        ({"request": {"ignore_nodes": ["<mirror>"]}}, "diamond"),
    ],
)
def test_a_replay_says_if_the_agent_does_not_give_the_plan(
    options: dict[str, Any], agent: str, tmp_path: Path
) -> None:
    template = load_agent(FIXTURES / "agents" / f"{agent}.json")
    mirror = next((tile.id for tile in template if tile.name == "Mirror"), "")
    request = json.loads(json.dumps(options.get("request", {})).replace("<mirror>", mirror))
    made = run(template, request, inputs=[str(MEDIA / "silent.mp4")], workspace=tmp_path / "ws")
    file = tmp_path / "run.zip"
    write_bundle(RunStore(tmp_path / "ws"), made.run_id, file)
    assert not [one for one in replay(file).warnings if one["code"] == "other_plan"]

    def drop_a_connection(document: Any) -> None:
        document["connections"].pop()

    rewritten(file, "agent.json", drop_a_connection)
    result = replay(file)
    (warning,) = [one for one in result.warnings if one["code"] == "other_plan"]
    assert "the plan that ran is simulated" in warning["message"]
    assert len(result.outputs) == len(made.outputs)

    def break_it(document: Any) -> None:
        document["agent_nodes"].clear()

    rewritten(file, "agent.json", break_it)
    (warning,) = [one for one in replay(file).warnings if one["code"] == "other_plan"]
    assert "gives no plan any more" in warning["message"]


def test_drafts_of_inputs_and_outputs_can_be_included(tmp_path: Path) -> None:
    made = run(
        FIXTURES / "agents" / "single.json", inputs=[str(MEDIA / "talk.mp4")], workspace=tmp_path / "ws"
    )
    write_bundle(RunStore(tmp_path / "ws"), made.run_id, tmp_path / "run.zip", media=True)
    with zipfile.ZipFile(tmp_path / "run.zip") as archive:
        names = [name for name in archive.namelist() if name.startswith("media/")]
        archive.extractall(tmp_path, names)
    assert names == ["media/input-1.mp4", "media/output-1.mp4", "media/output-2.mp4"]
    for name, output in zip(names[1:], made.outputs, strict=True):
        info = probe(tmp_path / name)
        assert info.picture is not None
        assert (info.picture.width, info.picture.height) == (180, 320)
        assert output.duration_ms is not None
        assert abs(info.duration - Fraction(output.duration_ms, 1000)) < Fraction(1, 20)
    assert replay(tmp_path / "run.zip").status == "completed"


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x05\x06" + b"\0" * 18])
def test_a_file_that_is_not_a_bundle_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(RequestError, match=r"x\.zip is not a bundle"):
        replay(tmp_path / "x.zip")


def test_queries_and_user_names_in_urls_are_masked_but_the_video_id_stays() -> None:
    result = mask_urls(
        {
            "https://u:p@a.example/x.mp4?X-Signature=abc": ["https://www.youtube.com/watch?v=abc&t=9s#k"],
            "plain": "text?token=1",
        }
    )
    assert json.loads(json.dumps(result)) == {
        "https://a.example/x.mp4?masked=99178e95": ["https://www.youtube.com/watch?v=abc"],
        "plain": "text?token=1",
    }
