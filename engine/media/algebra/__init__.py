"""Media expressions, their exact time arithmetic, and the optimiser that rewrites them.

Modules, in the order in which to read them:

- `time`: exact instants, durations and frame rates.
- `ranges`: ranges of timelines, checked, composed and mapped to sources.
- `expression`: immutable pictures, sounds and images.
- `item`: the values that edges carry, and the items that wrap them with their lineage.
- `timeline`: the pieces that nested cuts and joins show.
- `rule`: the type of an optimiser rule, and the decorators that create one.
- `cut_rules`: rules about time, which move cuts to the sources.
- `frame_rules`: rules about the frame, which remove pixels and operations.
- `optimiser`: the application of the rules to a whole expression.
"""
