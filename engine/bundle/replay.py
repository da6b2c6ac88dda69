"""A recording that answers a run in place of the world."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tessera.bundle.archive import Archive
from tessera.bundle.recording import (
    ANSWERS,
    REPLAYED,
    Original,
    Recording,
    ReplaySource,
    answers_from,
    named_assets,
)
from tessera.errors import Fault, RequestError
from tessera.graph.plan import Plan
from tessera.inputs.answer_recorder import AnswerRecorder
from tessera.inputs.assets.asset import asset_id
from tessera.inputs.assets.library import Library
from tessera.inputs.recorded_answers import shown
from tessera.request import SourceRef

__all__ = ["Replay"]

_LISTED = 3


class Replay:
    """An archive answers a run, and nobody else is asked.

    Parameters
    ----------
    library
        Where its media is put.
    cancelled
        Asked some times a second while that is done.

    Attributes
    ----------
    asked
        Who is asked, and notes it.
    quality
        How outputs of the recorded run were encoded.

    Raises
    ------
    RequestError
        It is no archive, or holds no recording.
    """

    def __init__(self, path: Path, library: Library, cancelled: Callable[[], bool] = lambda: False) -> None:
        self.path, self._library, self._cancelled = path, library, cancelled
        with Archive(path) as archive:
            self._recording = self._read(archive.document("recording.json"))
            self._agent, self._plan = archive.document("agent.json"), archive.document("plan.json")
        self.quality = self._recording.quality
        self._taken: dict[str, Original] = {}
        self._answered = answers_from(self._recording.outside, library, path)
        self.asked = AnswerRecorder(lambda: self._answered, self._answered.render)

    def kept(self) -> dict[str, str]:
        """The documents that the run keeps."""
        replayed = ReplaySource(path=str(self.path.absolute()), assets=self._taken)
        return {ANSWERS: self.asked.to_json(), REPLAYED: replayed.model_dump_json()}

    def given(self, agent: Any, request: Any, *, inputs: bool) -> tuple[Any, Any]:
        """The agent and the request to run: those of the recorded run in place of what is None.

        Parameters
        ----------
        inputs
            Whether inputs are given beside the request, so that none is taken from the recorded run.

        Raises
        ------
        RequestError
            What the archive holds of them is wrong.
        """
        plan = self._plan or {}
        if agent is None and self._agent is None and request is None and not inputs:
            return Plan.from_dict(plan), None
        if agent is None:
            agent = self._agent
        if agent is None:
            raise _wrong(f"the run in {self.path} was of a plan: it holds no agent; give one")
        if request is None and not inputs and not isinstance(agent, Plan):
            request = plan.get("request")
        return agent, request

    def unpack(self, plan: Plan) -> None:
        """Put the media that a plan asks for into the library.

        Raises
        ------
        Cancelled
            Meanwhile the run was cancelled.
        RequestError
            It asks for what is not recorded: every such question; or media in the archive is damaged.
        WorkspaceError
            The workspace cannot be written.
        """
        faults, wanted = [], set()
        for binding in plan.inputs:
            tile = plan.tile(binding.node)
            for ref in binding.sources:
                asset = self._asked(ref)
                if asset is None:
                    what = f"{tile.name} {tile.id}: {shown(ref)} is not in the recording {self.path}"
                    faults.append(Fault(ref.loc, "request", f"{what}{self._holds()}"))
                else:
                    wanted.add(asset)
        for node in plan.order:
            tile = plan.tile(node)
            named = {str(value).lower() for value in tile.values().values() if isinstance(value, str)}
            wanted |= named & self._recording.assets.keys()
            for known in named_assets(sorted(named - self._recording.assets.keys()), self._library):
                what = f"{tile.name} {node}: asset {known.id} ({known.name}) is not in the recording"
                faults.append(Fault(tile.loc, "template", f"{what} {self.path}"))
        if faults:
            raise RequestError(faults)
        with Archive(self.path) as archive:
            for one in sorted(wanted):
                self._put(archive, one, self._recording.assets[one])

    def _read(self, raw: Any) -> Recording:
        if raw is None:
            how = "`tessera run --record FILE` and `tessera bundle --originals` make one"
            raise _wrong(f"{self.path} holds no recording: {how}")
        try:
            found = Recording.model_validate(raw)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise _wrong(f"the recording in {self.path} is damaged: {where}: {first['msg']}") from None
        answers = found.outside.answers
        for one in (*(answer.asset for answer in answers), *found.outside.renders.values()):
            if one not in found.assets:
                raise _wrong(f"the recording in {self.path} is damaged: it lacks asset {one}")
        for one, original in found.assets.items():
            if original.heard is not None and not original.heard.is_valid():
                raise _wrong(f"the recording in {self.path} is damaged: what was heard in {one} cannot be")
        return found

    def _asked(self, ref: SourceRef) -> str | None:
        """The asset that answers to a source; None where it is not recorded."""
        if ref.form == "video_id":
            return ref.key.lower() if ref.key.lower() in self._recording.assets else None
        if ref.form == "node_render_id":
            return self._answered.render(ref.key)
        answer = self._answered.answer(ref)
        return answer.asset if answer is not None else None

    def _holds(self) -> str:
        """What is recorded, in the words of a message."""
        recorded = self._recording.outside
        answers = {answer.asset for answer in recorded.answers} | set(recorded.renders.values())
        known = [*(answer.shown for answer in recorded.answers)]
        known += [f"node_render_id {one}" for one in recorded.renders]
        known += [
            f"asset {one} ({original.name})"
            for one, original in self._recording.assets.items()
            if one not in answers
        ]
        if not known:
            return ""
        more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
        return f", which holds {', '.join(known[:_LISTED])}{more}"

    def _put(self, archive: Archive, wanted: str, original: Original) -> None:
        """Store an asset, unless its bytes are there; it is called and answered of as it was."""
        asset = self._library.intact(wanted)
        if asset is None:
            asset = self._library.receive(
                lambda folder: self._fill(archive, wanted, original, folder),
                name=original.name,
                shown=f"{original.name} in {self.path}",
            )
        self._library.call(asset, original.name, original.heard)
        self._taken[wanted] = original

    def _fill(self, archive: Archive, wanted: str, original: Original, folder: Path) -> tuple[Path, str]:
        media = folder / "recorded.part"
        digest = archive.copy(original.media, original.size, media, self._cancelled)
        if digest != original.sha256 or asset_id(digest) != wanted:
            raise _wrong(f"{self.path} is damaged: {original.media} in it is not what was recorded")
        return media, digest


def _wrong(what: str) -> RequestError:
    return RequestError([Fault("", "request", what)])
