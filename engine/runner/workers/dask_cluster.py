"""A Dask cluster as the workers of runs. Needs the extra `dask`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tessera.errors import Fault, RequestError
from tessera.runner.workers.remote_workers import RemoteExecutor

__all__ = ["dask_cluster"]

_CONNECT_S = 10


@contextmanager
def dask_cluster(address: str) -> Iterator[RemoteExecutor]:
    """Connect to a Dask scheduler, at an address such as ``tcp://10.0.0.1:8786``, for use as an executor.

    If a worker dies, the scheduler gives its jobs to other workers, up to its setting
    `distributed.scheduler.allowed-failures`.

    Raises
    ------
    RequestError
        If Dask is not installed, or no scheduler answers at this address.
    """
    try:
        from distributed import Client
    except ImportError:
        message = "the executor dask needs the extra `dask`: pip install 'tessera-runtime[dask]'"
        raise RequestError([Fault("", "request", message)]) from None
    try:
        client = Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        message = f"no Dask scheduler can be reached at {address}: {error}"
        raise RequestError([Fault("", "request", message)]) from None

    @contextmanager
    def listen(topic: str, receive: Callable[[Any], None]) -> Iterator[None]:
        client.subscribe_topic(topic, lambda event: receive(event[1]))
        try:
            yield
        finally:
            client.unsubscribe_topic(topic)

    try:
        yield RemoteExecutor(client.get_executor(pure=False), listen)
    finally:
        client.close()
