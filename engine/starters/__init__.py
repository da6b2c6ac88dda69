"""Small working projects to start from: an agent, a tile package, rewrite tests.

Read the modules in this order:

- `starter_kind`: the kinds
- `start`: make one of them in a folder
- `starter`: the files of a project and the commands to try it with, and writing them
- `agent_starter`: an agent with a request and facts
- `rewrite_test_starter`: tests of the rewrites of an agent
- `tile_starter`: a package with one tile, named after its folder
- `tile_templates`: the texts of its files
"""

from __future__ import annotations
