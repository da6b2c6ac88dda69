"""Settings of all tests."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("everyday", deadline=None)
settings.load_profile("everyday")
