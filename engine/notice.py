"""A warning that a person should see and a program can read."""

from __future__ import annotations

from dataclasses import dataclass

from tessera.errors import Document

__all__ = ["Notice"]


@dataclass(frozen=True, slots=True)
class Notice:
    """A warning: a stable code, a sentence, and the place (a JSON pointer into `document`) it is about."""

    code: str
    message: str
    loc: str = ""
    document: Document = "template"

    def to_dict(self) -> dict[str, str]:
        return {"code": self.code, "message": self.message, "loc": self.loc, "document": self.document}
