"""Silence Removal: speech without pauses."""

from __future__ import annotations

from tessera import node
from tessera.node import ours

__all__ = ["SilenceRemoval"]


class SilenceRemoval(node.NodeType):
    type_id = "a22d0b93-2bbf-479d-8efd-d446163982e8"
    name = "Silence Removal"
    category = "edit"
    summary = "Cuts out pauses and, on request, filler words."

    class Params(node.Params):
        remove_filler_words: bool = ours(False, description="Also cut filler words such as um and uh")
        threshold_db: float = ours(
            -35.0, ge=-100, le=0, description="Level in dBFS below which sound counts as silence"
        )
        min_silence_ms: int = ours(500, ge=0, description="Shortest silence to cut, in milliseconds")
        padding_ms: int = ours(100, ge=0, description="Silence left on each side of speech, in milliseconds")
