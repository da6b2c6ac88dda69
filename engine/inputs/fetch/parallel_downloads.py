"""Run several downloads in parallel, with cancellation, stall detection and progress reports."""

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

__all__ = ["DownloadSlot", "ParallelDownloads", "ProgressCallback"]

ProgressCallback = Callable[[Transfer], None]
Answer = TypeVar("Answer")
_POLL_INTERVAL_S = 0.05
_REPORT_INTERVAL_S = 0.5
_SPEED_WINDOW_S = 5.0


class DownloadSlot:
    """One running download.

    Attributes
    ----------
    guard
        The proxy of the download.
    received
        Bytes received; None: use the count of the proxy.
    total
        The expected bytes, if known.
    working
        True while the file is processed, so that no bytes are expected.
    """

    def __init__(self, url: str, name: str, guard: GuardProxy, total: int | None, rules: FetchRules) -> None:
        self.url, self.name, self.guard, self.total, self._rules = masked_url(url), name, guard, total, rules
        self.received: int | None = None
        self.working = False
        self._last_progress = (time.monotonic(), 0)
        self._recent: deque[tuple[float, int]] = deque()

    def set_received(self, size: int) -> None:
        """Set the number of bytes received."""
        self.received = size

    def set_working(self, working: bool) -> None:
        """Set whether the file is being processed."""
        self.working = working

    def check(self) -> None:
        """Close the proxy if the download stalls."""
        now, received, rules = time.monotonic(), self.guard.received, self._rules
        since, received_before = self._last_progress
        if self.working or not self.guard.busy or received >= received_before + rules.stall_bytes:
            self._last_progress = (now, received)
        elif now - since > rules.stall_s:
            gained = received - received_before
            self.guard.close(f"no progress: {gained:,} bytes in {rules.stall_s:g} s; try again later")

    def transfer(self, *, done: bool = False) -> Transfer:
        """Return the progress of the download."""
        now, received = time.monotonic(), self.guard.received if self.received is None else self.received
        self._recent.append((now, received))
        while now - self._recent[0][0] > _SPEED_WINDOW_S and len(self._recent) > 2:
            self._recent.popleft()
        then, received_before = self._recent[0]
        speed = max(received - received_before, 0) / (now - then) if now > then else 0.0
        rest = max(self.total - received, 0) / speed if self.total is not None and speed else None
        return Transfer(self.url, self.name, received, self.total, speed, 0.0 if done else rest, done)


class ParallelDownloads(Generic[Answer]):
    """Runs jobs in parallel, up to the limit in the rules, and watches them.

    Parameters
    ----------
    on_progress
        Called in the caller's thread with the progress of every slot that is reported.
    cancelled
        Polled several times a second; once it returns True, every slot is closed.
    """

    def __init__(
        self, rules: FetchRules, on_progress: ProgressCallback, cancelled: Callable[[], bool]
    ) -> None:
        self._rules, self._on_progress, self._cancelled = rules, on_progress, cancelled
        self._lock = threading.Lock()
        self._open: dict[DownloadSlot, bool] = {}
        self._ended: list[Transfer] = []

    def run(self, jobs: Mapping[str, Callable[[], Answer]]) -> dict[str, Answer | TesseraError]:
        """Return the result of each job, or its error.

        Raises
        ------
        Cancelled
            If `cancelled()` returns True; all jobs have ended by then.
        """
        found: dict[str, Answer | TesseraError] = {}
        cancelled = False
        with ThreadPoolExecutor(self._rules.parallel, thread_name_prefix="fetch") as pool:
            running: dict[Future[Answer], str] = {}
            for key, job in jobs.items():
                running[pool.submit(job)] = key
            last = time.monotonic()
            while running:
                ended, _still = wait(running, timeout=_POLL_INTERVAL_S, return_when="FIRST_COMPLETED")
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
                self._watch(cancelled=cancelled, report=now - last >= _REPORT_INTERVAL_S)
                last = now if now - last >= _REPORT_INTERVAL_S else last
        self._watch(cancelled=cancelled, report=False)
        if cancelled:
            raise Cancelled("the run was cancelled")
        return found

    def open(self, slot: DownloadSlot, *, report: bool) -> None:
        """Watch a slot, and report its progress if `report` is True."""
        with self._lock:
            self._open[slot] = report

    def close(self, slot: DownloadSlot, *, done: bool) -> None:
        """Stop watching a slot; `done` is True if the media is complete."""
        with self._lock:
            if self._open.pop(slot) and done:
                self._ended.append(slot.transfer(done=True))

    def _watch(self, *, cancelled: bool, report: bool) -> None:
        with self._lock:
            slots, ended = dict(self._open), self._ended
            self._ended = []
        for slot, wanted in slots.items():
            if cancelled:
                slot.guard.close("the run was cancelled")
            slot.check()
            if wanted and report:
                self._on_progress(slot.transfer())
        for transfer in ended:
            self._on_progress(transfer)
