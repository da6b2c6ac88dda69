"""`tessera plan` and `simulate` with `--format markdown`: comments for pull requests."""

from __future__ import annotations

from tessera.cli.display.output import OK, put
from tessera.cli.options import RequestOptions
from tessera.cli.request_args import plan_of, prepare
from tessera.cli.simulate_args import exit_code, run_simulation, with_forecast, with_recorded_request
from tessera.runner.config import SimulateConfig

__all__ = ["plan_comment", "simulation_comment"]


def plan_comment(options: RequestOptions) -> int:
    """Print the plan of a run as Markdown."""
    from tessera.reports.plan_markdown import plan_markdown

    template, run_plan = plan_of(options, store=False)
    put(plan_markdown(run_plan, template))
    return OK


def simulation_comment(options: RequestOptions, config: SimulateConfig) -> int:
    """Simulate a run and print its record and forecast as Markdown."""
    from tessera.drawing.model import flows_of
    from tessera.reports.run_markdown import run_markdown

    options = with_recorded_request(options, config)
    prepared = prepare(options)
    record = run_simulation(prepared, options, with_forecast(config))
    assert record.forecast is not None
    details = record.to_dict()
    put(run_markdown(details, prepared.template, record.forecast.plan, flows_of(details)))
    return exit_code(record)
