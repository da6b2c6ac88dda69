"""Values that a command takes become its options, and what the user types becomes the values."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from tessera import RequestError, RunConfig, SimulateConfig
from tessera.cli.app import app
from tessera.cli.config_options import OPTIONS
from tessera.cli.expansion import Fields, expand
from tessera.cli.options import Json, RequestOptions

SET_BY_THE_COMMAND = {
    "inputs",
    "catalogue",
    "max_items",
    "on_event",
    "cancelled",
    "executor",
    "render_timeout_s",
    "on_output",
}
"""Fields of a config that no option sets: the command does, or nobody needs them on a command line."""


def built(*line: str, fields: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what a command receives for a command line."""
    received: dict[str, Any] = {}

    def command(
        request: RequestOptions, config: Annotated[SimulateConfig, Fields(fields)], as_json: Json = False
    ) -> int:
        received.update(request=request, config=config, as_json=as_json)
        return 0

    command.__annotations__["config"] = Annotated[SimulateConfig, Fields(fields)]
    one = typer.Typer()
    one.command()(expand(command))
    result = CliRunner().invoke(one, list(line), standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return received


def test_what_is_typed_arrives_in_the_values() -> None:
    received = built(
        *(
            "agent.json",
            "--input",
            "a.mp4",
            "--ignore",
            "Clips",
            "--facts",
            "facts.json",
            "--stub",
            "Clips=c.json",
        ),
        *("--fail", "Mirror=error", "--until", "Reframe", "--balance", "12.5", "--workspace", "ws", "--json"),
    )
    request, config = received["request"], received["config"]
    assert request == RequestOptions(
        "agent.json", inputs=("a.mp4",), ignored=("Clips",), workspace=Path("ws")
    )
    assert (config.facts, config.stubs, config.faults) == (
        "facts.json",
        {"Clips": "c.json"},
        ("Mirror=error",),
    )
    assert (config.until, str(config.balance), config.workspace) == ("Reframe", "12.5", Path("ws"))
    assert received["as_json"] is True


def test_without_options_a_config_equals_the_default() -> None:
    assert built("agent.json")["config"] == SimulateConfig()


def test_a_command_offers_only_the_fields_that_it_names() -> None:
    with pytest.raises(Exception, match="No such option: --until"):
        built("agent.json", "--until", "Clips", fields=("facts",))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (("--stub", "Clips"), "--stub Clips: give NODE=FILE"),
        (("--balance", "nan"), "--balance nan: give a number of credits"),
        (("--balance", "much"), "--balance much: give a number of credits"),
    ],
)
def test_a_wrong_option_is_one_clear_error(line: tuple[str, ...], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        built("agent.json", *line)


def test_one_stdin_serves_one_document() -> None:
    with pytest.raises(RequestError, match="only one of AGENT, REQUEST and --facts can be '-'"):
        built("-", "--facts", "-")


@pytest.mark.parametrize("config", [RunConfig, SimulateConfig])
def test_every_field_of_a_config_has_an_option_or_is_set_by_the_command(config: Any) -> None:
    names = {field.name for field in fields(config)}
    assert names - SET_BY_THE_COMMAND == {*OPTIONS[config]}


def test_commands_stay_narrow() -> None:
    commands = {info.callback for info in app.registered_commands if info.callback is not None}
    wide = {
        command.__name__
        for command in commands
        if len(inspect.signature(inspect.unwrap(command)).parameters) > 8
    }
    assert wide == set()
