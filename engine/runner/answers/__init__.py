"""Answers that a tile gets in place of, or from, the outside world.

In reading order:

`tile_context`: the `Context` of a tile, and the answers about speech, levels and images.
`stubs`: stubs that replace a tile's work or answers.
`fault_injection`: faults injected by `--fail`.
`environment`: the choice between the live world and a recording.
"""
