"""The commands that look at an agent and a request before anything runs.

- `validate`: check an agent and a request, for people and for CI systems
- `estimate`: the duration and the cost of a run
- `graph`: draw an agent
- `explain`: explain a tile, a parameter, a connection or an output
- `explain_media`: how outputs are made, for `plan --explain-media`
- `diff`: compare two documents or runs
- `markdown`: comments for pull requests, for `--format markdown`
- `nodes`: the catalogue of node types
"""
