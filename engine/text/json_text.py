"""Fast JSON text for large documents."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["json_text"]


def json_text(value: Any, indent: int | None = None) -> str:
    """Return a JSON value as text.

    pydantic-core does the work, because Python's own encoder takes ten times as long when it indents.
    """
    from pydantic_core import PydanticSerializationError, to_json

    try:
        return to_json(value, indent=indent, inf_nan_mode="constants").decode()
    except PydanticSerializationError:
        # UTF-8 cannot hold lone surrogates; Python's encoder escapes them.
        return json.dumps(value, indent=indent)
