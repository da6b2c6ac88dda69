"""Hostile inputs: mutated media, documents and archives, and a server that breaks the rules of HTTP.

`pytest -m slow tests/fuzz` searches for new failures. Two variables of the environment guide it:

- `TESSERA_FUZZ_SECONDS`: how long each kind of input is tried, 60 by default
- `TESSERA_FUZZ_SEED`: the first seed, by default 0; the seed of each failure is printed

A failure is shrunk and written to `kept/KIND`. The everyday suite runs every input there. Read the modules
in this order: `mutation`, `server`, `samples`, `subject` (what is done with an input), `limits` (the process
in which that is done, and what may come of it), `search`.
"""
