"""Reuse of work across runs: tiles with equal inputs run once, equal expressions are rendered once.

In reading order:

`cache_key`: the cache key of a tile's work, and the reason why a tile runs again.
`tile_cache`: cached tile work, and the claims that keep two runs from doing the same work.
`render_cache`: cached renders.
"""
