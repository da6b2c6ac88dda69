"""Credits: exact bills, and runs without enough credits."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera import Plan, RequestError, RunRecord, simulate
from tessera.cli import main
from tessera.forecast.credits import (
    Bill,
    PriceTable,
    apply_patch,
    bill_of,
    credit_patch,
    patched_document,
    refused_work,
)
from tessera.forecast.schedule import schedule
from tessera.record.events import OutputFailed
from tessera.record.status import NodeStatus, RunStatus, counts
from tessera.testing import agent, node_id
from tests.support.planning import planned, runs

FACTS = {
    "*": {"duration_ms": 90_000, "width": 1280, "height": 720, "fps": "25", "speech": [[1000, 80_000]]},
}
FORK = agent("input > clips(num_clips=2, target_duration=15) > {mirror, captions}; captions > destination")
"""Two clips of 15 s: mirrored and delivered, and captioned and delivered by a Destination."""
INPUT, CLIPS, MIRROR, CAPTIONS, DESTINATION = (tile.id for tile in FORK)
PRICES = {
    "output_minute": 4,
    "tiles": {"Clips": {"input_minute": 2}, "Mirror": {"input_minute": 1}, "Captions": {"input_minute": 3}},
}
"""At these prices FORK costs 3 for Clips, 0.5 for Mirror, 1.5 for Captions, 1 for each of four outputs."""

Case = tuple[dict[str, Any], dict[str, Any]]
Billed = tuple[Plan, RunRecord, Bill]


def billed(template: Any, request: Any = None, prices: Any = PRICES, **options: Any) -> Billed:
    p = planned(template, request or {"video_ids": ["v"]})
    record = simulate(p, facts=FACTS, workspace="/nowhere", **options)
    return p, record, bill_of(p, record, PriceTable.read(prices))


def run_with(balance: str, template: Any = FORK) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the patch and the patched record of a run with this balance."""
    p, record, bill = billed(template)
    patch = credit_patch(p, record, bill, Decimal(balance))
    return patch, patched_document(record, patch)


def statuses(run: dict[str, Any]) -> list[str]:
    return [node["status"] for node in run["nodes"]]


# the bill


def test_a_bill_has_a_line_for_each_tile_and_each_output() -> None:
    _p, _record, bill = billed(FORK)
    assert [(line.name, line.meter, str(line.amount)) for line in bill.lines] == [
        ("Clips", "input_minute", "3.00"),
        ("Mirror", "input_minute", "0.50"),
        ("Mirror", "output_minute", "1.00"),
        ("Mirror", "output_minute", "1.00"),
        ("Captions", "input_minute", "1.50"),
        ("Destination", "output_minute", "1.00"),
        ("Destination", "output_minute", "1.00"),
    ]
    assert bill.total == Decimal("9.00")
    assert bill.by_tile() == {CLIPS: 3, MIRROR: Decimal("2.5"), CAPTIONS: Decimal("1.5"), DESTINATION: 2}
    assert bill.to_dict()["total"] == "9.00"


def test_an_input_is_metered_by_its_clip() -> None:
    request = {"video_ids": ["v"], "input_clip_start_ms": 30_000, "input_clip_end_ms": 60_000}
    _p, _record, bill = billed(agent("input"), request, {"categories": {"input": {"input_minute": 10}}})
    assert [(line.quantity, line.amount) for line in bill.lines if line.meter == "input_minute"] == [
        (30_000, Decimal("5.00"))
    ]


def test_generators_are_charged_for_what_they_make() -> None:
    template = agent("video_generation; image_generation")
    p = planned(template, {})
    record = simulate(p, workspace="/nowhere")
    table = {"tiles": {"Video Generation": {"made_second": 2}, "Image Generation": {"made_image": "1.5"}}}
    meters = {line.meter: line for line in bill_of(p, record, PriceTable.read(table)).lines}
    assert meters["made_second"].amount == Decimal(2 * meters["made_second"].quantity) / 1000
    assert (meters["made_image"].quantity, meters["made_image"].amount) == (1, Decimal("1.50"))


def test_failed_tiles_are_not_charged() -> None:
    _p, _record, bill = billed(FORK, stubs={"Captions": {"fault": "error"}})
    assert {line.node for line in bill.lines} == {CLIPS, MIRROR}


