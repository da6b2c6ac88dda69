"""JSON text of large documents, written fast."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["json_text"]


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON values as text. Python's own encoder takes ten times as long where there is an indent."""
    from pydantic_core import PydanticSerializationError, to_json

    try:
        return to_json(value, indent=indent, inf_nan_mode="constants").decode()
    except PydanticSerializationError:  # half characters, which UTF-8 cannot hold: they are escaped
        return json.dumps(value, indent=indent)
