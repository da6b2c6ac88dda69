"""An output file: plan its copied and encoded streams, then assemble it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tessera.media.algebra.expression import Picture, Sound
from tessera.media.copy.stream_copy import CopyPlan, CopyReport, EncodedTracks, Way, plan_copy, write_copy
from tessera.media.ffmpeg.compiler import Encode, EncodeSettings
from tessera.media.probe.file_formats import single_stream_path
from tessera.media.render.loudness import LoudnessMeter

__all__ = ["OutputFile"]


class OutputFile:
    """A render of an optimised picture, an optimised and levelled sound, or both, into the file `partial`.

    Attributes
    ----------
    encode
        The streams to encode first, or None if all are copied.
    commands
        The ffmpeg commands run for this file, and for the files rendered together with it.
    made
        The report of how it was made, or None until it is finished.
    """

    def __init__(
        self,
        picture: Picture | None,
        sound: Sound | None,
        meter: LoudnessMeter,
        partial: Path,
        target: EncodeSettings,
    ) -> None:
        self.picture, self.sound, self.meter, self.partial = picture, sound, meter, partial
        self.half = single_stream_path(partial)
        self.commands = list(meter.commands)
        self.made: CopyReport | None = None
        self.note = ""
        self.plan: CopyPlan | None = None
        if picture is not None and not target.lossless:
            plan = plan_copy(picture, sound, meter.resolve, target)
            self.note = plan.note
            self.plan = plan if plan.picture is not None or plan.sound is not None else None
        self.encode = self._streams_to_encode()

    def _streams_to_encode(self) -> Encode | None:
        if self.plan is None:
            return Encode(self.picture, self.sound, self.partial)
        if self.plan.picture is None:
            return Encode(self.picture, None, self.half)
        if self.plan.sound is None and self.sound is not None:
            return Encode(None, self.sound, self.half)
        return None

    def encode_all(self, why: str) -> None:
        """Drop the copy plan and encode everything. `why` becomes the note of the report."""
        self.plan, self.note = None, why
        self.encode = self._streams_to_encode()

    def finish(self, cancelled: Callable[[], bool], progress: Callable[[float], None]) -> None:
        """Assemble the file, after `encode` is done.

        Raises
        ------
        Unsafe
            If the copied streams fail their check.
        Cancelled
            If `cancelled()` returns True.
        """
        if self.plan is None:
            picture: Way | None = "encoded" if self.picture is not None else None
            self.made = CopyReport(picture, "encoded" if self.sound is not None else None, note=self.note)
            return
        tracks = EncodedTracks()
        if self.encode is not None:
            tracks = (
                EncodedTracks(picture=self.half, duration=self.encode.picture.duration)
                if self.encode.picture is not None
                else EncodedTracks(sound=self.half)
            )
            progress = _no_progress
        self.made = write_copy(self.plan, tracks, self.partial, cancelled=cancelled, progress=progress)

    @property
    def measured(self) -> dict[str, Any]:
        """Loudness measurements of the sound, by the digest of the `loudness` node."""
        return self.meter.measured


def _no_progress(_fraction: float) -> None:
    """Ignore the progress of the copy: the encode has already reported it."""
