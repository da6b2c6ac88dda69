"""Convert a command line to a template, a request with the options applied, and inputs."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.cli.display.output import refuse
from tessera.cli.options import RequestOptions, document
from tessera.errors import Fault, RequestError, pointer
from tessera.explain.option_places import NO_OPTIONS, OptionPlaces, OptionValue

if TYPE_CHECKING:
    from tessera.agent import AgentTemplate
    from tessera.graph.plan import Plan
    from tessera.inputs.assets.library import Library
    from tessera.inputs.local import LocalInput

__all__ = [
    "PreparedRequest",
    "library_of",
    "plan_of",
    "plan_prepared",
    "prepare",
    "quoting_advice",
    "recorded_options",
    "workspace_folder",
]


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A loaded agent, its request (or None), and the local inputs to add to the request.

    `places` are the places in the request that the options of the command line filled.
    """

    template: AgentTemplate
    request: Any
    inputs: tuple[LocalInput, ...]
    places: OptionPlaces = NO_OPTIONS


def prepare(options: RequestOptions) -> PreparedRequest:
    """Read the agent and the request, and apply `--set` and `--ignore` to the request.

    Raises
    ------
    RequestError
        If the agent is invalid, or an option names a tile that it does not have.
    """
    from tessera import load_agent, plan
    from tessera.agent import read_json

    if [options.agent, options.request].count("-") > 1:
        raise refuse("only one of AGENT and REQUEST can be '-': there is one stdin")
    inputs = _inputs(options)
    # The agent may be a pipe, which can be read once only.
    agent, request = read_json(document(options.agent), "template"), document(options.request)
    try:
        template = load_agent(agent, unknown_tiles=options.unknown_tiles)
    except RequestError:
        plan(agent, request, unknown_tiles=options.unknown_tiles)  # names the faults of the request as well
        raise
    filled: dict[str, list[OptionValue]] = {}
    given = None if request is None else read_json(request, "request")
    merged = _request(template, given, options, filled)
    return PreparedRequest(template, merged, inputs, OptionPlaces(given, filled, bool(inputs)))


def recorded_options(options: RequestOptions, replay: Path) -> RequestOptions | None:
    """Return the options completed with the agent and the request of a recording.

    Return None if the recorded run is of a plan, which runs unchanged.

    Raises
    ------
    RequestError
        If the file is not a recording.
    """
    from tessera.bundle.replay import ReplayEnvironment
    from tessera.graph.plan import Plan
    from tessera.inputs.assets.library import Library

    recording = ReplayEnvironment(replay, Library(None))
    agent, request = recording.agent_and_request(
        options.agent or None, options.request, inputs=bool(options.inputs)
    )
    if isinstance(agent, Plan):
        if options.overrides or options.ignored or options.clip:
            raise refuse(f"the run in {replay} was of a plan: no --set, --ignore or --clip can change it")
        return None
    agent, request = (json.dumps(one) if isinstance(one, Mapping) else one for one in (agent, request))
    return dataclasses.replace(options, agent=agent, request=request)


def _inputs(options: RequestOptions) -> tuple[LocalInput, ...]:
    from tessera.inputs.local import local_inputs

    if options.clip is not None and not options.inputs:
        raise refuse("--clip is the range of every --input, and there is none")
    try:
        return tuple(local_inputs(options.inputs, options.clip))
    except ValueError as error:
        raise refuse(f"--clip {error}") from None


def _request(
    template: AgentTemplate, given: Any, options: RequestOptions, filled: dict[str, list[OptionValue]]
) -> Any:
    """Return the request with `--set` and `--ignore` applied. Each is added to `filled` with its place."""
    if given is None and not (options.overrides or options.ignored):
        return None
    raw: Any = {} if given is None else given
    if not isinstance(raw, dict):
        return raw  # the engine says what is wrong with it
    faults: list[Fault] = []
    raw = _with_overrides(template, raw, options.overrides, faults, filled)
    raw = _with_ignored(template, raw, options.ignored, faults, filled)
    if faults:
        raise RequestError(faults)
    return raw


def _with_overrides(
    template: AgentTemplate,
    raw: dict[str, Any],
    texts: Sequence[str],
    faults: list[Fault],
    filled: dict[str, list[OptionValue]],
) -> dict[str, Any]:
    """Return the request with every `NODE.PARAM=VALUE` in `update_params`.

    If that member is not an object, return the request unchanged.
    """
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
            typed = OptionValue(f"--set {text}", params[key][parameter])
            filled.setdefault(pointer("update_params", key, parameter), []).append(typed)
    return {**raw, "update_params": params}


