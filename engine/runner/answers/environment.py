"""The choice of the environment that answers a run: the live world, or a recording."""

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
    """Return the environment of a new run: the recording `replay`, or the live world with download events.

    Raises
    ------
    RequestError
        If the file is not a recording.
    """
    if replay is not None:
        from tessera.bundle.replay import ReplayEnvironment

        return ReplayEnvironment(Path(replay), library, cancelled)

    def report(transfer: Transfer) -> None:
        if on_event is not None:
            on_event(DownloadProgress(at=now(), **asdict(transfer)))

    def fetcher() -> Fetcher:
        from tessera.inputs.fetch.fetcher import Fetcher

        return Fetcher(library, rules, on_progress=report, cancelled=cancelled)

    return LiveEnvironment(AnswerRecorder(fetcher, store.render_asset))


def environment_of_run(
    run_id: str,
    library: Library,
    store: RunStore,
    rules: FetchRules | None,
    on_event: Callable[[Event], None] | None,
    cancelled: Callable[[], bool],
) -> LiveEnvironment | ReplayEnvironment:
    """Return the environment of a resumed run: its recorded answers if it was a replay, else the live world.

    Raises
    ------
    WorkspaceError
        If the media of the recording is missing.
    """
    from tessera.inputs.recorded_answers import AnswerLog

    recording = restore_answers(store, library, run_id)
    if recording is None:
        return environment_for(None, library, store, rules, on_event, cancelled)
    with decoding(f"the answers of run {run_id}"):
        recorded = AnswerLog.model_validate_json(store.document(run_id, ANSWERS) or "{}")
    recorded_answers = answers_from(recorded, library, recording)
    return LiveEnvironment(AnswerRecorder(lambda: recorded_answers, recorded_answers.render))


class LiveEnvironment:
    """The live world. `tessera.bundle.replay.ReplayEnvironment` has the same methods."""

    quality = "standard"

    def __init__(self, recorder: AnswerRecorder) -> None:
        self.recorder = recorder

    def documents(self) -> dict[str, str]:
        """Return the documents to save with the run."""
        return {ANSWERS: self.recorder.to_json()}

    def agent_and_request(self, agent: Any, request: Any, *, inputs: bool) -> tuple[Any, Any]:
        """Return the agent and the request unchanged."""
        return agent, request

    def unpack(self, plan: Plan) -> None:
        """Do nothing, since live inputs are fetched later."""
