"""Assets: the media of a workspace, addressed by content.

Read in this order:

- `asset`: one asset, its `asset.json`, and checks for damage.
- `library`: the assets of a workspace, with storing and lookup.
- `known_files`: which local files certainly hold what they held before.
- `shared_store`: a store that several machines share.
- `thumbnail`: thumbnails of assets.
- `cube_lut`: checks of colour tables in the `.cube` format.
- `avatars`: avatar profiles and their media.
"""
