"""Who answers a tile's questions: facts that were given, else the media itself (analysed once, and
remembered).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from engine.analysis.project import project_levels, project_speech
from engine.context import LEVEL_HOP_MS, InputMedia
from engine.errors import Cancelled, MediaError, QuestionError, TesseraError, TileError
from engine.graph.model import Tile
from engine.inputs.facts import MediaFacts
from engine.inputs.library import Asset, Library
from engine.media.expr import NO_SOURCE, Image
from engine.media.item import Video
from engine.media.time import Range, ms

__all__ = ["Answers", "TileContext"]


class Answers:
    """Answers about sources and assets, the same for simulation and run.

    Parameters
    ----------
    facts
        In a simulation, what was stated; they come first. None in a run.
    """

    def __init__(
        self, library: Library, facts: Mapping[str, MediaFacts] | None, cancelled: Callable[[], bool]
    ) -> None:
        self.library, self.facts, self.cancelled = library, facts, cancelled
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def _stated(self, key: str) -> MediaFacts | None:
        if self.facts is None:
            return None
        return self.facts.get(key.lower()) or self.facts.get("*")

    def _asset(self, key: str) -> Asset | None:
        try:
            return self.library.get(key)
        except TesseraError:
            return None

    def speech(self, key: str) -> Sequence[Range]:
        """Where somebody speaks in a source."""
        stated = self._stated(key)
        if stated is not None and stated.speech is not None:
            return [(ms(start), ms(end)) for start, end in stated.speech]
        asset = self._asset(key)
        if asset is not None:
            with self._one_at_a_time(asset.id):
                found = self.library.sound_facts(asset, self.cancelled)
            return [(ms(start), ms(end)) for start, end in found.speech]
        stub = f'"{key}": {{"speech": [[start_ms, end_ms], …]}}'
        raise QuestionError(
            f"where is speech in {key}? Nothing was given that tells; add to the facts {stub}"
        )

    def levels(self, key: str) -> Sequence[float] | None:
        """The level of a source, a value each `LEVEL_HOP_MS`; None where only facts are known and they do not
        say.
        """
        stated = self._stated(key)
        if stated is not None:
            return stated.levels_dbfs
        asset = self._asset(key)
        if asset is None:
            return None
        with self._one_at_a_time(asset.id):
            return self.library.sound_facts(asset, self.cancelled).levels_dbfs

    def _one_at_a_time(self, key: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(key, threading.Lock())

    def name(self, asset_id: str) -> str:
        """The file name of an asset, or its id where only facts are known of it."""
        asset = self._asset(asset_id)
        return asset.name if asset is not None else asset_id

    def image(self, asset_id: str) -> Image:
        """The image asset with this id."""
        stated = (self.facts or {}).get(asset_id.lower())
        if stated is None and self._asset(asset_id) is None:
            stated = (self.facts or {}).get("*")
        if stated is not None and stated.width and stated.height:
            return Image.source(asset_id.lower(), width=stated.width, height=stated.height)
        asset = self._asset(asset_id)
        if asset is None:
            raise TileError(f"unknown image {asset_id}: the workspace holds none with this id")
        if asset.info.kind != "image" or asset.info.picture is None:
            raise TileError(f"{asset.name} ({asset_id}) is {asset.info.kind}, not an image")
        picture = asset.info.picture
        return Image.source(asset.id, width=picture.width, height=picture.height)


class TileContext:
    """One tile's `Context`."""

    def __init__(
        self,
        tile: Tile,
        answers: Answers,
        sources: Sequence[InputMedia],
        log: Callable[[str], None],
        progress: Callable[[float], None],
    ) -> None:
        self._tile, self._answers, self._sources = tile, answers, sources
        self._log, self._progress = log, progress

    def sources(self) -> Sequence[InputMedia]:
        self._check()
        return self._sources

    def speech(self, video: Video) -> tuple[Range, ...]:
        self._check()
        if video.sound is None:
            return ()
        try:
            return project_speech(video.sound.kept, self._speech_of)
        except MediaError as error:
            raise TileError(str(error)) from None

    def _speech_of(self, key: str) -> Sequence[Range]:
        return () if key == NO_SOURCE else self._answers.speech(key)

    def levels(self, video: Video) -> tuple[float, ...] | None:
        self._check()
        if video.sound is None:
            return None
        return project_levels(video.sound.kept, self._answers.levels, LEVEL_HOP_MS)

    def image(self, asset_id: str) -> Image:
        self._check()
        return self._answers.image(asset_id)

    def asset_name(self, asset_id: str) -> str:
        return self._answers.name(asset_id)

    def log(self, message: str) -> None:
        self._log(message)

    def progress(self, fraction: float) -> None:
        self._check()
        self._progress(min(max(fraction, 0.0), 1.0))

    def _check(self) -> None:
        if self._answers.cancelled():
            raise Cancelled("the run was cancelled")
