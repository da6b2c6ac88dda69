"""Redirects of a public host, on a machine without a network that has a public address."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ALONE = ("unshare", "--map-root-user", "--net")


def can_be_alone() -> bool:
    try:
        return subprocess.run((*ALONE, "true"), capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not can_be_alone(), reason="no network namespace can be made here")
def test_a_public_host_is_reached_and_leads_to_no_private_one(tmp_path: Path) -> None:
    done = subprocess.run(
        (*ALONE, sys.executable, "-m", "tests.support.offline_machine", str(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    good, *others = found["outcomes"].values()
    assert good == "completed"
    for said, host in zip(others, ("127.0.0.1", "10.0.0.1", "localhost", "127.0.0.1"), strict=True):
        assert f"refused: {host} is a private address" in said
    assert found["requests to the private host"] == []