@given(
    st.integers(1, 10**9),
    st.decimals(0, 1000, places=6),
    st.integers(0, 6),
)
def test_amounts_are_rounded_half_up_once_and_added_up_exactly(ms: int, unit: Decimal, places: int) -> None:
    table = PriceTable.read(
        {"decimals": places, "output_minute": str(unit), "tiles": {"Clips": {"input_minute": 0}}}
    )
    p, record, _bill = ONE_CLIP
    for output in record.outputs:
        output.raw["duration_ms"] = ms
    bill = bill_of(p, record, table)
    assert isinstance(bill.total, Decimal)
    assert Fraction(bill.total) == sum((Fraction(line.amount) for line in bill.lines), Fraction(0))
    for line in bill.lines:
        error = Fraction(line.amount) - Fraction(unit) * ms / 60_000
        assert -Fraction(1, 2 * 10**places) < error <= Fraction(1, 2 * 10**places)


ONE_CLIP = billed(agent("input > clips(num_clips=2, target_duration=15)"))


# the table


def test_a_price_table_holds_only_changes_and_survives_json() -> None:
    ours, mine = PriceTable.read(), PriceTable.read('{"tiles": {"ai b-roll": {"input_minute": 0.1}}}')
    assert str(mine.of("AI B-Roll", "generate").input_minute) == "0.1"
    assert mine.of("AI B-Roll", "generate").made_second == 0
    assert mine.of("Clips", "edit") == ours.of("Clips", "edit")
    assert PriceTable.read(mine.to_dict()) == mine
    assert (
        PriceTable.read({"categories": {"edit": {"input_minute": 9}}}).of("Mirror", "edit").input_minute != 9
    )
    assert (
        PriceTable.read({"categories": {"edit": {"input_minute": 9}}}).of("Montage", "edit").input_minute == 9
    )


def test_every_fault_of_a_price_table_is_reported() -> None:
    with pytest.raises(RequestError) as caught:
        PriceTable.read(
            {"output_minutes": 1, "tiles": {"Clips": {"input_minute": -1, "input": 1}}, "decimals": 1.5}
        )
    assert {fault.loc for fault in caught.value.errors} == {
        "/output_minutes",
        "/tiles/Clips/input_minute",
        "/tiles/Clips/input",
        "/decimals",
    }


# a run without enough credits


def test_enough_credits_change_nothing() -> None:
    patch, run = run_with("9")
    assert (patch["needs_credits"], patch["nodes"], patch["run"]) == (False, {}, {})
    assert patch["credits"] == {"balance": "9", "spent": "9.00", "left": "0.00", "first": None, "refused": []}
    assert run == billed(FORK)[1].to_dict()


def test_a_tile_that_cannot_be_paid_fails_and_blocks_the_tiles_after_it() -> None:
    patch, run = run_with("2.99")
    assert statuses(run) == ["completed", "failed", "blocked", "blocked", "blocked"]
    assert run["nodes"][1]["status_message"] == (
        "needs_credits: 3.00 credits are needed, but only 2.99 of 2.99 are left"
    )
    assert run["nodes"][4]["status_message"] == f"blocked: Captions {CAPTIONS} is blocked"
    assert [node["needs_credits"] for node in run["nodes"]] == [False, True, False, False, False]
    assert (run["status"], run["needs_credits"], run["outputs"]) == ("failed", True, [])
    assert run["status_message"] == f"Clips {CLIPS} needs credits"
    assert run["node_status_counts"] == {"completed": 1, "in_progress": 0, "failed": 4}
    assert {item["agent_node_id"] for item in run["items"]} == {INPUT}
    assert run["errors"] == [
        {"original_node_id": CLIPS, "messages": [run["nodes"][1]["status_message"]]},
    ]
    assert patch["credits"]["first"] == CLIPS


def test_other_tiles_run_on_the_remaining_credits_and_the_run_is_partial() -> None:
    patch, run = run_with("6.5")  # Clips, Mirror and its two outputs: 5.5; Captions would need 1.5
    assert statuses(run) == ["completed", "completed", "completed", "failed", "blocked"]
    assert (run["status"], len(run["outputs"])) == ("partial_complete", 2)
    assert patch["credits"]["left"] == "1.00"


def test_outputs_are_paid_one_by_one() -> None:
    patch, run = run_with("8.25")  # all but the last output
    assert statuses(run) == ["completed"] * 4 + ["partial_complete"]
    assert (run["status"], len(run["outputs"])) == ("partial_complete", 3)
    assert run["nodes"][4]["errors"] == [
        f"output 2 of {CAPTIONS}: needs_credits: 1.00 credits are needed, but only 0.25 of 8.25 are left"
    ]
    _patch, run = run_with("7")
    assert statuses(run)[4] == "failed"
    assert patch["credits"]["refused"] == [
        {
            "agent_node_id": DESTINATION,
            "output": {"agent_node_id": CAPTIONS, "index": 1},
            "needs": "1.00",
            "left": "0.25",
        }
    ]


