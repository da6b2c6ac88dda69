"""Compiling expressions to ffmpeg commands, and running them. Read in this order:

command
    Commands and the feeds that run beside them.
encode_settings
    Encode settings by quality.
colors
    Colour conversions.
held_picture
    The last picture of a source, repeated while its sound goes on.
lowering
    Expressions as ffmpeg filter graphs.
sound_lowering
    The sound part of a filter graph.
compiler
    The compiler from optimised expressions to commands.
child_guard
    Child processes that end with this process.
capabilities
    The encoders and filters that a binary must have.
process
    One ffmpeg process: start, progress, timeout, errors.
feed
    A command together with its feeds.
"""
