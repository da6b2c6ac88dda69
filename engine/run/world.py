"""Who answers what a run asks of the world: the world itself, or a recording; chosen once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.database import understood
from engine.graph.plan import Plan
from engine.inputs.library import Library
from engine.inputs.noted import Noted
from engine.run.events import DownloadProgress, Event
from engine.run.executing import now
from engine.run.store import RunStore

if TYPE_CHECKING:
    from engine.inputs.fetch.fetcher import Fetcher
    from engine.inputs.fetch.rules import FetchRules, Transfer
    from engine.run.replayed import Replay

__all__ = ["ANSWERS", "Live", "world_of", "world_of_run"]

ANSWERS = "answers.json"
"""The document of a run that holds what the world answered: a `Recorded`."""


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
        from engine.run.replayed import Replay

        return Replay(Path(replay), library, cancelled)

    def told(transfer: Transfer) -> None:
        if on_event is not None:
            on_event(DownloadProgress(at=now(), **asdict(transfer)))

    def fetcher() -> Fetcher:
        from engine.inputs.fetch.fetcher import Fetcher

        return Fetcher(library, rules, told=told, cancelled=cancelled)

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
    from engine.inputs.outside import Recorded
    from engine.run.recording import answered, recall

    recording = recall(store, library, run_id)
    if recording is None:
        return world_of(None, library, store, rules, on_event, cancelled)
    with understood(f"the answers of run {run_id}"):
        recorded = Recorded.model_validate_json(store.document(run_id, ANSWERS) or "{}")
    before = answered(recorded, library, recording)
    return Live(Noted(lambda: before, before.render))


class Live:
    """The world itself. See `Replay`."""

    quality = "standard"

    def __init__(self, asked: Noted) -> None:
        self.asked = asked

    def kept(self) -> dict[str, str]:
        return {ANSWERS: self.asked.to_json()}

    def given(self, agent: Any, request: Any, *, inputs: bool) -> tuple[Any, Any]:
        return agent, request

    def unpack(self, plan: Plan) -> None:
        pass
