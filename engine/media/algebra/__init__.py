"""Media expressions, their exact time arithmetic, and the optimiser that rewrites them.

Modules, in the order in which to read them:

- `time`: exact instants, durations and frame rates.
- `ranges`: ranges of timelines, checked, composed and mapped to sources.
- `expression`: immutable pictures, sounds and images.
- `item`: the values that edges carry, and the items that wrap them with their lineage.
- `timeline`: the pieces that nested cuts and joins show.
- `rules`: the rewriting rules of the optimiser.
- `optimiser`: the application of the rules to a whole expression.
"""
