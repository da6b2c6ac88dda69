"""From a command line to what the engine takes: a template, a request with the options in it, and inputs."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.bundle.replay import ReplayEnvironment
from tessera.cli.options import RequestOptions
from tessera.cli.output import refuse
from tessera.errors import Fault, RequestError

if TYPE_CHECKING:
    from tessera.agent import AgentTemplate
    from tessera.graph.plan import Plan
    from tessera.inputs.assets.library import Library
    from tessera.inputs.fetch.rules import FetchRules
    from tessera.inputs.local import LocalInput

__all__ = [
    "PreparedRequest",
    "document",
    "explained",
    "fetch_rules",
    "home_of",
    "library_of",
    "plan_of",
    "planned",
    "prepare",
    "recorded_given",
]


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A loaded agent, the request for it (None: none), and the inputs to be made part of that."""

    template: AgentTemplate
    request: Any
    inputs: tuple[LocalInput, ...]


def document(argument: str | None) -> str | bytes | None:
    """What the engine reads an argument as: `-` is all of stdin; paths and JSON text stay as they are."""
    return sys.stdin.buffer.read() if argument == "-" else argument


def prepare(given: RequestOptions, facts: str | None = None) -> PreparedRequest:
    """Read the agent and the request, and put `--set` and `--ignore` into the request.

    Parameters
    ----------
    facts
        What `--facts` names: at most one of the three can be stdin.

    Raises
    ------
    RequestError
        The agent is wrong, or an option names what it does not have.
    """
    from tessera import load_agent, plan

    if [given.agent, given.request, facts].count("-") > 1:
        raise refuse("only one of AGENT, REQUEST and --facts can be '-': there is one stdin")
    inputs = _inputs(given)
    agent, request = document(given.agent), document(given.request)
    try:
        template = load_agent(agent, unknown_tiles=given.unknown.value)
    except RequestError:
        plan(agent, request, unknown_tiles=given.unknown.value)  # names the faults of the request as well
        raise
    return PreparedRequest(template, _request(template, request, given), inputs)


def recorded_given(given: RequestOptions, replay: Path) -> RequestOptions | None:
    """What is given, with the agent and the request of a recording where there is none; None where that is a
    plan, to be run as it is.

    Raises
    ------
    RequestError
        The file is no recording.
    """
    from tessera.graph.plan import Plan
    from tessera.inputs.assets.library import Library

    recording = ReplayEnvironment(replay, Library(None))
    agent, request = recording.agent_and_request(
        given.agent or None, given.request, inputs=bool(given.inputs)
    )
    if isinstance(agent, Plan):
        if given.overrides or given.ignored or given.clip:
            raise refuse(f"the run in {replay} was of a plan: no --set, --ignore or --clip can change it")
        return None
    agent, request = (json.dumps(one) if isinstance(one, Mapping) else one for one in (agent, request))
    return dataclasses.replace(given, agent=agent, request=request)


def _inputs(given: RequestOptions) -> tuple[LocalInput, ...]:
    from tessera.inputs.local import local_inputs

    if given.clip is not None and not given.inputs:
        raise refuse("--clip is the range of every --input, and there is none")
    try:
        return tuple(local_inputs(given.inputs, given.clip))
    except ValueError as error:
        raise refuse(f"--clip {error}") from None


def _request(template: AgentTemplate, request: str | bytes | None, given: RequestOptions) -> Any:
    from tessera.agent import read_json

    if request is None and not (given.overrides or given.ignored):
        return None
    raw: Any = {} if request is None else read_json(request, "request")
    if not isinstance(raw, dict):
        return raw  # the engine says what is wrong with it
    faults: list[Fault] = []
    raw = _with_overrides(template, raw, given.overrides, faults)
    raw = _with_ignored(template, raw, given.ignored, faults)
    if faults:
        raise RequestError(faults)
    return raw


