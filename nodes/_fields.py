"""Parameter types and checks for several tiles."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

__all__ = ["Finite", "ModelTier", "MosaicOrCustom", "Percent", "require_with_custom"]

Finite = Annotated[float, Field(allow_inf_nan=False)]
ModelTier = Literal["fast", "pro"]
MosaicOrCustom = Literal["mosaic", "custom"]
Percent = Annotated[float, Field(ge=0, le=100)]


def require_with_custom(params: BaseModel, choice: str, *needed: str) -> None:
    """Raise `ValueError` if the parameter `choice` is "custom" and one of the `needed` parameters is None."""
    missing = [name for name in needed if getattr(params, name) is None]
    if missing and getattr(params, choice) == "custom":
        raise ValueError(
            f"{choice} 'custom' needs {' and '.join(missing)} too; give that, or choose another {choice}"
        )
