"""Several downloads at a time, each watched from outside: cancelled, cut off when stalled, and told of."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

from tessera.errors import Cancelled, TesseraError
from tessera.inputs.fetch.guard_proxy import GuardProxy
from tessera.inputs.fetch.rules import FetchRules, Transfer
from tessera.text.masking import masked_url

__all__ = ["DownloadSlot", "ParallelDownloads", "Told"]

Told = Callable[[Transfer], None]
Answer = TypeVar("Answer")
_POLL_S = 0.05
_TELL_S = 0.5
_SPEED_S = 5.0


class DownloadSlot:
    """One download on its way.

    Attributes
    ----------
    guard
        Its way out.
    here
        Bytes of it that are there; None: as many as came through the guard.
    total
        Bytes that it will have, where that is known.
    working
        Whether the file is being worked on, so that no bytes are awaited.
    """

    def __init__(self, url: str, name: str, guard: GuardProxy, total: int | None, rules: FetchRules) -> None:
        self.url, self.name, self.guard, self.total, self._rules = masked_url(url), name, guard, total, rules
        self.here: int | None = None
        self.working = False
        self._mark = (time.monotonic(), 0)
        self._recent: deque[tuple[float, int]] = deque()

    def has(self, size: int) -> None:
        """Say how many bytes are there."""
        self.here = size

    def works(self, working: bool) -> None:
        """Say whether the file itself is being worked on."""
        self.working = working

    def check(self) -> None:
        """Shut the guard where no progress is made."""
        now, received, rules = time.monotonic(), self.guard.received, self._rules
        since, before = self._mark
        if self.working or not self.guard.busy or received >= before + rules.stall_bytes:
            self._mark = (now, received)
        elif now - since > rules.stall_s:
            gained = received - before
            self.guard.shut(
                f"no progress: {gained:,} bytes in {rules.stall_s:g} s; given up, try again later"
            )

    def transfer(self, *, done: bool = False) -> Transfer:
        """How far it is."""
        now, here = time.monotonic(), self.guard.received if self.here is None else self.here
        self._recent.append((now, here))
        while now - self._recent[0][0] > _SPEED_S and len(self._recent) > 2:
            self._recent.popleft()
        then, before = self._recent[0]
        speed = max(here - before, 0) / (now - then) if now > then else 0.0
        rest = max(self.total - here, 0) / speed if self.total is not None and speed else None
        return Transfer(self.url, self.name, here, self.total, speed, 0.0 if done else rest, done)


class ParallelDownloads(Generic[Answer]):
    """Runs jobs, as many at a time as the rules say, and watches over them.

    Parameters
    ----------
    told
        Called, in the thread of the caller, with the progress of every lane that wants it told.
    cancelled
        Asked some times a second; once it is true, every lane is shut.
    """

    def __init__(self, rules: FetchRules, told: Told, cancelled: Callable[[], bool]) -> None:
        self._rules, self._told, self._cancelled = rules, told, cancelled
        self._lock = threading.Lock()
        self._open: dict[DownloadSlot, bool] = {}
        self._ended: list[Transfer] = []

    def run(self, jobs: Mapping[str, Callable[[], Answer]]) -> dict[str, Answer | TesseraError]:
        """What each job gives, or the error that it ends with.

        Raises
        ------
        Cancelled
            `cancelled()` became true; all jobs have ended then.
        """
        found: dict[str, Answer | TesseraError] = {}
        cancelled = False
        with ThreadPoolExecutor(self._rules.parallel, thread_name_prefix="fetch") as pool:
            running: dict[Future[Answer], str] = {}
            for key, job in jobs.items():
                running[pool.submit(job)] = key
            last = time.monotonic()
            while running:
                ended, _still = wait(running, timeout=_POLL_S, return_when="FIRST_COMPLETED")
                for future in ended:
                    key = running.pop(future)
                    if future.cancelled():
                        continue
                    try:
                        found[key] = future.result()
                    except TesseraError as error:
                        found[key] = error
                if not cancelled and self._cancelled():
                    cancelled = True
                    pool.shutdown(wait=False, cancel_futures=True)
                now = time.monotonic()
                self._watch(cancelled=cancelled, tell=now - last >= _TELL_S)
                last = now if now - last >= _TELL_S else last
        self._watch(cancelled=cancelled, tell=False)
        if cancelled:
            raise Cancelled("the run was cancelled")
        return found

    def open(self, lane: DownloadSlot, *, tell: bool) -> None:
        """Watch over a lane, and tell of its progress or not."""
        with self._lock:
            self._open[lane] = tell

    def close(self, lane: DownloadSlot, *, done: bool) -> None:
        """A lane has ended; `done`: the media is there."""
        with self._lock:
            if self._open.pop(lane) and done:
                self._ended.append(lane.transfer(done=True))

    def _watch(self, *, cancelled: bool, tell: bool) -> None:
        with self._lock:
            lanes, ended = dict(self._open), self._ended
            self._ended = []
        for lane, wanted in lanes.items():
            if cancelled:
                lane.guard.shut("the run was cancelled")
            lane.check()
            if wanted and tell:
                self._told(lane.transfer())
        for transfer in ended:
            self._told(transfer)
