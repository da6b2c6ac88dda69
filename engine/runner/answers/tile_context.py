"""Who answers a tile's questions: a stub, facts that were given, else the media itself (analysed once).

Every answer knows where it came from, and what a run has learned can be given to a simulation as facts.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from tessera.analysis.assumed_speech import assumed_speech
from tessera.analysis.projection import project_levels, project_speech
from tessera.context import LEVEL_HOP_MS, InputMedia
from tessera.errors import Cancelled, MediaError, QuestionError, TesseraError, TileError, WorkspaceError
from tessera.graph.model import Tile
from tessera.inputs.assets.asset import Asset
from tessera.inputs.assets.library import Library
from tessera.inputs.facts import MediaFacts
from tessera.media.algebra.expression import Image
from tessera.media.algebra.item import Video
from tessera.media.algebra.time import Range, ms, to_ms
from tessera.record.record import RunRecord
from tessera.runner.answers.stubs import StubAnswers

__all__ = ["Answers", "Origin", "TileContext"]

Origin = Literal["real", "stubbed", "facts", "assumed"]
Note = Callable[[str, str, Origin], None]
"""Told of each answer: (question, what it is about, where the answer came from)."""


class Answers:
    """Answers about sources and assets, the same for simulation and run.

    Parameters
    ----------
    facts
        In a simulation, what was stated; they come first. None in a run.
    assume
        Answer by the synthetic model of speech where nothing else does.
    """

    def __init__(
        self,
        library: Library,
        facts: Mapping[str, MediaFacts] | None,
        cancelled: Callable[[], bool],
        *,
        assume: bool = False,
    ) -> None:
        self.library, self.facts, self.cancelled, self.assume = library, facts, cancelled, assume
        self.learned: dict[str, dict[str, Any]] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def _stated(self, key: str) -> MediaFacts | None:
        if self.facts is None:
            return None
        return self.facts.get(key.lower()) or self.facts.get("*")

    def speech(
        self, key: str, until: int, stopped: Callable[[], bool] | None = None
    ) -> tuple[Sequence[Range], Origin]:
        """Where somebody speaks in a source, and where that is known from.

        Parameters
        ----------
        until
            The end of what is asked about, in ms; only the synthetic model needs it.
        stopped
            Ends an analysis once it is true; by default `cancelled`.
        """
        stated = self._stated(key)
        if stated is not None and stated.speech is not None:
            return [(ms(start), ms(end)) for start, end in stated.speech], "facts"
        asset = self.library.get(key) if stated is None else None
        if asset is not None:
            return [(ms(start), ms(end)) for start, end in self._heard(asset, stopped).speech], "real"
        if self.assume:
            return assumed_speech(until), "assumed"
        stub = f'"{key}": {{"speech": [[start_ms, end_ms], …]}}'
        raise QuestionError(
            f"where is speech in {key}? Nothing was given that tells; add to the facts {stub}, or assume"
        )

    def levels(
        self, key: str, stopped: Callable[[], bool] | None = None
    ) -> tuple[Sequence[float] | None, Origin]:
        """The level of a source, a value each `LEVEL_HOP_MS`; None where the facts do not say."""
        stated = self._stated(key)
        if stated is not None:
            return stated.levels_dbfs, "facts"
        asset = self.library.get(key)
        return (self._heard(asset, stopped).levels_dbfs, "real") if asset is not None else (None, "facts")

    def _heard(self, asset: Asset, stopped: Callable[[], bool] | None) -> Any:
        with self._lock:
            lock = self._locks.setdefault(asset.id, threading.Lock())
        with lock:
            found = self.library.sound_facts(asset, stopped or self.cancelled)
        heard = {"speech": [list(one) for one in found.speech], "levels_dbfs": list(found.levels_dbfs)}
        with self._lock:
            self.learned.setdefault(asset.id, {}).update(heard)
        return found

    def ask_again(self, record: RunRecord) -> None:
        """Learn what the tiles of a run were told of media before this process, from the analyses that are
        kept. Of media that is gone, or damaged, nothing is learned.
        """
        self.cancelled = lambda: False  # the run has ended: nothing is left to be stopped
        ask: dict[str, Callable[[str], Any]] = {
            "speech": lambda key: self.speech(key, 0),
            "levels": self.levels,
            "image": self.image,
        }
        told = {one for node in record.nodes.values() for one in node.answers}
        for question, about, origin in sorted(told):
            if origin in ("real", "cached") and question in ask and about not in self.learned:
                with contextlib.suppress(TesseraError):
                    ask[question](about)

    def name(self, asset_id: str) -> str:
        """The file name of an asset, or its id where only facts are known of it."""
        with contextlib.suppress(WorkspaceError):
            asset = self.library.get(asset_id)
            return asset.name if asset is not None else asset_id
        return asset_id

    def image(self, asset_id: str) -> tuple[Image, Origin]:
        """The image asset with this id.

        Raises
        ------
        TileError
            There is none, or it is no image.
        WorkspaceError
            It is damaged, or cannot be read.
        """
        stated = (self.facts or {}).get(asset_id.lower())
        is_stated = stated is not None and stated.width and stated.height
        asset = None if is_stated else self.library.get(asset_id)
        if stated is None and asset is None:
            stated = (self.facts or {}).get("*")
        if stated is not None and stated.width and stated.height:
            return Image.source(asset_id.lower(), width=stated.width, height=stated.height), "facts"
        if asset is None:
            raise TileError(f"unknown image {asset_id}: the workspace holds none with this id")
        if asset.info.kind != "image" or asset.info.picture is None:
            raise TileError(f"{asset.name} ({asset_id}) is {asset.info.kind}, not an image")
        picture = asset.info.picture
        with self._lock:
            self.learned.setdefault(asset.id, {}).update({"width": picture.width, "height": picture.height})
        return Image.source(asset.id, width=picture.width, height=picture.height), "real"


class TileContext:
    """One tile's `Context`."""

    def __init__(
        self,
        tile: Tile,
        answers: Answers,
        sources: Sequence[InputMedia],
        log: Callable[[str], None],
        progress: Callable[[float], None],
        note: Note,
        stub: StubAnswers | None = None,
        stopped: Callable[[], bool] | None = None,
    ) -> None:
        self._tile, self._answers, self._sources = tile, answers, sources
        self._stopped = stopped or answers.cancelled
        self._log, self._progress, self._note, self._stub = log, progress, note, stub

    def sources(self) -> Sequence[InputMedia]:
        self._check()
        return self._sources

    def speech(self, video: Video) -> tuple[Range, ...]:
        self._check()
        if self._stub is not None and self._stub.speech is not None:
            self._note("speech", "", "stubbed")
            return _within(self._stub.speech, to_ms(video.duration))
        if video.sound is None:
            return ()
        ends: dict[str, int] = {}
        for source, _start, end in video.sound.kept:
            ends[source] = max(ends.get(source, 0), to_ms(end))

        def speech_of(key: str) -> Sequence[Range]:
            found, origin = self._answers.speech(key, ends[key], self._stopped)
            self._note("speech", key, origin)
            return found

        try:
            return project_speech(video.sound.kept, speech_of)
        except MediaError as error:
            raise TileError(str(error)) from None

    def levels(self, video: Video) -> tuple[float, ...] | None:
        self._check()
        if self._stub is not None and (self._stub.speech is not None or self._stub.levels_dbfs is not None):
            return self._stub.levels_dbfs
        if video.sound is None:
            return None

        def levels_of(key: str) -> Sequence[float] | None:
            found, origin = self._answers.levels(key, self._stopped)
            if found is not None:
                self._note("levels", key, origin)
            return found

        return project_levels(video.sound.kept, levels_of, LEVEL_HOP_MS)

    def image(self, asset_id: str) -> Image:
        self._check()
        found, origin = self._answers.image(asset_id)
        self._note("image", asset_id, origin)
        return found

    def asset_name(self, asset_id: str) -> str:
        return self._answers.name(asset_id)

    def log(self, message: str) -> None:
        if not isinstance(message, str):
            raise TypeError(f"a log takes text, not {type(message).__name__}")
        self._log(message)

    def progress(self, fraction: float) -> None:
        self._check()
        self._progress(min(max(fraction, 0.0), 1.0))

    def _check(self) -> None:
        if self._stopped():
            raise Cancelled("the run was cancelled")


def _within(ranges: Sequence[tuple[int, int]], duration_ms: int) -> tuple[Range, ...]:
    """Ranges in ms as seconds, cut off at a video's end."""
    return tuple(
        (ms(start), ms(min(end, duration_ms))) for start, end in ranges if start < min(end, duration_ms)
    )
