"""A plan or a rejected request in a test, and the assertions on warnings and faults."""

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
    """The base of all assertions: a plan, or the faults of a rejected request.

    Parameters
    ----------
    names
        The names of the agent's tiles; None if the agent is invalid.
    planned
        The plan; None if the request is rejected.
    error
        The faults of the request or the agent, if any.
    options
        The facts and stubs of the simulation.
    subject
        One line that names agent and request in failure messages.
    """

    def __init__(
        self,
        names: Names | None,
        planned: Plan | None,
        error: RequestError | None,
        options: Mapping[str, Any],
        subject: str,
    ) -> None:
        self._names, self._plan, self._error, self._subject = names, planned, error, subject
        self._simulated = SimulationOutcome(names, planned, options, subject) if names and planned else None
        session = current_session()
        # Without this, a test that only builds the object would pass although its request is rejected.
        if error is not None and session is not None:
            session.unchecked[id(self)] = (
                f"{subject}: rejected with these faults, which the test does not expect with .raises:\n"
                f"{self._faults()}"
            )

    # plan and names

    @property
    def plan(self) -> Plan:
        """The plan.

        Raises
        ------
        AssertionError
            If the request is rejected.
        """
        __tracebackhide__ = True
        self._mark_checked()
        if self._plan is None:
            raise AssertionError(f"{self._subject}: rejected with these faults:\n{self._faults()}")
        return self._plan

    @property
    def errors(self) -> tuple[Fault, ...]:
        """The faults of a rejected request; empty if the request is valid."""
        self._mark_checked()
        return self._error.errors if self._error else ()

    def names(self) -> Names:
        """Return the names of the agent's tiles.

        Raises
        ------
        AssertionError
            If the agent is invalid.
        """
        __tracebackhide__ = True
        if self._names is None:
            _ = self.plan
        assert self._names is not None
        return self._names

    def _mark_checked(self) -> None:
        session = current_session()
        if session is not None:
            session.unchecked.pop(id(self), None)

    def _fail(self, message: str) -> AssertionError:
        return AssertionError(f"{self._subject}: {message}")

    # warnings and errors

    def warns(self, code: str, *, node: str | None = None, match: str | None = None) -> Self:
        """Assert that the plan has a warning with this code.

        Parameters
        ----------
        code
            The code of the warning.
        node
            The name of the tile that the warning is about; any tile by default.
        match
            A regular expression that its message contains, with tile names in place of ids.

        Examples
        --------
        >>> from tessera.testing import assert_plan
        >>> p = assert_plan("input > destination; captions")
        >>> p = p.warns("skipped_tile", node="captions", match="nothing that runs")
        """
        __tracebackhide__ = True
        names = self.names()
        tile_id = None if node is None else names.id(node)
        if not any(
            notice.code == code
            and (tile_id is None or self._is_about(notice, tile_id))
            and (match is None or re.search(match, names.with_names(notice.message)))
            for notice in self.plan.warnings
        ):
            wanted = " ".join(
                [code, *([f"about {node}"] if node else []), *([f"matching {match!r}"] if match else [])]
            )
            raise self._fail(f"expected a warning {wanted}, but {self._warnings()}")
        return self

    def no_warnings(self, *codes: str) -> Self:
        """Assert that the plan has no warning with one of these codes; without codes, none at all.

        Examples
        --------
        >>> from tessera.testing import assert_plan
        >>> p = assert_plan("input > captions > destination").no_warnings()
        """
        __tracebackhide__ = True
        if any(not codes or notice.code in codes for notice in self.plan.warnings):
            unwanted = f"no warning {', '.join(codes)}".rstrip()
            raise self._fail(f"expected {unwanted}, but {self._warnings()}")
        return self

    def _warnings(self) -> str:
        names = self.names()
        lines = [f"  + {notice.code}: {names.with_names(notice.message)}" for notice in self.plan.warnings]
        return "the warnings are:\n" + "\n".join(lines) if lines else "the plan has no warnings"

    def _is_about(self, notice: Notice, node: str) -> bool:
        """Return True if the pointer of a warning is inside this tile or its entry in the request."""
        tile = self.names().template.get(node)
        places = [f"/update_params/{node}"] if notice.document == "request" else [tile.loc if tile else ""]
        return any(notice.loc == place or notice.loc.startswith(f"{place}/") for place in places)

    def raises(self, *pointers: str, match: str | None = None, only: bool = True) -> Self:
        """Assert that the request is rejected, with faults at exactly these JSON pointers.

        Parameters
        ----------
        pointers
            JSON pointers into the document, with `<clips>` in place of the id of that tile. Without pointers,
            any fault counts.
        match
            A regular expression that the message of a fault at each pointer contains.
        only
            False allows faults at other pointers too.

        Examples
        --------
        >>> from tessera.testing import assert_plan
        >>> p = assert_plan("input > clips > destination", set={"clips.num_clips": "three"})
        >>> p = p.raises("/update_params/<clips>/num_clips", match="num_clips")
        """
        __tracebackhide__ = True
        self._mark_checked()
        if self._error is None:
            expected = f"a fault at {', '.join(pointers)}" if pointers else "a fault"
            raise self._fail(f"expected {expected}, but the request is valid")
        lines = []
        names = self._names
        wanted = [names.with_ids(text) if names else text for text in pointers]
        for text, loc in zip(pointers, wanted, strict=True):
            messages = [self._with_names(fault.message) for fault in self._error.errors if fault.loc == loc]
            if not messages:
                lines.append(f"  - {text!r}")
            elif match is not None and not any(re.search(match, message) for message in messages):
                lines.append(f"  - {text!r} matching {match!r}")
        extra = any(fault.loc not in wanted for fault in self._error.errors)
        if not pointers and match is not None:
            lines += (
                []
                if any(re.search(match, self._with_names(f.message)) for f in self._error.errors)
                else [f"  - {match!r}"]
            )
        if lines or (only and pointers and extra):
            raise self._fail("\n".join(["faults differ (- expected, + actual):", *lines, self._faults()]))
        return self

    def _with_names(self, text: str) -> str:
        return self._names.with_names(text) if self._names else text

    def _faults(self) -> str:
        assert self._error is not None
        names = self._names
        return "\n".join(
            f"  + {(names.with_names(fault.loc, '<{}>') if names else fault.loc)!r} ({fault.document}):"
            f" {self._with_names(fault.message)}"
            for fault in self._error.errors
        )
