"""Warnings, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass

from tessera.errors import Document

__all__ = ["Notice"]


@dataclass(frozen=True, slots=True)
class Notice:
    """A warning: a stable code, a sentence, and the place that it concerns.

    `loc` is a JSON pointer into `document`.
    """

    code: str
    message: str
    loc: str = ""
    document: Document = "template"

    def to_dict(self) -> dict[str, str]:
        return {"code": self.code, "message": self.message, "loc": self.loc, "document": self.document}
