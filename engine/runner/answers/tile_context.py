"""Answers to a tile's questions, from a stub, facts or an analysis of the media (in this order).

Every answer carries its origin. The facts that a run learns can be given to a simulation.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from tessera.analysis.assumed_speech import assumed_speech
from tessera.analysis.projection import project_levels, project_speech
from tessera.context import LEVEL_HOP_MS, InputMedia
from tessera.deviation import Deviation
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
from tessera.text.wording import replace_lone_surrogates

__all__ = ["Answers", "Origin", "TileContext", "never"]

Origin = Literal["real", "stubbed", "facts", "assumed"]
Note = Callable[[str, str, Origin], None]
"""Records an answer: (question, subject, origin)."""


def never() -> bool:
    """Return False: the stop check of work that nothing stops."""
    return False


class Answers:
    """Answers about sources and assets, the same for simulation and run.

    Parameters
    ----------
    facts
        In a simulation, the stated facts, which take precedence. None in a run.
    cancelled
        Ends an analysis once it returns True.
    assume
        Use the synthetic speech model if no other source has an answer.
    """

    def __init__(
        self,
        library: Library,
        facts: Mapping[str, MediaFacts] | None,
        cancelled: Callable[[], bool] = never,
        *,
        assume: bool = False,
    ) -> None:
        self.library, self.facts, self.cancelled, self.assume = library, facts, cancelled, assume
        self.learned: dict[str, dict[str, Any]] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def _facts_of(self, key: str) -> MediaFacts | None:
        if self.facts is None:
            return None
        return self.facts.get(key.lower()) or self.facts.get("*")

    def speech(
        self, key: str, end_ms: int, stopped: Callable[[], bool] | None = None
    ) -> tuple[Sequence[Range], Origin]:
        """Return the ranges of speech in a source, and their origin.

        Parameters
        ----------
        end_ms
            The end of the range in question, in ms; only the synthetic model needs it.
        stopped
            Ends an analysis once it returns True; by default `cancelled`.

        Raises
        ------
        QuestionError
            If the speech is unknown and must not be assumed.
        """
        stated = self._facts_of(key)
        if stated is not None and stated.speech is not None:
            return [(ms(start), ms(end)) for start, end in stated.speech], "facts"
        asset = self.library.get(key) if stated is None else None
        if asset is not None:
            return [(ms(start), ms(end)) for start, end in self._analysis(asset, stopped).speech], "real"
        if self.assume:
            return assumed_speech(end_ms), "assumed"
        stub = f'"{key}": {{"speech": [[start_ms, end_ms], …]}}'
        raise QuestionError(
            f"where is speech in {key}? It is unknown: add {stub} to the facts, or assume speech"
        )

    def levels(
        self, key: str, stopped: Callable[[], bool] | None = None
    ) -> tuple[Sequence[float] | None, Origin]:
        """Return the levels of a source in dBFS, one per `LEVEL_HOP_MS`, or None if the facts lack them."""
        stated = self._facts_of(key)
        if stated is not None:
            return stated.levels_dbfs, "facts"
        asset = self.library.get(key)
        return (self._analysis(asset, stopped).levels_dbfs, "real") if asset is not None else (None, "facts")

    def _analysis(self, asset: Asset, stopped: Callable[[], bool] | None) -> Any:
        # One lock per asset: tiles that ask at the same time share one analysis.
        with self._lock:
            lock = self._locks.setdefault(asset.id, threading.Lock())
        with lock:
            found = self.library.sound_facts(asset, stopped or self.cancelled)
        sound = {"speech": [list(span) for span in found.speech], "levels_dbfs": list(found.levels_dbfs)}
        with self._lock:
            self.learned.setdefault(asset.id, {}).update(sound)
        return found

    def learn_from_record(self, record: RunRecord) -> None:
        """Learn the answers that cached or resumed tiles of a run got in earlier processes, from the saved
        analyses. Missing or corrupted media is skipped.
        """
        # The run may have ended by cancellation; the saved analyses must still be readable, so never stop.
        ask: dict[str, Callable[[str], Any]] = {
            "speech": lambda key: self.speech(key, 0, never),
            "levels": lambda key: self.levels(key, never),
            "image": self.image,
        }
        answers = {answer for node in record.nodes.values() for answer in node.answers}
        for question, about, origin in sorted(answers):
            if origin in ("real", "cached") and question in ask and about not in self.learned:
                with contextlib.suppress(TesseraError):
                    ask[question](about)

    def name(self, asset_id: str) -> str:
        """Return the file name of an asset, or its id if only facts about it are known."""
        with contextlib.suppress(WorkspaceError):
            asset = self.library.get(asset_id)
            return asset.name if asset is not None else asset_id
        return asset_id

    def image(self, asset_id: str) -> tuple[Image, Origin]:
        """Return the image asset with this id.

        Raises
        ------
        TileError
            If there is no such asset, or it is not an image.
        WorkspaceError
            If the asset is corrupted or cannot be read.
        """
        stated = (self.facts or {}).get(asset_id.lower())
        is_stated = stated is not None and stated.width and stated.height
        asset = None if is_stated else self.library.get(asset_id)
        if stated is None and asset is None:
            stated = (self.facts or {}).get("*")
        if stated is not None and stated.width and stated.height:
            return Image.source(asset_id.lower(), width=stated.width, height=stated.height), "facts"
        if asset is None:
            raise TileError(f"unknown image {asset_id}: it is not in the workspace")
        if asset.info.kind != "image" or asset.info.picture is None:
            raise TileError(f"{asset.name} ({asset_id}) is {asset.info.kind}, not an image")
        picture = asset.info.picture
        with self._lock:
            self.learned.setdefault(asset.id, {}).update({"width": picture.width, "height": picture.height})
        return Image.source(asset.id, width=picture.width, height=picture.height), "real"


class TileContext:
    """The `Context` of one tile.

    Attributes
    ----------
    deviations
        What the tile has reported with `not_as_asked`, in order, each once.
    """

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
        self.deviations: tuple[Deviation, ...] = ()

    def sources(self) -> Sequence[InputMedia]:
        self._raise_if_cancelled()
        return self._sources

    def speech(self, video: Video) -> tuple[Range, ...]:
        self._raise_if_cancelled()
        if self._stub is not None and self._stub.speech is not None:
            self._note("speech", "", "stubbed")
            return _clip_ranges(self._stub.speech, to_ms(video.duration))
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
        self._raise_if_cancelled()
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
        self._raise_if_cancelled()
        found, origin = self._answers.image(asset_id)
        self._note("image", asset_id, origin)
        return found

    def asset_name(self, asset_id: str) -> str:
        return self._answers.name(asset_id)

    def not_as_asked(self, parameter: str, made: str, why: str) -> None:
        for text in (parameter, made, why):
            if not isinstance(text, str):
                raise TypeError(f"not_as_asked() needs texts, not {type(text).__name__}")
        if parameter not in self._tile.type.Params.model_fields:
            raise ValueError(f"not_as_asked(): {self._tile.name} has no parameter {parameter!r}")
        found = Deviation(parameter, replace_lone_surrogates(made), replace_lone_surrogates(why))
        if found not in self.deviations:
            self.deviations = (*self.deviations, found)

    def log(self, message: str) -> None:
        if not isinstance(message, str):
            raise TypeError(f"log() needs a str, not {type(message).__name__}")
        self._log(message)

    def progress(self, fraction: float) -> None:
        self._raise_if_cancelled()
        self._progress(min(max(fraction, 0.0), 1.0))

    def _raise_if_cancelled(self) -> None:
        if self._stopped():
            raise Cancelled("the run was cancelled")


def _clip_ranges(ranges: Sequence[tuple[int, int]], duration_ms: int) -> tuple[Range, ...]:
    """Convert ranges from ms to seconds, and clip them to the duration of a video."""
    return tuple(
        (ms(start), ms(min(end, duration_ms))) for start, end in ranges if start < min(end, duration_ms)
    )
