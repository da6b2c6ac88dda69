"""Settings of all tests."""

from __future__ import annotations

from hypothesis import Phase, settings

settings.register_profile("everyday", deadline=None)
settings.register_profile(
    "mutants",
    deadline=None,
    derandomize=True,
    max_examples=25,
    phases=(Phase.explicit, Phase.generate),
)
settings.load_profile("everyday")
