"""A plan or a refused request as a test holds it, and the assertions on warnings and faults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self

from tessera.errors import Fault, RequestError
from tessera.graph.plan import Plan
from tessera.notice import Notice
from tessera.testing.notation.names import Names
from tessera.testing.session import current_session
from tessera.testing.simulation import SimulationOutcome

__all__ = ["PlanOutcome"]


class PlanOutcome:
    """A plan, or why there is none: what all assertions share, and those on warnings and faults."""

    def __init__(
        self,
        names: Names | None,
        made: Plan | None,
        error: RequestError | None,
        told: Mapping[str, Any],
        head: str,
    ) -> None:
        self._names, self._plan, self._error, self._head = names, made, error, head
        self._simulated = SimulationOutcome(names, made, told, head) if names and made else None
        session = current_session()
        if error is not None and session is not None:
            session.refused[id(self)] = (
                f"{head} is refused, and the test does not say so by .raises:\n{self._faults()}"
            )

    # what was planned

    @property
    def plan(self) -> Plan:
        """The plan.

        Raises
        ------
        AssertionError
            The request is refused.
        """
        __tracebackhide__ = True
        self._looked_at()
        if self._plan is None:
            raise AssertionError(f"{self._head} is refused:\n{self._faults()}")
        return self._plan

    @property
    def errors(self) -> tuple[Fault, ...]:
        """The faults for which the request is refused; empty where it is not."""
        self._looked_at()
        return self._error.errors if self._error else ()

    def names(self) -> Names:
        """The names of the agent's tiles.

        Raises
        ------
        AssertionError
            The agent does not load.
        """
        __tracebackhide__ = True
        if self._names is None:
            _ = self.plan
        assert self._names is not None
        return self._names

    def _looked_at(self) -> None:
        session = current_session()
        if session is not None:
            session.refused.pop(id(self), None)

    def _fail(self, what: str) -> AssertionError:
        return AssertionError(f"{self._head}: {what}")

    # warnings and errors

    def warns(self, code: str, *, node: str | None = None, match: str | None = None) -> Self:
        """There is a warning of this code, about this tile, whose message the pattern `match` is found in."""
        __tracebackhide__ = True
        names = self.names()
        about = None if node is None else names.id(node)
        if not any(
            notice.code == code
            and (about is None or self._is_about(notice, about))
            and (match is None or re.search(match, names.said(notice.message)))
            for notice in self.plan.warnings
        ):
            wanted = " ".join(
                [code, *([f"about {node}"] if node else []), *([f"like {match!r}"] if match else [])]
            )
            raise self._fail(f"no warning {wanted}; there {self._warnings()}")
        return self

    def no_warnings(self, *codes: str) -> Self:
        """There is no warning of these codes; without codes, none at all."""
        __tracebackhide__ = True
        if any(not codes or notice.code in codes for notice in self.plan.warnings):
            raise self._fail(f"there {self._warnings()}")
        return self

    def _warnings(self) -> str:
        names = self.names()
        lines = [f"  + {notice.code}: {names.said(notice.message)}" for notice in self.plan.warnings]
        return "are:\n" + "\n".join(lines) if lines else "are none"

    def _is_about(self, notice: Notice, node: str) -> bool:
        """Whether a warning's place is in this tile, or in what the request says of it."""
        tile = self.names().template.get(node)
        places = [f"/update_params/{node}"] if notice.document == "request" else [tile.loc if tile else ""]
        return any(notice.loc == place or notice.loc.startswith(f"{place}/") for place in places)

    def raises(self, *pointers: str, match: str | None = None, only: bool = True) -> Self:
        """The request is refused, for faults at exactly these JSON pointers (`only=False`: at least).

        `<clips>` in a pointer stands for the id of that tile; `match` is a pattern found in the message of a
        fault at each of them.
        """
        __tracebackhide__ = True
        self._looked_at()
        if self._error is None:
            raise self._fail(f"nothing is refused; expected a fault at {', '.join(pointers) or 'any place'}")
        lines = []
        names = self._names
        wanted = [names.filled(one) if names else one for one in pointers]
        for said, place in zip(pointers, wanted, strict=True):
            here = [self._said(fault.message) for fault in self._error.errors if fault.loc == place]
            if not here:
                lines.append(f"  - {said!r}")
            elif match is not None and not any(re.search(match, message) for message in here):
                lines.append(f"  - {said!r} like {match!r}")
        extra = any(fault.loc not in wanted for fault in self._error.errors)
        if not pointers and match is not None:
            lines += (
                []
                if any(re.search(match, self._said(f.message)) for f in self._error.errors)
                else [f"  - {match!r}"]
            )
        if lines or (only and pointers and extra):
            raise self._fail("\n".join(["faults differ (- expected, + there):", *lines, self._faults()]))
        return self

    def _said(self, text: str) -> str:
        return self._names.said(text) if self._names else text

    def _faults(self) -> str:
        assert self._error is not None
        names = self._names
        return "\n".join(
            f"  + {(names.said(fault.loc, '<{}>') if names else fault.loc)!r} ({fault.document}):"
            f" {self._said(fault.message)}"
            for fault in self._error.errors
        )