def _with_overrides(
    template: AgentTemplate, raw: dict[str, Any], texts: Sequence[str], faults: list[Fault]
) -> dict[str, Any]:
    """The request with every `NODE.PARAM=VALUE` in its `update_params`; where that is no object, it stays."""
    params = raw.get("update_params") if raw.get("update_params") is not None else {}
    if not texts or not isinstance(params, dict):
        return raw
    params = dict(params)
    for text in texts:
        name, equals, value = text.partition("=")
        node, dot, parameter = name.rpartition(".")
        if not (equals and dot and node and parameter):
            faults.append(
                Fault("", "request", f"--set {text}: give NODE.PARAM=VALUE, as in Clips.num_clips=3")
            )
            continue
        full_id = _node(template, node, f"--set {text}", faults)
        if full_id is None:
            continue
        key = next((known for known in params if known.lower() == full_id.lower()), full_id)
        values = params.get(key, {})
        if isinstance(values, dict):
            params[key] = {**values, parameter: _value(value)}
    return {**raw, "update_params": params}


def _with_ignored(
    template: AgentTemplate, raw: dict[str, Any], names: Sequence[str], faults: list[Fault]
) -> dict[str, Any]:
    """The request with every `--ignore` in its `ignore_nodes`; where that is no array, it stays."""
    ignored = raw.get("ignore_nodes") if raw.get("ignore_nodes") is not None else []
    if not names or not isinstance(ignored, list):
        return raw
    ignored = list(ignored)
    for name in names:
        full_id = _node(template, name, f"--ignore {name}", faults)
        if full_id is not None and full_id.lower() not in [str(known).lower() for known in ignored]:
            ignored.append(full_id)
    return {**raw, "ignore_nodes": ignored}


def _node(template: AgentTemplate, name: str, option: str, faults: list[Fault]) -> str | None:
    from tessera.inputs.local import find_node

    try:
        return find_node(template, name).id
    except RequestError as error:
        faults.extend(
            Fault(fault.loc, fault.document, f"{option}: {fault.message}") for fault in error.errors
        )
        return None


def _value(text: str) -> Any:
    """JSON where it parses as JSON, else the text itself."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return text


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


@contextlib.contextmanager
def explained(given: RequestOptions) -> Iterator[None]:
    """Where a `--set` was read as JSON and text is wanted, say how text is given."""
    try:
        yield
    except RequestError as error:
        raise RequestError([_with_advice(fault, given) for fault in error.errors]) from None


def _with_advice(fault: Fault, given: RequestOptions) -> Fault:
    found = re.fullmatch(r"/update_params/[^/]+/([^/]+)", fault.loc)
    for text in given.overrides if found else ():
        name, _equals, value = text.partition("=")
        wanted = "must be a string" in fault.message or f"'{value}'" in fault.message
        if wanted and found and name.endswith(f".{found[1]}") and not isinstance(_value(value), str):
            advice = f"""quote it to make it text: '{name}="{value}"'"""
            return Fault(fault.loc, fault.document, f"{fault.message}; {advice}")
    return fault


def fetch_rules(allow_private: bool) -> FetchRules | None:
    """How downloads are done; None as ever."""
    if not allow_private:
        return None
    from tessera.inputs.fetch.rules import FetchRules

    return FetchRules(allow_private=True)


def home_of(workspace: Path | None) -> Path:
    """The folder of the workspace."""
    from tessera.inputs.assets.library import workspace_of

    return workspace_of(workspace)


def library_of(workspace: Path | None, *, writable: bool) -> Library:
    """The workspace's assets; one that is only read is not made where it is not there."""
    from tessera.inputs.assets.library import Library

    home = home_of(workspace)
    return Library(home if writable or home.is_dir() else None)


def plan_of(given: RequestOptions, *, store: bool) -> tuple[AgentTemplate, Plan]:
    """Plan what the command line asks for.

    Parameters
    ----------
    store
        Whether local inputs are put into the workspace, so that the plan can be run; else they are only read.
    """
    prepared = prepare(given)
    return prepared.template, planned(prepared, given, store=store)


def planned(prepared: PreparedRequest, given: RequestOptions, *, store: bool) -> Plan:
    """The plan of what `prepare` made of a command line; see `plan_of`."""
    from tessera import plan

    request = _with_files(prepared, given, store=store)
    with explained(given):
        return plan(prepared.template, request, unknown_tiles=given.unknown.value)


def _with_files(prepared: PreparedRequest, given: RequestOptions, *, store: bool) -> Mapping[str, Any] | None:
    if not prepared.inputs:
        request: Mapping[str, Any] | None = prepared.request
        return request
    from tessera.inputs.local import with_local_inputs

    library = library_of(given.workspace, writable=store)
    keep = library.add if store else library.attach
    return with_local_inputs(prepared.template, prepared.request, prepared.inputs, keep)
