"""The effect of too few credits on a run: the statuses of the contract, as a patch of the run's record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from tessera.forecast.bill import CHARGED, EXACT, Bill, Line, Price, PriceTable, Ref, bill_of
from tessera.graph.plan import Plan
from tessera.record.events import OutputFailed
from tessera.record.output import Output
from tessera.record.record import NodeRecord, RunRecord
from tessera.record.status import NodeStatus, RunStatus, counts, run_status

__all__ = [
    "Bill",
    "Line",
    "Price",
    "PriceTable",
    "apply_patch",
    "bill_of",
    "credit_patch",
    "patched_document",
    "refused_work",
]


def credit_patch(plan: Plan, record: RunRecord, bill: Bill, balance: Decimal | int) -> dict[str, Any]:
    """Return the changes to a run's record if the run has only `balance` credits.

    Tiles pay in topological order, each before it starts; then its outputs pay one by one. A tile or output
    that costs more than the remaining credits is refused. A refused tile fails and blocks the tiles that wait
    for it. A refused output fails, and so does its tile, or its tile completes partially if another of its
    outputs succeeds. All other tiles continue with the remaining credits.

    Returns
    -------
    dict
        ``needs_credits``; ``run``: the members of the run's record that change; ``nodes``: by tile, the
        members of its record that change; ``credits``: ``balance``, ``spent``, ``left`` (text), ``refused``
        (tiles or outputs, each with the credits that it ``needs`` and those that were ``left``), ``first``
        (the first refused tile, or null). `apply_patch` and `patched_document` apply the patch. If the
        credits suffice, the patch changes nothing.

    Examples
    --------
    ``credit_patch(plan, record, bill_of(plan, record), 3)["credits"]["first"]``
    """
    return _Payment(plan, record, bill, Decimal(balance)).patch()


_WORKED = CHARGED | {NodeStatus.FAILED}
# The statuses that the message of the run counts as failed tiles.
_SUMMED = frozenset({NodeStatus.FAILED, NodeStatus.PARTIAL_COMPLETE})
_BROKEN = frozenset({NodeStatus.FAILED, NodeStatus.BLOCKED, NodeStatus.CANCELLED})


class _Payment:
    """Replays the tiles of a run in order and pays for each from a balance."""

    def __init__(self, plan: Plan, record: RunRecord, bill: Bill, balance: Decimal) -> None:
        self.plan, self.record = plan, record
        self.balance = self.left = balance
        self.work: dict[str, Decimal] = {}
        self.renders: dict[Ref, Decimal] = {}
        for line in bill.lines:
            if line.output is None:
                self.work[line.node] = EXACT.add(self.work.get(line.node, Decimal(0)), line.amount)
            else:
                self.renders[line.output] = line.amount
        self.items: dict[str, list[Ref]] = {}
        for item in record.items:
            self.items.setdefault(item["agent_node_id"], []).append((item["agent_node_id"], item["index"]))
        self.delivered = {(output.node, output.index): output for output in record.outputs}
        self.failed = {(failure.node, failure.index): failure.by for failure in record.failures}
        self.status = {node: entry.status for node, entry in record.nodes.items()}
        # Each output has one deliverer, although several tiles may receive its item.
        self.claimed: set[Ref] = set()
        self.paid: dict[Ref, str] = {}
        self.nodes: dict[str, dict[str, Any]] = {}
        self.refused: list[dict[str, Any]] = []

    def patch(self) -> dict[str, Any]:
        for node in self.plan.order:
            if self.status[node] in _WORKED:
                self._pay_tile(node)
        first = self.refused[0] if self.refused else None
        return {
            "needs_credits": first is not None,
            "run": {} if first is None else self._run(first),
            "nodes": self.nodes,
            "credits": {
                "balance": str(self.balance),
                "spent": str(EXACT.subtract(self.balance, self.left)),
                "left": str(self.left),
                "first": first and first["agent_node_id"],
                "refused": self.refused,
            },
        }

    # one tile

    def _pay_tile(self, node: str) -> None:
        """Pay for a tile and its outputs, or change its status."""
        if self._block(node):
            return
        refusal = self._pay(node, None, self.work.get(node, Decimal(0)))
        if refusal is not None:
            self._change(node, NodeStatus.FAILED, refusal, (refusal,), undone=True)
            return
        refs = self._outputs_of(node)
        errors = []
        for ref in refs:
            if ref not in self.delivered:
                continue
            refusal = self._pay(node, ref, self.renders.get(ref, Decimal(0)))
            if refusal is not None:
                errors.append(f"output {ref[1] + 1} of {ref[0]}: {refusal}")
            else:
                self.paid[ref] = node
        if errors:
            partial = any(ref in self.paid for ref in refs)
            earlier = self.record.nodes[node].errors
            status = NodeStatus.PARTIAL_COMPLETE if partial else NodeStatus.FAILED
            self._change(node, status, errors[0], (*earlier, *errors), needs_credits=True)

    def _block(self, node: str) -> bool:
        """Block a tile that waits for a tile that no longer completes; return True if it is blocked."""
        broken = [before for before in self.plan.graph.pred[node] if self.status[before] in _BROKEN]
        if not broken:
            return False
        cause = min(broken, key=lambda before: self.plan.tile(before).index)
        verb = "failed" if self.status[cause] is NodeStatus.FAILED else f"is {self.status[cause].value}"
        message = f"blocked: {self.plan.tile(cause).name} {cause} {verb}"
        self._change(node, NodeStatus.BLOCKED, message, undone=True, needs_credits=False)
        return True

    def _pay(self, node: str, output: Ref | None, amount: Decimal) -> str | None:
        """Pay an amount; return None, or the message of the refusal."""
        # Free work is never refused, even if the balance is negative.
        if not amount or amount <= self.left:
            self.left = EXACT.subtract(self.left, amount)
            return None
        self.refused.append(
            {
                "agent_node_id": node,
                "output": output and {"agent_node_id": output[0], "index": output[1]},
                "needs": str(amount),
                "left": str(self.left),
            }
        )
        return f"needs_credits: {amount} credits are needed, but only {self.left} of {self.balance} are left"

    def _outputs_of(self, node: str) -> list[Ref]:
        """Claim and return the outputs that a tile delivers.

        They can differ from the record's: another tile that delivered one of them there may now be blocked.
        """
        node_failed = self.status[node] is NodeStatus.FAILED
        if self.plan.tile(node).type.is_output():
            candidates = [ref for before in self.plan.graph.pred[node] for ref in self.items.get(before, ())]
        else:
            candidates = [] if self.plan.graph.succ[node] else self.items.get(node, [])
        free = [ref for ref in candidates if ref not in self.claimed]
        refs = [ref for ref in free if ref in self.failed or (ref in self.delivered and not node_failed)]
        self.claimed.update(refs)
        return refs

    def _change(
        self,
        node: str,
        status: NodeStatus,
        message: str,
        errors: tuple[str, ...] = (),
        *,
        undone: bool = False,
        needs_credits: bool = True,
    ) -> None:
        """Change a tile's status; `undone` also removes its items, seconds and logs."""
        self.status[node] = status
        self.nodes[node] = {
            "status": status.value,
            "status_message": message,
            "errors": list(errors),
            "needs_credits": needs_credits,
            **({"items": 0, "seconds": None, "logs": ()} if undone else {}),
        }

    # the run

    def _run(self, first: Mapping[str, Any]) -> dict[str, Any]:
        """Return the members of the run's record that change."""
        node = first["agent_node_id"]
        others = sum(1 for status in self.status.values() if status in _SUMMED) - 1
        more = f", and {others} more tile{'s' if others > 1 else ''} failed" if others > 0 else ""
        outputs = [
            {**output.raw, "delivered_by": self.paid[ref]}
            for ref, output in self.delivered.items()
            if ref in self.paid
        ]
        return {
            "status": run_status(self.status.values(), len(outputs)).value,
            "status_message": f"{self.plan.tile(node).name} {node} needs credits{more}",
            "needs_credits": True,
            "node_status_counts": counts(self.status.values()),
            "outputs": outputs,
        }


