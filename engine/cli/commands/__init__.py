"""The commands of `tessera`, one or a few related ones per module.

- `planning`: the commands that look at an agent and a request before anything runs
- `run`: run, resume, simulate and plan
- `runs`: runs, show, cancel and upload
- `history`: logs, trace and preview
- `bundles`: bundle and replay
- `new`: start an agent, a tile package or a test file
- `doctor`: check the installation
- `avatar`: avatar profiles
- `store`: check and prune a workspace, and its connections
"""
