"""How much CPU time planning and simulating take: `python -m tests.benchmarks.graph`."""
