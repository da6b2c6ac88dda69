"""The inputs of a run: uploads, URLs and archive items become assets whose media and duration are known.

Read in this order:

- `local`: local files and URLs from the command line, added to a request.
- `resolve`: ids and URLs of a plan become media; clips are checked and metered.
- `facts`: stated facts that replace media in a simulation.
- `assets`: the media of a workspace.
- `fetch`: downloads of URLs, through a proxy that checks every address.
- `mimir`: items of a connected Mimir archive.
- `answer_recorder`: records what a run fetched.
- `recorded_answers`: replays what an earlier run fetched.
"""
