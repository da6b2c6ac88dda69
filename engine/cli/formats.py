"""`--format` of the commands that report to people and to other programs."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, TypeVar

import typer

from tessera.cli.display.output import refuse

__all__ = ["ReportForm", "ReportFormat", "ValidateForm", "ValidateFormat", "chosen"]


class ValidateFormat(StrEnum):
    """The output format of `validate`."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    JUNIT = "junit"
    GITHUB = "github"


class ReportFormat(StrEnum):
    """The output format of `plan`, `diff` and `simulate`."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


ValidateForm = Annotated[
    ValidateFormat | None,
    typer.Option("--format", help="Output format; the last three are for CI systems. [default: text]"),
]
ReportForm = Annotated[
    ReportFormat | None,
    typer.Option("--format", help="Output format; markdown is for pull requests. [default: text]"),
]

Form = TypeVar("Form", ValidateFormat, ReportFormat)


def chosen(form: Form | None, kind: type[Form], *, as_json: bool) -> Form:
    """Return the format that `--format` and `--json` choose.

    Raises
    ------
    RequestError
        If the two name different formats.
    """
    if as_json and form not in (None, kind.JSON):
        raise refuse(f"--json means --format json: remove it, or --format {form}")
    return kind.JSON if as_json else form or kind.TEXT
