"""The outputs of a run, and the members of a record that describe one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tessera.media.algebra.item import Item, describe, digest_of
from tessera.media.probe.file_formats import media_type
from tessera.node import derived_id
from tessera.record.item_record import sources_of

__all__ = ["Output", "SimulatedOutput", "output_record"]


def output_record(item: Item, render_id: str, completed_at: str, **where: Any) -> dict[str, Any]:
    """Return the record of an output in the contract's form, with its description and lineage."""
    return {
        "id": render_id,
        "video_url": None,
        "thumbnail_url": None,
        "premiere_prproj_url": None,
        "sources": sources_of(item.value),
        "completed_at": completed_at,
        "original_node_id": item.node,
        "index": item.index,
        "path": None,
        "thumbnail_path": None,
        "media_type": media_type(item.value),
        "why": item.why,
        "fidelity": item.fidelity,
        "digest": digest_of(item.value),
        **describe(item.value),
        **where,
    }


_PROPERTIES = ("kind", "duration_ms", "width", "height", "fps", "has_audio")


@dataclass(frozen=True, slots=True)
class SimulatedOutput:
    """An output that nothing renders. Its record is made when somebody reads it.

    Attributes
    ----------
    completed_at
        The time of the simulation, as a timestamp.
    """

    item: Item
    run_id: str
    completed_at: str

    def to_dict(self) -> dict[str, Any]:
        """Return the record of the output."""
        item = self.item
        return output_record(item, derived_id(self.run_id, item.node, item.index), self.completed_at)


class Output:
    """One output of a run: the members of the contract, and others such as `path` and `media_type`.

    Parameters
    ----------
    made
        Its members, or the simulated output that has them.
    by
        The tile that delivered it; None if the members say it.
    """

    __slots__ = ("_by", "_made")

    def __init__(self, made: dict[str, Any] | SimulatedOutput, by: str | None = None) -> None:
        self._made, self._by = made, by

    @property
    def raw(self) -> dict[str, Any]:
        """All members, as JSON values."""
        if isinstance(self._made, SimulatedOutput):
            self._made = self._made.to_dict()
        if self._by is not None:
            self._made, self._by = {**self._made, "delivered_by": self._by}, None
        return self._made

    def described(self) -> dict[str, Any]:
        """Return its tile, its index and its media properties, without describing the rest."""
        made = self._made
        facts = describe(made.item.value) if isinstance(made, SimulatedOutput) else made
        return {
            "original_node_id": self.node,
            "index": self.index,
            **{name: facts.get(name) for name in _PROPERTIES},
        }

    def __eq__(self, other: object) -> bool:
        return self.raw == other.raw if isinstance(other, Output) else NotImplemented

    def __repr__(self) -> str:
        return f"Output({self.raw!r})"

    @property
    def id(self) -> str:
        return str(self.raw["id"])

    @property
    def node(self) -> str:
        """The id, in the template, of the tile that made the output."""
        made = self._made
        return made.item.node if isinstance(made, SimulatedOutput) else str(made["original_node_id"])

    @property
    def index(self) -> int:
        """The position of the output's item among the items of its tile."""
        made = self._made
        return made.item.index if isinstance(made, SimulatedOutput) else int(made["index"])

    @property
    def path(self) -> Path | None:
        """The rendered file, or None in a simulation."""
        return Path(self.raw["path"]) if self.raw["path"] else None

    @property
    def thumbnail_path(self) -> Path | None:
        return Path(self.raw["thumbnail_path"]) if self.raw["thumbnail_path"] else None

    @property
    def kind(self) -> str:
        return str(self.raw["kind"])

    @property
    def duration_ms(self) -> int | None:
        return self.raw.get("duration_ms")

    @property
    def width(self) -> int | None:
        return self.raw.get("width")

    @property
    def height(self) -> int | None:
        return self.raw.get("height")

    @property
    def fps(self) -> str | None:
        """Frames per second as an exact fraction, such as `30000/1001`."""
        return self.raw.get("fps")

    @property
    def has_audio(self) -> bool:
        return bool(self.raw.get("has_audio"))
