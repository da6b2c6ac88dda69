"""The workers of a run: `--executor` and `--scheduler`."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

from tessera.cli.display.output import refuse
from tessera.cli.options import ExecutorName

if TYPE_CHECKING:
    from tessera.runner.workers.remote_workers import RemoteExecutor

__all__ = ["ExecutorOptions"]


class ExecutorOptions(AbstractContextManager["RemoteExecutor | None"]):
    """The executor options. As a context manager, connect and return the executor for `tessera.run`."""

    def __init__(self, executor: ExecutorName | None, scheduler: str | None) -> None:
        if scheduler is not None and executor is not ExecutorName.DASK:
            raise refuse("--scheduler requires --executor dask")
        if executor is ExecutorName.DASK and scheduler is None:
            raise refuse("--executor dask requires --scheduler ADDRESS")
        self.scheduler = scheduler
        self._open = ExitStack()

    def __enter__(self) -> RemoteExecutor | None:
        if self.scheduler is None:
            return None
        from tessera.runner.workers.dask_cluster import dask_cluster

        return self._open.enter_context(dask_cluster(self.scheduler))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._open.close()
