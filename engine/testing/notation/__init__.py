"""The notation of tests: agents, edges and tile names as short text.

The modules, in reading order:

- `names`: a short name for each tile of an agent, and the tile for a name
- `parser`: builds an agent from the notation
- `writer`: writes an agent in the notation
- `edges`: expected edges (`a > b via c`) against the edges of a plan
"""
