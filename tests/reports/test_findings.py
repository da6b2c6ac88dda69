"""`tessera validate --format sarif|junit|github`: what CI systems read, for every fault and from any text."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from tessera.cli import main
from tessera.errors import Fault
from tessera.notice import Notice
from tessera.reports.findings import LIMIT, RULES, CheckedDocument, Report, document_at, report_of
from tessera.reports.github import github_of
from tessera.reports.junit import junit_of
from tessera.reports.sarif import sarif_of
from tessera.testing import agent, node_id
from tests.support.media import FIXTURES, MEDIA

ROOT = Path(__file__).parents[2]
INVALID = sorted((FIXTURES / "agents" / "invalid").glob("*.json"))
REQUESTS = sorted((FIXTURES / "requests" / "invalid").glob("*.json"))
HOSTILE = (
    '"><script>]]>&amp;%0A::error::x\r\n::warning file=a,line=1::y'
    "\x00\x1b[31m\ud800\ufffe\u202e [a](http://b) ,:%"
)
MIRROR = agent("input > mirror(horizontal_flip=true)")

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def validate(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs `tessera validate` in the folder of the fixtures."""
    monkeypatch.chdir(FIXTURES)

    def run(*args: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["validate", *args])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out

    return run


# SARIF: the members that the standard requires, and those that code scanning needs


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Text(Strict):
    text: str = Field(min_length=1)


class Rule(Strict):
    id: str = Field(min_length=1)
    shortDescription: Text
    fullDescription: Text
    help: Text
    defaultConfiguration: dict[str, str]


class Driver(Strict):
    name: str
    version: str
    rules: list[Rule]


class Tool(Strict):
    driver: Driver


class Artifact(Strict):
    uri: str = Field(pattern=r"^[A-Za-z0-9._~%:/-]+$")
    uriBaseId: str | None = None


class Region(Strict):
    startLine: int = Field(ge=1)
    startColumn: int = Field(ge=1)


class Physical(Strict):
    artifactLocation: Artifact
    region: Region | None = None


class Logical(Strict):
    name: str
    fullyQualifiedName: str
    kind: str


class Location(Strict):
    physicalLocation: Physical | None = None
    logicalLocations: list[Logical]
    message: Text | None = None


class Result(Strict):
    ruleId: str
    ruleIndex: int
    level: str = Field(pattern="^(error|warning)$")
    message: Text
    locations: list[Location] = Field(min_length=1, max_length=1)


class SarifRun(Strict):
    tool: Tool
    automationDetails: dict[str, str]
    columnKind: str
    invocations: list[dict[str, Any]]
    results: list[Result]


class Sarif(Strict):
    schema_: str = Field(alias="$schema")
    version: str = Field(pattern=r"^2\.1\.0$")
    runs: list[SarifRun] = Field(min_length=1, max_length=1)


def sarif_run(text: str) -> SarifRun:
    (run,) = Sarif.model_validate_json(text).runs
    for result in run.results:
        assert run.tool.driver.rules[result.ruleIndex].id == result.ruleId
    assert len({rule.id for rule in run.tool.driver.rules}) == len(run.tool.driver.rules)
    return run


def text_at(path: Path, region: Region) -> str:
    return path.read_text("utf-8-sig").split("\n")[region.startLine - 1][region.startColumn - 1 :]


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_every_invalid_agent_is_reported_at_the_lines_of_its_faults(path: Path, validate: Run) -> None:
    name = str(path.relative_to(FIXTURES))
    code, out = validate(name, "--format", "sarif")
    run = sarif_run(out)
    assert (code, run.invocations[0]["exitCode"]) == (2, 2)
    assert run.automationDetails == {"id": f"tessera/{name}/"}
    faults = json.loads(validate(name, "--json")[1])["errors"]
    assert [result.message.text for result in run.results] == [fault["message"] for fault in faults]
    for result, fault in zip(run.results, faults, strict=True):
        (location,) = result.locations
        assert location.physicalLocation is not None
        assert location.physicalLocation.artifactLocation.uri == name
        assert location.logicalLocations[0].fullyQualifiedName == fault["loc"] or not fault["loc"]
        region = location.physicalLocation.region
        assert region is not None
        if fault["loc"]:
            value: Any = json.loads(path.read_text("utf-8"))
            for part in fault["loc"].split("/")[1:]:
                value = value[int(part) if isinstance(value, list) else part]
            assert (
                json.JSONDecoder().raw_decode(
                    "\n".join(path.read_text("utf-8").split("\n")[region.startLine - 1 :])[
                        region.startColumn - 1 :
                    ]
                )[0]
                == value
            )


