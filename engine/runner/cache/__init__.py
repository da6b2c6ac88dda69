"""Work that is done once per workspace: tiles and renders.

In reading order:

`cache_key`: the cache key of a tile's work, and the reason why a tile runs again.
`cached_work`: finished work in its stored form, and its items as if another tile had made them.
`work_tables`: the rows of the tile cache in the database.
`lookups`: the tiles that wait for a claim, run, or wait for another run, each in one explicit state.
`tile_cache`: the tile cache of one run; its claims keep two runs from doing the same work.
`render_cache`: the renders of a workspace.
"""
