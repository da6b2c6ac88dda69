"""The options of simulations, and the commands built on them: sweep, shrink, bundle and replay."""

from __future__ import annotations

import json
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.cli.commands.runs import find_run
from tessera.cli.display.output import FAILED, INTERRUPTED, OK, log, put, put_json, refuse, warn
from tessera.cli.options import RequestOptions, document
from tessera.cli.request_args import PreparedRequest, prepare, quoting_advice
from tessera.explain.option_places import NO_OPTIONS, OptionPlaces
from tessera.input_files import open_stream

if TYPE_CHECKING:
    from tessera.record.record import RunRecord
    from tessera.runner.config import SimulateConfig

__all__ = [
    "bundle",
    "exit_code",
    "print_record",
    "record_to_show",
    "replay",
    "run_simulation",
    "shrink",
    "simulates",
    "states_media",
    "sweep",
    "with_forecast",
    "with_recorded_request",
]


def states_media(config: SimulateConfig) -> bool:
    """Return True if the command line says anything about media or tiles that only a simulation uses."""
    return config.facts is not None or config.stubs is not None or config.assume


def simulates(config: SimulateConfig) -> bool:
    """Return True if the command line has an option that only a simulation uses."""
    return states_media(config) or (config.workers, config.costs, config.prices) != (None, None, None)


def with_forecast(config: SimulateConfig) -> SimulateConfig:
    """Return the config of a simulation with a forecast, which needs a number of workers."""
    return replace(config, workers=config.workers or 2)


def with_recorded_request(options: RequestOptions, config: SimulateConfig) -> RequestOptions:
    """Return the options with the request of the `--of` run if the command line has none."""
    if not isinstance(config.of, Mapping) or options.request is not None or options.inputs:
        return options
    return replace(options, request=json.dumps(config.of["request"]))


def run_simulation(prepared: PreparedRequest, options: RequestOptions, config: SimulateConfig) -> RunRecord:
    """Simulate the run of a command line."""
    from tessera import simulate

    if config.since is not None and config.of is None:
        raise refuse("--from NODE needs --of RUN")
    with quoting_advice(options, prepared.places):
        return simulate(prepared.template, prepared.request, replace(config, inputs=prepared.inputs))


def record_to_show(record: RunRecord, places: OptionPlaces) -> dict[str, Any]:
    """Return a record for tables: its warnings name the options of the command line that they are about."""
    from tessera.notice import Notice

    warnings = (places.place(Notice(**warning)) for warning in record.warnings)  # type: ignore[arg-type]
    return {**record.to_dict(), "warnings": [notice.to_dict() for notice in warnings]}


def print_record(record: RunRecord, *, as_json: bool, places: OptionPlaces = NO_OPTIONS) -> int:
    """Print a record and return the exit code of its run."""
    if as_json:
        put(record.to_json())
    else:
        from tessera.cli.display.tables import record_tables, show

        show(record_tables(record_to_show(record, places)))
    return exit_code(record)


def exit_code(record: RunRecord) -> int:
    """Return the exit code for the status of a run."""
    return {"completed": OK, "cancelled": INTERRUPTED}.get(record.status.value, FAILED)


def sweep(options: RequestOptions, config: SimulateConfig, file: Path) -> int:
    """Simulate every request in a file. Print one result per line, and a summary of differences on stderr."""
    from tessera.runner.sweep import differences
    from tessera.runner.sweep import sweep as run_sweep

    if options.request is not None or options.inputs or options.overrides or options.ignored:
        raise refuse("--sweep takes its requests from the file: give no REQUEST, --input, --set or --ignore")
    results: list[dict[str, Any]] = []
    with quoting_advice(options):
        found = run_sweep(
            prepare(options).template,
            _lines(file),
            replace(config, workers=None),
            processes=config.workers,
        )
        for result in found:
            put(json.dumps(result, ensure_ascii=False))
            results.append(
                {key: result[key] for key in ("line", "status", "outputs", "error") if key in result}
            )
    for group in differences(results):
        lines = ", ".join(map(str, group["lines"][:8])) + (", …" if len(group["lines"]) > 8 else "")
        made = f"{group['outputs']} output{'' if group['outputs'] == 1 else 's'}, {group['seconds']} s"
        said = group["error"] or " ".join((made, *group["sizes"]))
        say = log if group["status"] == "completed" else warn
        say(f"{len(group['lines'])} × {group['status']}: {said} (line {lines})")
    return OK if all(result["status"] == "completed" for result in results) else FAILED


def _lines(file: Path) -> Iterator[str]:
    try:
        with open_stream(file) as stream, TextIOWrapper(stream, "utf-8") as lines:
            yield from lines
    except (OSError, UnicodeDecodeError) as error:
        raise refuse(f"--sweep {file}: {getattr(error, 'strerror', None) or error}") from None


def shrink(agent: str, request: str | None, command: str, out: Path, *, as_json: bool) -> int:
    """Reduce an agent and a request as far as a command still exits 0 on them."""
    from tessera.agent import read_json
    from tessera.graph.shrink import shrink as reduce
    from tessera.text.masking import mask_urls

    whole, options = read_json(document(agent), "template"), read_json(document(request) or "{}", "request")
    if not (isinstance(whole, dict) and isinstance(options, dict)):
        raise refuse("AGENT and REQUEST must be JSON objects")
    with tempfile.TemporaryDirectory(prefix="tessera-shrink-") as folder:
        paths = {"agent": Path(folder) / "agent.json", "request": Path(folder) / "request.json"}
        line = command
        for name, path in paths.items():
            line = line.replace("{" + name + "}", shlex.quote(str(path)))

        def still(small: dict[str, Any], small_request: dict[str, Any]) -> bool:
            paths["agent"].write_text(json.dumps(small), "utf-8")
            paths["request"].write_text(json.dumps(small_request), "utf-8")
            return subprocess.run(line, shell=True, capture_output=True, check=False).returncode == 0

        # The result is shown to others: its URLs are masked, if the problem does not depend on their secrets.
        masked, masked_options = mask_urls(whole), mask_urls(options)
        if (masked, masked_options) != (whole, options):
            if still(masked, masked_options):
                whole, options = masked, masked_options
            else:
                warn("the URLs keep their secrets: without them --while does not hold")
        try:
            small, small_request = reduce(whole, options, still)
        except ValueError:
            raise refuse(
                "--while does not hold to begin with: the command must exit 0 on AGENT and REQUEST"
            ) from None
    from tessera.files import write_atomically

    for name, value in (("agent.json", small), ("request.json", small_request)):
        write_atomically(out / name, json.dumps(value, ensure_ascii=False, indent=2) + "\n")
    nodes = len(small.get("agent_nodes") or small.get("nodes") or [])
    details = {"tiles": nodes, "connections": len(small["connections"]), "out": str(out)}
    if as_json:
        put_json(details)
    else:
        put(f"{nodes} tiles, {details['connections']} connections left: {out}/agent.json, {out}/request.json")
    return OK


def bundle(
    wanted: str, workspace: Path | None, out: Path, *, media: bool, originals: bool, as_json: bool
) -> int:
    """Pack a run into a file."""
    from tessera.bundle.bundle import write_bundle

    store, run_id = find_run(wanted, workspace)
    write_bundle(store, run_id, out, media=media, originals=originals)
    put_json({"run_id": run_id, "bundle": str(out)}) if as_json else put(f"{out}")
    return OK


def replay(file: Path, *, as_json: bool) -> int:
    """Simulate the run of a bundle."""
    from tessera.bundle.simulation import replay as replay_bundle

    return print_record(replay_bundle(file), as_json=as_json)
