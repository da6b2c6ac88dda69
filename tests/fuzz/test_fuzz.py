"""Whatever the input: success, or an error of ours with an exit code; in bounded time and memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.fuzz.limits import Workbench, workbench
from tests.fuzz.samples import unchanged
from tests.fuzz.search import KEPT, SECONDS, SEED, generated, keep, search, smaller
from tests.fuzz.subject import KINDS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, with limits of the system")


@pytest.fixture(scope="module")
def bench() -> Iterator[Workbench]:
    with workbench() as made:
        yield made


@pytest.mark.parametrize("name", sorted(f"{path.parent.name}/{path.name}" for path in KEPT.glob("*/*")))
def test_an_input_that_failed_once_fails_no_more(name: str, bench: Workbench) -> None:
    found = bench.outcome(name.partition("/")[0], (KEPT / name).read_bytes())
    assert not found.fault, found.said


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_input_succeeds(kind: str, bench: Workbench) -> None:
    found = bench.outcome(kind, unchanged(kind))
    assert set(found.codes) == {0}, found.said
    assert not found.fault


@pytest.mark.parametrize("kind", KINDS)
def test_the_inputs_of_the_first_seeds_have_no_fault(kind: str, bench: Workbench) -> None:
    for seed in range(3):
        found = bench.outcome(kind, generated(kind, seed))
        assert not found.fault, found.said


def test_a_fault_is_noticed(bench: Workbench) -> None:
    found = bench.outcome("servers", b"no script")
    assert found.fault.startswith("traceback: json.decoder.JSONDecodeError")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_no_new_input_has_a_fault(kind: str, bench: Workbench) -> None:
    faults = []
    for seed, data, fault in search(kind, bench, SECONDS, SEED):
        path = keep(kind, smaller(kind, data, fault, bench))
        faults.append(f"seed {seed}: {fault} → {path}")
        print(faults[-1])
    assert not faults, "\n".join(faults)
