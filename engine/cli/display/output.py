"""Print results on stdout, logs on stderr, and errors in one format with their exit codes.

Whatever is printed has its URLs masked here, so that no message can show the secret of one.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any, TextIO

from tessera.errors import (
    NO_FACTS,
    Cancelled,
    ConfigError,
    Fault,
    MediaError,
    NotFound,
    QuestionError,
    RenderError,
    RequestError,
    TesseraError,
    WorkspaceError,
)
from tessera.text.masking import mask_urls, masked_prose, masked_text
from tessera.text.wording import printable, printable_json

__all__ = [
    "FAILED",
    "INTERRUPTED",
    "OK",
    "REFUSED",
    "failed",
    "flush",
    "log",
    "prepare_streams",
    "printable",
    "put",
    "put_json",
    "refuse",
    "show_warning",
    "warn",
]

_FACTS_HINT = "hint: state facts with --facts FILE; '*' in it means every input that it does not name"
_ASSUME_HINT = "hint: state facts with --facts FILE, or assume speech with --assume"

OK, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130


def prepare_streams() -> None:
    """Set both streams to UTF-8 in every locale. Lone surrogates are escaped as in JSON."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="backslashreplace")


def put(text: str, *, secrets: bool = False, styled: bool = False) -> None:
    """Write a result to stdout. A closed pipe is no error.

    URLs are masked, unless the result is for a run, which needs their `secrets`. Control characters are
    escaped in JSON and replaced elsewhere, unless the text is `styled`: its colours are control sequences.
    """
    text = text if secrets else masked_prose(text)
    if not styled:
        text = printable_json(text) if text[:1] in ("{", "[") else printable(text)
    _write(sys.stdout, text if text.endswith("\n") or not text else text + "\n")


def put_json(value: Any) -> None:
    """Write a value to stdout as JSON."""
    put(json.dumps(mask_urls(value), ensure_ascii=False, indent=1))


def log(text: str) -> None:
    """Write a line to stderr."""
    _write(sys.stderr, masked_prose(printable(text)) + "\n")


def warn(message: str) -> None:
    """Write a warning to stderr."""
    log(f"warning: {message}")


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Write a warning of Python to stderr, in place of `warnings.showwarning`."""
    warn(str(message))


def flush() -> None:
    """Flush stdout, so that a write error surfaces before the exit code is chosen."""
    _write(sys.stdout, "")


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        # Redirect to the null device, or the interpreter fails again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except OSError as error:
        if stream is sys.stdout:
            raise WorkspaceError(f"cannot write to standard output: {error.strerror or error}") from None


def refuse(message: str) -> RequestError:
    """Return the error for a wrong command line."""
    return RequestError([Fault("", "request", message)])


# errors


def failed(error: Exception, *, as_json: bool) -> int:
    """Print an error, as a JSON object on stdout or as lines on stderr, and return its exit code."""
    if isinstance(error, TesseraError):
        found, lines, code = error.to_dict(), _lines(error), _code(error)
    elif (usage := _usage(error)) is not None:
        found, lines, code = refuse(usage[0]).to_dict(), [f"error: {usage[0]}", usage[1]], REFUSED
    elif type(error).__name__ == "Abort":
        return INTERRUPTED
    else:
        found, lines, code = _internal(error)
    if as_json:
        try:
            put_json(found)
            return code
        except WorkspaceError:
            pass
    for line in lines:
        log(line)
    return code


def _code(error: TesseraError) -> int:
    """Return the exit code: 2 for bad input and missing answers, 1 for failed writes and renders."""
    if isinstance(error, Cancelled):
        return INTERRUPTED
    if isinstance(error, RenderError):
        return FAILED
    refusals = RequestError | ConfigError | MediaError | QuestionError | NotFound
    return REFUSED if isinstance(error, refusals) else FAILED


def _lines(error: TesseraError) -> list[str]:
    if isinstance(error, QuestionError):
        return [f"error: {error}", _ASSUME_HINT]
    if not isinstance(error, RequestError):
        return [f"error: {error}"]
    hints = [_FACTS_HINT] if any(fault.code == NO_FACTS for fault in error.errors) else []
    count = len(error.errors)
    if count == 1 and not error.errors[0].loc:
        return [f"error: {error.errors[0].message}", *hints]
    where = " and the ".join(dict.fromkeys(fault.document for fault in error.errors))
    lines = [f"error: {count} error{'s' if count > 1 else ''} in the {where}"]
    for fault in error.errors:
        at = f" {masked_text(fault.loc)}" if fault.loc else ""
        lines.append(f"  {fault.document}{at}: {fault.message}")
    return [*lines, *hints]


def _usage(error: Exception) -> tuple[str, str] | None:
    """Return the message and the hint of a command line usage error, or None for any other error."""
    import typer

    if not isinstance(error, _named(typer.BadParameter, "ClickException")):
        return None
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "tessera"
    message: str = error.format_message()  # type: ignore[attr-defined]
    message = message.replace("Value error, ", "")  # pydantic's prefix, which typer passes on
    return message[:1].lower() + message[1:].rstrip("."), f"hint: try `{path} --help` for usage"


def _named(kind: type, name: str) -> type:
    """Return the base class with this name. Typer uses click or its own copy of it, so no import is safe."""
    return next(base for base in kind.__mro__ if base.__name__ == name)


def _internal(error: Exception) -> tuple[dict[str, Any], list[str], int]:
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    found = {"detail": f"internal error: {what}", "error": "internal_server_error", "errors": []}
    if os.environ.get("TESSERA_DEBUG"):
        sys.stderr.write(masked_prose("".join(traceback.format_exception(error))))
        hint = "this is a bug in tessera; please report it with the lines above"
    else:
        hint = "this is a bug in tessera; set TESSERA_DEBUG=1 to show the traceback"
    return found, [f"internal error: {what}", f"hint: {hint}"], FAILED