def _with_ignored(
    template: AgentTemplate,
    raw: dict[str, Any],
    names: Sequence[str],
    faults: list[Fault],
    filled: dict[str, list[OptionValue]],
) -> dict[str, Any]:
    """Return the request with every `--ignore` in `ignore_nodes`.

    If that member is not an array, return the request unchanged.
    """
    ignored = raw.get("ignore_nodes") if raw.get("ignore_nodes") is not None else []
    if not names or not isinstance(ignored, list):
        return raw
    ignored = list(ignored)
    for name in names:
        full_id = _node(template, name, f"--ignore {name}", faults)
        if full_id is not None and full_id.lower() not in [str(known).lower() for known in ignored]:
            filled[pointer("ignore_nodes", len(ignored))] = [OptionValue(f"--ignore {name}", full_id)]
            ignored.append(full_id)
    return {**raw, "ignore_nodes": ignored}


def _node(template: AgentTemplate, name: str, option: str, faults: list[Fault]) -> str | None:
    from tessera.inputs.local import find_node

    try:
        return find_node(template, name).id
    except RequestError as error:
        faults.extend(
            dataclasses.replace(fault, message=f"{option}: {fault.message}") for fault in error.errors
        )
        return None


def _value(text: str) -> Any:
    """Parse a value as JSON; return the text itself if it is not JSON."""
    from tessera.text.checked import json_value

    try:
        return json_value(text)
    except ValueError:
        return text


@contextlib.contextmanager
def quoting_advice(options: RequestOptions, places: OptionPlaces = NO_OPTIONS) -> Iterator[None]:
    """Let errors about what an option put into the request name the option instead of a place in it.

    Advice on quoting is added to those about a `--set` value that was parsed as JSON but must be text.
    """
    try:
        yield
    except RequestError as error:
        advised = (_add_quoting_advice(fault, options) for fault in error.errors)
        raise RequestError([_with_option(fault, places) for fault in advised]) from None


def _with_option(fault: Fault, places: OptionPlaces) -> Fault:
    option = places.option_at(fault.loc) if fault.document == "request" and fault.loc else None
    return (
        fault if option is None else dataclasses.replace(fault, loc="", message=f"{option}: {fault.message}")
    )


def _add_quoting_advice(fault: Fault, options: RequestOptions) -> Fault:
    found = re.fullmatch(r"/update_params/[^/]+/([^/]+)", fault.loc)
    for text in options.overrides if found else ():
        name, _equals, value = text.partition("=")
        wanted = "must be a string" in fault.message or f"'{value}'" in fault.message
        if wanted and found and name.endswith(f".{found[1]}") and not isinstance(_value(value), str):
            advice = f"""quote it to make it text: '{name}="{value}"'"""
            return dataclasses.replace(fault, message=f"{fault.message}; {advice}")
    return fault


def workspace_folder(workspace: str | Path | None) -> Path:
    """Return the folder of the workspace."""
    from tessera.inputs.assets.library import workspace_of

    return workspace_of(workspace)


def library_of(workspace: Path | None, *, writable: bool) -> Library:
    """Return the asset library of the workspace. Read-only access never creates the workspace."""
    from tessera.inputs.assets.library import Library

    home = workspace_folder(workspace)
    return Library(home if writable or home.is_dir() else None)


def plan_of(options: RequestOptions, *, store: bool) -> tuple[AgentTemplate, Plan]:
    """Plan the run of a command line.

    Parameters
    ----------
    store
        True to store local inputs in the workspace, so that the plan can be run; False to only read them.
    """
    prepared = prepare(options)
    return prepared.template, plan_prepared(prepared, options, store=store)


def plan_prepared(prepared: PreparedRequest, options: RequestOptions, *, store: bool) -> Plan:
    """Plan the result of `prepare`; see `plan_of`."""
    from tessera import plan

    request = _with_files(prepared, options, store=store)
    with quoting_advice(options, prepared.places):
        return plan(prepared.template, request, unknown_tiles=options.unknown_tiles)


def _with_files(
    prepared: PreparedRequest, options: RequestOptions, *, store: bool
) -> Mapping[str, Any] | None:
    if not prepared.inputs:
        request: Mapping[str, Any] | None = prepared.request
        return request
    from tessera.inputs.local import with_local_inputs

    library = library_of(options.workspace, writable=store)
    keep = library.add if store else library.attach
    return with_local_inputs(prepared.template, prepared.request, prepared.inputs, keep)
