"""The options for each field of a request, a config and an executor, and the reading of what was typed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tessera.cli import options as cli
from tessera.cli.display.output import refuse
from tessera.cli.executor_args import ExecutorOptions
from tessera.cli.options import RequestOptions, Unknown, document
from tessera.runner.config import ResumeConfig, RunConfig, SimulateConfig

if TYPE_CHECKING:
    from decimal import Decimal

__all__ = ["OPTIONS", "CliOption"]


def _unchanged(value: Any, _typed: Mapping[str, Any]) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class CliOption:
    """The parameter of a command for one field of a value.

    Attributes
    ----------
    annotation
        Its type with its typer annotation.
    default
        The value of the parameter if the user types none; `inspect.Parameter.empty` requires one.
    read
        Makes the value of the field from what was typed, and from everything typed by parameter name.
    parameter
        Its name in the command; by default that of the field. Fields of several values may share one.
    """

    annotation: Any
    default: Any = None
    read: Callable[[Any, Mapping[str, Any]], Any] = _unchanged
    parameter: str | None = None


def _facts(text: str | None, typed: Mapping[str, Any]) -> str | bytes | None:
    if [typed.get("agent"), typed.get("request"), text].count("-") > 1:
        raise refuse("only one of AGENT, REQUEST and --facts can be '-': there is one stdin")
    return document(text)


def _texts(texts: list[str] | None, _typed: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(texts or ())


def _stubs(texts: list[str] | None, _typed: Mapping[str, Any]) -> dict[str, str] | None:
    """Parse `NODE=FILE` options to node → path or JSON text."""
    found = {}
    for text in texts or ():
        node, equals, file = text.partition("=")
        if not (node and equals and file):
            raise refuse(f"--stub {text}: give NODE=FILE, as in Captions=captions.json")
        found[node] = file
    return found or None


def _balance(text: str | None, _typed: Mapping[str, Any]) -> Decimal | None:
    if text is None:
        return None
    from decimal import Decimal, InvalidOperation

    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not (number.is_finite() and abs(number) < 10**20 and number.as_tuple().digits):
        raise refuse(f"--balance {text[:40]}: give a number of credits, as in 12.5")
    return number


def _fetch_rules(allow_private: bool, _typed: Mapping[str, Any]) -> Any:
    if not allow_private:
        return None
    from tessera.inputs.fetch.rules import FetchRules

    return FetchRules(allow_private=True)


def _record(run_name: str | None, typed: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the record of the `--of` run."""
    if run_name is None:
        return None
    from tessera.cli.commands.runs import record_of

    return record_of(run_name, typed["workspace"])


_STUBS = CliOption(cli.Stubs, read=_stubs)
_WORKSPACE = CliOption(cli.Workspace)
_FAULTS = CliOption(cli.Faults, read=_texts)
_UNTIL, _SINCE = CliOption(cli.Until), CliOption(cli.Since)
_RESUME = {
    "stubs": _STUBS,
    "tile_timeout_s": CliOption(cli.TileTimeout),
    "fetch_rules": CliOption(cli.AllowPrivate, False, _fetch_rules, "allow_private"),
    "workspace": _WORKSPACE,
}

OPTIONS: Mapping[Any, Mapping[str, CliOption]] = {
    RequestOptions: {
        "agent": CliOption(cli.Agent, inspect.Parameter.empty),
        "request": CliOption(cli.Request),
        "inputs": CliOption(cli.Inputs, read=_texts),
        "clip": CliOption(cli.Clip),
        "overrides": CliOption(cli.Set, read=_texts),
        "ignored": CliOption(cli.Ignore, read=_texts),
        "unknown_tiles": CliOption(cli.UnknownTiles, Unknown.ERROR, lambda unknown, _: unknown.value),
        "workspace": _WORKSPACE,
    },
    RunConfig: {
        "out": CliOption(cli.Out),
        "stubs": _STUBS,
        "faults": _FAULTS,
        "until": _UNTIL,
        "since": _SINCE,
        "only": CliOption(cli.Only),
        "of": CliOption(cli.Of),
        "facts_out": CliOption(cli.FactsOut),
        "quality": CliOption(cli.QualityName, read=lambda quality, _: quality and quality.value),
        "cache": CliOption(cli.NoCache, False, lambda no_cache, _: not no_cache, "no_cache"),
        "record": CliOption(cli.RecordTo),
        "replay": CliOption(cli.ReplayOf),
        **_RESUME,
    },
    ResumeConfig: {"out": CliOption(cli.OutOfResume), **_RESUME},
    SimulateConfig: {
        "facts": CliOption(cli.Facts, read=_facts),
        "stubs": _STUBS,
        "assume": CliOption(cli.Assume, False),
        "faults": _FAULTS,
        "until": _UNTIL,
        "since": _SINCE,
        "only": CliOption(cli.OnlyOrFacts),
        "of": CliOption(cli.Of, read=_record),
        "workers": CliOption(cli.Workers),
        "costs": CliOption(cli.Costs),
        "prices": CliOption(cli.Prices),
        "balance": CliOption(cli.Balance, read=_balance),
        "unknown_tiles": CliOption(cli.UnknownTiles, Unknown.ERROR, lambda unknown, _: unknown.value),
        "workspace": _WORKSPACE,
    },
    ExecutorOptions: {"executor": CliOption(cli.Executor), "scheduler": CliOption(cli.Scheduler)},
}
"""By type of a command's parameter: the option for each of its fields, in the order of the help."""