@pytest.mark.parametrize("path", REQUESTS, ids=lambda path: path.stem)
def test_a_fault_of_a_request_is_reported_in_its_file(path: Path, validate: Run) -> None:
    of = "two_inputs" if path.stem == "both_forms" else "single"
    name = str(path.relative_to(FIXTURES))
    code, out = validate(f"agents/{of}.json", name, "--format", "sarif")
    run = sarif_run(out)
    assert code == 2
    assert run.results
    for result in run.results:
        place = result.locations[0].physicalLocation
        assert place is not None
        assert place.artifactLocation.uri == name


def test_a_tile_is_named_beside_its_pointer(validate: Run) -> None:
    run = sarif_run(validate("agents/invalid/bad_params.json", "--format", "sarif")[1])
    _value, tile = run.results[0].locations[0].logicalLocations
    assert re.fullmatch(r"/agent_nodes/\d+", tile.fullyQualifiedName)
    assert tile.name in run.results[0].message.text


def test_a_tile_that_a_request_or_a_connection_names_is_named_too(validate: Run) -> None:
    template = agent("input > mirror > destination")
    entry = {"agent_node_id": node_id("mirror"), "video_ids": ["v"]}
    run = sarif_run(
        validate(template.to_json(), json.dumps({"video_inputs": [entry]}), "--format", "sarif")[1]
    )
    names = [result.locations[0].logicalLocations[-1].name for result in run.results]
    assert names == ["Mirror", "video_inputs"]
    raw = json.loads(template.to_json())
    raw["connections"].append(
        {"source_agent_node_id": node_id("destination"), "target_agent_node_id": node_id("x")}
    )
    raw["agent_nodes"].append(raw["agent_nodes"][1])
    run = sarif_run(validate(json.dumps(raw), "--format", "sarif")[1])
    tiles = [result.locations[0].logicalLocations[-1] for result in run.results]
    assert (tiles[0].name, tiles[0].fullyQualifiedName) == ("Mirror", "/agent_nodes/3")


def test_warnings_alone_are_no_failure(validate: Run) -> None:
    of = agent("input > watermark > clips").to_json()
    code, out = validate(of, '{"video_ids": ["v"]}', "--format", "sarif")
    (result,) = sarif_run(out).results
    assert (code, result.ruleId, result.level) == (0, "order_advice", "warning")
    code, out = validate(of, '{"video_ids": ["v"]}', "--format", "github")
    assert code == 0
    assert out.startswith("::warning title=Clips%3A order_advice::Clips ")
    assert out.splitlines()[-1] == "ok: 3 tiles, 2 connections, 1 input; 1 warning"
    code, out = validate(of, '{"video_ids": ["v"]}', "--format", "junit")
    suites = ElementTree.fromstring(out)
    assert (code, suites.get("failures"), suites.get("tests")) == (0, "0", "2")
    assert "order_advice" in "".join(suites.itertext())


