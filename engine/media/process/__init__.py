"""Processes of ffmpeg. Read in this order:

process_group
    Child processes that are started and killed as a group.
child_guard
    Child processes that end with this process.
process
    One ffmpeg process: start, progress, timeout, errors.
capabilities
    The encoders and filters that a binary must have.
"""
