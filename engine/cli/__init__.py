"""The `tessera` command: parses, calls the engine, prints. No rule lives here.

Results go to stdout, logs to stderr. Exit codes: 0 fine, 1 the run failed or was partial, 2 the request, the
template or the command line is wrong, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typer import Typer

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (by default that of the process) and give its exit code.

    Nothing but `SystemExit` of the interpreter itself leaves it: every error is printed in one way.
    """
    from tessera.cli import output

    args = list(sys.argv[1:] if argv is None else argv)
    output.prepare_streams()
    try:
        code = _app(args)(args=args, prog_name="tessera", standalone_mode=False)
        output.flush()
        return code if isinstance(code, int) else 0
    except KeyboardInterrupt:
        return output.INTERRUPTED
    except Exception as error:
        return output.failed(error, as_json="--json" in args)


def _app(args: Sequence[str]) -> Typer:
    """The commands, or the one alone that the first argument names: to build them all takes longer than most
    of them do.
    """
    from tessera.cli.app import app

    named = [one for one in app.registered_commands if one.callback and one.callback.__name__ in args[:1]]
    if not named:
        return app
    alone = copy(app)
    alone.registered_commands, alone.registered_groups = named, []
    return alone
