"""Who answers what a run asks of the world: the world itself, or a recording; chosen once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.bundle.recording import ANSWERS, answers_from, restore_answers
from tessera.database.statements import decoding
from tessera.graph.plan import Plan
from tessera.inputs.answer_recorder import AnswerRecorder
from tessera.inputs.assets.library import Library
from tessera.record.events import DownloadProgress, Event, now
from tessera.store.run_store import RunStore

if TYPE_CHECKING:
    from tessera.bundle.replay import ReplayEnvironment
    from tessera.inputs.fetch.fetcher import Fetcher
    from tessera.inputs.fetch.rules import FetchRules, Transfer

__all__ = ["LiveEnvironment", "environment_for", "environment_of_run"]


def environment_for(
    replay: str | Path | None,
    library: Library,
    store: RunStore,
    rules: FetchRules | None,
    on_event: Callable[[Event], None] | None,
    cancelled: Callable[[], bool],
) -> LiveEnvironment | ReplayEnvironment:
    """Who answers a run: the recording `replay`, else the world, of whose downloads events tell.

    Raises
    ------
    RequestError
        The file is no recording.
    """
    if replay is not None:
        from tessera.bundle.replay import ReplayEnvironment

        return ReplayEnvironment(Path(replay), library, cancelled)

    def told(transfer: Transfer) -> None:
        if on_event is not None:
            on_event(DownloadProgress(at=now(), **asdict(transfer)))

    def fetcher() -> Fetcher:
        from tessera.inputs.fetch.fetcher import Fetcher

        return Fetcher(library, rules, told=told, cancelled=cancelled)

    return LiveEnvironment(AnswerRecorder(fetcher, store.render_asset))


def environment_of_run(
    run_id: str,
    library: Library,
    store: RunStore,
    rules: FetchRules | None,
    on_event: Callable[[Event], None] | None,
    cancelled: Callable[[], bool],
) -> LiveEnvironment | ReplayEnvironment:
    """Who answers a run that goes on: what it was answered before, where that was by a recording.

    Raises
    ------
    WorkspaceError
        The media that the recording brought is no longer there.
    """
    from tessera.inputs.recorded_answers import AnswerLog

    recording = restore_answers(store, library, run_id)
    if recording is None:
        return environment_for(None, library, store, rules, on_event, cancelled)
    with decoding(f"the answers of run {run_id}"):
        recorded = AnswerLog.model_validate_json(store.document(run_id, ANSWERS) or "{}")
    before = answers_from(recorded, library, recording)
    return LiveEnvironment(AnswerRecorder(lambda: before, before.render))


class LiveEnvironment:
    """The world itself. See `ReplayEnvironment`."""

    quality = "standard"

    def __init__(self, answers: AnswerRecorder) -> None:
        self.answers = answers

    def documents(self) -> dict[str, str]:
        return {ANSWERS: self.answers.to_json()}

    def agent_and_request(self, agent: Any, request: Any, *, has_inputs: bool) -> tuple[Any, Any]:
        return agent, request

    def unpack(self, plan: Plan) -> None:
        pass
