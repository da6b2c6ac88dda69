"""Settings of all tests."""

from __future__ import annotations

import os

from hypothesis import Phase, settings

# pytest-xdist sets the width of its own display in its workers, where commands would wrap their tables to it.
os.environ.pop("COLUMNS", None)
settings.register_profile("everyday", deadline=None)
settings.register_profile(
    "mutants",
    deadline=None,
    derandomize=True,
    max_examples=25,
    phases=(Phase.explicit, Phase.generate),
)
settings.load_profile("everyday")
