"""Answer a run from a recording in place of the outside world."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tessera.bundle.archive import Archive
from tessera.bundle.plan_check import other_plan
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
from tessera.inputs.recorded_answers import question_label
from tessera.notice import Notice
from tessera.request import SourceRef
from tessera.validation import problem_of

__all__ = ["ReplayEnvironment"]

_MAX_LISTED = 3
"""The number of recorded sources that an error message lists."""


class ReplayEnvironment:
    """The environment of a run that a recording answers. It never uses the network.

    See `tessera.runner.answers.environment.LiveEnvironment` for the environment of other runs.

    Parameters
    ----------
    library
        The library that receives the media of the recording.
    cancelled
        Called a few times per second while media is unpacked; the run is cancelled when it returns true.

    Attributes
    ----------
    recorder
        Answers the run, and records its questions.
    quality
        The quality with which the recorded run encoded its outputs.

    Raises
    ------
    RequestError
        If the file is not a bundle, or contains no recording.
    """

    def __init__(self, path: Path, library: Library, cancelled: Callable[[], bool] = lambda: False) -> None:
        self.path, self._library, self._cancelled = path, library, cancelled
        with Archive(path) as archive:
            self._recording = self._read(archive.document("recording.json"))
            self._agent, self._plan = archive.document("agent.json"), archive.document("plan.json")
        self.quality = self._recording.quality
        self._used: dict[str, Original] = {}
        self._is_repetition = False
        self._recorded = answers_from(self._recording.outside, library, path)
        self.recorder = AnswerRecorder(lambda: self._recorded, self._recorded.render)

    def documents(self) -> dict[str, str]:
        """Return the documents to store with the run, by name."""
        replayed = ReplaySource(path=str(self.path.absolute()), assets=self._used)
        return {ANSWERS: self.recorder.to_json(), REPLAYED: replayed.model_dump_json()}

    def agent_and_request(self, agent: Any, request: Any, *, inputs: bool) -> tuple[Any, Any]:
        """Return the agent and the request to run. The recorded run provides the ones that are None.

        Parameters
        ----------
        inputs
            True if the caller gives inputs in addition to the request. They replace the recorded inputs.

        Raises
        ------
        RequestError
            If the recorded agent or request is missing or invalid.
        """
        plan = self._plan or {}
        self._is_repetition = agent is None and request is None and not inputs
        if agent is None and self._agent is None and request is None and not inputs:
            return Plan.from_dict(plan), None
        if agent is None:
            agent = self._agent
        if agent is None:
            raise _error(f"the recorded run in {self.path} ran a plan and has no agent: give an agent")
        if request is None and not inputs and not isinstance(agent, Plan):
            request = plan.get("request")
        return agent, request

    def notices(self, plan: Plan) -> tuple[Notice, ...]:
        """Return a warning if the recorded agent and request give another plan than the one that ran."""
        if not self._is_repetition or self._plan is None or self._agent is None:
            return ()
        return other_plan(self.path, plan.to_dict(), self._plan, "the plan of the agent is run")

    def unpack(self, plan: Plan) -> None:
        """Copy the media that a plan needs into the library.

        Raises
        ------
        Cancelled
            If the run is cancelled meanwhile.
        RequestError
            If the plan needs media that is not recorded (one fault each), or media in the archive is damaged.
        WorkspaceError
            If the workspace cannot be written.
        """
        faults, needed = [], set()
        for binding in plan.inputs:
            tile = plan.tile(binding.node)
            for ref in binding.sources:
                asset = self._asset_for(ref)
                if asset is None:
                    message = (
                        f"{tile.name} {tile.id}: {question_label(ref)} is not in the recording {self.path}"
                    )
                    faults.append(Fault(ref.loc, "request", f"{message}{self._recorded_sources()}"))
                else:
                    needed.add(asset)
        for node in plan.order:
            tile = plan.tile(node)
            named = {str(value).lower() for value in tile.values().values() if isinstance(value, str)}
            # An asset of the library that is not recorded would make the result depend on the machine.
            needed |= named & self._recording.assets.keys()
            for known in named_assets(sorted(named - self._recording.assets.keys()), self._library):
                message = f"{tile.name} {node}: asset {known.id} ({known.name}) is not in the recording"
                faults.append(Fault(tile.loc, "template", f"{message} {self.path}"))
        if faults:
            raise RequestError(faults)
        with Archive(self.path) as archive:
            for asset in sorted(needed):
                self._store_asset(archive, asset, self._recording.assets[asset])

    def _read(self, raw: Any) -> Recording:
        if raw is None:
            hint = "`tessera run --record FILE` and `tessera bundle --originals` create one"
            raise _error(f"{self.path} contains no recording: {hint}")
        try:
            recording = Recording.model_validate(raw)
        except ValidationError as error:
            raise _error(f"the recording in {self.path} is damaged: {problem_of(error, raw)}") from None
        # Check the references now: a missing asset would otherwise fail in the middle of a run.
        answers = recording.outside.answers
        for asset in (*(answer.asset for answer in answers), *recording.outside.renders.values()):
            if asset not in recording.assets:
                raise _error(f"the recording in {self.path} is damaged: it lacks asset {asset}")
        for asset, original in recording.assets.items():
            if original.heard is not None and not original.heard.is_valid():
                reason = f"the sound facts of asset {asset} are invalid"
                raise _error(f"the recording in {self.path} is damaged: {reason}")
        return recording

    def _asset_for(self, ref: SourceRef) -> str | None:
        """Return the id of the recorded asset of a source, or None if the source is not recorded."""
        if ref.form == "video_id":
            return ref.key.lower() if ref.key.lower() in self._recording.assets else None
        if ref.form == "node_render_id":
            return self._recorded.render(ref.key)
        answer = self._recorded.answer(ref)
        return answer.asset if answer is not None else None

    def _recorded_sources(self) -> str:
        """Return the recorded sources as the end of an error message."""
        recorded = self._recording.outside
        answers = {answer.asset for answer in recorded.answers} | set(recorded.renders.values())
        known = [*(answer.question_label for answer in recorded.answers)]
        known += [f"node_render_id {render}" for render in recorded.renders]
        known += [
            f"asset {asset} ({original.name})"
            for asset, original in self._recording.assets.items()
            if asset not in answers
        ]
        if not known:
            return ""
        more = f" and {len(known) - _MAX_LISTED} more" if len(known) > _MAX_LISTED else ""
        return f", which contains {', '.join(known[:_MAX_LISTED])}{more}"

    def _store_asset(self, archive: Archive, expected: str, original: Original) -> None:
        """Store an asset unless the library has it. Set its recorded name and sound facts in either case."""
        asset = self._library.intact(expected)
        if asset is None:
            asset = self._library.receive(
                lambda folder: self._extract(archive, expected, original, folder),
                name=original.name,
                shown=f"{original.name} in {self.path}",
            )
        self._library.set_details(asset, original.name, original.heard)
        self._used[expected] = original

    def _extract(self, archive: Archive, expected: str, original: Original, folder: Path) -> tuple[Path, str]:
        media = folder / "recorded.part"
        digest = archive.copy(original.media, original.size, media, self._cancelled)
        if digest != original.sha256 or asset_id(digest) != expected:
            raise _error(f"{self.path} is damaged: its member {original.media} does not match the recording")
        return media, digest


def _error(message: str) -> RequestError:
    return RequestError([Fault("", "request", message)])
