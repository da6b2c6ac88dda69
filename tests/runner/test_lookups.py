"""The states of a tile that the cache could not answer at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.runner.cache.lookups import Lookup, Lookups, LookupState

STATES = st.sampled_from(list(LookupState))


def waiting(node: str = "a", state: LookupState = LookupState.UNCLAIMED) -> tuple[Lookups, Lookup]:
    lookups, lookup = Lookups(), Lookup(node, (), None, "the first time", state)
    lookups.add(lookup)
    return lookups, lookup


def test_a_tile_claims_runs_and_is_done() -> None:
    lookups, lookup = waiting()
    for state in (LookupState.CLAIMED, LookupState.RUNNING, LookupState.DONE):
        lookups.move(lookup, state)
        assert lookups.find(state, "a") is lookup
    assert lookups.take(LookupState.DONE) == [lookup]
    assert not lookups.any(*LookupState)


def test_a_tile_that_waits_for_a_dead_run_claims_again() -> None:
    lookups, lookup = waiting()
    lookups.move(lookup, LookupState.WAITING)
    lookups.move(lookup, LookupState.UNCLAIMED)
    assert lookups.all(LookupState.UNCLAIMED) == [lookup]


@pytest.mark.parametrize("state", [LookupState.RUNNING, LookupState.DONE, LookupState.FAILED])
def test_a_tile_without_a_claim_cannot_run_or_end(state: LookupState) -> None:
    lookups, lookup = waiting()
    with pytest.raises(ValueError, match=f"a cannot become {state.value}: it is unclaimed"):
        lookups.move(lookup, state)
    assert lookups.find(LookupState.UNCLAIMED, "a") is lookup


@given(st.lists(STATES, max_size=12))
def test_a_lookup_is_always_in_exactly_one_state(path: list[LookupState]) -> None:
    lookups, lookup = waiting()
    for state in path:
        try:
            lookups.move(lookup, state)
        except ValueError:
            continue
        assert lookup.state is state
    assert [state for state in LookupState if lookups.find(state, "a")] == [lookup.state]
