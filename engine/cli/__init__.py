"""The `tessera` command: parses, calls the engine, prints. No rule lives here.

Results go to stdout, logs to stderr. Exit codes: 0 fine, 1 the run failed or was partial, 2 the request, the
template or the command line is wrong, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (by default that of the process) and give its exit code.

    Nothing but `SystemExit` of the interpreter itself leaves it: every error is printed in one way.
    """
    from engine.cli import output

    args = list(sys.argv[1:] if argv is None else argv)
    output.prepare_streams()
    try:
        from engine.cli.app import app

        code = app(args=args, prog_name="tessera", standalone_mode=False)
        output.flush()
        return code if isinstance(code, int) else 0
    except KeyboardInterrupt:
        return output.INTERRUPTED
    except Exception as error:
        return output.failed(error, as_json="--json" in args)
