"""Bundles: a run packed into one file, to inspect, simulate or replay it on another machine.

Read the modules in this order:

- `archive`: reads the ZIP file of a bundle and rejects everything unexpected.
- `bundle`: writes a run as a bundle and reads it back.
- `proxies`: renders small previews of the run's media for a bundle.
- `recording`: the answers and original media that allow a real run from a bundle.
- `replay`: the environment that answers a run from a recording.
- `simulation`: simulates the run of a bundle again.
"""
