"""How to test an agent's rewrites: twelve tiles, two inputs, a fan-out behind the clips, a diamond."""

from hypothesis import given
from hypothesis import strategies as st

from tessera.testing import assert_plan, strategies

SHOW = """
    host:Video Input > audio_enhance > rough_cut(prompt="the strongest minute")
    guest:Video Input > rough_cut
    rough_cut > clips(num_clips=2, target_duration=10) > {tall:Reframe(aspect_ratio="9:16"), premiere_export}
    tall > {captions, mirror} > watermark(logo_size=40) > intro > destination
"""


def test_the_agent_as_it_is():
    assert_plan(SHOW).snapshot("show").edges().order("host > audio_enhance > rough_cut > clips > intro")


def test_an_ignored_side_of_the_diamond_is_led_past():
    assert_plan(SHOW, ignore=["captions"]).edges("tall > watermark via captions", "tall > mirror > watermark")
    assert_plan(SHOW, ignore=["captions", "mirror"]).edges("tall > watermark via captions").outputs(5)


def test_an_ignored_tile_hands_its_feeds_to_all_that_it_fed():
    p = assert_plan(SHOW, ignore=["clips", "audio_enhance"])
    p.edges("rough_cut > {tall, premiere_export} via clips", "host > rough_cut via audio_enhance")
    p = assert_plan(SHOW, ignore=["tall", "watermark"]).no_edges("clips > intro")
    p.edges("clips > {captions, mirror} via tall", "{captions, mirror} > intro via watermark")


def test_an_ignored_end_or_input_makes_no_edge():
    assert_plan(SHOW, ignore=["premiere_export", "intro"]).edges("watermark > destination via intro")
    p = assert_plan(SHOW, ignore=["host", "rough_cut"]).skipped("audio_enhance")
    p.edges("guest > clips via rough_cut").warns("skipped_tile", node="audio_enhance")


def test_each_input_makes_clips_of_its_own():
    talk = {"width": 640, "height": 360, "fps": "25", "speech": [[0, 5000]]}
    facts = {"a": {**talk, "duration_ms": 90_000}, "b": {**talk, "duration_ms": 5_000}}
    p = assert_plan(SHOW, inputs={"host": "a", "guest": "b"}, facts=facts)
    p.items(clips=3, captions=3).durations(clips=[10, 10, 5]).outputs("premiere_export", *["intro"] * 6)


def test_an_override_goes_before_the_template_and_that_before_the_default():
    p = assert_plan(SHOW, set={"clips.num_clips": 1, "rough_cut.prompt": "", "watermark": {"logo_size": 9}})
    p.param("watermark.logo_size", 9, origin="override").param("tall.aspect_ratio", "9:16", origin="template")
    p.param("captions.caption_style", "colored", origin="default").items(clips=2).warns("no_prompt")


def test_what_a_request_may_not_do():
    assert_plan(SHOW, set={"clips.num_clips": 0}).raises("/update_params/<clips>/num_clips")
    assert_plan(SHOW, set={"host.size": 1}).raises("/update_params/<host>", match="protected")
    assert_plan(SHOW, ignore=["host", "guest"]).raises("/ignore_nodes", match="no tile is left")


@given(st.data())
def test_no_rewrite_puts_tiles_into_a_bad_order(data):
    assert_plan(SHOW, **data.draw(strategies.rewrites(SHOW))).no_warnings("order_advice")
