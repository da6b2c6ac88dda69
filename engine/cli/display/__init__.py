"""Output for people: streams, tables and progress.

- `output`: results, logs, errors and exit codes
- `tables`: plans and records as tables
- `explain_text`: explanations as text
- `work_done`: the part of a run's work that is done
- `progress`: the progress of a run on stderr
"""
