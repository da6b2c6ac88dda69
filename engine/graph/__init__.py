"""The pure core: plans a run from an agent and a request, and compares and reduces such documents.

- `model`: the graph of a template or a run, whose nodes carry resolved tiles
- `load`: reads a template and checks it against the catalogue
- `rewrite`: `ignore_nodes` and `update_params`, and the tiles that a run reaches
- `changes`: the differences between a template and one run
- `input_binding`: the sources of each Video Input
- `plan`: `plan()` and `Plan`, which combine all of the above
- `lint`: advice on the order of tiles and on prompts
- `plan_json`: reads a plan from its JSON
- `preview`: the plan of a request without inputs
- `views`: agents, plans, requests and records in one comparable shape
- `diff`: the differences between two of them
- `shrink`: reduces an agent and a request to a minimal failing pair
"""
