"""The run engine. `engine.run` is this package and the function `run` at once.

`from engine import run` must give the function, also after a module of this package has been imported and
Python has bound the package to the name `engine.run`; so the package can be called.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.run.record import RunRecord


class _CallablePackage(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> RunRecord:
        """See `engine.run.api.run`."""
        from engine.run.api import run

        return run(*args, **kwargs)


sys.modules[__name__].__class__ = _CallablePackage
