"""The commands of `tessera`, one or a few related ones per module.

- `run`: run, resume, simulate, plan and validate
- `runs`: runs, show, cancel and upload
- `estimate`: the duration and the cost of a run
- `graph`: draw an agent
- `explain`: explain a tile, a parameter, a connection or an output
- `explain_media`: how outputs are made, for `plan --explain-media`
- `diff`: compare two documents or runs
- `history`: logs, trace and preview
- `bundles`: bundle and replay
- `nodes`: the catalogue of node types
- `new`: start an agent, a tile package or a test file
- `doctor`: check the installation
- `avatar`: avatar profiles
- `store`: check and prune a workspace, and its connections
"""
