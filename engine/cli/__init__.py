"""The `tessera` command: parse the command line, call the engine, print the result.

Results go to stdout, logs to stderr. Exit codes: 0 success, 1 the run failed or was partial, 2 the request,
the template or the command line is invalid, 130 interrupted.

Read the modules in this order:

- `app`: the commands with their arguments and options
- `options`: the arguments and options that several commands share
- `config_options`: the options for each field of a request or a config
- `expansion`: the decorator that expands a config into the options of a command
- `formats`: `--format`
- `request_args`: from a command line to a template, a request and inputs
- `simulate_args`: simulations, and the commands built on them
- `executor_args`: `--executor` and `--scheduler`
- `interrupt`: Ctrl-C during a run
- `commands`: the commands
- `display`: output for people
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from copy import copy
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typer import Typer

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line (default: that of the process) and return its exit code.

    Every exception is caught and printed in one format.
    """
    from tessera.cli.display import output

    args = list(sys.argv[1:] if argv is None else argv)
    output.prepare_streams()
    with warnings.catch_warnings():
        warnings.showwarning = output.show_warning
        return _run(args)


def _run(args: Sequence[str]) -> int:
    from tessera.cli.display import output

    try:
        code = _app(args)(args=args, prog_name="tessera", standalone_mode=False)
        output.flush()
        return code if isinstance(code, int) else 0
    except KeyboardInterrupt:
        return output.INTERRUPTED
    except Exception as error:
        return output.failed(error, as_json=_asks_for_json(args))


def _asks_for_json(args: Sequence[str]) -> bool:
    """Return True if a command line asks for JSON, even if it cannot be parsed."""
    if "--json" in args:
        return True
    named = args[:1] != ["graph"]  # its formats are those of drawings
    return named and ("--format=json" in args or ("--format", "json") in pairwise(args))


def _app(args: Sequence[str]) -> Typer:
    """Return the app with only the command in the first argument, if it names one.

    Building all commands takes longer than most commands take to run.
    """
    from tessera.cli.app import app

    named = [info for info in app.registered_commands if info.callback and info.callback.__name__ in args[:1]]
    if not named:
        return app
    alone = copy(app)
    alone.registered_commands, alone.registered_groups = named, []
    return alone
