"""What stands in for the world on the command line: stubs, parts, sweeps, bundles; and shrinking."""

from __future__ import annotations

import json
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.cli.commands.runs import found_run, record_of
from tessera.cli.options import RequestOptions
from tessera.cli.output import FAILED, INTERRUPTED, OK, put, put_json, refuse, warn
from tessera.cli.request_args import PreparedRequest, document, explained, home_of, prepare

if TYPE_CHECKING:
    from decimal import Decimal

    from tessera.record.record import RunRecord

__all__ = [
    "SimulateOptions",
    "Virtual",
    "bundle",
    "exit_code",
    "recorded",
    "replay",
    "shrink",
    "simulated",
    "stubs_of",
    "sweep",
]


@dataclass(frozen=True, slots=True)
class SimulateOptions:
    """The options of a simulation that say what is taken as given, as they were typed."""

    facts: str | None = None
    stubs: tuple[str, ...] = ()
    assume: bool = False
    until: str | None = None
    since: str | None = None
    only: str | None = None
    of: str | None = None
    faults: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self != SimulateOptions()

    def completed(self, given: RequestOptions) -> RequestOptions:
        """With the request of the earlier run, where none is given."""
        if self.of is None or given.request is not None or given.inputs:
            return given
        return replace(given, request=json.dumps(record_of(self.of, given.workspace)["request"]))


@dataclass(frozen=True, slots=True)
class Virtual:
    """The options of a simulation's clock and purse, as they were typed."""

    workers: int | None = None
    costs: str | None = None
    prices: str | None = None
    balance: str | None = None

    def __bool__(self) -> bool:
        return self != Virtual()


def stubs_of(texts: tuple[str, ...]) -> dict[str, str]:
    """`NODE=FILE` as node → path or JSON text."""
    found = {}
    for text in texts:
        node, equals, file = text.partition("=")
        if not (node and equals and file):
            raise refuse(f"--stub {text}: give NODE=FILE, as in Captions=captions.json")
        found[node] = file
    return found


def simulated(
    prepared: PreparedRequest,
    given: RequestOptions,
    standing: SimulateOptions,
    virtual: Virtual | None = None,
) -> RunRecord:
    """Simulate what the command line asks for."""
    from tessera import simulate

    if standing.since is not None and standing.of is None:
        raise refuse("--from NODE needs --of RUN")
    timed: dict[str, Any] = {}
    if virtual is not None:
        timed = {
            "workers": virtual.workers or 2,
            "costs": virtual.costs,
            "prices": virtual.prices,
            "balance": _credits(virtual.balance),
        }
    with explained(given):
        return simulate(
            prepared.template,
            prepared.request,
            facts=document(standing.facts),
            stubs=stubs_of(standing.stubs),
            faults=standing.faults,
            assume=standing.assume,
            until=standing.until,
            since=standing.since,
            only=standing.only,
            of=None if standing.of is None else record_of(standing.of, given.workspace),
            inputs=prepared.inputs,
            workspace=home_of(given.workspace),
            unknown_tiles=given.unknown.value,
            **timed,
        )


def _credits(text: str | None) -> Decimal | None:
    from decimal import Decimal, InvalidOperation

    try:
        number = None if text is None else Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if number is not None and not (number.is_finite() and abs(number) < 10**20 and number.as_tuple().digits):
        raise refuse(f"--balance {text}: give a number of credits, as in 12.5")
    return number


def recorded(record: RunRecord, *, as_json: bool) -> int:
    """Show a record; the exit code is what became of the run."""
    if as_json:
        put(record.to_json())
    else:
        from tessera.cli.display.tables import record_tables, show

        show(record_tables(record.to_dict()))
    return exit_code(record)


def exit_code(record: RunRecord) -> int:
    """What a command says of a run's end."""
    return {"completed": OK, "cancelled": INTERRUPTED}.get(record.status.value, FAILED)


def sweep(given: RequestOptions, standing: SimulateOptions, file: Path, workers: int | None) -> int:
    """Simulate each line of a file; results on stdout, a line each, and what differs on stderr."""
    from tessera.runner.sweep import differences
    from tessera.runner.sweep import sweep as run_sweep

    if given.request is not None or given.inputs or given.overrides or given.ignored:
        raise refuse("--sweep takes its requests from the file: give no REQUEST, --input, --set or --ignore")
    results: list[dict[str, Any]] = []
    with explained(given):
        found = run_sweep(
            prepare(given, standing.facts).template,
            _lines(file),
            workers=workers,
            facts=document(standing.facts),
            stubs=stubs_of(standing.stubs),
            assume=standing.assume,
            workspace=str(home_of(given.workspace)),
            unknown_tiles=given.unknown.value,
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
        warn(f"{len(group['lines'])} × {group['status']}: {said} (line {lines})")
    return OK if all(result["status"] == "completed" for result in results) else FAILED


def _lines(file: Path) -> Iterator[str]:
    try:
        with file.open(encoding="utf-8") as lines:
            yield from lines
    except (OSError, UnicodeDecodeError) as error:
        raise refuse(f"--sweep {file}: {getattr(error, 'strerror', None) or error}") from None


def shrink(agent: str, request: str | None, command: str, out: Path, *, as_json: bool) -> int:
    """Reduce an agent and a request for as long as a command succeeds on them."""
    from tessera.agent import read_json
    from tessera.graph.shrink import shrink as reduce

    whole, given = read_json(document(agent), "template"), read_json(document(request) or "{}", "request")
    if not (isinstance(whole, dict) and isinstance(given, dict)):
        raise refuse("AGENT and REQUEST must be JSON objects")
    with tempfile.TemporaryDirectory(prefix="tessera-shrink-") as folder:
        paths = {"agent": Path(folder) / "agent.json", "request": Path(folder) / "request.json"}
        line = command
        for name, path in paths.items():
            line = line.replace("{" + name + "}", shlex.quote(str(path)))

        def still(small: dict[str, Any], asked: dict[str, Any]) -> bool:
            paths["agent"].write_text(json.dumps(small), "utf-8")
            paths["request"].write_text(json.dumps(asked), "utf-8")
            return subprocess.run(line, shell=True, capture_output=True, check=False).returncode == 0

        try:
            small, asked = reduce(whole, given, still)
        except ValueError:
            raise refuse(
                "--while does not hold to begin with: the command must exit 0 on AGENT and REQUEST"
            ) from None
    from tessera.files import write_atomically
    from tessera.text.wording import count

    for name, value in (("agent.json", small), ("request.json", asked)):
        write_atomically(out / name, json.dumps(value, ensure_ascii=False, indent=2) + "\n")
    nodes = len(small.get("agent_nodes") or small.get("nodes") or [])
    told = {"tiles": nodes, "connections": len(small["connections"]), "out": str(out)}
    if as_json:
        put_json(told)
    else:
        left = f"{count(nodes, 'tile')}, {count(len(small['connections']), 'connection')} left"
        put(f"{left}: {out}/agent.json, {out}/request.json")
    return OK


def bundle(
    wanted: str, workspace: Path | None, out: Path, *, media: bool, originals: bool, as_json: bool
) -> int:
    """Pack a run into a file."""
    from tessera.bundle.bundle import write_bundle

    store, run_id = found_run(wanted, workspace)
    write_bundle(store, run_id, out, media=media, originals=originals)
    put_json({"run_id": run_id, "bundle": str(out)}) if as_json else put(f"{out}")
    return OK


def replay(file: Path, *, as_json: bool) -> int:
    """Simulate the run of a bundle."""
    from tessera.bundle.simulation import replay as replay_bundle

    return recorded(replay_bundle(file), as_json=as_json)
