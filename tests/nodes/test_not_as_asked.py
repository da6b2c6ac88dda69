"""Fewer, shorter or smaller than asked is a warning that names both values and the reason."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tessera import RunRecord, run, simulate
from tessera.cli import main
from tessera.context import Context
from tessera.explain.output import explain_output
from tessera.media.algebra.item import Item
from tessera.node import Catalogue, Made, NodeType, Params, ours_id
from tessera.testing import agent, node_id
from tests.support.media import MEDIA

TALK = str(MEDIA / "talk.mp4")


class Asks(NodeType):
    """A tile of a plug-in that follows none of its parameters."""

    name = "Asks"
    type_id = ours_id(name)
    category = "edit"
    source = "ours"

    class Params(Params):
        copies: int = 4
        reports: str = "copies"

    def run(self, ctx: Context, inputs: Sequence[Item], params: Any) -> Iterable[Made]:
        for item in inputs:
            ctx.not_as_asked(params.reports, "1", "a plug-in says so")
            ctx.not_as_asked(params.reports, "1", "a plug-in says so")
            yield Made(item.value, (item,), "kept")


CATALOGUE = Catalogue([*Catalogue.installed(), Asks])


def messages(record: RunRecord) -> list[str]:
    return [one["message"] for one in record.warnings if one["code"] == "not_as_asked"]


def simulated(text: str, *, seconds: float = 15, size: str = "1920x1080", **request: Any) -> RunRecord:
    width, height = map(int, size.split("x"))
    facts = {"duration_ms": int(seconds * 1000), "width": width, "height": height, "fps": 30}
    template = agent(text, catalogue=CATALOGUE)
    inputs = {} if "input" not in text else {"video_ids": ["talk"]}
    return simulate(template, {**inputs, **request}, facts={"*": facts}, assume=True, catalogue=CATALOGUE)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "input > clips(num_clips=2, target_duration=10)",
            ["num_clips 2, but 1 made: a video of 15 s holds 1 clip of 10 s"],
        ),
        (
            "input > clips(num_clips=5, target_duration=6.5)",
            ["num_clips 5, but 2 made: a video of 15 s holds 2 clips of 6.5 s"],
        ),
        (
            "input > clips(num_clips=1, target_duration=60)",
            ["target_duration 60, but 15 s made: the video is 15 s long"],
        ),
        (
            "input > clips(num_clips=2, target_duration=20)",
            [
                "num_clips 2, but 1 made: a video of 15 s holds 1 clip of 20 s",
                "target_duration 20, but 15 s made: the video is 15 s long",
            ],
        ),
        ("input > clips(num_clips=2, target_duration=7.5)", []),
        ("input > clips(num_clips=3)", []),
        ("input > clips", []),
        ("input > clips(target_duration=15)", []),
        (
            "input > m:AIMusic(end_s=20)",
            ["end_s 20, but 15 s made: the video is 15 s long"],
        ),
        (
            "input > m:AIMusic(start_s=15.0)",
            ["start_s 15.0, but no music made: the video is 15 s long"],
        ),
        ("input > m:AIMusic(start_s=2.0, end_s=15.0)", []),
        (
            'v:VideoGeneration(resolution="4k", aspect_ratio="wide")',
            [
                'resolution "4k", but 720p made: a simulation reads lines such as 1080p, from 16p to 8192p',
                'aspect_ratio "wide", but 16:9 made: a simulation reads two whole numbers, such as 9:16',
            ],
        ),
        ('v:VideoGeneration(resolution="1080p", aspect_ratio="9:16")', []),
    ],
)
def test_a_simulation_warns_with_both_values_and_the_reason(text: str, said: list[str]) -> None:
    assert [message.partition(": ")[2] for message in messages(simulated(text))] == said


def test_a_logo_that_does_not_fit_is_smaller_than_asked() -> None:
    flat = simulated("input > watermark(logo_size=100)", size="1920x240")
    assert [message.partition(": ")[2] for message in messages(flat)] == [
        "logo_size 100, but 50 made: the logo fills the height of 1920×240 at 960×240"
    ]
    assert not messages(simulated("input > watermark(logo_size=100)"))


def test_a_warning_points_at_the_value_that_asks() -> None:
    clips = node_id("clips")
    places = {}
    for name, text, request in (
        ("template", "input > clips(num_clips=9, target_duration=10)", {}),
        (
            "request",
            "input > clips(target_duration=10)",
            {"update_params": {clips.upper(): {"num_clips": 9}}},
        ),
        ("default", "input > asks", {}),
    ):
        (warning,) = simulated(text, **request).warnings
        places[name] = (warning["document"], warning["loc"])
    assert places == {
        "template": ("template", "/agent_nodes/1/params_used/num_clips"),
        "request": ("request", f"/update_params/{clips.upper()}/num_clips"),
        "default": ("template", "/agent_nodes/1"),
    }


def test_equal_reports_of_a_tile_count_once() -> None:
    (message,) = messages(simulated("input > asks"))
    assert message.endswith("copies 4, but 1 made: a plug-in says so")


def test_a_report_about_an_unknown_parameter_is_an_error_of_the_tile() -> None:
    record = simulated('input > asks(reports="size")')
    assert record.status.value == "failed"
    assert "no parameter 'size'" in str(record.errors)


def test_run_simulation_and_cache_warn_alike(tmp_path: Path) -> None:
    template = agent("input > clips(num_clips=9, target_duration=4) > destination")
    first = run(template, inputs=[TALK], workspace=tmp_path)
    cached = run(template, inputs=[TALK], workspace=tmp_path)
    alike = simulate(template, inputs=[TALK], workspace=tmp_path)
    assert cached.node(node_id("clips")).work == "cached"
    assert len(messages(first)) == 1
    assert messages(first) == messages(cached) == messages(alike)


def test_explain_says_it_of_an_output_and_of_the_tile() -> None:
    record = simulated("input > clips(num_clips=2, target_duration=10) > mirror > destination")
    (found,) = explain_output(record.to_dict(), 1).not_as_asked
    assert (found.parameter, found.asked, found.made) == ("num_clips", 2, "1")
    assert (found.values, found.why) == ("num_clips 2, but 1 made", "a video of 15 s holds 1 clip of 10 s")


def test_the_command_line_says_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    template = tmp_path / "agent.json"
    template.write_text(agent("input > clips(num_clips=2, target_duration=10) > destination").to_json())
    facts = '{"*": {"duration_ms": 15000, "width": 640, "height": 360, "fps": 30, "speech": []}}'
    words = ("num_clips 2, but 1 made", "a video of 15 s holds 1 clip of 10 s")
    for command in (("simulate",), ("explain", "--output", "1"), ("explain", "--node", "Clips")):
        main([command[0], str(template), '{"video_ids": ["talk"]}', "--facts", facts, *command[1:]])
        out = capsys.readouterr().out
        assert [word for word in words if word not in out] == []
        if command[0] == "explain":
            at = out.splitlines().index("not as asked")
            assert max(map(len, out.splitlines()[at : at + 4])) <= 80
