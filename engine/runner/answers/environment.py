"""The choice of the environment that answers a run: the live world, or a recording."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.bundle.recording import ANSWERS, answers_from, restore_answers
from tessera.database.statements import decoding
from tessera.graph.plan import Plan
from tessera.inputs.answer_recorder import AnswerRecorder
from tessera.inputs.assets.library import Library
from tessera.notice import Notice
from tessera.record.events import DownloadProgress, now
from tessera.store.run_store import RunStore

if TYPE_CHECKING:
    from tessera.bundle.replay import ReplayEnvironment
    from tessera.inputs.fetch.fetcher import Fetcher
    from tessera.inputs.fetch.rules import Transfer
    from tessera.runner.config import ResumeConfig, RunConfig

__all__ = ["LiveEnvironment", "environment_for", "environment_of_run"]


def environment_for(
    config: RunConfig, library: Library, store: RunStore
) -> LiveEnvironment | ReplayEnvironment:
    """Return the environment of a new run: the recording `replay`, or the live world with download events.

    Raises
    ------
    RequestError
        If the file is not a recording.
    """
    if config.replay is None:
        return _live(config, library, store)
    from tessera.bundle.replay import ReplayEnvironment

    return ReplayEnvironment(Path(config.replay), library, config.cancelled)


def environment_of_run(
    run_id: str, config: ResumeConfig, library: Library, store: RunStore
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
        return _live(config, library, store)
    with decoding(f"the answers of run {run_id}"):
        recorded = AnswerLog.model_validate_json(store.document(run_id, ANSWERS) or "{}")
    recorded_answers = answers_from(recorded, library, recording)
    return LiveEnvironment(AnswerRecorder(lambda: recorded_answers, recorded_answers.render))


def _live(config: ResumeConfig, library: Library, store: RunStore) -> LiveEnvironment:
    """Return the live world, whose downloads report their progress as events."""

    def report(transfer: Transfer) -> None:
        if config.on_event is not None:
            config.on_event(DownloadProgress(at=now(), **asdict(transfer)))

    def fetcher() -> Fetcher:
        from tessera.inputs.fetch.fetcher import Fetcher

        return Fetcher(library, config.fetch_rules, on_progress=report, cancelled=config.cancelled)

    return LiveEnvironment(AnswerRecorder(fetcher, store.render_asset))


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

    def notices(self, plan: Plan) -> tuple[Notice, ...]:
        """Return no warnings: no other plan is known."""
        return ()

    def unpack(self, plan: Plan) -> None:
        """Do nothing, since live inputs are fetched later."""
