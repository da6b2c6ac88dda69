"""The options of runs and simulations: keywords and configs are the same, and wrong ones are named."""

from __future__ import annotations

import inspect
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tessera import ConfigError, ResumeConfig, RunConfig, SimulateConfig, resume, run, simulate
from tessera.cli.display.output import failed
from tessera.testing import agent
from tests.support.media import MEDIA

AGENT = agent("input > clips(num_clips=2, target_duration=4) > mirror")
REQUEST = {"video_ids": ["talk"]}
FACTS = {"*": {"duration_ms": 20_000, "width": 640, "height": 360, "fps": "25", "speech": [[0, 20_000]]}}


def test_keywords_and_a_config_give_the_same_record() -> None:
    by_keyword = simulate(AGENT, REQUEST, facts=FACTS, faults=["Mirror=error"], workers=3)
    by_config = simulate(AGENT, REQUEST, SimulateConfig(facts=FACTS, faults=["Mirror=error"], workers=3))
    named = simulate(agent=AGENT, request=REQUEST, config=SimulateConfig(facts=FACTS), workers=3)
    assert by_config.to_dict() == by_keyword.to_dict()
    assert by_config.status == "failed"
    assert named.forecast is not None


def test_a_keyword_replaces_the_value_of_the_config() -> None:
    config = SimulateConfig(facts=FACTS, until="Clips")
    assert len(simulate(AGENT, REQUEST, config).nodes) == 2
    assert len(simulate(AGENT, REQUEST, config, until="Video Input").nodes) == 1
    assert config.until == "Clips"


def test_a_config_serves_many_calls_and_travels_to_another_process() -> None:
    config = SimulateConfig(facts=FACTS, inputs=[MEDIA / "talk.mp4"], faults=["Mirror=transient"])
    assert pickle.loads(pickle.dumps(config)) == config
    assert simulate(AGENT, None, config).to_dict() == simulate(AGENT, None, config).to_dict()


def test_one_path_or_fault_is_a_list_of_one() -> None:
    video = MEDIA / "talk.mp4"
    assert RunConfig(inputs=video).inputs == (video,)  # type: ignore[arg-type]
    assert RunConfig(inputs=str(video)).inputs == (str(video),)
    assert SimulateConfig(faults="Mirror=error").faults == ("Mirror=error",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quality": "best"}, "quality must be one of draft, standard, master, not 'best'"),
        ({"max_items": -1}, "max_items must be a whole number of at least 0, not -1"),
        ({"max_items": True}, "max_items must be a whole number of at least 0, not True"),
        ({"tile_timeout_s": 0}, "tile_timeout_s must be a number of seconds above 0, not 0"),
        ({"render_timeout_s": float("nan")}, "render_timeout_s must be a number of seconds above 0, not nan"),
        ({"render_timeout_s": "5"}, "render_timeout_s must be a number of seconds above 0, not '5'"),
        ({"stubs": ["Clips"]}, "stubs must be a mapping from tiles to stubs, not ['Clips']"),
        ({"faults": [3]}, "faults must be a list of texts such as 'Clips=error', not [3]"),
        ({"until": 3}, "until must be the id or the name of a tile, not 3"),
        ({"out": 3}, "out must be a path, not 3"),
        ({"on_event": "print"}, "on_event must be a function, not 'print'"),
        ({"executor": 4}, "executor must be a concurrent.futures.Executor or a RemoteExecutor, not 4"),
    ],
)
def test_a_wrong_value_names_the_option_and_what_it_may_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RunConfig(**options)
    assert str(caught.value) == message
    assert pickle.loads(pickle.dumps(caught.value)).option == next(iter(options))
    assert failed(caught.value, as_json=False) == 2
    assert isinstance(caught.value, ValueError)


def test_a_wrong_value_stops_a_run_before_it_touches_the_workspace(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tile_timeout_s must be"):
        run(AGENT, REQUEST, workspace=tmp_path / "new", tile_timeout_s=-1)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("options", "message"), [({"workers": 0}, "workers"), ({"unknown_tiles": "x"}, "opaque")]
)
def test_a_simulation_checks_its_options_too(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        simulate(AGENT, REQUEST, **options)


def test_an_unknown_option_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(TypeError, match=r"run\(\) has no option 'qualty'; did you mean 'quality'\?"):
        run(AGENT, REQUEST, qualty="draft")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"resume\(\) has no option 'quality'"):
        resume("latest", quality="draft")  # type: ignore[call-arg]


def test_a_config_of_another_function_is_refused() -> None:
    with pytest.raises(TypeError, match=r"simulate\(\) takes a SimulateConfig, not RunConfig"):
        simulate(AGENT, REQUEST, RunConfig())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("function", "config"), [(run, RunConfig), (simulate, SimulateConfig), (resume, ResumeConfig)]
)
def test_help_shows_every_field_as_a_keyword(function: Any, config: Any) -> None:
    names = [field.name for field in fields(config)]
    assert [*inspect.signature(function).parameters][-len(names) :] == names
    described = " ".join(kind.__doc__ or "" for kind in config.__mro__)
    assert [name for name in names if name not in described] == []


def test_an_executor_of_the_standard_library_is_accepted() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert RunConfig(executor=pool).executor is pool
