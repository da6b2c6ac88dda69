"""The options of runs and simulations, as values, and the decorator that also accepts them as keywords.

`run(agent, request, out="out")` and `run(agent, request, RunConfig(out="out"))` are the same call. The
command line and a server build the same values, so that an option has one name, one check, one description.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast

from tessera.errors import ConfigError
from tessera.text.nearest import suggestion

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from decimal import Decimal

    from tessera.graph.load import UnknownTiles
    from tessera.inputs.assets.library import Library
    from tessera.inputs.fetch.rules import FetchRules
    from tessera.inputs.local import LocalInput
    from tessera.media.algebra.item import Item
    from tessera.node import Catalogue
    from tessera.record.events import Event
    from tessera.record.record import RunRecord
    from tessera.runner.workers.remote_workers import RemoteExecutor

__all__ = [
    "PlannedConfig",
    "ResumeConfig",
    "RunConfig",
    "SimulateConfig",
    "accepts_options",
    "accepts_resume_options",
]


def _never() -> bool:
    return False


# The bases only declare fields: generating their methods would take time at every start.
@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class _CommonConfig:
    """The options of every run, resumed run and simulation.

    Attributes
    ----------
    stubs
        Stubs that replace the items, the answers or the outcome of tiles: `{node: stub}`. A node is an id, a
        unique prefix of one, or a unique name; see `tessera.runner.answers.stubs.Stub`. In a run, the items
        of a stub need files.
    workspace
        The folder for assets, renders and records; by default `TESSERA_WORKSPACE`, else `.tessera`.
    on_event
        Called with every event, in order; before the first event of a run, with the progress of downloads.

    Raises
    ------
    ConfigError
        If a value is not allowed. The message names the option and what it may be.
    """

    stubs: Mapping[str, Any] | None = None
    workspace: str | Path | None = None
    on_event: Callable[[Event], None] | None = None

    def __post_init__(self) -> None:
        if self.stubs is not None and not isinstance(self.stubs, Mapping):
            raise ConfigError("stubs", self.stubs, "a mapping from tiles to stubs")
        _check_path("workspace", self.workspace)
        _check_callable("on_event", self.on_event)


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class PlannedConfig(_CommonConfig):
    """The options that decide what is planned and which tiles work, in a run as in a simulation.

    Attributes
    ----------
    inputs
        Local files or URLs, as inputs in addition to those of the request. A run stores local files in the
        workspace.
    faults
        Faults to inject into tiles and renders of items, each as
        `NODE[:item][=error|hang|crash|transient][@attempt]`; see `fault_injection.parse_faults`. In a run, a
        faulty tile or render ignores the cache, and a resume does not repeat its faults.
    until, since, only
        A tile (id, unique prefix of one, or unique name): process all tiles up to it, all from it on, or it
        alone.
    catalogue
        The known node types; by default all installed ones.
    max_items
        The greatest number of items that may reach one tile (10,000, or the setting).
    """

    inputs: Iterable[LocalInput | str | Path] = ()
    faults: Iterable[str] = ()
    until: str | None = None
    since: str | None = None
    only: str | None = None
    catalogue: Catalogue | None = None
    max_items: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        # A single path or fault is a list of one: a text would otherwise be taken letter by letter.
        inputs, faults = self.inputs, self.faults
        _set(self, "inputs", (inputs,) if not _is_list(inputs) else tuple(inputs))
        _set(self, "faults", (faults,) if not _is_list(faults) else tuple(faults))
        if not all(isinstance(fault, str) for fault in self.faults):
            raise ConfigError("faults", self.faults, "a list of texts such as 'Clips=error'")
        for name in ("until", "since", "only"):
            tile = getattr(self, name)
            if tile is not None and not isinstance(tile, str):
                raise ConfigError(name, tile, "the id or the name of a tile")
        _check_count("max_items", self.max_items, 0)


@dataclass(frozen=True, kw_only=True)
class SimulateConfig(PlannedConfig):
    """The options of `simulate`.

    Attributes
    ----------
    facts
        Facts about missing media: `{id, URL or "*": {"duration_ms", "width", "height", "fps", "has_audio",
        "speech"}}`, or a path or JSON text of it. They take precedence over the workspace and local files.
    assume
        Assume speech by a synthetic model if no other source has it (see `assumed_speech`). The record says
        so.
    of
        The record of an earlier run, whose items reach the part that `since` or `only` names; for `only`
        without `of`, they come from the facts for `"*"`.
    unknown_tiles
        `"error"` rejects tiles of unknown types; `"opaque"` treats them as tiles that pass their input on.
    workers, costs, prices, balance
        If any of them is given, the run uses a virtual clock, and the record has a `forecast`. `workers` is
        the number of parallel jobs (2). Durations in seconds come from the declared costs, calibrated with
        the finished runs of the workspace, or from `costs` (a dict, JSON text or a path). Credits come from
        our prices, or from `prices`. If the `balance` is too low, tiles fail for it as in the hosted product.
    on_output
        Called with every output item, and the library of known assets.
    """

    facts: Any = None
    assume: bool = False
    of: Mapping[str, Any] | RunRecord | None = None
    unknown_tiles: UnknownTiles = "error"
    workers: int | None = None
    costs: Any = None
    prices: Any = None
    balance: Decimal | int | None = None
    on_output: Callable[[Item, Library], None] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.unknown_tiles not in ("error", "opaque"):
            raise ConfigError("unknown_tiles", self.unknown_tiles, "'error' or 'opaque'")
        _check_count("workers", self.workers, 1)
        _check_callable("on_output", self.on_output)

    @property
    def forecasts(self) -> bool:
        """True if the simulation uses a virtual clock."""
        options = (self.workers, self.costs, self.prices, self.balance)
        return any(option is not None for option in options)


@dataclass(frozen=True, kw_only=True)
class ResumeConfig(_CommonConfig):
    """The options of `resume`. Everything else is that of the run which is resumed.

    Attributes
    ----------
    out
        A folder that receives one file per output, and a `.jpg` thumbnail each; for a resumed run by default
        that of the original run.
    cancelled
        Polled a few times a second. Once it returns True, running ffmpeg processes are killed and the run
        ends.
    executor
        Runs tiles and renders; by default the threads that all runs of this process share. A `RemoteExecutor`
        uses other processes; `dask_cluster` yields one.
    render_timeout_s
        The time limit of one ffmpeg process, in seconds.
    tile_timeout_s
        The time limit of each tile's own work and of each render, in seconds, in place of the one that the
        tile type declares. A tile over its limit fails, and the run continues without it.
    fetch_rules
        The limits for fetching URLs, and the permission to reach private networks.
    """

    out: str | Path | None = None
    cancelled: Callable[[], bool] = _never
    executor: Executor | RemoteExecutor | None = None
    render_timeout_s: float | None = None
    tile_timeout_s: float | None = None
    fetch_rules: FetchRules | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_path("out", self.out)
        _check_callable("cancelled", self.cancelled)
        if self.executor is not None:
            _check_executor(self.executor)
        _check_seconds("render_timeout_s", self.render_timeout_s)
        _check_seconds("tile_timeout_s", self.tile_timeout_s)


@dataclass(frozen=True, kw_only=True)
class RunConfig(PlannedConfig, ResumeConfig):
    """The options of `run`.

    Attributes
    ----------
    of
        An earlier run of this workspace (an id, a unique prefix of one, `latest`, or its record), whose items
        reach the part that `since` or `only` names, unchanged.
    facts_out
        A file that receives the facts that the run learned about its media. `simulate` with it as `facts`
        yields the counts, durations, sizes and lineage of this run without the media.
    quality
        `"draft"` (a preview: at most 640 pixels wide and high, fast), `"standard"` (near-transparent) or
        `"master"` (for editing or another encode); by default standard, or the quality of the recorded run.
    cache
        False repeats tile work and renders of earlier runs in place of reusing them.
    record
        A file that receives a bundle: the run, the answers of the outside world to it, and its media.
    replay
        A bundle that answers in place of the outside world, so that no network is used. The agent and the
        request default to those of the recorded run.
    """

    of: str | RunRecord | None = None
    facts_out: str | Path | None = None
    quality: str | None = None
    cache: bool = True
    record: str | Path | None = None
    replay: str | Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("facts_out", "record", "replay"):
            _check_path(name, getattr(self, name))
        if self.quality is not None:
            from tessera.media.ffmpeg.encode_settings import QUALITIES

            if self.quality not in QUALITIES:
                raise ConfigError("quality", self.quality, f"one of {', '.join(QUALITIES)}")


# checks


def _set(config: Any, name: str, value: Any) -> None:
    object.__setattr__(config, name, value)


def _is_list(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | Path)


def _check_executor(value: Any) -> None:
    from concurrent.futures import Executor

    if not isinstance(value, Executor):
        from tessera.runner.workers.remote_workers import RemoteExecutor

        if not isinstance(value, RemoteExecutor):
            raise ConfigError("executor", value, "a concurrent.futures.Executor or a RemoteExecutor")


def _check_path(name: str, value: Any) -> None:
    if value is not None and not isinstance(value, str | Path):
        raise ConfigError(name, value, "a path")


def _check_callable(name: str, value: Any) -> None:
    if value is not None and not callable(value):
        raise ConfigError(name, value, "a function")


def _check_count(name: str, value: Any, least: int) -> None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
        raise ConfigError(name, value, f"a whole number of at least {least}")


def _check_seconds(name: str, value: Any) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (number and 0 < value < float("inf")):
        raise ConfigError(name, value, "a number of seconds above 0")


# keywords

_C = TypeVar("_C", bound=_CommonConfig)
_C_contra = TypeVar("_C_contra", bound=_CommonConfig, contravariant=True)
_P = ParamSpec("_P")
_R_co = TypeVar("_R_co", covariant=True)


class _AgentFunction(Protocol[_C_contra, _P, _R_co]):
    """A function of an agent, a request and a config, which also takes the fields of the config."""

    def __call__(
        self,
        agent: Any = None,
        request: Any = None,
        config: _C_contra | None = None,
        *args: _P.args,
        **options: _P.kwargs,
    ) -> _R_co: ...


class _RunFunction(Protocol[_C_contra, _P, _R_co]):
    """A function of a run id and a config, which also takes the fields of the config."""

    def __call__(
        self, run_id: str, config: _C_contra | None = None, *args: _P.args, **options: _P.kwargs
    ) -> _R_co: ...


def accepts_options(
    config_type: Callable[_P, _C],
) -> Callable[[Callable[[Any, Any, _C], _R_co]], _AgentFunction[_C, _P, _R_co]]:
    """Let a function of (agent, request, config) take the fields of its config as keyword arguments too.

    Keywords replace the values of a `config` that is given with them.

    Raises
    ------
    TypeError
        By the decorated function, if a keyword is no field of the config. The message names the nearest one.
    ConfigError
        By the decorated function, if a value is not allowed.
    """

    def decorate(function: Callable[[Any, Any, _C], _R_co]) -> _AgentFunction[_C, _P, _R_co]:
        return cast(_AgentFunction[_C, _P, _R_co], _with_keywords(function, config_type))

    return decorate


def accepts_resume_options(
    config_type: Callable[_P, _C],
) -> Callable[[Callable[[str, _C], _R_co]], _RunFunction[_C, _P, _R_co]]:
    """Do for a function of (run id, config) as `accepts_options` does."""

    def decorate(function: Callable[[str, _C], _R_co]) -> _RunFunction[_C, _P, _R_co]:
        return cast(_RunFunction[_C, _P, _R_co], _with_keywords(function, config_type))

    return decorate


def _with_keywords(function: Callable[..., Any], config_type: Any) -> Callable[..., Any]:
    """Return the function with the fields of its last parameter, a config, as keywords."""
    own = inspect.signature(function)
    leading = [*own.parameters][:-1]
    known = [field.name for field in fields(config_type)]

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        first = {name: options.pop(name) for name in (*leading, "config") if name in options}
        for name in options:
            if name not in known:
                raise TypeError(f"{function.__name__}() has no option {name!r}{suggestion(name, known)}")
        bound = own.bind(*args, **first)
        config = bound.arguments.get("config")
        if config is not None and not isinstance(config, config_type):
            raise TypeError(
                f"{function.__name__}() takes a {config_type.__name__}, not {type(config).__name__}"
            )
        bound.arguments["config"] = replace(config, **options) if config else config_type(**options)
        return function(*bound.args, **bound.kwargs)

    # Help and editors show the fields of the config as keywords.
    keywords = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type
        )
        for field in fields(config_type)
    ]
    call.__signature__ = own.replace(  # type: ignore[attr-defined]
        parameters=[*own.parameters.values(), *keywords]
    )
    return call
