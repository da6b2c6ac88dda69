"""The decorator that expands a value, such as a `RunConfig`, into the options of a command.

A command takes few parameters, as in `def simulate(request: RequestOptions, config: SimulateConfig)`.
`expand` gives typer a flat function with one parameter per field, and calls the command with the values built
from what the user typed. The options of a field are in `tessera.cli.config_options`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from tessera.cli.config_options import OPTIONS, CliOption

__all__ = ["Fields", "expand"]


_LAST = ("unknown_tiles", "workspace", "as_json")
"""The parameters that every help text lists last."""


@dataclass(frozen=True)
class Fields:
    """The fields of a value that a command offers: `Annotated[SimulateConfig, Fields("facts")]`.

    Attributes
    ----------
    names
        The names of the fields, in the order of the help; by default all that have options.
    instead
        Options of this command in place of the usual ones.
    """

    names: tuple[str, ...] = ()
    instead: Mapping[str, CliOption] = field(default_factory=dict)


@dataclass(frozen=True)
class _Group:
    """A parameter of a command that is expanded: its type and the options of its fields."""

    kind: Callable[..., Any]
    options: Mapping[str, CliOption]

    def parameters(self) -> dict[str, inspect.Parameter]:
        return {
            option.parameter or name: inspect.Parameter(
                option.parameter or name,
                inspect.Parameter.KEYWORD_ONLY,
                default=option.default,
                annotation=option.annotation,
            )
            for name, option in self.options.items()
        }

    def build(self, typed: Mapping[str, Any]) -> Any:
        """Build the value from everything that was typed, by parameter name."""
        return self.kind(
            **{
                name: option.read(typed[option.parameter or name], typed)
                for name, option in self.options.items()
            }
        )


def expand(command: Callable[..., int]) -> Callable[..., int]:
    """Expand the parameters of a command whose types have options; leave all others as they are.

    Raises
    ------
    KeyError
        If a command offers a field that has no option.
    """
    own_parameters = inspect.signature(command).parameters
    hints = {name: parameter.annotation for name, parameter in own_parameters.items()}
    if any(isinstance(hint, str) for hint in hints.values()):
        hints = get_type_hints(command, include_extras=True)
    groups: dict[str, _Group] = {}
    parameters: dict[str, inspect.Parameter] = {}
    own = []
    for name, parameter in own_parameters.items():
        group = _group(hints[name])
        if group is None:
            own.append(name)
            parameters[name] = parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        else:
            groups[name] = group
            # Values share parameters, such as the workspace: the first one decides.
            parameters |= {key: new for key, new in group.parameters().items() if key not in parameters}
    ordered = sorted(parameters.values(), key=lambda parameter: parameter.name in _LAST)

    @wraps(command)
    def call(**typed: Any) -> int:
        built = {name: group.build(typed) for name, group in groups.items()}
        return command(**built, **{name: typed[name] for name in own})

    call.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
    call.__annotations__ = {name: parameter.annotation for name, parameter in parameters.items()}
    return call


def _group(hint: Any) -> _Group | None:
    """Return the options that a parameter of this type is expanded into, or None."""
    kind, fields = hint, Fields()
    if get_origin(hint) is Annotated:
        kind, *notes = get_args(hint)
        fields = next((note for note in notes if isinstance(note, Fields)), fields)
    known = OPTIONS.get(kind)
    if known is None:
        return None
    return _Group(kind, {name: fields.instead.get(name, known[name]) for name in fields.names or known})
