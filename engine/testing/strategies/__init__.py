"""Hypothesis strategies: valid agents, rewrites and requests, and documents with one planted fault.

The modules, in reading order:

- `parameters`: values for the parameters of a node type, from its JSON schema
- `valid`: agents, rewrites and requests without faults
- `invalid`: documents with exactly one fault

::

    @given(st.data())
    def test_something(data):
        a = data.draw(strategies.agents(max_tiles=5))
        assert_plan(a, **data.draw(strategies.rewrites(a))).no_warnings("kinds_do_not_fit")
"""

from __future__ import annotations

try:
    import hypothesis  # noqa: F401
except ImportError as error:
    raise ImportError("tessera.testing.strategies needs Hypothesis: pip install hypothesis") from error

from tessera.testing.strategies.invalid import Planted, nearly_valid_agents, nearly_valid_requests
from tessera.testing.strategies.valid import agents, notations, requests, rewrites

__all__ = [
    "Planted",
    "agents",
    "nearly_valid_agents",
    "nearly_valid_requests",
    "notations",
    "requests",
    "rewrites",
]
