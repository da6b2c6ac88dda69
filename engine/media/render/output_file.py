"""A file on its way: what of it is copied, what has to be encoded before, and how it is put together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tessera.media.algebra.expression import Picture, Sound
from tessera.media.copy.stream_copy import CopyPlan, CopyReport, Halves, Way, plan_copy, write_copy
from tessera.media.ffmpeg.compiler import Encode, EncodeSettings
from tessera.media.probe.file_formats import single_stream_path
from tessera.media.render.loudness import LoudnessMeter

__all__ = ["OutputFile"]


class OutputFile:
    """A render of a picture, a sound or both, optimised and levelled, into the file `partial`.

    Attributes
    ----------
    asked
        What has to be encoded first; None where all is copied.
    commands
        The ffmpeg commands that have run for it, and for those that are made together with it.
    made
        How it was made, once it is.
    """

    def __init__(
        self,
        picture: Picture | None,
        sound: Sound | None,
        leveller: LoudnessMeter,
        partial: Path,
        target: EncodeSettings,
    ) -> None:
        self.picture, self.sound, self.leveller, self.partial = picture, sound, leveller, partial
        self.half = single_stream_path(partial)
        self.commands = list(leveller.commands)
        self.made: CopyReport | None = None
        self.note = ""
        self.plan: CopyPlan | None = None
        if picture is not None and not target.lossless:
            plan = plan_copy(picture, sound, leveller.resolve, target)
            self.note = plan.note
            self.plan = plan if plan.picture is not None or plan.sound is not None else None
        self.asked = self._asked()

    def _asked(self) -> Encode | None:
        if self.plan is None:
            return Encode(self.picture, self.sound, self.partial)
        if self.plan.picture is None:
            return Encode(self.picture, None, self.half)
        if self.plan.sound is None and self.sound is not None:
            return Encode(None, self.sound, self.half)
        return None

    def encode_all(self, why: str) -> None:
        """Copy nothing after all: what is asked for is everything."""
        self.plan, self.note = None, why
        self.asked = self._asked()

    def finish(self, cancelled: Callable[[], bool], progress: Callable[[float], None]) -> None:
        """Put the file together, once what was asked for is encoded.

        Raises
        ------
        Unsafe
            What was copied fails its check.
        Cancelled
            `cancelled()` became true.
        """
        if self.plan is None:
            picture: Way | None = "encoded" if self.picture is not None else None
            self.made = CopyReport(picture, "encoded" if self.sound is not None else None, note=self.note)
            return
        halves = Halves()
        if self.asked is not None:
            halves = Halves(picture=self.half) if self.asked.picture is not None else Halves(sound=self.half)
            progress = _unheard
        self.made = write_copy(self.plan, halves, self.partial, cancelled=cancelled, progress=progress)

    @property
    def measured(self) -> dict[str, Any]:
        """What was measured of the sound, by the digest of the node that asked for it."""
        return self.leveller.measured


def _unheard(_fraction: float) -> None:
    """The encode has told how far it is."""
