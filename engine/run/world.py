"""Who answers what a run asks of the world: the world itself, or a recording; chosen once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from engine.database import understood
from engine.errors import Fault, RequestError
from engine.graph.plan import Plan
from engine.inputs.asset import asset_id
from engine.inputs.fetch.fetcher import Fetcher
from engine.inputs.library import Library
from engine.inputs.outside import Answered, Noted, Recorded, shown
from engine.request import SourceRef
from engine.run.archive import Archive
from engine.run.events import DownloadProgress, Event
from engine.run.executing import now
from engine.run.recording import (
    ANSWERS,
    REPLAYED,
    Original,
    Recording,
    Replayed,
    named_assets,
    recall,
    stored_asset,
)
from engine.run.store import RunStore

if TYPE_CHECKING:
    from engine.inputs.fetch.rules import FetchRules, Transfer

__all__ = ["Live", "Replay", "world_of", "world_of_run"]

_LISTED = 3


def world_of(
    replay: str | Path | None,
    library: Library,
    store: RunStore,
    rules: FetchRules | None,
    on_event: Callable[[Event], None] | None,
    cancelled: Callable[[], bool],
) -> Live | Replay:
    """Who answers a run: the recording `replay`, else the world, of whose downloads events tell.

    Raises
    ------
    RequestError
        The file is no recording.
    """
    if replay is not None:
        return Replay(Path(replay), library, cancelled)

    def told(transfer: Transfer) -> None:
        if on_event is not None:
            on_event(DownloadProgress(at=now(), **asdict(transfer)))

    fetcher = Fetcher(library, rules, told=told, cancelled=cancelled)
    return Live(Noted(fetcher, store.render_asset))


def world_of_run(
    run_id: str,
    library: Library,
    store: RunStore,
    rules: FetchRules | None,
    on_event: Callable[[Event], None] | None,
    cancelled: Callable[[], bool],
) -> Live | Replay:
    """Who answers a run that goes on: what it was answered before, where that was by a recording.

    Raises
    ------
    WorkspaceError
        The media that the recording brought is no longer there.
    """
    recording = recall(store, library, run_id)
    if recording is None:
        return world_of(None, library, store, rules, on_event, cancelled)
    with understood(f"the answers of run {run_id}"):
        recorded = Recorded.model_validate_json(store.document(run_id, ANSWERS) or "{}")
    before = _answered(recorded, library, recording)
    return Live(Noted(before, before.render))


def _answered(recorded: Recorded, library: Library, path: str | Path) -> Answered:
    """Answers from what was told before; the media is in the library."""
    return Answered(recorded, lambda wanted: stored_asset(wanted, library), f"the recording {path}")


def _answers(asked: Noted) -> dict[str, str]:
    return {ANSWERS: asked.recorded.model_dump_json()}


class Live:
    """The world itself. See `Replay`."""

    quality = "standard"

    def __init__(self, asked: Noted) -> None:
        self.asked = asked

    def kept(self) -> dict[str, str]:
        return _answers(self.asked)

    def given(self, agent: Any, request: Any, *, inputs: bool) -> tuple[Any, Any]:
        return agent, request

    def unpack(self, plan: Plan) -> None:
        pass


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
        self._answered = _answered(self._recording.outside, library, path)
        self.asked = Noted(self._answered, self._answered.render)

    def kept(self) -> dict[str, str]:
        """The documents that the run keeps."""
        replayed = Replayed(path=str(self.path.absolute()), assets=self._taken)
        return {**_answers(self.asked), REPLAYED: replayed.model_dump_json()}

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
            if original.heard is not None and not original.heard.is_sound():
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
        asset = self._library.sound(wanted)
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
