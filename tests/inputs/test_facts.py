"""Facts, stubs and assumptions replace missing media, and the record says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tessera import QuestionError, RequestError, RunRecord, run, simulate
from tessera.cli import main
from tests.parity.test_fixtures import AGENTS, CASES, _inputs
from tests.support.media import FIXTURES, MEDIA

URL = "https://example.org/talk.mp4"
TALK = {
    URL: {
        "duration_ms": 60_000,
        "width": 1920,
        "height": 1080,
        "fps": "25",
        "has_audio": True,
        "speech": [[0, 20_000], [30_000, 58_000]],
    }
}
MUTE = {URL: {key: value for key, value in TALK[URL].items() if key != "speech"}}
SINGLE = AGENTS / "single.json"
REQUEST = {"video_urls": [URL]}


NUMBERS = ("duration", "fps", "duration_ms", "width", "sample_rate", "speech", "levels_dbfs")
NO_NUMBERS = (
    *('"0/0"', '"1/0"', "{}", "1e999", "NaN", "9" * 5000, "9" * 4000, '"1e999999999"', "-1", "true"),
    *("[[1, {}]]", "[" * 5000 + "]" * 5000),
)


@pytest.mark.parametrize("member", NUMBERS)
@pytest.mark.parametrize("value", NO_NUMBERS, ids=range(len(NO_NUMBERS)))
def test_a_stated_fact_that_is_no_number_is_refused_in_short_words(
    member: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = tmp_path / "facts.json"
    facts.write_text(f'{{"{URL}": {{"{member}": {value}}}}}')
    assert main(["simulate", str(SINGLE), "--input", URL, "--facts", str(facts)]) == 2
    told = capsys.readouterr().err
    assert len(told) < 500
    assert "error" in told
    assert not any(words in told for words in ("internal error", "Input should", "Traceback", "set_int_max"))


def _comparable(record: RunRecord) -> dict[str, Any]:
    """Return a record without times, ids, URLs and the origins of answers."""
    whole = record.to_dict()
    return {
        "status": whole["status"],
        "counts": whole["node_status_counts"],
        "items": whole["items"],
        "outputs": [
            {key: output[key] for key in ("original_node_id", "index", "sources", "why", "kind", "fidelity")}
            | {key: output.get(key) for key in ("duration_ms", "width", "height", "fps", "has_audio")}
            for output in whole["outputs"]
        ],
        "metered": [one["metered_ms"] for one in whole["inputs"]],
        "nodes": [(node["original_node_id"], node["status"], node["items"]) for node in whole["nodes"]],
    }


@pytest.mark.parametrize(("agent", "request_name", "places"), CASES)
def test_a_simulation_with_the_facts_of_a_run_equals_that_run_without_its_media(
    agent: str, request_name: str | None, places: list[str], tmp_path: Path
) -> None:
    request = FIXTURES / "requests" / f"{request_name}.json" if request_name else None
    made = run(
        AGENTS / f"{agent}.json",
        request,
        inputs=_inputs(agent, places),
        workspace=tmp_path / "here",
        facts_out=tmp_path / "facts.json",
    )
    request = made.to_dict()["request"]
    simulated = simulate(
        AGENTS / f"{agent}.json", request, facts=tmp_path / "facts.json", workspace=tmp_path / "there"
    )
    assert _comparable(simulated) == _comparable(made)


def test_a_question_without_an_answer_names_the_tile_and_prints_the_facts_to_add() -> None:
    with pytest.raises(
        QuestionError, match=r"Clips .* asks: where is speech in https://example.org/talk.mp4\?"
    ) as e:
        simulate(SINGLE, REQUEST, facts=MUTE)
    assert '"speech": [[start_ms, end_ms]' in str(e.value)


def test_assumed_speech_is_used_when_asked_for_and_the_record_says_so() -> None:
    record = simulate(SINGLE, REQUEST, facts=MUTE, assume=True)
    clips = next(node for node in record.to_dict()["nodes"] if node["node_type_name"] == "Clips")
    assert {"question": "speech", "about": URL, "origin": "assumed"} in clips["answers"]


def test_facts_take_precedence_over_assumptions_and_stubs_over_facts() -> None:
    def origins(**given: Any) -> set[str]:
        nodes = simulate(SINGLE, REQUEST, facts=TALK, assume=True, **given).to_dict()["nodes"]
        return {answer["origin"] for node in nodes for answer in node["answers"]}

    assert origins() == {"facts"}
    assert origins(stubs={"clips": {"answers": {"speech": [[1000, 2000]]}}}) == {"stubbed"}


def test_everything_made_from_the_items_of_a_stub_is_marked_stubbed() -> None:
    stub = {"makes": [{"duration_ms": 3000}, {"duration_ms": 2000, "width": 640, "height": 640}]}
    record = simulate(SINGLE, REQUEST, facts=TALK, stubs={"Clips": stub})
    assert [output.duration_ms for output in record.outputs] == [3000, 2000]
    assert {output.raw["fidelity"] for output in record.outputs} == {"stubbed"}
    assert len(record.to_dict()["stubs"]) == 1


def test_a_stub_replaces_a_tile_that_cannot_run(tmp_path: Path) -> None:
    ignored = [
        node["agent_node_id"]
        for node in json.loads((AGENTS / "social.json").read_text())["agent_nodes"]
        if node["node_type"]["node_type_name"] == "Rough Cut"
    ]
    record = run(
        AGENTS / "social.json",
        {"ignore_nodes": ignored},
        inputs=[str(MEDIA / "talk.mp4")],
        stubs={"captions": {"makes": [{"file": str(MEDIA / "silent.mp4")}]}},
        workspace=tmp_path,
    )
    assert record.status == "completed", record.errors
    assert {output.raw["fidelity"] for output in record.outputs} == {"stubbed"}
    assert [output.duration_ms for output in record.outputs] == [5000, 5000, 5000]


@pytest.mark.parametrize(
    ("stub", "status"),
    [
        ({"fault": "error", "message": "no quota"}, "failed"),
        ({"fault": "hang"}, "failed"),
        ({"fault": "transient"}, "failed"),
        ({"attempts": [{"fault": "transient"}, {"fault": "transient"}]}, "completed"),
        ({"attempts": [{"fault": "error"}]}, "failed"),
    ],
)
def test_faults_apply_attempt_by_attempt(stub: dict[str, Any], status: str) -> None:
    record = simulate(SINGLE, REQUEST, facts=TALK, stubs={"reframe": stub})
    assert record.status == status
    reframe = next(node for node in record.nodes.values() if node.name == "Reframe")
    watermark = next(node for node in record.nodes.values() if node.name == "Watermark")
    assert reframe.status == status
    assert watermark.status == ("completed" if status == "completed" else "blocked")
    assert len(reframe.logs) == (2 if "transient" in str(stub) else 0)


@pytest.mark.parametrize(
    ("stubs", "loc", "says"),
    [
        ({"clip": {}}, "/stubs/clip", "did you mean 'Clips'"),
        ({"Clips": {"fault": "slow"}}, "/stubs/Clips/fault", "'error', 'transient' or 'hang'"),
        ({"Clips": {"make": []}}, "/stubs/Clips/make", "unknown field"),
        ({"Destination": {"makes": [{}]}}, "/stubs/Destination/makes", "output tile"),
    ],
)
def test_an_invalid_stub_is_refused_with_its_place(stubs: dict[str, Any], loc: str, says: str) -> None:
    with pytest.raises(RequestError) as caught:
        simulate(SINGLE, REQUEST, facts=TALK, stubs=stubs)
    assert caught.value.errors[0].loc == loc
    assert says in caught.value.errors[0].message


def test_a_stub_without_a_file_is_refused_by_a_run(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="needs a 'file'"):
        run(
            SINGLE,
            inputs=[str(MEDIA / "talk.mp4")],
            stubs={"reframe": {"makes": [{"width": 100}]}},
            workspace=tmp_path,
        )
    assert not list(tmp_path.glob("runs/*"))
