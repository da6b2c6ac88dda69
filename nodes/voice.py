"""Voice: dubbing into another language."""

from __future__ import annotations

from pydantic import Field

from tessera import node
from tessera.node import ours

__all__ = ["Voice"]


class Voice(node.NodeType):
    type_id = "14abd0c1-402c-40b8-8ec8-defd951efe01"
    name = "Voice"
    category = "sound"
    summary = "Dubs the speech into another language in the speakers' voices."

    class Params(node.Params):
        target_language: str = Field("", description="Language to dub into; empty keeps the speech")
        preserve_background_audio: bool = ours(True, description="Keep music and noise under the new speech")
        lip_sync: bool = ours(False, description="Move the lips to the new speech")
        safewords: list[str] = ours([], description="Words that are not translated")
        translation_dictionary: dict[str, str] = ours(
            {}, description="Custom translations: spoken word to translation"
        )