def test_free_tiles_run_without_credits() -> None:
    _patch, run = run_with("0", agent("input > reframe > destination"))
    assert statuses(run) == ["completed", "failed", "blocked"]
    _patch, run = run_with("-3", agent("input > reframe > destination"))
    assert statuses(run) == ["completed", "failed", "blocked"]


def test_another_destination_delivers_the_outputs_of_a_blocked_one() -> None:
    template = agent("input > {mirror, captions} > destination; mirror > destination_2")
    p, record, bill = billed(
        template, prices={"output_minute": 0, "tiles": {"Captions": {"input_minute": 9}}}
    )
    run = patched_document(record, credit_patch(p, record, bill, 5))
    assert statuses(run) == ["completed", "completed", "failed", "blocked", "completed"]
    assert [(output["original_node_id"], output["delivered_by"]) for output in run["outputs"]] == [
        (node_id("mirror"), node_id("destination_2"))
    ]


def test_outputs_that_failed_already_stay_failed() -> None:
    p, record, _bill = billed(FORK)
    lost = record.outputs.pop()
    by, index = lost.raw["delivered_by"], lost.raw["index"]
    record.failures.append(OutputFailed(at="", by=by, node=lost.node, index=index, message="no"))
    node = record.nodes[by]
    node.status, node.message, node.errors = NodeStatus.PARTIAL_COMPLETE, "no", ["no"]
    bill = bill_of(p, record, PriceTable.read(PRICES))
    assert credit_patch(p, record, bill, 8)["nodes"] == {}
    run = patched_document(record, credit_patch(p, record, bill, 7))
    assert run["nodes"][4]["status"] == "failed"
    assert [len(run["nodes"][4]["errors"]), run["nodes"][4]["errors"][0]] == [2, "no"]


def test_refused_work_takes_no_time() -> None:
    p, record, bill = billed(FORK)
    patch = credit_patch(p, record, bill, Decimal("6.5"))
    made = schedule(p, apply_patch(record, patch), excluded=refused_work(patch))
    assert {task.node for task in made.tasks} == {INPUT, CLIPS, MIRROR}
    patch = credit_patch(p, record, bill, Decimal("8.25"))
    made = schedule(p, apply_patch(record, patch), excluded=refused_work(patch))
    assert [task.output for task in made.tasks if task.node == DESTINATION] == [None, (CAPTIONS, 0)]


def signature(record: RunRecord) -> Any:
    """Return the result of a run tile by tile."""
    return (
        record.status,
        {node: (one.status, one.made) for node, one in record.nodes.items()},
        [(output.id, output.raw["index"]) for output in record.outputs],
        record.items,
    )


@st.composite
def deliveries(draw: st.DrawFn) -> Case:
    """Draw agents and requests of `runs` with two Destinations after some of the tiles."""
    template, request = draw(runs())
    count = len(template["agent_nodes"])
    ends = draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(count, count + 1)), unique=True))
    nodes = [*template["agent_nodes"], *agent("destination; destination_2").to_dict()["agent_nodes"]]
    ids = [node["agent_node_id"] for node in nodes]
    more = [
        {"source_agent_node_id": ids[source], "target_agent_node_id": ids[target]} for source, target in ends
    ]
    return {"agent_nodes": nodes, "connections": [*template["connections"], *more]}, request


@given(deliveries(), st.data())
def test_a_tile_without_credits_has_the_effect_of_a_failed_tile(case: Case, data: st.DataObject) -> None:
    """The statuses equal those of a run in which the same tile fails with an error."""
    p, record, whole = billed(*case, None)
    broke = data.draw(st.sampled_from(p.order))
    bill = Bill(tuple(line for line in whole.lines if line.node == broke and line.output is None))
    after = apply_patch(record, credit_patch(p, record, bill, 0))
    stubs = {broke: {"fault": "error"}} if bill.lines else {}
    assert signature(after) == signature(simulate(p, facts=FACTS, workspace="/nowhere", stubs=stubs))


@given(deliveries(), st.decimals(0, 12, places=2))
def test_the_balance_is_never_overdrawn_and_the_statuses_agree(case: Case, balance: Decimal) -> None:
    p, record, bill = billed(*case, {"output_minute": 1})
    before = record.to_json()
    patch = credit_patch(p, record, bill, balance)
    run, after, account = patched_document(record, patch), apply_patch(record, patch), patch["credits"]
    assert record.to_json() == before
    assert Decimal(account["spent"]) + Decimal(account["left"]) == balance
    assert Decimal(account["left"]) >= 0
    assert patch["needs_credits"] == (bill.total > balance)
    assert run["node_status_counts"] == counts(node.status for node in after.nodes.values())
    assert bill_of(p, after, PriceTable.read({"output_minute": 1})).total == Decimal(account["spent"])
    broken = {node for node, one in after.nodes.items() if one.status in ("failed", "blocked")}
    for node in p.order:
        waits = any(one in broken for one in p.graph.pred[node])
        assert (after.nodes[node].status is NodeStatus.BLOCKED) == waits
    if after.status is RunStatus.FAILED:
        assert not after.outputs
    json.dumps(run)


