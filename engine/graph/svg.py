"""A drawing as SVG."""

from __future__ import annotations

from engine.graph.drawing import Drawing

__all__ = ["svg_of"]


def svg_of(drawing: Drawing) -> str:
    """To come."""
    raise NotImplementedError
