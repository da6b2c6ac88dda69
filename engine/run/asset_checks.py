"""Whether the assets that parameters name are there, before a run begins."""

from __future__ import annotations

from engine.errors import Fault, RequestError, TesseraError
from engine.graph.plan import Plan
from engine.run.answers import Answers

__all__ = ["check_assets"]


def check_assets(decided: Plan, answers: Answers) -> None:
    """Refuse parameters that name an image which the workspace does not hold."""
    faults = []
    for node in decided.order:
        tile = decided.tile(node)
        for name, value in tile.values().items():
            if name != "image_id" or not value or tile.values().get("use_custom_logo") == "mosaic":
                continue
            try:
                answers.image(value)
            except TesseraError as error:
                overridden = tile.origin(name) == "override"
                loc = f"/update_params/{node}/{name}" if overridden else f"{tile.loc}/params_used/{name}"
                document = "request" if overridden else "template"
                faults.append(Fault(loc, document, f"{tile.name} {node}: {error}"))  # type: ignore[arg-type]
    if faults:
        raise RequestError(faults)
