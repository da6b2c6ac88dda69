"""What becomes of a run that lacks credits: the statuses of the contract, as a patch of its record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from tessera.forecast.bill import CHARGED, EXACT, Bill, Line, Price, PriceTable, Ref, price
from tessera.graph.plan import Plan
from tessera.record.events import OutputFailed
from tessera.record.record import NodeRecord, Output, RunRecord
from tessera.record.status import NodeStatus, RunStatus, counts, run_status

__all__ = [
    "Bill",
    "Line",
    "Price",
    "PriceTable",
    "needs_credits",
    "patched",
    "price",
    "refused",
    "stopped",
]


def needs_credits(plan: Plan, record: RunRecord, bill: Bill, balance: Decimal | int) -> dict[str, Any]:
    """What becomes of a run that has only so many credits, as a patch of its record.

    Tiles are paid in topological order, each before it begins; then its outputs, one by one. One that costs
    more than what is left is refused: a tile fails, and what waits for it is blocked; an output fails, and
    with it its tile, or a part of that where other outputs came out. Others go on with what is left.

    Returns
    -------
    dict
        ``needs_credits``; ``run``: the members of the run's record that change; ``nodes``: by tile, the
        members of its record that change; ``credits``: ``balance``, ``spent``, ``left`` (text), ``refused``
        (tiles, or outputs of them: what each ``needs``, and what was ``left``), ``first`` (the tile that ran
        out first, or null). `patched` and `stopped` apply it. Where the credits suffice, nothing changes.

    Examples
    --------
    ``needs_credits(plan, record, price(plan, record), 3)["credits"]["first"]``
    """
    return _Paying(plan, record, bill, Decimal(balance)).patch()


_WORKED = CHARGED | {NodeStatus.FAILED}
_SUMMED = frozenset({NodeStatus.FAILED, NodeStatus.PARTIAL_COMPLETE})
_BROKEN = frozenset({NodeStatus.FAILED, NodeStatus.BLOCKED, NodeStatus.CANCELLED})


class _Paying:
    """Takes a run through its tiles once more, with a purse."""

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
        self.made = {(output.node, output.raw["index"]): output for output in record.outputs}
        self.lost = {(failure.node, failure.index): failure.by for failure in record.failures}
        self.status = {node: one.status for node, one in record.nodes.items()}
        self.taken: set[Ref] = set()
        self.outputs: dict[Ref, str] = {}
        self.nodes: dict[str, dict[str, Any]] = {}
        self.refused: list[dict[str, Any]] = []

    def patch(self) -> dict[str, Any]:
        for node in self.plan.order:
            if self.status[node] in _WORKED:
                self._take(node)
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

    def _take(self, node: str) -> None:
        if self._blocked(node):
            return
        short = self._pay(node, None, self.work.get(node, Decimal(0)))
        if short is not None:
            self._change(node, NodeStatus.FAILED, short, (short,), undone=True)
            return
        mine = self._outputs_of(node)
        errors = []
        for ref in mine:
            short = self._pay(node, ref, self.renders.get(ref, Decimal(0))) if ref in self.made else None
            if short is not None:
                errors.append(f"output {ref[1] + 1} of {ref[0]}: {short}")
            elif ref in self.made:
                self.outputs[ref] = node
        if errors:
            whole = not any(ref in self.outputs for ref in mine)
            before = self.record.nodes[node].errors
            status = NodeStatus.FAILED if whole else NodeStatus.PARTIAL_COMPLETE
            self._change(node, status, errors[0], (*before, *errors), needs_credits=True)

    def _blocked(self, node: str) -> bool:
        """Block a tile that waits for one that no longer completes."""
        broken = [before for before in self.plan.graph.pred[node] if self.status[before] in _BROKEN]
        if not broken:
            return False
        cause = min(broken, key=lambda before: self.plan.tile(before).index)
        message = f"waits for {self.plan.tile(cause).name} {cause}, which was {self.status[cause].value}"
        self._change(node, NodeStatus.BLOCKED, message, undone=True, needs_credits=False)
        return True

    def _pay(self, node: str, output: Ref | None, amount: Decimal) -> str | None:
        """Pay, or say why it cannot be paid."""
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
        return f"needs_credits: {amount} credits are needed, and {self.left} of {self.balance} are left"

    def _outputs_of(self, node: str) -> list[Ref]:
        """What a tile delivers, now that some of those that delivered before it may not."""
        failed = self.status[node] is NodeStatus.FAILED
        if self.plan.tile(node).type.is_output():
            wanted = [ref for before in self.plan.graph.pred[node] for ref in self.items.get(before, ())]
        else:
            wanted = [] if self.plan.graph.succ[node] else self.items.get(node, [])
        there = [ref for ref in wanted if ref in self.lost or (ref in self.made and not failed)]
        mine = [ref for ref in there if ref not in self.taken]
        self.taken.update(mine)
        return mine

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
        """The members of the run's record that change."""
        node = first["agent_node_id"]
        others = sum(1 for one in self.status.values() if one in _SUMMED) - 1
        more = f", and {others} more tile{'s' if others > 1 else ''} failed" if others > 0 else ""
        outputs = [
            {**output.raw, "delivered_by": self.outputs[ref]}
            for ref, output in self.made.items()
            if ref in self.outputs
        ]
        return {
            "status": run_status(self.status.values(), len(outputs)).value,
            "status_message": f"{self.plan.tile(node).name} {node} needs credits{more}",
            "needs_credits": True,
            "node_status_counts": counts(self.status.values()),
            "outputs": outputs,
        }


def stopped(record: RunRecord, patch: Mapping[str, Any]) -> RunRecord:
    """The record of a run after a patch of `needs_credits`: what was refused or blocked made nothing."""
    if not patch["needs_credits"]:
        return record
    run, changed = patch["run"], patch["nodes"]
    undone = {node for node, members in changed.items() if members.get("items") == 0}
    return replace(
        record,
        nodes={node: _changed(one, changed.get(node)) for node, one in record.nodes.items()},
        made_items=[item for item in record.items if item["agent_node_id"] not in undone],
        outputs=[Output(raw) for raw in run["outputs"]],
        failures=[*(one for one in record.failures if one.by not in undone), *_lost(record, patch)],
        status=RunStatus(run["status"]),
        message=run["status_message"],
        needs_credits=True,
    )


def _lost(record: RunRecord, patch: Mapping[str, Any]) -> Iterator[OutputFailed]:
    """The outputs that were refused."""
    for one in patch["credits"]["refused"]:
        if one["output"]:
            node, index = one["output"]["agent_node_id"], one["output"]["index"]
            message = f"needs_credits: {one['needs']} credits are needed"
            yield OutputFailed(
                at=record.updated_at, by=one["agent_node_id"], node=node, index=index, message=message
            )


def refused(patch: Mapping[str, Any]) -> frozenset[str | Ref]:
    """The tiles, and the outputs as (tile, index), that a patch of `needs_credits` refuses."""
    outputs = ((one["agent_node_id"], one["output"]) for one in patch["credits"]["refused"])
    return frozenset((made["agent_node_id"], made["index"]) if made else node for node, made in outputs)


def _changed(node: NodeRecord, members: Mapping[str, Any] | None) -> NodeRecord:
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


def patched(record: RunRecord, patch: Mapping[str, Any]) -> dict[str, Any]:
    """The run object of the contract after a patch of `needs_credits`, with its `needs_credits` members."""
    return stopped(record, patch).to_dict()
