"""The crew of a run in this process: the threads of the shared pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from tessera.media.algebra.item import Image, Item, Video
from tessera.media.ffmpeg.encode_settings import EncodeSettings
from tessera.runner.workers.render_groups import RenderGroups
from tessera.runner.workers.thread_pool import Lane
from tessera.runner.workers.worker import Job, Key, Put, RenderJob, Stopped, Worker

__all__ = ["ThreadWorkers", "encode_memory"]

_BASE = 64 << 20
_FRAMES = {"ultrafast": 40, "veryfast": 95}
_MOST_FRAMES = 160


def encode_memory(item: Item, target: EncodeSettings) -> int:
    """The bytes that the encode of an item takes, about: x264 and what feeds it hold so many of its frames.

    Measured for pictures of 640×360 to 3840×2160: 50 MB to 1.7 GB.
    """
    if not isinstance(item.value, Video):
        return 0 if isinstance(item.value, Image) else _BASE
    width, height = item.value.picture.width, item.value.picture.height
    longest = max(width, height)
    scale = min(1.0, target.longest / longest) if target.longest is not None else 1.0
    frame = int(width * height * scale * scale * 1.5)
    return _BASE + _FRAMES.get(target.preset, _MOST_FRAMES) * frame


@dataclass(frozen=True)
class ThreadWorkers:
    """Does the jobs of one run in its lane of a pool."""

    lane: Lane
    worker: Worker
    target: EncodeSettings
    together: RenderGroups

    def submit(self, work: Sequence[tuple[Job, Stopped]], put: Put) -> None:
        do = self.worker.do
        self.lane.add_all(
            [(partial(do, job, stopped, put), job.key, job.rank, self._memory(job)) for job, stopped in work]
        )

    def _memory(self, job: Job) -> int | None:
        """What the encode takes, with those that are made together with it; None of what is no encode."""
        if isinstance(job, RenderJob):
            return sum(encode_memory(item, self.target) for item in self.together.beside(job.item))
        return None

    def drop(self, key: Key) -> None:
        self.lane.give_up(key)
