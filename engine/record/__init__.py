"""The record of a run: its events, the state folded from them, and the views of both.

Read the modules in this order:

- `status`: the statuses of tiles and runs, and the allowed transitions.
- `events`: the event classes and their JSON.
- `record`: the run record, a fold over the events.
- `sink`: passes each event to the record, the log and the observer.
- `item_record`, `output`, `input_summary`: the members of a record that describe items, outputs and inputs.
- `facts_export`: the media facts that a run learned, for later simulations.
- `node_lookup`: finds a tile of a record by id or name.
- `logs`: the events of a run as readable log entries.
- `shell_commands`: the ffmpeg commands of a run as lines for a shell.
- `trace`: the events of a run as a Chrome trace.
"""