def test_text_and_stdin_have_no_file(validate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = json.dumps({"agent_nodes": [{"agent_node_id": "x"}], "connections": []})
    stdin = io.TextIOWrapper(io.BytesIO(bad.encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    for argument, label in ((bad, "<inline>"), ("-", "<stdin>")):
        code, out = validate(argument, "--format", "sarif")
        (location,) = sarif_run(out).results[0].locations
        assert code == 2
        assert location.physicalLocation is None
        assert location.message is not None
        assert location.message.text == f"{label} /agent_nodes/0/agent_node_id"
        stdin.seek(0)
        assert f"({label} /agent_nodes/0/agent_node_id)" in validate(argument, "--format", "github")[1]
        stdin.seek(0)
        suite = ElementTree.fromstring(validate(argument, "--format", "junit")[1])[0]
        assert suite.get("name") == f"agent {label}"
        assert "file" not in suite.find("testcase").attrib  # type: ignore[union-attr]


def test_a_value_of_an_option_is_not_shown_at_a_line_of_the_file(validate: Run, tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    request.write_text(
        json.dumps({"video_ids": ["v"], "update_params": {node_id("mirror"): {"horizontal_flip": True}}})
    )
    line = (MIRROR.to_json(), str(request), "--format", "sarif", "--set", "Mirror.horizontal_flip=7")
    (result,) = sarif_run(validate(*line)[1]).results
    place = result.locations[0].physicalLocation
    assert place is not None
    assert (place.artifactLocation.uri, place.region) == (request.as_uri(), None)
    assert result.locations[0].logicalLocations[1].name == "Mirror"


def test_a_wrong_option_is_a_fault_of_the_options(validate: Run) -> None:
    code, out = validate("agents/single.json", "--set", "Nobody.x=1", "--format", "github")
    assert code == 2
    assert out.startswith("::error title=invalid::--set Nobody.x=1: ")
    assert "(<options>)" in out


def test_an_input_that_is_not_media_is_reported_too(validate: Run) -> None:
    code, out = validate("agents/single.json", "--input", "agents/single.json", "--format", "sarif")
    (result,) = sarif_run(out).results
    assert (code, result.ruleId) == (2, "unusable_input")


@pytest.mark.parametrize("name", ["nowhere.json", "nowhere/é\n,:%.json", "agents"])
@pytest.mark.parametrize("form", ["sarif", "junit", "github"])
def test_a_file_that_cannot_be_read_gives_a_whole_document(name: str, form: str, validate: Run) -> None:
    code, out = validate(name, "--format", form)
    assert code == 2
    if form == "sarif":
        assert sarif_run(out).results[0].ruleId == "unreadable"
    elif form == "junit":
        assert ElementTree.fromstring(out).get("failures") == "1"
    else:
        assert len(commands(out)) == 1


def test_a_file_elsewhere_is_named_by_its_whole_path(validate: Run, tmp_path: Path) -> None:
    path = tmp_path / "ä b#.json"
    path.write_bytes(b"\xef\xbb\xbf[\n")
    run = sarif_run(validate(str(path), "--format", "sarif")[1])
    place = run.results[0].locations[0].physicalLocation
    assert place is not None
    assert place.artifactLocation.uri == path.as_uri()
    assert place.region == Region(startLine=2, startColumn=1)


def test_a_pipe_is_read_once(validate: Run) -> None:
    twice = json.loads(MIRROR.to_json())
    twice["connections"] *= 2
    reading, writing = os.pipe()
    os.write(writing, json.dumps(twice).encode())
    os.close(writing)
    code, out = validate(f"/dev/fd/{reading}", "--format", "sarif")
    os.close(reading)
    (result,) = sarif_run(out).results
    assert (code, result.ruleId) == (0, "duplicate_connection")
    assert result.locations[0].physicalLocation is None


@pytest.mark.parametrize("line", [("--json", "--format", "sarif"), ("--format=github", "--json")])
def test_two_formats_are_one_clear_error(line: tuple[str, ...], validate: Run) -> None:
    code, out = validate("agents/single.json", *line)
    assert code == 2
    assert json.loads(out)["detail"].startswith("--json means --format json: remove it, or --format ")


def test_json_is_a_format_too(validate: Run) -> None:
    for line in (("agents/single.json",), ("agents/invalid/cycle.json",), ("nowhere.json", "--set", "x")):
        assert validate(*line, "--format", "json") == validate(*line, "--json")
        assert validate(*line, "--json", "--format=json") == validate(*line, "--json")


# escaping


def hostile_report(text: str) -> Report:
    tiles = {"a": (text, "/agent_nodes/0")}
    documents = (
        CheckedDocument("template", text, text.replace("\ud800", "?"), b'{"agent_nodes": [\n{}]}'),
        CheckedDocument("request", "<inline>"),
    )
    faults = [
        Fault("/agent_nodes/0", "template", text, "cycle"),
        Fault(f"/update_params/{text}", "request", text),
    ]
    return report_of(documents, faults, [Notice("media", text, "/agent_nodes/0")], tiles)


def commands(text: str) -> list[tuple[str, dict[str, str], str]]:
    """Read workflow commands as the runner does: properties split at commas, then decoded."""
    found = []
    for line in re.split(r"\r\n|\r|\n", text):
        match = re.match(r"^\s*::(\w+)(?: ([^:]*(?:(?!::):[^:]*)*))?::(.*)$", line)
        if match is None:
            continue
        properties = dict(pair.split("=", 1) for pair in (match[2] or "").split(",") if pair)
        found.append((match[1], {name: unquote(value) for name, value in properties.items()}, match[3]))
    return found


ANY_TEXT = st.text(max_size=40) | st.just(HOSTILE) | st.text(alphabet='%:,\r\n[]()<>&"\\\0 a', max_size=20)


@given(ANY_TEXT)
def test_no_text_breaks_out_of_a_workflow_command(text: str) -> None:
    found = commands(github_of(hostile_report(text)))
    assert [command for command, _properties, _message in found] == ["error", "error", "warning"]
    assert [sorted(properties) for _command, properties, _message in found] == [
        ["col", "file", "line", "title"],
        ["title"],
        ["col", "file", "line", "title"],
    ]
    assert found[0][1]["line"] == "2"


def test_a_message_is_decoded_to_itself() -> None:
    report = report_of(
        [CheckedDocument("template", "a.json", "a.json")], [Fault("", "template", "50%0A: a,\nb")]
    )
    assert github_of(report) == "::error file=a.json,title=invalid::50%250A: a,%0Ab\n"


@given(ANY_TEXT)
def test_any_text_gives_well_formed_xml(text: str) -> None:
    suites = ElementTree.fromstring(junit_of(hostile_report(text), "1").encode())
    assert [len(suite.findall("testcase/failure")) for suite in suites] == [1, 1]


@given(ANY_TEXT)
def test_no_text_of_a_message_becomes_a_link_of_an_alert(text: str) -> None:
    run = json.loads(sarif_of(hostile_report(text), "1"))["runs"][0]
    assert len(run["results"]) == 3
    for result in run["results"]:
        assert not re.search(r"(?<!\\)\[[^\[\]]*(?<!\\)\]\(", result["message"]["text"])


def test_many_findings_are_cut_and_counted() -> None:
    faults = [Fault(f"/agent_nodes/{number}", "template", "no", "cycle") for number in range(LIMIT + 10)]
    report = report_of([CheckedDocument("template", "<inline>")], faults)
    assert len(report.findings) == LIMIT
    assert report.findings[-1].message == "11 further findings left out of this report"


def test_a_request_of_a_broken_agent_counts_as_skipped(validate: Run) -> None:
    suites = ElementTree.fromstring(
        validate("agents/invalid/cycle.json", '{"video_ids": ["v"]}', "--format", "junit")[1]
    )
    assert [(suite.get("failures"), suite.get("skipped")) for suite in suites] == [("1", "0"), ("0", "1")]
    assert suites.get("tests") == "2"


# rules


def codes_in_source() -> set[str]:
    """Return every code that the modules behind `validate` give to a fault or a warning."""
    found: set[str] = set()
    modules = (
        "agent.py",
        "inputs/local.py",
        "request.py",
        "validation.py",
        "graph/load.py",
        "graph/plan.py",
        "graph/lint.py",
    )
    for module in (*modules, "graph/input_binding.py"):
        for node in ast.walk(ast.parse((ROOT / "engine" / module).read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            place = {"Fault": 3, "Notice": 0, "_fault": 0, "_error": 3}.get(name)
            if place is not None and place < len(node.args) and isinstance(node.args[place], ast.Constant):
                found.add(node.args[place].value)  # type: ignore[attr-defined]
    return found


def test_every_kind_of_fault_and_warning_has_a_rule_with_a_description() -> None:
    assert len(codes_in_source()) > 18
    assert codes_in_source() <= RULES.keys()


def test_the_media_of_the_fixtures_are_no_findings(validate: Run) -> None:
    code, out = validate("agents/single.json", "--input", str(MEDIA / "talk.mp4"), "--format", "sarif")
    assert (code, sarif_run(out).results) == (0, [])


def test_paths_are_relative_to_the_folder(tmp_path: Path) -> None:
    (tmp_path / "sub dir").mkdir()
    (tmp_path / "sub dir" / "a%.json").write_text("{}")
    inside = document_at("template", str(tmp_path / "sub dir" / ".." / "sub dir" / "a%.json"), tmp_path)
    assert inside.uri == "sub%20dir/a%25.json"
    assert document_at("template", None, tmp_path).label == "<options>"