def apply_patch(record: RunRecord, patch: Mapping[str, Any]) -> RunRecord:
    """Return a run's record after a patch of `credit_patch`; refused and blocked tiles have no items."""
    if not patch["needs_credits"]:
        return record
    run, changes = patch["run"], patch["nodes"]
    undone = {node for node, members in changes.items() if members.get("items") == 0}
    failures = [failure for failure in record.failures if failure.by not in undone]
    return replace(
        record,
        nodes={node: _patched_node(entry, changes.get(node)) for node, entry in record.nodes.items()},
        made_items=[item for item in record.items if item["agent_node_id"] not in undone],
        outputs=[Output(raw) for raw in run["outputs"]],
        failures=[*failures, *_refused_outputs(record, patch)],
        status=RunStatus(run["status"]),
        message=run["status_message"],
        needs_credits=True,
    )


def _refused_outputs(record: RunRecord, patch: Mapping[str, Any]) -> Iterator[OutputFailed]:
    """Yield a failure for each refused output."""
    for refusal in patch["credits"]["refused"]:
        if refusal["output"]:
            node, index = refusal["output"]["agent_node_id"], refusal["output"]["index"]
            by, message = refusal["agent_node_id"], f"needs_credits: {refusal['needs']} credits are needed"
            yield OutputFailed(at=record.updated_at, by=by, node=node, index=index, message=message)


def refused_work(patch: Mapping[str, Any]) -> frozenset[str | Ref]:
    """Return the tiles, and the outputs as (tile, index), that a patch of `credit_patch` refuses."""
    refusals = ((refusal["agent_node_id"], refusal["output"]) for refusal in patch["credits"]["refused"])
    return frozenset((made["agent_node_id"], made["index"]) if made else node for node, made in refusals)


def _patched_node(node: NodeRecord, members: Mapping[str, Any] | None) -> NodeRecord:
    if members is None:
        return node
    undone: dict[str, Any] = {"made": 0, "seconds": None, "logs": ()} if "items" in members else {}
    return replace(
        node,
        status=NodeStatus(members["status"]),
        message=members["status_message"],
        errors=tuple(members["errors"]),
        needs_credits=members["needs_credits"],
        **undone,
    )


def patched_document(record: RunRecord, patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return the run object of the contract after a patch, including its `needs_credits` members."""
    return apply_patch(record, patch).to_dict()