# a simulation with a balance and a forecast


@given(runs(), st.integers(1, 4), st.one_of(st.none(), st.integers(0, 12)))
def test_a_simulation_holds_its_forecast(case: Case, workers: int, balance: int | None) -> None:
    p, plain, bill = billed(*case, None)
    record = simulate(p, facts=FACTS, workspace="/nowhere", workers=workers, balance=balance)
    forecast = record.forecast
    assert forecast is not None
    assert forecast.bill == bill
    assert record.needs_credits == (balance is not None and bill.total > balance)
    if record.needs_credits:
        assert record.to_dict(items=False)["status"] in ("failed", "partial_complete")
        assert any(node.needs_credits for node in record.nodes.values())
    else:
        assert signature(record) == signature(plain)
    ends = {task.node: task.end for task in forecast.schedule.tasks}
    for node, one in record.nodes.items():
        assert (one.seconds or 0) <= forecast.schedule.makespan / 1e6
        assert node in ends or one.status not in (NodeStatus.COMPLETED, NodeStatus.PARTIAL_COMPLETE)
        assert node not in ends or one.status is not NodeStatus.BLOCKED
    assert all(output.raw["completed_at"] <= record.updated_at for output in record.outputs)


def test_a_plain_simulation_has_no_forecast() -> None:
    _p, record, _bill = billed(FORK)
    assert record.forecast is None
    assert "forecast" not in record.to_dict()


def test_simulate_shows_time_and_credits(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    line = ["simulate", FORK.to_json(), '{"video_ids": ["v"]}', "--facts", json.dumps(FACTS)]
    line += ["--workspace", str(tmp_path), "--prices", json.dumps(PRICES), "--workers", "3"]
    assert main([*line, "--balance", "6.5"]) == 1
    out = capsys.readouterr().out
    assert "with 3 workers" in out
    assert "5.50 of 6.5 credits spent, 1.00 left" in out
    assert main([*line, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["needs_credits"], found["forecast"]["bill"]["total"]) == (False, "9.00")
    assert found["forecast"]["schedule"]["workers"] == 3


# the command


def test_the_command_shows_the_bill_and_the_remaining_balance(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps(PRICES))
    line = ["estimate", FORK.to_json(), '{"video_ids": ["v"]}', "--facts", json.dumps(FACTS)]
    line += ["--prices", str(prices)]
    assert main([*line, "--balance", "9"]) == 0
    out, err = capsys.readouterr()
    assert not err
    assert "bill: 9.00 credits" in out
    assert "9.00 of 9 credits spent, 0.00 left" in out
    assert main([*line, "--balance", "6.5"]) == 1
    out = capsys.readouterr().out
    assert "partial complete" in out
    assert f"Captions {CAPTIONS} failed: needs_credits: 1.50 credits are needed" in out
    assert main([*line, "--balance", "2", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["run"]["status"], found["run"]["needs_credits"]) == ("failed", True)
    assert found["credits"]["first"] == CLIPS
    assert {task["agent_node_id"] for task in found["schedule"]["tasks"]} == {INPUT}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--balance", "much"], "--balance much: give a number of credits"),
        (["--balance", "nan"], "--balance nan: give a number of credits"),
        (["--prices", '{"outputs": 1}'], "prices: unknown field 'outputs'"),
        (["--costs", '{"render": {"made": "x"}}'], "costs: "),
        (["--costs", "nowhere.json"], "cannot read 'nowhere.json'"),
        (["--workers", "0"], "workers"),
    ],
)
def test_the_command_refuses_wrong_options(
    capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    line = ["estimate", FORK.to_json(), '{"video_ids": ["v"]}', "--facts", json.dumps(FACTS)]
    assert main([*line, *options]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert message in err


def test_the_command_warns_of_an_unknown_tile(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["estimate", FORK.to_json(), '{"video_ids": ["v"]}', "--facts", json.dumps(FACTS)]
    assert main([*line, "--prices", '{"tiles": {"Clps": {"input_minute": 1}}}']) == 0
    assert "prices: no tile is called 'Clps'; did you mean 'Clips'" in capsys.readouterr().err
