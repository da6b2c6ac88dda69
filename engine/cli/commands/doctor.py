"""`tessera doctor`: check the installation."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from tessera.cli.options import Json, Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from tessera.doctor.finding import Finding

__all__ = ["doctor"]


def doctor(workspace: Workspace = None, as_json: Json = False) -> int:
    """Check the installation: ffmpeg, libraries, tiles, workspace, database, limits.

    Changes nothing. Exits with 1 if there is a problem; a missing extra is none.
    """
    from tessera.cli.display.output import FAILED, OK, put, put_json
    from tessera.cli.display.tables import show
    from tessera.doctor.examination import examine
    from tessera.text.wording import count

    with redirect_stdout(sys.stderr):  # plug-ins may print while they load
        findings = list(examine(workspace))
    problems = sum(one.state == "problem" for one in findings)
    warnings = sum(one.state == "warning" for one in findings)
    if as_json:
        checks = [one.to_dict() for one in findings]
        put_json({"healthy": not problems, "problems": problems, "warnings": warnings, "checks": checks})
    else:
        show([_table(findings)])
        put(f"\n{count(problems, 'problem')}, {count(warnings, 'warning')}")
    return FAILED if problems else OK


def _table(findings: Sequence[Finding]) -> RenderableType:
    from rich.text import Text

    from tessera.cli.display.tables import table
    from tessera.text.wording import printable

    styles = {"ok": "green", "absent": "dim", "warning": "yellow", "problem": "red"}
    rows = []
    for one in findings:
        found = printable(one.found)
        if one.advice:
            found = f"{found}\n→ {printable(one.advice)}"
        rows.append((Text(one.state, style=styles[one.state]), one.subject, found))
    return table(("state", "what", "found"), rows)
