"""Checks of an installation: what is there, whether it works, and what to do if it does not.

Nothing is created or changed, and nothing is contacted but the server in `TESSERA_DATABASE_URL`. Read the
modules in this order:

- `finding`: one line of the result
- `examination`: all checks, each limited in time
- `ffmpeg_check`: the ffmpeg in use
- `child_output`: what a program prints, within limits of time and size
- `package_check`: Tessera, Python, libraries and extras
- `requirements`: the requirements that a package declares, and those that are not met
- `tile_check`: built-in tiles and plug-ins
- `workspace_check`: settings, workspace, database, shared store
- `machine_check`: cores, memory and the limits of encodes
"""

from __future__ import annotations
